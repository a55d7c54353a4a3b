"""The cells of a battery: charge, voltage, resistance, temperature."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import exp
from random import Random

# Open-circuit voltage of a LiFePO4 cell over its state of charge (1 = full), V. Beyond
# both ends the cell is overdischarged or overcharged.
OCV_CURVE = (
    (-0.03, 1.50),
    (0.00, 2.50),
    (0.01, 2.80),
    (0.02, 2.95),
    (0.05, 3.10),
    (0.10, 3.20),
    (0.20, 3.245),
    (0.30, 3.27),
    (0.40, 3.29),
    (0.60, 3.305),
    (0.70, 3.32),
    (0.80, 3.33),
    (0.90, 3.335),
    (0.95, 3.345),
    (0.98, 3.37),
    (0.99, 3.40),
    (1.00, 3.49),
    (1.01, 3.65),
    (1.05, 4.20),
)
_OCV_CHARGES = [charge for charge, _ in OCV_CURVE]


CELL_RESISTANCE = 0.15  # Ohm for a cell of 1 Ah: 1.5 milliohm at 100 Ah.
CELL_OFFSET = 0.0015  # V, largest error of a cell's measurement.
CAPACITY_SPREAD = 0.003  # Largest deviation of a healthy cell's capacity.
RESISTANCE_SPREAD = 0.03
BALANCING_CURRENT = 0.1  # A, taken from a balancing cell.


HEAT_CAPACITY = 8600.0  # J/K per kWh: 24 kg for 2.56 kWh in the manual.
COOLING_TIME = 4 * 3600.0  # s, time constant between cells and ambient.
PCB_TIME = 300.0  # s
PCB_RISE = 15.0  # K above the cells at full current.
NOMINAL_CELL_VOLTAGE = 3.2  # V


def open_circuit_voltage(charge: float) -> float:
    """Return a resting cell's voltage, V, at a charge of 0 to 1 or slightly beyond."""
    index = bisect_right(_OCV_CHARGES, charge)
    if index in (0, len(OCV_CURVE)):
        return OCV_CURVE[max(index - 1, 0)][1]
    (low, low_volts), (high, high_volts) = OCV_CURVE[index - 1 : index + 1]
    return low_volts + (high_volts - low_volts) * (charge - low) / (high - low)


# Needed several times in each step of the physics, between which the charge is the same.
@lru_cache(maxsize=32)
def _rest_voltages(
    charges: tuple[float, ...],
    capacities: tuple[float, ...],
    offsets: tuple[float, ...],
) -> tuple[float, ...]:
    return tuple(
        open_circuit_voltage(charge / capacity) + offset
        for charge, capacity, offset in zip(charges, capacities, offsets, strict=True)
    )


