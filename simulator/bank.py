"""Batteries in parallel that share one current, and their faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from math import fsum, inf
import time
from typing import Any, Final

from .battery import EPSILON, OCV_CURVE, SimulatedBattery
from .circuit import Branch, bus_voltage

SMALLEST: Final = 2
LARGEST: Final = 16  # Module IDs of a bank go from 1 to 16 (A).

# The steepest part of the cell's curve, V over its whole charge.
_STEEPEST: Final = max(
    (high_volts - low_volts) / (high - low)
    for (low, low_volts), (high, high_volts) in pairwise(OCV_CURVE)
)
# Of the time constant with which a battery follows the bus: beyond 1, currents between
# batteries would swing.
_SMOOTH: Final = 0.7

OVERHEAT: Final = 10.0  # K above its protection, of the board of a battery cut off

type BankValue = (
    float | int | bool | str | tuple[str, ...] | dict[str, float] | dict[str, bool]
)


class ParallelBank:
    """Two to sixteen batteries in parallel, which from now on belong to it.

    `demand_current` (A: positive from a charger, negative into a load) and
    `charger_voltage` (V, where a charger begins to taper) are those of the whole bank,
    and take effect at once; call `update` first, as they count from the last one on.
    The bank sets those of its batteries: what the bus asks of each, which its own
    protections then let pass or not. All else is set on the batteries as before, and
    `advance(0)` brings it into effect for the others.

    Reading or moving one battery moves all, in common steps. While one is on `hold`,
    time passes without effect for all.

    What can be done to a battery: `cut_off` and `restore`, `loosen` and `fasten`,
    `corrode`, `weaken`.
    """

    def __init__(
        self,
        batteries: Iterable[SimulatedBattery],
        *,
        demand_current: float = 0.0,
        charger_voltage: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect batteries, as they are, however different their charge is.

        Capacities may differ, cells in series may not: ValueError, as for a number of
        batteries that cannot be, or for one that is in a bank already. The charger's
        voltage is by default that of its first battery.
        """
        self.batteries: Sequence[SimulatedBattery] = tuple(batteries)
        if not SMALLEST <= len(self.batteries) <= LARGEST:
            raise ValueError(f"No bank has {len(self.batteries)} batteries")
        if len({battery.cell_count for battery in self.batteries}) > 1:
            raise ValueError("Batteries of different voltages cannot be in parallel")
        if len(set(self.batteries)) < len(self.batteries) or any(
            battery.bank is not None for battery in self.batteries
        ):
            raise ValueError("A battery is in a bank once")
        self._demand_current = demand_current
        self._charger_voltage = (
            self.batteries[0].charger_voltage
            if charger_voltage is None
            else charger_voltage
        )
        self._voltage = 0.0
        self._loose: set[SimulatedBattery] = set()
        self._cut_off: set[SimulatedBattery] = set()
        self._corroded: dict[SimulatedBattery, float] = {}
        self._clock = clock
        self._updated_at = clock()
        for battery in self.batteries:
            battery.update()
            battery.bank = self
        self._settle()

    # --- charger and load -------------------------------------------------------------

    @property
    def demand_current(self) -> float:
        """Current from a charger, negative into a load, in A."""
        return self._demand_current

    @demand_current.setter
    def demand_current(self, value: float) -> None:
        self._demand_current = value
        self._share()

    @property
    def charger_voltage(self) -> float:
        """Voltage at which a charger begins to taper, V."""
        return self._charger_voltage

    @charger_voltage.setter
    def charger_voltage(self, value: float) -> None:
        self._charger_voltage = value
        self._share()

    # --- faults -----------------------------------------------------------------------

    def cut_off(self, battery: SimulatedBattery) -> None:
        """Overheat its board until `restore`: its own protection lets nothing pass."""
        self._cut_off.add(self._member(battery))
        self._settle()

    def restore(self, battery: SimulatedBattery) -> None:
        """Let its board cool down: the protection ends once the board is cool enough."""
        self._cut_off.discard(self._member(battery))
        self._settle()

    def loosen(self, battery: SimulatedBattery) -> None:
        """Disconnect its cable: nothing flows, and the battery does not detect it."""
        self._loose.add(self._member(battery))
        self._settle()

    def fasten(self, battery: SimulatedBattery) -> None:
        """Connect its cable again."""
        self._loose.discard(self._member(battery))
        self._settle()

    def corrode(self, battery: SimulatedBattery, resistance: float) -> None:
        """Put a resistance (ohm) between its poles and the bus, 0 to remove it.

        The battery does not measure it: under load its own voltage is another one.
        """
        if resistance < 0:
            raise ValueError("A resistance is not negative")
        self._corroded[self._member(battery)] = resistance
        self._settle()

    def weaken(
        self,
        battery: SimulatedBattery,
        *,
        resistance: float = 1.0,
        capacity: float = 1.0,
    ) -> None:
        """Age its cells: multiply their resistance and their capacity.

        The state of charge of the cells stays, and with it their voltage. The battery
        does not know it: it goes on to count by its old capacity.
        """
        self._member(battery)
        if min(resistance, capacity) <= 0:
            raise ValueError("Neither resistance nor capacity vanish")
        battery.cell_resistance = [one * resistance for one in battery.cell_resistance]
        battery.cell_capacity = [one * capacity for one in battery.cell_capacity]
        battery.cell_charge = [one * capacity for one in battery.cell_charge]
        self._settle()

    def _member(self, battery: SimulatedBattery) -> SimulatedBattery:
        if battery.bank is not self:
            raise ValueError(f"{battery.address} is not in this bank")
        return battery

    # --- electricity ------------------------------------------------------------------

    @property
    def voltage(self) -> float:
        """Voltage of the bus, V; 0 where no battery gives any."""
        return self._voltage

    @property
    def current(self) -> float:
        """Sum of what flows into the batteries on the bus, A."""
        return fsum(battery.current for battery in self.fastened)

    @property
    def fastened(self) -> Sequence[SimulatedBattery]:
        """Batteries whose cable is on."""
        return [battery for battery in self.batteries if battery not in self._loose]

    @property
    def connected(self) -> Sequence[SimulatedBattery]:
        """Batteries that something can flow into or out of."""
        return [
            battery
            for battery in self.fastened
            if not (battery.charge_blocked and battery.discharge_blocked)
        ]

    def _resistance(self, battery: SimulatedBattery) -> float:
        return battery.resistance + self._corroded.get(battery, 0.0)

    def _share(self) -> None:
        """Set the current that the bus demands of each battery."""
        branches: dict[SimulatedBattery, Branch] = {}
        heater_currents: dict[SimulatedBattery, float] = {}
        for battery in self.fastened:
            rest = battery.rest_voltage
            # A heating film is fed from the bus, also while its battery blocks the current.
            heater_currents[battery] = battery.heater_current(rest)
            branches[battery] = Branch(
                rest=rest,
                resistance=self._resistance(battery),
                charges=not battery.charge_blocked,
                discharges=not battery.discharge_blocked,
            )
        demand = self._demand_current - fsum(heater_currents.values())
        self._voltage = bus_voltage(branches.values(), demand, self._charger_voltage)
        for battery in self._loose:
            battery.demand_current = 0.0
        # Above the charger's voltage only batteries charge each other: none gets full.
        charged = self._voltage <= self._charger_voltage
        for battery, branch in branches.items():
            current = branch.current(self._voltage)
            if current == 0 and not (branch.charges and branch.discharges):
                current = self._held_back(battery, branches, demand)
            battery.demand_current = current + heater_currents[battery]
            battery.charger_voltage = self._charger_voltage if charged else inf

    def _held_back(
        self,
        battery: SimulatedBattery,
        branches: dict[SimulatedBattery, Branch],
        demand: float,
    ) -> float:
        """Return what would flow into a battery if it blocked nothing, A.

        Its battery management system detects that a charger is present or a short
        circuit persists, though nothing flows.
        """
        unblocked = replace(branches[battery], charges=True, discharges=True)
        voltage = bus_voltage(
            (branches | {battery: unblocked}).values(), demand, self._charger_voltage
        )
        return unblocked.current(voltage)

    # --- time -------------------------------------------------------------------------

    def update(self) -> None:
        """Advance the physics to the clock, unless a battery is on hold."""
        now = self._clock()
        elapsed, self._updated_at = now - self._updated_at, now
        if not any(battery.hold for battery in self.batteries):
            self.advance(max(0.0, elapsed))

    def advance(self, seconds: float) -> None:
        """Advance the physics by seconds, also while on hold."""
        self._settle()
        smooth = min(map(self._smooth_step, self.batteries))
        while seconds > EPSILON:
            longest = min(battery.longest_step for battery in self.batteries)
            step = min(seconds, smooth, longest)
            for battery in self.batteries:
                battery.step(step)
            self._settle()
            seconds -= step

    def _smooth_step(self, battery: SimulatedBattery) -> float:
        """Return the longest step in which a battery does not run past the bus, s."""
        slope = _STEEPEST * sum(1 / capacity for capacity in battery.cell_capacity)
        return _SMOOTH * self._resistance(battery) / slope

    def _settle(self) -> None:
        """Let each protection see the common voltage, and the bus what they block."""
        for battery in self._cut_off:
            limit = battery.thresholds["mos_ot_protection"]
            battery.pcb_temperature = limit + OVERHEAT
        self._share()
        for battery in self.batteries:
            battery.run_protections()
        self._share()

    # --- what should be shown ---------------------------------------------------------

    def expected_values(self) -> dict[str, BankValue]:
        """Return what a user should see of the bank now (V, A, W, Ah, %, mV, kWh).

        `combined` of the connected batteries, of all where none is, and beside it who
        is not in it and why: `fastened`, `charge_blocked`, `discharge_blocked` and
        `isolated` (nothing can flow) hold addresses. `terminal_voltage` is that of the
        bus, which no battery measures. Like a battery's, it does not move the physics.
        """
        connected = self.connected
        return {
            **combined(connected or self.batteries),
            "terminal_voltage": round(self.voltage, 2),
            "batteries": len(self.batteries),
            "connected": _addresses(connected),
            "isolated": _addresses(
                battery for battery in self.batteries if battery not in connected
            ),
            "fastened": _addresses(self.fastened),
            "charge_blocked": _addresses(
                battery for battery in self.batteries if battery.charge_blocked
            ),
            "discharge_blocked": _addresses(
                battery for battery in self.batteries if battery.discharge_blocked
            ),
        }


