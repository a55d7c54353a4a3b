"""What makes a battery report each row of manual table 6-1.

Nothing is reported that the physics do not lead to: a cause changes cells, temperatures,
or what is connected, and the battery's own protections follow. So a neighbor may trip as
well, as both over-temperature protections do, which have the same threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from .bms import CHARGER_CELL_VOLTAGE
from .simulated import SimulatedBattery

type Cause = Callable[[SimulatedBattery], None]

MILD: Final = 22.0  # °C
CURRENT: Final = 10.0  # A, of a charger or a load that a protection then stops
STRONG_CHARGER: Final = 3.75  # V per cell
OVERCURRENT: Final = 1.3  # of the rated current; trips after 2 s
TRIPPED: Final = 3.0  # s


def recover(battery: SimulatedBattery) -> None:
    """Make a battery healthy, mild, and 60 % full, with nothing connected."""
    battery.demand_current = 0.0
    battery.charger_voltage = CHARGER_CELL_VOLTAGE * battery.cell_count
    battery.full = False
    _warm(battery, MILD)
    _charge(battery, 0.6)
    battery.reset_protections()


def _charge(battery: SimulatedBattery, fraction: float) -> None:
    """Set the charge of all cells, 1 = full; beyond 0 and 1, the counter stays there."""
    counted = min(max(fraction, 0.0), 1.0)
    battery.charge = battery.capacity * 3600 * counted
    battery.cell_charge = [own * fraction for own in battery.cell_capacity]


def _warm(battery: SimulatedBattery, temperature: float) -> None:
    """Give all of a battery, and what surrounds it, a temperature, °C."""
    battery.ambient = battery.pcb_temperature = temperature
    battery.cell_temperatures = [temperature] * battery.probe_count


def _first_cell(battery: SimulatedBattery, fraction: float) -> None:
    battery.cell_charge[0] = battery.cell_capacity[0] * fraction


def _cell_overvoltage(battery: SimulatedBattery) -> None:
    _charge(battery, 0.9)
    _first_cell(battery, 1.045)
    battery.demand_current = CURRENT


def _cell_undervoltage(battery: SimulatedBattery) -> None:
    _charge(battery, 0.3)
    _first_cell(battery, -0.025)
    battery.demand_current = -CURRENT


def _pack_overvoltage(battery: SimulatedBattery) -> None:
    _charge(battery, 1.0236)
    battery.demand_current = CURRENT


def _pack_undervoltage(battery: SimulatedBattery) -> None:
    _charge(battery, -0.009)
    battery.demand_current = -CURRENT


def _heat(current: float) -> Cause:
    def cause(battery: SimulatedBattery) -> None:
        _warm(battery, 77.0)
        battery.demand_current = current

    return cause


def _charge_under_temperature(battery: SimulatedBattery) -> None:
    _warm(battery, -4.0)
    battery.demand_current = CURRENT


def _discharge_under_temperature(battery: SimulatedBattery) -> None:
    _warm(battery, -22.0)
    battery.demand_current = -CURRENT


def _charge_overcurrent(battery: SimulatedBattery) -> None:
    battery.charger_voltage = STRONG_CHARGER * battery.cell_count
    battery.demand_current = OVERCURRENT * battery.max_current
    battery.advance(TRIPPED)


def _discharge_overcurrent(battery: SimulatedBattery) -> None:
    battery.demand_current = -OVERCURRENT * battery.max_current
    battery.advance(TRIPPED)


def _short_circuit(battery: SimulatedBattery) -> None:
    battery.demand_current = -2 * battery.thresholds["load_short"]


def _full_charge(battery: SimulatedBattery) -> None:
    _charge(battery, 1.0)
    battery.full = True
    battery.demand_current = CURRENT


def _full_discharge(battery: SimulatedBattery) -> None:
    _charge(battery, 0.001)
    battery.charge = 0.0


CAUSES: Final[Mapping[str, Cause]] = {
    "cell_ov": _cell_overvoltage,
    "cell_uv": _cell_undervoltage,
    "pack_ov": _pack_overvoltage,
    "pack_uv": _pack_undervoltage,
    "charge_ot": _heat(CURRENT),
    "charge_ut": _charge_under_temperature,
    "discharge_ot": _heat(-CURRENT),
    "discharge_ut": _discharge_under_temperature,
    "charge_oc": _charge_overcurrent,
    "discharge_oc": _discharge_overcurrent,
    "short_circuit": _short_circuit,
    "full_charge": _full_charge,
    "full_discharge": _full_discharge,
}
"""By the simulator's names, in the order of manual table 6-1."""


def cause_fault(battery: SimulatedBattery, name: str) -> None:
    """Recover a battery, and then make it report a row of `CAUSES`."""
    battery.update()
    recover(battery)
    CAUSES[name](battery)
    battery.advance(0)
