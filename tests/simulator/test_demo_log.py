"""What the demo's check takes for a complaint in Home Assistant's log."""

from __future__ import annotations

from pathlib import Path
import sys

import pytest

from simulator.e2e.folder import ROOT
from simulator.e2e.log import complaints
from simulator.e2e.server import LOG

PLACE = "(MainThread) [custom_components.voltgo_vlrv.coordinator]"
LOST = f"2026-01-01 10:00:00.000 ERROR {PLACE} Error requesting A data: A is not in range. It"
OTHER = LOST.replace(" A ", " B ")
INFO = f"2026-01-01 10:00:00.000 INFO {PLACE} all is well"
TRACEBACK = "Traceback (most recent call last):"


def write(folder: Path, *lines: str) -> Path:
    """Write a log, and return its folder."""
    (folder / LOG).write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_battery_that_was_lost_on_purpose_may_be_missed_once(tmp_path: Path) -> None:
    """Another one may not, nor may the same one twice: it is to be logged once."""
    assert complaints(write(tmp_path, INFO, LOST), ["A"]) == []
    assert complaints(write(tmp_path, LOST)) == [LOST]
    assert complaints(write(tmp_path, LOST, OTHER), ["A"]) == [OTHER]
    assert complaints(write(tmp_path, LOST, INFO, LOST), ["A"]) == [LOST]


def test_complaints_traceback_through_folder_of_that_name_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python, or the repository, may lie in a folder that is named voltgo_vlrv."""
    monkeypatch.setattr(sys, "base_prefix", "/cache/voltgo_vlrv/python")
    other = OTHER.replace("custom_components.voltgo_vlrv.coordinator", "haffmpeg.core")
    for place in (
        "/cache/voltgo_vlrv/python/subprocess.py",
        f"{ROOT}/.venv-latest/x.py",
    ):
        assert complaints(write(tmp_path, other, TRACEBACK, f"  {place}")) == []
    ours = f"{ROOT}/custom_components/voltgo_vlrv/sensor.py"
    assert len(complaints(write(tmp_path, other, TRACEBACK, f"  {ours}"))) == 1


def test_traceback_is_part_of_complaint(tmp_path: Path) -> None:
    """And a complaint is shown in full."""
    found = complaints(write(tmp_path, INFO, OTHER, TRACEBACK, "  boom"), ["A"])
    assert found == [f"{OTHER}\n{TRACEBACK}\n  boom"]
