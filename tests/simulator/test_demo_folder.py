"""The demo's configuration directory: what can be saved in it, and what stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.e2e.folder import BLUEPRINTS, ROOT, TEMPLATE, prepare

PORT = 8123
SAVED = "- id: one\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a directory that is prepared for the first time."""
    prepare(tmp_path, PORT)
    return tmp_path


def test_every_included_file_is_there(folder: Path) -> None:
    """The editors for automations, scripts, and scenes have a file to save in."""
    configuration = (TEMPLATE / "configuration.yaml").read_text(encoding="utf-8")
    included = [
        line.split("!include ")[1]
        for line in configuration.splitlines()
        if "!include " in line
    ]

    assert included == ["automations.yaml", "scripts.yaml", "scenes.yaml"]
    assert all((folder / name).is_file() for name in included)


def test_blueprints_are_those_of_the_repository(folder: Path) -> None:
    """Home Assistant offers each blueprint without an import."""
    names = {file.name for file in (folder / BLUEPRINTS).iterdir()}

    assert names == {file.name for file in (ROOT / BLUEPRINTS).iterdir()}
    assert len(names) == 8


def test_second_start_keeps_what_was_saved(folder: Path) -> None:
    """Only the configuration itself is that of the template again."""
    (folder / "automations.yaml").write_text(SAVED, encoding="utf-8")
    (folder / "configuration.yaml").write_text("old:\n", encoding="utf-8")

    prepare(folder, PORT)

    assert (folder / "automations.yaml").read_text(encoding="utf-8") == SAVED
    configuration = (folder / "configuration.yaml").read_bytes()
    assert configuration == (TEMPLATE / "configuration.yaml").read_bytes()
