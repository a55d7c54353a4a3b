"""Two simulated batteries that record the truth of what they live through.

The truth is taken from the physics: from each step where a value counts all the time, and
from the moments at which the battery is read where a value counts only when it is seen.
Nothing of it goes through a frame or through the integration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from simulator.battery import SimulatedBattery
from simulator.battery.protections import CHARGE_BLOCKERS

COARSE_STEP: Final = 120.0  # s; where the voltage hardly depends on the charge
# Of the emptiest and the fullest cell.
FLAT: Final = (0.06, 0.96)
NEARLY_FULL: Final = 3.4  # V


class Seen(NamedTuple):
    """A value and when it was first read, in s of Unix time."""

    value: float
    at: float


@dataclass
class Truth:
    """What is true of a battery since it was added."""

    discharged: float = 0.0
    """Ah."""
    highest: dict[str, Seen] = field(default_factory=dict)
    """By what: cell (mV), temperature (°C)."""
    lowest: dict[str, Seen] = field(default_factory=dict)
    """By what: cell (mV), temperature (°C), charge (%)."""
    trips: dict[str, list[float]] = field(default_factory=dict)
    """When each protection tripped, by the simulator's name."""
    outages: list[float] = field(default_factory=list)
    """When the first of one or several protections tripped."""
    full_charges: list[Seen] = field(default_factory=list)
    """mV between the cells when they were last read before each was complete."""
    allowed: tuple[bool, bool] = (True, True)
    """Whether it could be charged and discharged when it was last read."""
    reads: int = 0

    def see(self, what: str, low: float, high: float, at: float) -> None:
        """Use what is read at a time."""
        if what not in self.lowest or low < self.lowest[what].value:
            self.lowest[what] = Seen(low, at)
        if what not in self.highest or high > self.highest[what].value:
            self.highest[what] = Seen(high, at)


class WitnessedBattery(SimulatedBattery):
    """A battery that keeps a `Truth`; `now` is Unix time in s."""

    def __init__(self, now: Callable[[], float], **options: Any) -> None:
        """Build a battery at rest."""
        self.truth = Truth()
        self._lived = 0.0
        self._born = now()
        self._charging: Seen | None = None
        super().__init__(clock=now, **options)

    @property
    def at(self) -> float:
        """Return up to when it has lived, in s of Unix time."""
        return self._born + self._lived

    @property
    def parts(self) -> list[float]:
        """Return what each cell really holds, 1 = full."""
        return [
            charge / capacity
            for charge, capacity in zip(
                self.cell_charge, self.cell_capacity, strict=True
            )
        ]

    @property
    def longest_step(self) -> float:
        """Return a longer one where nothing depends on it."""
        longest = super().longest_step
        low, high = FLAT
        parts = self.parts
        is_flat = low < min(parts) and max(parts) < high
        return max(longest, COARSE_STEP) if is_flat and longest >= 10 else longest

    def step(self, seconds: float) -> None:
        """Let a current flow, and count it."""
        self.truth.discharged += max(-self.current, 0.0) * seconds / 3600
        super().step(seconds)
        self._lived += seconds

    def run_protections(self) -> None:
        """Run them, and record which have tripped and whether a charge is complete."""
        before, was_full = self.protections, self.full
        super().run_protections()
        for name in self.protections - before:
            self.truth.trips.setdefault(name, []).append(self.at)
        if self.protections and not before:
            self.truth.outages.append(self.at)
        if self.full and not was_full and self._charging is not None:
            self.truth.full_charges.append(self._charging)
            self._charging = None

    def registers(self, start: int, count: int) -> list[int]:
        """Return the registers, and record what the reader is told."""
        if start == 0:
            self._witness()
        return super().registers(start, count)

    def _witness(self) -> None:
        truth, at = self.truth, self.at
        truth.reads += 1
        # That it is full shows only while a charger is there.
        is_charge_blocked = bool(self.protections & CHARGE_BLOCKERS) or (
            self.full and self.demand_current > 0
        )
        truth.allowed = (not is_charge_blocked, not self.discharge_blocked)
        millivolts = [round(1000 * volts) for volts in self.cell_voltages]
        probes = [round(value) for value in self.probes]
        charge = int(100 * self.fraction + 0.5)
        truth.see("cell", min(millivolts), max(millivolts), at)
        truth.see("temperature", min(probes), max(probes), at)
        truth.see("charge", charge, charge, at)
        if self.current > 0 and max(self.cell_voltages) >= NEARLY_FULL:
            self._charging = Seen(max(millivolts) - min(millivolts), at)