def _addresses(batteries: Iterable[SimulatedBattery]) -> tuple[str, ...]:
    return tuple(battery.address for battery in batteries)


def combined(batteries: Sequence[SimulatedBattery]) -> dict[str, BankValue]:
    """Return what these batteries (at least one) are together, from what each reports.

    V, A, W, Ah, %, mV, kWh. `state_of_charge` is weighted by full capacity and not
    rounded, `voltage` is the mean; capacities, energies, currents and power are sums.
    `highest_cell` and `lowest_cell` are numbers within the batteries whose addresses
    are given too. `currents` and `state_of_charges` are by address.
    """
    states = {battery.address: battery.reported() for battery in batteries}
    full = fsum(state.full_capacity for state in states.values())
    cells = [
        (millivolts, address, number)
        for address, state in states.items()
        for number, millivolts in enumerate(state.millivolts, 1)
    ]
    highest = max(cells, key=lambda cell: cell[0])
    lowest = min(cells, key=lambda cell: cell[0])
    charges = {address: state.state_of_charge for address, state in states.items()}
    current = round(fsum(state.current for state in states.values()), 1)
    return {
        "state_of_charge": fsum(
            state.state_of_charge * state.full_capacity for state in states.values()
        )
        / full,
        "voltage": round(
            fsum(state.pack_voltage for state in states.values()) / len(states), 2
        ),
        "current": current,
        "power": round(
            fsum(state.pack_voltage * state.current for state in states.values())
        ),
        "remaining_capacity": fsum(
            state.remaining_capacity for state in states.values()
        ),
        "full_capacity": full,
        "max_charge_current": fsum(
            state.max_charge_current for state in states.values()
        ),
        "highest_cell_voltage": highest[0] / 1000,
        "highest_cell_battery": highest[1],
        "highest_cell": highest[2],
        "lowest_cell_voltage": lowest[0] / 1000,
        "lowest_cell_battery": lowest[1],
        "lowest_cell": lowest[2],
        "cell_voltage_delta": highest[0] - lowest[0],
        "state_of_charge_spread": max(charges.values()) - min(charges.values()),
        "state_of_charges": {address: float(soc) for address, soc in charges.items()},
        "currents": {address: state.current for address, state in states.items()},
        "charging": current > 0,
        "charge_energy_kwh": fsum(battery.charge_energy_kwh for battery in batteries),
        "discharge_energy_kwh": fsum(
            battery.discharge_energy_kwh for battery in batteries
        ),
    }


