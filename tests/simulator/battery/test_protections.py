"""Protections of the simulated battery trip and release as the manual says."""

from itertools import pairwise

import pytest

from .helpers import Clock, advance_until, pick
from simulator.battery import SimulatedBattery


def test_charging_stops_by_cooling_and_resumes_by_warming() -> None:
    """Charge UT warns at 2, trips at 0 and releases at 5 degrees Celsius."""
    battery = SimulatedBattery(
        temperature=4, ambient=-10, demand_current=5, clock=Clock()
    )

    advance_until(battery, lambda: bool(battery.expected_values()["warnings"]))
    assert pick(battery, "warnings", "protections") == [("charge_ut",), ()]
    assert 1.5 < battery.cell_temperatures[0] <= 2

    advance_until(battery, lambda: bool(battery.expected_values()["protections"]))
    assert -0.5 < min(battery.cell_temperatures) <= 0
    assert pick(battery, "protections", "operating_state", "current", "probe_1") == [
        *(("charge_ut",), "protection", 0.0, 0)
    ]
    assert battery.registers(25, 3) == [4, 0x0400, 0x0400]

    battery.demand_current = -5
    assert battery.expected_values()["current"] == -5.0

    battery.demand_current = 5
    battery.ambient = 25
    advance_until(battery, lambda: battery.cell_temperatures[0] > 3)
    assert battery.expected_values()["protections"] == ("charge_ut",)
    advance_until(battery, lambda: not battery.expected_values()["protections"])
    assert 5 <= battery.cell_temperatures[0] < 5.5
    assert pick(battery, "operating_state", "current") == ["charging", 5.0]


@pytest.mark.parametrize(
    ("temperature", "protections"),
    [
        (-20, ("charge_ut", "discharge_ut")),
        (-19, ("charge_ut",)),
        (74, ()),
        (75, ("charge_ot", "discharge_ot")),
    ],
)
def test_temperature_limits_block_both_ways(
    temperature: float, protections: tuple[str, ...]
) -> None:
    """Protections trip exactly at their thresholds."""
    battery = SimulatedBattery(temperature=temperature, clock=Clock())

    assert battery.expected_values()["protections"] == protections
    battery.demand_current = -10
    assert (battery.current == 0) == (len(protections) == 2)


def test_hot_board_blocks_and_cools(battery: SimulatedBattery) -> None:
    """PCB OT trips at 100 and releases at 80 degrees Celsius."""
    battery.pcb_temperature = 100
    battery.demand_current = -10
    battery.advance(0)
    assert pick(battery, "protections", "current") == [("mos_ot",), 0.0]

    advance_until(battery, lambda: not battery.expected_values()["protections"], step=1)
    assert 78 < battery.pcb_temperature <= 80


@pytest.mark.parametrize("cell_count", [4, 8, 16])
def test_drained_pack_stops_discharging_until_charged(cell_count: int) -> None:
    """Pack UV trips at 2.4 V and releases at 3.0 V per cell."""
    battery = SimulatedBattery(
        cell_count=cell_count, state_of_charge=5, demand_current=-20, clock=Clock()
    )

    advance_until(
        battery, lambda: bool(battery.expected_values()["protections"]), step=10
    )
    assert pick(battery, "protections", "state_of_charge", "current") == [
        *(("pack_uv",), 0, 0.0)
    ]
    assert "low_capacity" in pick(battery, "warnings")[0]

    battery.advance(600)
    assert battery.expected_values()["protections"] == ("pack_uv",)

    battery.demand_current = 20
    advance_until(
        battery, lambda: not battery.expected_values()["protections"], step=10
    )
    assert pick(battery, "voltage")[0] >= 3.0 * cell_count
    assert battery.expected_values()["operating_state"] == "charging"


def test_excessive_charger_trips_overvoltage_protection() -> None:
    """Pack OV trips at 3.8 V and releases at 3.6 V per cell."""
    battery = SimulatedBattery(state_of_charge=98, demand_current=20, clock=Clock())
    battery.charger_voltage = 34

    advance_until(
        battery, lambda: bool(battery.expected_values()["protections"]), step=10
    )
    assert battery.expected_values()["protections"] == ("pack_ov",)
    assert pick(battery, "state_of_charge", "current") == [100, 0.0]

    battery.demand_current = -20
    advance_until(
        battery, lambda: not battery.expected_values()["protections"], step=10
    )
    assert pick(battery, "voltage", "current")[0] <= 28.8


