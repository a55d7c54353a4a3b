"""Charge, energy, voltage and temperature of the simulated battery."""

import pytest

from .helpers import STATUS_41, Clock, advance_until, ask, pick
from simulator.battery import SimulatedBattery, preset

# --- physics --------------------------------------------------------------------------


def test_charge_is_counted_in_ampere_seconds(battery: SimulatedBattery) -> None:
    """One hour at 10 A moves 10 Ah, and back."""
    battery.demand_current = -10
    battery.advance(3600)
    assert pick(battery, "state_of_charge", "remaining_capacity") == [50, 50.0]
    assert pick(battery, "operating_state", "charging") == ["discharging", False]

    battery.demand_current = 20
    battery.advance(1800)
    assert pick(battery, "state_of_charge", "remaining_capacity") == [60, 60.0]
    assert pick(battery, "operating_state", "charging") == ["charging", True]


def test_energy_is_metered_each_way(battery: SimulatedBattery) -> None:
    """The meters agree with voltage times current."""
    battery.demand_current = -10
    battery.advance(1800)
    discharged = battery.expected_values()["discharge_energy_kwh"]
    assert discharged == pytest.approx(26.2 * 10 * 0.5 / 1000, rel=0.01)

    battery.demand_current = 10
    battery.advance(1800)
    assert battery.expected_values()["discharge_energy_kwh"] == discharged
    assert battery.charge_energy_kwh > battery.discharge_energy_kwh


def test_load_pulls_voltage_down_and_charger_up(
    battery: SimulatedBattery,
) -> None:
    """Cells have an inner resistance."""
    rest = battery.cell_voltages
    battery.demand_current = -50
    low = battery.cell_voltages
    battery.demand_current = 50
    high = battery.cell_voltages

    assert all(a < b < c for a, b, c in zip(low, rest, high, strict=True))


def test_full_discharge_is_one_cycle() -> None:
    """Cycles count what went out."""
    battery = SimulatedBattery(
        state_of_charge=95, cycles=9.2, demand_current=-30, clock=Clock()
    )

    battery.advance(3 * 3600)

    assert battery.expected_values()["cycles"] == 10


def test_clock_drives_battery_and_hold_stops_it() -> None:
    """Time on hold is not made up for."""
    clock = Clock()
    battery = SimulatedBattery(demand_current=-36, clock=clock)

    clock.now += 1000
    battery.handle(STATUS_41)
    assert battery.expected_values()["state_of_charge"] == 50

    battery.hold = True
    clock.now += 1000
    battery.handle(STATUS_41)
    battery.hold = False
    battery.handle(STATUS_41)
    assert battery.expected_values()["state_of_charge"] == 50

    clock.now += 1000
    battery.update()
    assert battery.expected_values()["state_of_charge"] == 40


def test_temperatures_follow_ambient(battery: SimulatedBattery) -> None:
    """Cells take hours, and load warms them."""
    battery.ambient = 30
    battery.advance(3600)
    assert 21 < battery.cell_temperatures[0] < 25
    battery.advance(48 * 3600)
    assert (
        pick(battery, "probe_1", "pcb_temperature", "ambient_temperature") == [30] * 3
    )

    battery.demand_current = -60
    battery.advance(1800)
    assert battery.cell_temperatures[0] > 31
    assert battery.pcb_temperature > battery.cell_temperatures[0]


# --- heater ---------------------------------------------------------------------------


def test_heating_film_warms_cold_battery_until_it_may_charge() -> None:
    """The heating film runs from 5 to 10 degrees Celsius, fed by the charger."""
    battery = SimulatedBattery(temperature=-8, demand_current=20, clock=Clock())
    assert pick(battery, "heating", "heating_enabled") == [False, False]
    assert battery.registers(40, 1) == [0]

    assert ask(battery, 0x0A, b"\x01") == b"\x00"
    assert pick(battery, "heating", "heating_enabled") == [True, True]
    assert battery.registers(40, 1) == [0x0010]
    assert battery.registers(25, 1) == [0x8004]
    assert battery.expected_values()["current"] == 0.0

    advance_until(
        battery, lambda: battery.expected_values()["operating_state"] == "charging"
    )
    assert battery.expected_values()["heating"]
    assert 10 < pick(battery, "current")[0] < 19
    advance_until(battery, lambda: not battery.expected_values()["heating"])
    assert battery.cell_temperatures[0] >= 9.5
    assert pick(battery, "current", "heating_enabled") == [20.0, True]


def test_heating_film_stops_at_once_when_switched_off() -> None:
    """Without a charger the battery feeds its own heating film."""
    battery = SimulatedBattery(temperature=3, heating_enabled=True, clock=Clock())
    assert pick(battery, "operating_state", "heating") == ["discharging", True]

    assert ask(battery, 0x0A, b"\x00") == b"\x00"
    assert pick(battery, "operating_state", "heating") == ["standby", False]


def test_warm_or_empty_battery_does_not_heat() -> None:
    """The heating film needs cold and something that feeds it."""
    warm = SimulatedBattery(temperature=6, heating_enabled=True, clock=Clock())
    assert not warm.expected_values()["heating"]

    empty = preset("empty", temperature=3.0, heating_enabled=True, clock=Clock())
    assert pick(empty, "heating", "protections") == [False, ("pack_uv",)]


def test_heater_command_with_each_fault_behaves_accordingly() -> None:
    """Without a heater, silent, refused, or accepted without effect."""
    assert ask(SimulatedBattery(heater=False, clock=Clock()), 0x0A, b"\x01") is None
    assert SimulatedBattery(heater=False).expected_values()["heating_enabled"] is None

    battery = SimulatedBattery(clock=Clock())
    assert ask(battery, 0x0A, b"\x02") == b"\x01"
    battery.settings.heater_answer = "silent"
    assert ask(battery, 0x0A, b"\x01") is None
    battery.settings.heater_answer = "refuse"
    assert ask(battery, 0x0A, b"\x01") == b"\x01"
    battery.settings.heater_answer = "ignore"
    assert ask(battery, 0x0A, b"\x01") == b"\x00"
    assert battery.expected_values()["heating_enabled"] is False
