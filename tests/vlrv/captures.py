"""Frames recorded from real batteries, which are stored outside the project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, NamedTuple

import pytest

PATH: Final = Path(__file__).parents[3] / "shared/captures/frames.json"

needs_captures = pytest.mark.skipif(
    not PATH.exists(), reason="recorded frames are stored outside the project"
)


class Capture(NamedTuple):
    """One recorded frame, or one notification; the meaning of `kind`: its README."""

    kind: str
    battery: str
    note: str
    data: bytes


def _load() -> tuple[Capture, ...]:
    if not PATH.exists():
        return ()
    return tuple(
        Capture(
            entry["kind"], entry["battery"], entry["note"], bytes.fromhex(entry["hex"])
        )
        for entry in json.loads(PATH.read_text())
    )


CAPTURES: Final = _load()


def captures(*kinds: str, longer_than: int = 0) -> list[Capture]:
    """Return the recordings of these kinds with more than that many bytes."""
    return [
        capture
        for capture in CAPTURES
        if capture.kind in kinds and len(capture.data) > longer_than
    ]


def capture(kind: str, note: str = "", battery: str = "") -> bytes:
    """Return the first recording of a kind whose note and battery contain these."""
    return next(
        entry.data
        for entry in CAPTURES
        if entry.kind == kind and note in entry.note and battery in entry.battery
    )
