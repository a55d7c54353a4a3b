"""What a load would leave in a battery; pure arithmetic.

At the nominal voltage, as the stored energy is counted: a heavy load or cold leaves less.
"""

from __future__ import annotations

from typing import Final, NamedTuple

_SECONDS_PER_HOUR: Final = 3600.0


class Contents(NamedTuple):
    """What a battery or a bank holds."""

    left: float
    """Ah."""
    full: float
    """Ah, more than 0."""
    voltage: float
    """Nominal, V."""


class Estimate(NamedTuple):
    """What a load leaves."""

    state_of_charge_now: float
    """%, as are the others."""
    state_of_charge: float
    """At the end: 0 if it is empty before, 100 if it is full."""
    seconds_to_reserve: float | None
    """0 if the reserve is reached already; None if it is not reached until the end."""


def estimate(
    contents: Contents, power: float, seconds: float, reserve: float
) -> Estimate:
    """Return what is left after `power` W for `seconds`, + charging.

    `reserve` is in %.
    """
    current = power / contents.voltage
    moved = current * seconds / _SECONDS_PER_HOUR
    percent = 100 / contents.full
    spare = contents.left - contents.full * reserve / 100
    to_reserve = None
    if spare <= 0:
        to_reserve = 0.0
    elif spare + moved <= 0:
        to_reserve = spare / -current * _SECONDS_PER_HOUR
    return Estimate(
        contents.left * percent,
        min(max(contents.left + moved, 0.0), contents.full) * percent,
        to_reserve,
    )
