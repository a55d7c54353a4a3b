"""Values of a config entry as they have to be: a file may be damaged, or of a newer version."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a value that is a mapping; an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and isfinite(value)
    )


def number_within(value: Any, low: float, high: float) -> float | None:
    """Return a number from `low` to `high`; None for anything else."""
    return value if is_number(value) and low <= value <= high else None


def texts(value: Any) -> tuple[str, ...]:
    """Return the texts in a list; none for anything else."""
    if not isinstance(value, list | tuple):
        return ()
    return tuple(item for item in value if isinstance(item, str))
