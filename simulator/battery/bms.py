"""The battery management system: current, protections and heater."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .cells import Cells
from .protections import (
    CHARGE_BLOCKERS,
    DISCHARGE_BLOCKERS,
    OVERCURRENTS,
    PROTECTION_RULES,
    Measure,
)
from .reported import NO_PROBES_ERROR
from .thresholds import REFERENCE_CURRENT, scaled_thresholds

# Longest step of the integration, s: a longer one makes a tapering charger oscillate.
MAX_STEP = 10.0
# Times closer than this are the same time, s.
EPSILON = 1e-6

CHARGER_CELL_VOLTAGE = 3.5  # V per cell; the manual charges 12.8 V packs to 14 V.
CHARGE_CUTOFF = (
    0.05  # Of the capacity in A, at which the charge is complete (manual: 5 A).
)
RECHARGE_BELOW = 0.97  # State of charge that ends the full state.

HEATER_POWER = 40.0  # W per kWh
HEATER_ON_BELOW = 5.0  # Degrees Celsius
HEATER_OFF_ABOVE = 10.0  # Degrees Celsius


class BatteryManagementSystem(Cells):
    """Cells behind switches that protections open and close.

    `demand_current` (A: positive from a charger, negative into a load) and
    `charger_voltage` (V, where a charger begins to taper) are set from outside, and so
    are `limits` (see `THRESHOLDS`). Protections follow from measurements; none is ever
    set directly.
    """

    def __init__(
        self,
        cell_count: int,
        capacity: float,
        *,
        demand_current: float,
        max_current: float | None,
        heater: bool,
        heating_enabled: bool,
        **options: Any,
    ) -> None:
        """Build a system at rest; the other options are those of `Cells`."""
        super().__init__(cell_count, capacity, **options)
        self.max_current = (
            min(capacity, REFERENCE_CURRENT) if max_current is None else max_current
        )
        self.thresholds = scaled_thresholds(cell_count, self.max_current)
        self.demand_current = demand_current
        self.charger_voltage = CHARGER_CELL_VOLTAGE * cell_count
        self.heater = heater
        self.heating_enabled = heating_enabled
        self.heater_power = HEATER_POWER * self.nominal_energy
        self.heating = False
        self.full = False
        self._protections: set[str] = set()
        self._warnings: set[str] = set()
        self._overcurrent: dict[str, float] = {}
        self._recovery: dict[str, float] = {}

    # --- electricity ------------------------------------------------------------------

    def heater_current(self, rest: float) -> float:
        """Return what the heating film draws at a voltage (V), A."""
        return self.heater_power / rest if self.heating else 0.0

    def _charger_limit(self, rest: float) -> float:
        """Return the current at which the charger's voltage is reached, A."""
        return max(0.0, (self.charger_voltage - rest) / self.resistance)

    def _flow(self, rest: float) -> float:
        """Return the current, A: the demand less the heating film's, unless it is blocked."""
        net = self.demand_current - self.heater_current(rest)
        if net > 0:
            return 0.0 if self.charge_blocked else min(net, self._charger_limit(rest))
        return 0.0 if self.discharge_blocked else net

    @property
    def current(self) -> float:
        """Current, A, positive while charging."""
        return self._flow(self.rest_voltage)

    @property
    def cell_voltages(self) -> list[float]:
        """Voltages under the present current, V."""
        rest = self.rest_voltages
        return self.voltages_at(self._flow(sum(rest)), rest)

    @property
    def charge_blocked(self) -> bool:
        """Whether no charging current may flow."""
        return self.full or bool(self._protections & CHARGE_BLOCKERS or self.error)

    @property
    def discharge_blocked(self) -> bool:
        """Whether no discharging current may flow."""
        return bool(self._protections & DISCHARGE_BLOCKERS or self.error)

    @property
    def error(self) -> int:
        """Word of register 28."""
        return 0 if self.probes else NO_PROBES_ERROR

    @property
    def warnings(self) -> frozenset[str]:
        """Names of the active warnings."""
        return frozenset(self._warnings)

    @property
    def protections(self) -> frozenset[str]:
        """Names of the active protections."""
        return frozenset(self._protections)

    @property
    def balancing(self) -> list[int]:
        """Numbers of the cells that are being balanced."""
        volts = self.cell_voltages
        if self.current <= 0:
            return []
        floor_volts = max(
            self.thresholds["balance_start"],
            min(volts) + self.thresholds["balance_delta"],
        )
        return [number for number, value in enumerate(volts, 1) if value >= floor_volts]

    # --- time -------------------------------------------------------------------------

    @property
    def longest_step(self) -> float:
        """For how long the present current may be taken for constant, s."""
        return min([MAX_STEP, *self._events(self.current)])

    def step(self, seconds: float) -> None:
        """Let the present current flow for at most the `longest_step`, s.

        `run_protections` has to follow.
        """
        current = self.current
        self.let_flow(current, seconds, sum(self.cell_voltages), self.balancing)
        heater_power = self.heater_power if self.heating else 0.0
        self.warm(current, seconds, heater_power, self.max_current)
        self._watch_current(current, seconds)

    def advance_alone(self, seconds: float) -> None:
        """Move the physics by seconds."""
        self.run_protections()
        while seconds > EPSILON:
            step = min(seconds, self.longest_step)
            self.step(step)
            self.run_protections()
            seconds -= step

    # --- protection -------------------------------------------------------------------

    def _measures(self) -> dict[Measure, float]:
        volts = self.cell_voltages
        measures: dict[Measure, float] = {
            "pack": sum(volts),
            "highest_cell": max(volts),
            "lowest_cell": min(volts),
            "pcb": self.pcb_temperature,
        }
        if probes := self.probes:
            measures |= {"hottest": max(probes), "coldest": min(probes)}
        return measures

    def run_protections(self) -> None:
        """Trip and end protections by the present measurements."""
        measures = self._measures()
        self._warnings.clear()
        for rule in PROTECTION_RULES:
            if (value := measures.get(rule.measure)) is None:
                continue
            sign = 1 if rule.above else -1
            if sign * (value - self.thresholds[rule.protection]) >= 0:
                self._protections.add(rule.name)
            elif sign * (value - self.thresholds[rule.recovery]) <= 0:
                self._protections.discard(rule.name)
            if sign * (value - self.thresholds[rule.warning]) >= 0:
                self._warnings.add(rule.name)
        if -self.demand_current >= self.thresholds["load_short"]:
            self._protections.add("short_circuit")
        elif -self.demand_current <= self.thresholds["discharge_oc1"]:
            self._protections.discard("short_circuit")
        current = self.current
        for name, sign in OVERCURRENTS:
            if sign * current > self.thresholds[f"{name}1"]:
                self._warnings.add(name)
        self._warnings |= self._protections - {"short_circuit"}
        if 100 * self.fraction <= self.thresholds["low_capacity_warning"]:
            self._warnings.add("low_capacity")
        self._watch_full()
        self._control_heater(measures.get("coldest"))

    def _watch_full(self) -> None:
        if self.fraction < RECHARGE_BELOW:
            self.full = False
        limit = self._charger_limit(self.rest_voltage)
        if self.demand_current > 0 and limit <= CHARGE_CUTOFF * self.capacity:
            self.full = True
            self.charge = self.capacity * 3600

    def _control_heater(self, coldest: float | None) -> None:
        if (
            not self.heater
            or not self.heating_enabled
            or coldest is None
            or coldest >= HEATER_OFF_ABOVE
        ):
            self.heating = False
        elif coldest <= HEATER_ON_BELOW:
            self.heating = True
        needed = self.heater_power / self.rest_voltage
        if self.discharge_blocked and self.demand_current < needed:
            self.heating = False

    def _over(self, current: float) -> Iterator[tuple[str, str]]:
        """Overcurrent protections that are delayed, with the level that is exceeded."""
        for name, sign in OVERCURRENTS:
            for level in (f"{name}1", f"{name}2"):
                if (
                    name not in self._protections
                    and sign * current > self.thresholds[level]
                ):
                    yield name, level

    def _events(self, current: float) -> list[float]:
        """Seconds until an overcurrent protection trips or ends."""
        trips = [
            self.thresholds[f"{level}_delay"] - self._overcurrent.get(level, 0.0)
            for _, level in self._over(current)
        ]
        return trips + list(self._recovery.values())

    def _watch_current(self, current: float, step: float) -> None:
        self._recovery = {name: left - step for name, left in self._recovery.items()}
        for name in [name for name, left in self._recovery.items() if left <= EPSILON]:
            del self._recovery[name]
            self._protections.discard(name)
        over = list(self._over(current))
        self._overcurrent = {
            level: self._overcurrent.get(level, 0.0) + step for _, level in over
        }
        for name, level in over:
            if self._overcurrent[level] >= self.thresholds[f"{level}_delay"] - EPSILON:
                self._protections.add(name)
                self._recovery[name] = self.thresholds[f"{name}_recovery"]

    def reset_protections(self) -> None:
        """Start without protections, as after a power cycle."""
        self._protections.clear()
        self._overcurrent.clear()
        self._recovery.clear()
