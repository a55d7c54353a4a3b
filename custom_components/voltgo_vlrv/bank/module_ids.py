"""Module IDs of batteries that share a data cable with an inverter (manual 5.3).

Each battery needs a unique ID; the one that communicates with the inverter has ID 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

FIRST: Final = 1
LAST: Final = 16


class ModuleId(NamedTuple):
    """The module ID of a battery, and a new one that waits for a power cycle."""

    key: str
    reported: int | None
    """None while the battery has not reported it."""
    pending: int | None = None


def is_conflict(members: Sequence[ModuleId]) -> bool:
    """Return whether two IDs are equal, or all are known and none is FIRST."""
    known = [member.reported for member in members if member.reported is not None]
    if len(set(known)) < len(known):
        return True
    return bool(known) and len(known) == len(members) and FIRST not in known


def plan(members: Sequence[ModuleId]) -> dict[str, int]:
    """Return the new ID of each battery that has to change; empty without a conflict.

    As few IDs change as possible, and pending changes are kept. Between two equal IDs,
    the first battery keeps its own. A battery that has not reported its ID may be the
    one with FIRST.
    """
    if not is_conflict(members):
        return {}
    known = [member for member in members if member.reported is not None]
    wanted = {
        member.key: member.reported if member.pending is None else member.pending
        for member in known
    }
    all_known = len(known) == len(members)
    lowest = FIRST if all_known else FIRST + 1
    planned: dict[str, int] = {}
    for key, number in wanted.items():
        if number is not None and number not in planned.values():
            planned[key] = number
    for key in wanted:
        if key not in planned:
            taken = set(planned.values())
            planned[key] = next(
                number for number in range(lowest, LAST + 1) if number not in taken
            )
    if all_known and FIRST not in planned.values():
        planned[known[0].key] = FIRST
    return {
        member.key: planned[member.key]
        for member in known
        if planned[member.key] != member.reported
    }
