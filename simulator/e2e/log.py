"""Warnings and errors about the integration in Home Assistant's log."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
import re
import sys

from .folder import ROOT
from .server import LOG

_RECORD = re.compile(r"^\d{4}-\d\d-\d\d \S+ (?P<level>[A-Z]+) ")
_COMPLAINTS = ("WARNING", "ERROR", "CRITICAL")
# Logged for every custom integration.
_EXPECTED = "which has not been tested by Home Assistant"


def _without_places(record: str) -> str:
    """Return a record without the folders of the repository and of Python.

    Both may be named like the integration, and stand in the traceback of any error.
    """
    return record.replace(f"{ROOT}", "").replace(sys.base_prefix, "")


def complaints(folder: Path, lost: Collection[str] = ()) -> list[str]:
    """Return the warnings and errors that name the integration or its simulator.

    Of each battery in `lost`, one may say that it is not in range.
    """
    excused = [f"Error requesting {name} data: {name} is not in range" for name in lost]
    records: list[list[str]] = []
    text = (folder / LOG).read_text(encoding="utf-8", errors="replace")
    for line in text.splitlines():
        # A traceback belongs to the record before it.
        if _RECORD.match(line) or not records:
            records.append([])
        records[-1].append(line)
    found = []
    for record in records:
        match, whole = _RECORD.match(record[0]), "\n".join(record)
        if (
            match is not None
            and match["level"] in _COMPLAINTS
            and "voltgo" in _without_places(whole)
            and _EXPECTED not in whole
        ):
            if excuse := next((text for text in excused if text in whole), None):
                excused.remove(excuse)
                continue
            found.append(whole)
    return found
