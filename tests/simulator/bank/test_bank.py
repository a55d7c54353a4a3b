"""A simulated bank: time, expected values, building."""

import pytest

from .helpers import HOUR, STATUS, TINY, build, bus_voltages, currents
from simulator.bank import PAIR, ParallelBank, combined, pair
from simulator.battery import SimulatedBattery
from tests.simulator.battery.helpers import Clock

# --- time -----------------------------------------------------------------------------


def test_reading_one_battery_moves_all() -> None:
    """Reading one battery moves all to the same time."""
    clock = Clock()
    bank = build({}, {}, clock=clock, demand_current=-60.0)
    first, second = bank.batteries

    clock.now += HOUR
    first.handle(STATUS)

    assert first.charge + second.charge == pytest.approx((120 - 60) * 3600)
    assert first.reported().state_of_charge == second.reported().state_of_charge == 30
    before = first.charge, second.charge
    second.handle(STATUS)
    assert (first.charge, second.charge) == before
    second.advance(60)
    assert first.charge < before[0]


def test_batteries_are_as_they_are_when_they_are_connected() -> None:
    """What they lived through alone counts, with their own load."""
    clock = Clock()
    alone = [SimulatedBattery(clock=clock, demand_current=-20.0) for _ in range(2)]
    clock.now += HOUR
    bank = ParallelBank(alone, clock=clock)

    assert [battery.charge for battery in alone] == pytest.approx([40 * 3600] * 2)
    assert bank.current == pytest.approx(0, abs=TINY)


def test_hold_stops_all() -> None:
    """One battery that is on hold holds the whole bank."""
    clock = Clock()
    bank = build({}, {}, clock=clock, demand_current=-60.0)
    first, second = bank.batteries
    first.hold = True

    clock.now += HOUR
    second.handle(STATUS)
    assert second.charge == 60 * 3600

    first.hold = False
    second.handle(STATUS)
    assert second.charge == 60 * 3600
    clock.now += 1
    second.handle(STATUS)
    assert second.charge < 60 * 3600


def test_bank_with_many_reads_or_one_is_the_same() -> None:
    """The physics do not depend on how often they are read."""
    ends = []
    for looks in (6, 360):
        clock = Clock()
        bank = build({"state_of_charge": 90.0}, {}, clock=clock, demand_current=-30.0)
        for _ in range(looks):
            clock.now += HOUR / looks
            bank.batteries[0].update()
        ends.append([battery.charge for battery in bank.batteries])

    assert ends[0] == pytest.approx(ends[1], rel=1e-4)


def test_bank_with_a_time_that_goes_back_is_unchanged() -> None:
    """As with a battery of its own."""
    clock = Clock()
    bank = build({}, {}, clock=clock, demand_current=-30.0)
    clock.now -= 100
    bank.update()

    assert [battery.charge for battery in bank.batteries] == [60 * 3600] * 2


# --- what should be shown -------------------------------------------------------------


def test_truth_of_bank() -> None:
    """Sums, weights, and the extreme cells with battery and number."""
    bank = build(
        {"state_of_charge": 80.0, "resistance_factors": {5: 4.0}},
        {"state_of_charge": 50.0, "capacity": 200.0},
        demand_current=-60.0,
    )
    first, second = bank.batteries
    expected_values = bank.expected_values()

    assert expected_values["state_of_charge"] == (80 * 100 + 50 * 200) / 300 == 60
    assert expected_values["state_of_charge_spread"] == 30
    assert expected_values["current"] == -60
    assert expected_values["currents"] == {
        battery.address: battery.reported().current for battery in bank.batteries
    }
    assert expected_values["power"] == pytest.approx(-60 * bank.voltage, abs=2)
    assert expected_values["voltage"] == pytest.approx(bank.voltage, abs=0.01)
    assert expected_values["terminal_voltage"] == round(bank.voltage, 2)
    assert expected_values["remaining_capacity"] == 80 + 100
    assert (
        expected_values["full_capacity"] == expected_values["max_charge_current"] == 300
    )
    assert (expected_values["lowest_cell_battery"], expected_values["lowest_cell"]) == (
        first.address,
        5,
    )
    cells = first.reported().millivolts + second.reported().millivolts
    assert expected_values["lowest_cell_voltage"] == min(cells) / 1000
    assert expected_values["highest_cell_voltage"] == max(cells) / 1000
    highest = expected_values["highest_cell_battery"], expected_values["highest_cell"]
    holder = {battery.address: battery for battery in bank.batteries}[highest[0]]
    assert holder.reported().millivolts[highest[1] - 1] == max(cells)
    assert expected_values["cell_voltage_delta"] == max(cells) - min(cells)
    assert expected_values["batteries"] == 2
    assert expected_values["charging"] is False


def test_bank_values_of_some_batteries_are_combined() -> None:
    """For a bank of which one battery is out of range."""
    bank = build({"state_of_charge": 80.0}, {"state_of_charge": 50.0})
    second = bank.batteries[1]
    alone = combined([second])

    assert alone["state_of_charge"] == 50
    assert alone["current"] == second.reported().current
    assert alone["highest_cell_battery"] == second.address


def test_bank_of_which_all_is_isolated_shows_all() -> None:
    """Without a connected battery all are combined."""
    bank = build({"state_of_charge": 80.0}, {"state_of_charge": 50.0})
    for battery in bank.batteries:
        bank.loosen(battery)

    expected_values = bank.expected_values()
    assert expected_values["connected"] == ()
    assert expected_values["state_of_charge"] == 65
    assert expected_values["terminal_voltage"] == 0


# --- building -------------------------------------------------------------------------


def test_bank_with_invalid_batteries_is_refused() -> None:
    """Too few, too many, of different voltage, or twice."""
    with pytest.raises(ValueError):
        build({})
    with pytest.raises(ValueError):
        build(*[{}] * 17)
    with pytest.raises(ValueError):
        build({"cell_count": 4}, {"cell_count": 8})
    battery = SimulatedBattery(clock=Clock())
    with pytest.raises(ValueError):
        ParallelBank([battery, battery], clock=Clock())
    bank = build({}, {})
    with pytest.raises(ValueError):
        ParallelBank([battery, bank.batteries[0]], clock=Clock())
    assert battery.bank is None
    with pytest.raises(ValueError):
        bank.cut_off(battery)
    with pytest.raises(ValueError):
        bank.weaken(bank.batteries[0], capacity=0)


def test_bank_of_sixteen_batteries_shares_the_load() -> None:
    """The largest bank there is."""
    bank = build(*[{"cell_count": 4}] * 16, demand_current=-800.0)
    bank.advance(600)

    assert bank.current == pytest.approx(-800)
    assert currents(bank) == pytest.approx([-50] * 16, abs=5)
    assert max(bus_voltages(bank)) == pytest.approx(min(bus_voltages(bank)))


def test_pair_to_show_is_under_load_with_fresh_meters() -> None:
    """Two of the same model, told apart by name, address and charge."""
    bank = pair(clock=Clock())
    expected_values = bank.expected_values()

    assert [battery.name for battery in bank.batteries] == [
        options["name"] for options in PAIR
    ]
    assert expected_values["current"] == -24
    assert (
        expected_values["charge_energy_kwh"]
        == expected_values["discharge_energy_kwh"]
        == 0
    )
    assert 60 < expected_values["state_of_charge"] < 75
    assert pair(clock=Clock()).expected_values() == expected_values
    assert pair(cell_count=4, clock=Clock()).voltage == pytest.approx(13.2, abs=0.1)