# --- a bank to show -------------------------------------------------------------------

# Two of the same model in parallel, the second one bought a year later.
PAIR: Final[Sequence[dict[str, Any]]] = (
    {
        "name": "ZT-25.6V100Ah-1301",
        "address": "A4:C1:37:00:00:11",
        "serial": "2024-03-18",
        "state_of_charge": 71.0,
        "cycles": 63,
        "seed": 1301,
    },
    {
        "name": "ZT-25.6V100Ah-1302",
        "address": "A4:C1:37:00:00:12",
        "serial": "2025-02-27",
        "state_of_charge": 68.0,
        "cycles": 22,
        "seed": 1302,
    },
)
_PAIR_LOAD: Final = -24.0  # A
_PAIR_SETTLE: Final = 600.0  # s


def pair(
    *, clock: Callable[[], float] = time.monotonic, **overrides: Any
) -> ParallelBank:
    """Build the two batteries of `PAIR` under load; energies start at zero.

    Overrides are options of both batteries.
    """
    bank = ParallelBank(
        [
            SimulatedBattery(
                **{"cell_count": 8, "capacity": 100.0, "temperature": 22.0}
                | options
                | overrides,
                clock=clock,
            )
            for options in PAIR
        ],
        demand_current=_PAIR_LOAD,
        clock=clock,
    )
    bank.advance(_PAIR_SETTLE)
    for battery in bank.batteries:
        battery.reset_energy()
    return bank
