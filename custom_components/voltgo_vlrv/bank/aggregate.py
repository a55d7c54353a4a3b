"""The values of several batteries in parallel as one bank.

Intensive values (state of charge, voltage, cells, temperatures) come from the members
that report; if all are released, from their last samples. Extensive values (current,
power, capacities, energy) are known only while every member reports: a sum without one
of them would be too small, and look right.

No value depends on the order of the members: sums are exact before they are rounded,
and between equal values the smaller key decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import fsum
from typing import Final, NamedTuple

from ..history.charge import Charge, energy_capacity, stored_energy, total_charge
from ..vlrv.resolution import CURRENT_STEP, power_step

IDLE_CURRENT: Final = 0.5
"""A; a member below it carries no current. Less than about 1 A may be reported as 0."""
LOAD_CURRENT: Final = 2.0
"""A for each other member; a smaller current does not prove that one is cut off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberReading:
    """The values of one member's sample; None where it does not measure a value."""

    key: str
    """Unique among the members."""
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
    """Whether a protection is active, or the operating state is a protection."""
    too_cold: bool | None
    """Whether it is too cold to charge."""
    may_charge: bool | None = None
    may_discharge: bool | None = None
    """Whether the member lets current flow that way, None where that is not known."""
    ends_only_charging: bool = False
    """Whether all active protections end only charging: it can still discharge."""

    @property
    def is_blocked(self) -> bool:
        """Return whether a protection is active and no current flows."""
        return self.protected and abs(self.current) < IDLE_CURRENT

    @property
    def is_cut_off(self) -> bool:
        """Return whether a protection keeps the member from discharging as well."""
        return self.is_blocked and not self.ends_only_charging


class Cell(NamedTuple):
    """One cell of one member."""

    key: str
    number: int
    """1 first."""
    millivolts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BankReading:
    """The values of a bank; None where a value is not known."""

    members: int
    """How many batteries are in the bank."""
    reporting: int
    """How many of them report."""
    isolated: frozenset[str] = frozenset()
    """Keys of the members that have cut themselves off while others carry current.

    Also of those that no longer report: nothing proves that they are back."""
    active: int = 0
    """How many of the members with values are not isolated."""
    is_complete: bool = False
    """Whether the sums are known: there are values of every member."""
    shows_last_values: bool = False
    """Whether all members are absent as planned, and these are their last values."""

    # Intensive.
    state_of_charge: float | None = None
    """%, by capacity, without isolated members; lies between theirs."""
    spread: int | None = None
    """Difference of the highest and the lowest state of charge in %."""
    voltage: float | None = None
    """V, average of the active members."""
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
    may_charge: bool | None = None
    may_discharge: bool | None = None
    """Whether every member lets current flow that way: the others would get more of it."""

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
    """Charge of the active members: what the current flows from and into."""

    @property
    def power_step(self) -> int:
        """Return the resolution of the power in W, that of one battery."""
        return power_step(self.voltage or 0.0, self.current or 0.0, CURRENT_STEP)


def read_bank(
    readings: Sequence[MemberReading],
    members: int,
    isolated_before: Collection[str] = (),
    *,
    last_values: bool = False,
    simultaneous: bool = True,
) -> BankReading:
    """Return the values of a bank from the readings of its members.

    `members` counts all of them. Members in `isolated_before` stay isolated until they
    report that they are not cut off, also when the others no longer carry current.

    `last_values` says that no member reports, as planned, and the readings are their
    last ones; `simultaneous` says that these are of about the same time.
    """
    isolated = (
        frozenset(isolated_before)
        if last_values
        else _isolated(readings, isolated_before)
    )
    if not readings:
        return BankReading(
            members=members,
            reporting=0,
            isolated=isolated,
            shows_last_values=last_values,
        )
    active = [reading for reading in readings if reading.key not in isolated]
    cells = [
        Cell(reading.key, number, millivolts)
        for reading in readings
        for number, millivolts in enumerate(reading.cells, 1)
    ]
    charges = [reading.state_of_charge for reading in readings]
    complete = len(readings) == members and simultaneous
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
        reporting=0 if last_values else len(readings),
        isolated=isolated,
        active=len(active),
        is_complete=complete,
        shows_last_values=last_values,
        state_of_charge=_state_of_charge(active),
        spread=max(charges) - min(charges) if len(charges) > 1 else None,
        voltage=(
            round(fsum(reading.voltage for reading in active) / len(active), 2)
            if active
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
        may_charge=_all([reading.may_charge for reading in readings], complete),
        may_discharge=_all([reading.may_discharge for reading in readings], complete),
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
        usable=total_charge(item.charge for item in active) if complete else None,
    )


def _isolated(
    readings: Sequence[MemberReading], before: Collection[str]
) -> frozenset[str]:
    """Return the keys of the members that have disconnected themselves from the bank."""
    cut_off = frozenset(reading.key for reading in readings if reading.is_cut_off)
    others = [reading.current for reading in readings if reading.key not in cut_off]
    absent = frozenset(before).difference(reading.key for reading in readings)
    if others and abs(fsum(others)) >= LOAD_CURRENT * len(others):
        return cut_off | absent
    return cut_off.intersection(before) | absent


def _state_of_charge(readings: Sequence[MemberReading]) -> float | None:
    """Return the average in %, weighted by capacity where all capacities are known."""
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
    """Return True if any is true, False if all are known and false, else None."""
    if any(values):
        return True
    return None if None in values or not complete else False


def _all(values: Sequence[bool | None], complete: bool) -> bool | None:
    """Return False if any is false, True if all are known and true, else None."""
    if False in values:
        return False
    return None if None in values or not complete else True


def _total(values: Iterable[float | None]) -> float | None:
    """Return the sum, None if one of the values is not known."""
    known = []
    for value in values:
        if value is None:
            return None
        known.append(value)
    return fsum(known) if known else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
