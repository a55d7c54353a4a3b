"""What several batteries in parallel are together.

Intensive values (state of charge, voltage, cells, temperatures) come from the members
that report, or where all were let go, from what they said last. Extensive ones (current,
power, capacities, energy) are known only while every member does: without one of them a
sum would be too small, and look right.

No value depends on the order of the members: sums are exact before they are rounded,
and between equals the smaller key decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Final, NamedTuple

from ..history.charge import Charge, energy_capacity, stored_energy, total_charge

IDLE_CURRENT: Final = 0.5
"""A; a member with less carries nothing. Currents below about 1 A may read 0."""
LOAD_CURRENT: Final = 2.0
"""A for each member that is not quiet; less than that proves no cut-off of another."""

MIN_IMBALANCE_CURRENT: Final = 5.0
"""A in total; below it the resolution of the currents looks like imbalance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberReading:
    """What one member reports now; None where it does not measure a value."""

    key: str
    """Tells the members apart."""
    state_of_charge: int
    """0-100 %."""
    voltage: float
    """V."""
    current: float
    """A, + charging."""
    cells: tuple[int, ...]
    """mV, cell 1 first."""
    lowest_temperature: int | None
    highest_temperature: int | None
    """°C, of the fitted probes."""
    state_of_health: int | None
    """0-100 %; None if the battery reports an impossible number."""
    remaining_capacity: float | None
    full_capacity: float | None
    """Ah."""
    charge: Charge | None
    """What is left, also where the remaining capacity is not measured."""
    protected: bool
    """A protection is on, or the battery says that it is in the state of one."""
    too_cold: bool | None
    """Whether it is too cold to charge."""

    @property
    def is_cut_off(self) -> bool:
        """Return whether it is protected and carries nothing."""
        return self.protected and abs(self.current) < IDLE_CURRENT


class Cell(NamedTuple):
    """One cell of one member."""

    key: str
    number: int
    """1 first."""
    millivolts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BankReading:
    """What the bank is now; None where that is not known."""

    members: int
    """How many batteries are in the bank."""
    reporting: int
    """How many of them report."""
    isolated: frozenset[str] = frozenset()
    """Keys of the members that have cut themselves off while others carry current.

    Also of those that do not report any more: nothing says that they are back."""
    joined: int = 0
    """Of how many the values are taken: those that are not isolated."""
    is_complete: bool = False
    """Whether the sums are known: the values of every member are there."""

    # Intensive.
    state_of_charge: float | None = None
    """%, by capacity, without isolated members; lies between theirs."""
    spread: int | None = None
    """Difference of the highest and the lowest state of charge in %."""
    voltage: float | None = None
    """V, mean of the members that are not isolated."""
    highest_cell: Cell | None = None
    lowest_cell: Cell | None = None
    cell_delta: int | None = None
    """mV, the largest within one member."""
    highest_temperature: int | None = None
    lowest_temperature: int | None = None
    """°C."""
    state_of_health: int | None = None
    """%, the worst."""
    protected: bool | None = None
    """Whether a protection is on in any member."""
    too_cold: bool | None = None
    """Whether it is too cold to charge for any member."""

    # Extensive.
    current: float | None = None
    """A, + charging."""
    power: int | None = None
    """W, + charging."""
    remaining_capacity: float | None = None
    full_capacity: float | None = None
    """Ah."""
    stored_energy: int | None = None
    """Wh at the nominal voltage, the sum of what the members show."""
    energy_capacity: int | None = None
    """Wh at the nominal voltage when all members are full."""
    usable: Charge | None = None
    """Of the members that are not isolated: what the current flows from and into."""

    @property
    def charging(self) -> bool | None:
        """Return whether current flows into the bank."""
        return None if self.current is None else self.current > 0