class Cells:
    """A string of 4, 8 or 16 LiFePO4 cells, with its probes and its board.

    `charge` (A*s) is what the battery counts, `cell_charge` (A*s), `cell_resistance`
    (ohm) and `cell_capacity` (A*s) are what the cells really have. Temperatures are in
    degrees Celsius. Cells and probes are numbered from 1.
    """

    def __init__(
        self,
        cell_count: int,
        capacity: float,
        *,
        seed: int,
        state_of_charge: float,
        cycles: float,
        temperature: float,
        ambient: float | None,
        missing_probes: Iterable[int],
        resistance_factors: Mapping[int, float],
        capacity_factors: Mapping[int, float],
    ) -> None:
        """Build cells at rest; capacity in Ah, state of charge in %."""
        if cell_count not in (4, 8, 16):
            raise ValueError(f"No pack has {cell_count} cells in series")
        self.cell_count = cell_count
        self.capacity = capacity
        self.cycles = cycles
        self.charge = capacity * 3600 * state_of_charge / 100
        self._build_cells(Random(seed), resistance_factors, capacity_factors)
        self.probe_count = 4 if cell_count == 16 else 2
        self.missing_probes = frozenset(missing_probes)
        self.ambient = temperature if ambient is None else ambient
        self.cell_temperatures = [temperature] * self.probe_count
        self.pcb_temperature = temperature
        self.charge_energy_kwh = 0.0
        self.discharge_energy_kwh = 0.0

    def _build_cells(
        self,
        random: Random,
        resistances: Mapping[int, float],
        capacities: Mapping[int, float],
    ) -> None:
        """Make cells that differ a little and are all full at the same time."""
        numbers = range(1, self.cell_count + 1)
        full = self.capacity * 3600
        resistance = CELL_RESISTANCE / self.capacity
        self.cell_offsets = [random.uniform(-CELL_OFFSET, CELL_OFFSET) for _ in numbers]
        self.cell_capacity = [
            full * capacities.get(number, random.uniform(1, 1 + CAPACITY_SPREAD))
            for number in numbers
        ]
        self.cell_resistance = [
            resistance
            * random.uniform(1 - RESISTANCE_SPREAD, 1 + RESISTANCE_SPREAD)
            * resistances.get(number, 1)
            for number in numbers
        ]
        self.cell_charge = [own - (full - self.charge) for own in self.cell_capacity]

    def exchange(self, capacity: float) -> None:
        """Become another string, as full and as warm, of this capacity in Ah."""
        if capacity <= 0:
            raise ValueError("No battery is without a capacity")
        factor = capacity / self.capacity
        self.capacity = capacity
        self.charge *= factor
        self.cell_capacity = [one * factor for one in self.cell_capacity]
        self.cell_charge = [one * factor for one in self.cell_charge]
        self.cell_resistance = [one / factor for one in self.cell_resistance]

    @property
    def nominal_energy(self) -> float:
        """Nominal energy, kWh."""
        return self.cell_count * NOMINAL_CELL_VOLTAGE * self.capacity / 1000

    @property
    def fraction(self) -> float:
        """Counted charge, 1 = full."""
        return self.charge / (self.capacity * 3600)

    @property
    def rest_voltages(self) -> list[float]:
        """Voltage of each cell without a current, V."""
        return list(
            _rest_voltages(
                tuple(self.cell_charge),
                tuple(self.cell_capacity),
                tuple(self.cell_offsets),
            )
        )

    @property
    def rest_voltage(self) -> float:
        """Voltage without a current, V."""
        return sum(self.rest_voltages)

    @property
    def resistance(self) -> float:
        """Resistance from pole to pole, ohm."""
        return sum(self.cell_resistance)

    @property
    def probes(self) -> list[float]:
        """Temperatures of the fitted probes, degrees Celsius."""
        return [
            value
            for number, value in enumerate(self.cell_temperatures, 1)
            if number not in self.missing_probes
        ]

    def voltages_at(self, current: float, rest: list[float]) -> list[float]:
        """Return the voltage of each cell (V) at a current (A)."""
        return [
            max(0.0, volts + current * resistance)
            for volts, resistance in zip(rest, self.cell_resistance, strict=True)
        ]

    def reset_energy(self) -> None:
        """Start both energy meters at zero."""
        self.charge_energy_kwh = self.discharge_energy_kwh = 0.0

    def let_flow(
        self, current: float, seconds: float, voltage: float, balancing: list[int]
    ) -> None:
        """Charge or discharge all cells; `balancing` cells lose a little more.

        `current` is in A, `voltage` of all cells together in V.
        """
        moved = current * seconds
        energy = moved * voltage / 3.6e6
        if current > 0:
            self.charge_energy_kwh += energy
        else:
            self.discharge_energy_kwh -= energy
            self.cycles -= moved / (self.capacity * 3600)
        self.charge = min(max(self.charge + moved, 0.0), self.capacity * 3600)
        self.cell_charge = [charge + moved for charge in self.cell_charge]
        for number in balancing:
            self.cell_charge[number - 1] -= BALANCING_CURRENT * seconds

    def warm(
        self, current: float, seconds: float, heater_power: float, max_current: float
    ) -> None:
        """Warm each probe by the losses of its share of the cells and by the heater.

        `heater_power` is in W; the board is warmed by the current's share of
        `max_current` (A).
        """
        share = self.cell_count // self.probe_count
        capacity = HEAT_CAPACITY * self.nominal_energy / self.probe_count
        heater = heater_power / self.probe_count
        approach = 1 - exp(-seconds / COOLING_TIME)
        for index, value in enumerate(self.cell_temperatures):
            resistance = sum(self.cell_resistance[index * share : (index + 1) * share])
            rise = (current**2 * resistance + heater) * COOLING_TIME / capacity
            self.cell_temperatures[index] = (
                value + (self.ambient + rise - value) * approach
            )
        cells = sum(self.cell_temperatures) / self.probe_count
        rise = PCB_RISE * (current / max_current) ** 2
        self.pcb_temperature += (cells + rise - self.pcb_temperature) * (
            1 - exp(-seconds / PCB_TIME)
        )