def test_one_bad_cell_trips_cell_protections() -> None:
    """A weak cell is empty long before, and full before, the others."""
    drained = SimulatedBattery(
        state_of_charge=25,
        capacity_factors={3: 0.8},
        demand_current=-20,
        clock=Clock(),
    )
    advance_until(drained, lambda: bool(drained.expected_values()["protections"]))
    assert pick(drained, "protections", "lowest_cell") == [("cell_uv",), 3]
    assert pick(drained, "state_of_charge")[0] > 15

    charged = SimulatedBattery(
        state_of_charge=90,
        resistance_factors={5: 20.0},
        demand_current=30,
        clock=Clock(),
    )
    charged.charger_voltage = 30
    advance_until(charged, lambda: bool(charged.expected_values()["protections"]))
    assert charged.expected_values()["protections"] == ("cell_ov",)


@pytest.mark.parametrize(
    ("demand", "name", "delay"),
    [
        (-115.0, "discharge_oc", 10),
        (-130.0, "discharge_oc", 2),
        (115.0, "charge_oc", 10),
        (130.0, "charge_oc", 2),
    ],
)
def test_overcurrent_trips_after_its_delay_and_tries_again(
    battery: SimulatedBattery, demand: float, name: str, delay: float
) -> None:
    """A rated 100 A may be exceeded by 10 % for 10 s, by 25 % for 2 s."""
    battery.charger_voltage = 30
    battery.demand_current = demand

    battery.advance(delay - 0.5)
    assert pick(battery, "protections", "warnings") == [(), (name,)]
    assert battery.expected_values()["current"] == demand
    battery.advance(0.5)
    assert pick(battery, "protections", "current") == [(name,), 0.0]

    battery.advance(59)
    assert battery.expected_values()["protections"] == (name,)
    battery.advance(1)
    assert battery.expected_values()["current"] == demand
    battery.advance(3600)
    assert pick(battery, "state_of_charge")[0] == pytest.approx(60, abs=20)


def test_short_overload_is_forgotten(battery: SimulatedBattery) -> None:
    """The delay starts again after the current was allowed."""
    for _ in range(3):
        battery.demand_current = -115
        battery.advance(9)
        battery.demand_current = -50
        battery.advance(1)

    assert battery.expected_values()["protections"] == ()


def test_short_circuit_is_cut_at_once(battery: SimulatedBattery) -> None:
    """No charge is lost, and the pack recovers with the load gone."""
    battery.demand_current = -1000
    battery.advance(60)
    assert battery.expected_values()["protections"] == ("short_circuit",)
    assert battery.charge == 60 * 3600
    assert battery.registers(26, 2) == [0, 0x2000]

    battery.demand_current = -10
    battery.advance(1)
    assert battery.expected_values()["protections"] == ()


def test_full_battery_ends_charge_and_takes_it_up_later() -> None:
    """The current tapers, then the battery reports its charging limit."""
    battery = SimulatedBattery(state_of_charge=97, demand_current=30, clock=Clock())
    currents = []

    def full() -> bool:
        currents.append(battery.current)
        return battery.expected_values()["operating_state"] == "charge_limit"

    advance_until(battery, full, step=10)
    taper = [current for current in currents[:-1] if current < 30]
    assert len(taper) > 3
    assert all(later < earlier for earlier, later in pairwise(taper))
    assert pick(battery, "state_of_charge", "current", "protections") == [100, 0.0, ()]
    assert battery.registers(25, 1) == [8]

    battery.demand_current = -20
    battery.advance(300)
    assert battery.expected_values()["operating_state"] == "discharging"
    battery.advance(600)
    battery.demand_current = 20
    battery.advance(1)
    assert battery.expected_values()["operating_state"] == "charging"


def test_high_cells_are_balanced_while_charging() -> None:
    """The bitmap names cells over 3.4 V that are 40 mV above the lowest."""
    battery = SimulatedBattery(state_of_charge=98, demand_current=8, clock=Clock())
    battery.cell_charge[2] += 0.015 * battery.cell_capacity[2]
    before = battery.cell_charge[2] - battery.cell_charge[0]

    advance_until(battery, lambda: bool(battery.registers(38, 1)[0]), step=10)
    assert battery.registers(38, 1) == [0b100]
    assert battery.expected_values()["balancing_cells"] == (3,)
    battery.advance(60)
    assert battery.cell_charge[2] - battery.cell_charge[0] < before

    battery.demand_current = 0
    assert battery.registers(38, 1) == [0]