def read_bank(
    readings: Sequence[MemberReading],
    members: int,
    isolated_before: Collection[str] = (),
    *,
    kept: bool = False,
    together: bool = True,
) -> BankReading:
    """Return what the bank is, from the members that report.

    `members` counts all of them. Which of them were isolated before stay so until they
    report that they are not cut off, also when the others carry nothing any more.

    `kept` says that the readings are the last ones of members of which none reports any
    more, and `together` whether they are of about the same time.
    """
    isolated = (
        frozenset(isolated_before) if kept else _isolated(readings, isolated_before)
    )
    if not readings:
        return BankReading(members=members, reporting=0, isolated=isolated)
    joined = [reading for reading in readings if reading.key not in isolated]
    cells = [
        Cell(reading.key, number, millivolts)
        for reading in readings
        for number, millivolts in enumerate(reading.cells, 1)
    ]
    charges = [reading.state_of_charge for reading in readings]
    complete = len(readings) == members and together
    power = fsum(reading.voltage * reading.current for reading in readings)
    energy = _total(
        None
        if reading.charge is None
        else stored_energy(reading.charge, len(reading.cells))
        for reading in readings
    )
    capacity = _total(
        energy_capacity(reading.full_capacity, len(reading.cells))
        for reading in readings
    )
    remaining = _total(reading.remaining_capacity for reading in readings)
    full = _total(reading.full_capacity for reading in readings)
    return BankReading(
        members=members,
        reporting=0 if kept else len(readings),
        isolated=isolated,
        joined=len(joined),
        is_complete=complete,
        state_of_charge=_state_of_charge(joined),
        spread=max(charges) - min(charges) if len(charges) > 1 else None,
        voltage=(
            round(fsum(reading.voltage for reading in joined) / len(joined), 2)
            if joined
            else None
        ),
        highest_cell=min(
            cells, key=lambda cell: (-cell.millivolts, cell.key, cell.number)
        ),
        lowest_cell=min(
            cells, key=lambda cell: (cell.millivolts, cell.key, cell.number)
        ),
        cell_delta=max(max(reading.cells) - min(reading.cells) for reading in readings),
        highest_temperature=max(
            (
                reading.highest_temperature
                for reading in readings
                if reading.highest_temperature is not None
            ),
            default=None,
        ),
        lowest_temperature=min(
            (
                reading.lowest_temperature
                for reading in readings
                if reading.lowest_temperature is not None
            ),
            default=None,
        ),
        state_of_health=min(
            (
                reading.state_of_health
                for reading in readings
                if reading.state_of_health is not None
            ),
            default=None,
        ),
        protected=_any([reading.protected for reading in readings], complete),
        too_cold=_any([reading.too_cold for reading in readings], complete),
        current=(
            round(fsum(reading.current for reading in readings), 1)
            if complete
            else None
        ),
        power=round(power) if complete else None,
        remaining_capacity=_rounded(remaining) if complete else None,
        full_capacity=_rounded(full) if complete else None,
        stored_energy=round(energy) if complete and energy is not None else None,
        energy_capacity=(
            round(capacity) if complete and capacity is not None else None
        ),
        usable=total_charge(item.charge for item in joined) if complete else None,
    )


def _isolated(
    readings: Sequence[MemberReading], before: Collection[str]
) -> frozenset[str]:
    """Return the keys of those whose electronics have cut them off from the others."""
    cut_off = frozenset(reading.key for reading in readings if reading.is_cut_off)
    others = [reading.current for reading in readings if reading.key not in cut_off]
    silent = frozenset(before).difference(reading.key for reading in readings)
    if others and abs(fsum(others)) >= LOAD_CURRENT * len(others):
        return cut_off | silent
    return cut_off.intersection(before) | silent


def _state_of_charge(readings: Sequence[MemberReading]) -> float | None:
    """Return the mean by capacity in %, a plain one where a capacity is not known."""
    if not readings:
        return None
    weights = [reading.full_capacity or 0.0 for reading in readings]
    if not all(weights):
        weights = [1.0] * len(readings)
    charge = fsum(
        weight * reading.state_of_charge
        for weight, reading in zip(weights, readings, strict=True)
    )
    return round(charge / fsum(weights), 1)


def _any(values: Sequence[bool | None], complete: bool) -> bool | None:
    """Return True when one is, False when all are known and none is."""
    if any(values):
        return True
    return None if None in values or not complete else False


def _total(values: Iterable[float | None]) -> float | None:
    """Return the sum, None where a part of it is not known."""
    known = []
    for value in values:
        if value is None:
            return None
        known.append(value)
    return fsum(known) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


# --- over time ------------------------------------------------------------------------


def imbalance(
    currents: Mapping[str, float], capacities: Mapping[str, float | None]
) -> int | None:
    """Return the largest deviation from a fair share of the current, in % of the share.

    Takes mean currents in A and full capacities in Ah of the members that are not
    isolated. A share is fair by capacity, an equal one where a capacity is not known.
    None below MIN_IMBALANCE_CURRENT, and for a single battery.
    """
    total = fsum(currents.values())
    if len(currents) < 2 or abs(total) < MIN_IMBALANCE_CURRENT:
        return None
    weights = {key: capacities.get(key) or 0.0 for key in currents}
    if not all(weights.values()):
        weights = dict.fromkeys(currents, 1.0)
    whole = fsum(weights.values())
    return round(
        100
        * max(
            abs(current / (total * weights[key] / whole) - 1)
            for key, current in currents.items()
        )
    )
