"""Batteries in parallel share a current, charge and overload each other."""

from collections.abc import Sequence
from math import pi, sin

import pytest

from .helpers import HOUR, TINY, block, build, currents, unblock
from simulator.bank import OVERHEAT, ParallelBank

# --- what batteries do to each other --------------------------------------------------


def test_high_battery_charges_low_one_without_load() -> None:
    """What one reports as discharge the other reports as charge."""
    bank = build({"state_of_charge": 95.0}, {"state_of_charge": 20.0})
    high, low = bank.batteries

    assert high.reported().current == -low.reported().current < -20
    assert high.expected_values()["operating_state"] == "discharging"
    assert low.expected_values()["operating_state"] == "charging"
    before = high.charge + low.charge
    bank.advance(4 * HOUR)
    assert high.charge + low.charge == pytest.approx(before)
    assert high.discharge_energy_kwh > low.charge_energy_kwh * 0.99 > 0.5
    assert low.discharge_energy_kwh == high.charge_energy_kwh == 0
    assert bank.current == pytest.approx(0, abs=TINY)


def test_charger_of_less_voltage_changes_nothing() -> None:
    """It neither hinders batteries that charge each other nor makes them full."""
    bank = build(
        {"state_of_charge": 64.0},
        {"state_of_charge": 60.0},
        charger_voltage=25.0,
        demand_current=10.0,
    )
    high, low = bank.batteries
    bank.advance(60)

    assert 0 < low.current < 5
    assert low.current == pytest.approx(-high.current)
    assert low.expected_values()["operating_state"] == "charging"
    assert low.reported().state_of_charge == 60


def test_larger_battery_carries_more() -> None:
    """Its cells have less resistance, so that both empty together."""
    bank = build({"capacity": 100.0}, {"capacity": 200.0}, demand_current=-90.0)

    assert currents(bank) == pytest.approx([-30, -60], rel=0.1)
    bank.advance(HOUR)
    expected_values = bank.expected_values()
    assert expected_values["full_capacity"] == 300
    assert expected_values["remaining_capacity"] == pytest.approx(300 * 0.6 - 90, abs=2)
    assert expected_values["state_of_charge_spread"] <= 2
    assert expected_values["state_of_charge"] == pytest.approx(30, abs=1)


def test_weak_battery_carries_less_and_sags_no_lower() -> None:
    """Only the current shows it, as the voltage is common."""
    bank = build({}, {}, demand_current=-60.0)
    weak, other = bank.batteries
    even = currents(bank)
    bank.weaken(weak, resistance=3.0, capacity=0.7)

    assert even == pytest.approx([-30, -30], abs=3)
    assert currents(bank) == pytest.approx([-15, -45], abs=3)
    assert sum(weak.cell_voltages) == pytest.approx(sum(other.cell_voltages))
    assert weak.reported().full_capacity == 100
    assert weak.cell_charge[0] / weak.cell_capacity[0] == pytest.approx(0.6, abs=0.01)


def test_corroded_battery_is_seen_by_its_voltage() -> None:
    """It does not measure what its cable costs."""
    bank = build({}, {}, demand_current=-60.0)
    corroded, other = bank.batteries
    bank.corrode(corroded, 0.012)

    assert currents(bank) == pytest.approx([-20, -40], abs=2)
    assert sum(other.cell_voltages) == pytest.approx(bank.voltage)
    assert sum(corroded.cell_voltages) == pytest.approx(
        bank.voltage - 0.012 * corroded.current
    )
    bank.corrode(corroded, 0.0)
    assert currents(bank) == pytest.approx([-30, -30], abs=3)
    with pytest.raises(ValueError):
        bank.corrode(corroded, -0.1)


def test_loose_battery_carries_no_current() -> None:
    """The other one takes all of the load; put on again, it charges the other."""
    bank = build({}, {}, demand_current=-40.0)
    loose, other = bank.batteries
    bank.loosen(loose)

    assert currents(bank) == pytest.approx([0.0, -40.0])
    assert loose.expected_values()["operating_state"] == "standby"
    assert loose.expected_values()["protections"] == ()
    bank.advance(0.5 * HOUR)
    assert (loose.charge, other.charge) == (60 * 3600, pytest.approx(40 * 3600))
    expected_values = bank.expected_values()
    assert expected_values["isolated"] == (loose.address,)
    assert (
        expected_values["fastened"] == expected_values["connected"] == (other.address,)
    )
    assert expected_values["state_of_charge"] == 40
    assert expected_values["full_capacity"] == 100

    bank.fasten(loose)
    bank.demand_current = 0.0
    assert loose.current == pytest.approx(-other.current)
    assert loose.current < -1
    assert bank.expected_values()["isolated"] == ()


def test_loose_battery_feeds_its_own_heating_film() -> None:
    """The bus cannot, and nothing of it counts for the bus."""
    bank = build(
        {"temperature": 2.0, "heating_enabled": True}, {}, demand_current=-40.0
    )
    loose, other = bank.batteries
    assert loose.heating
    heater = loose.heater_current(loose.rest_voltage)
    assert bank.current == pytest.approx(-40 - heater)

    bank.loosen(loose)
    assert currents(bank) == pytest.approx([-heater, -40.0])
    assert bank.current == other.current


def test_battery_cut_off_comes_back_when_it_has_cooled() -> None:
    """By its protection rule, 80 degrees, and until then the other carries all."""
    bank = build({}, {}, demand_current=-40.0)
    hot, other = bank.batteries
    bank.cut_off(hot)

    assert currents(bank) == pytest.approx([0.0, -40.0])
    assert hot.expected_values()["protections"] == ("mos_ot",)
    assert hot.expected_values()["pcb_temperature"] == 100 + OVERHEAT
    bank.advance(HOUR)
    assert hot.expected_values()["protections"] == ("mos_ot",)
    assert bank.expected_values()["isolated"] == (hot.address,)
    assert hot.charge == 60 * 3600

    bank.restore(hot)
    assert hot.expected_values()["protections"] == ("mos_ot",)
    was, seconds = hot.pcb_temperature, 0
    while hot.expected_values()["protections"]:
        assert (seconds := seconds + 1) < 300
        assert currents(bank) == pytest.approx([0.0, -40.0])
        was = hot.pcb_temperature
        bank.advance(1)
    assert hot.pcb_temperature <= 80 < was
    # It is fuller than the other by now.
    assert currents(bank)[0] < -40
    assert bank.expected_values()["isolated"] == ()
    assert other.charge < hot.charge


def test_battery_that_may_not_charge_still_gives() -> None:
    """And the charger's whole current goes into the other."""
    bank = build({}, {}, demand_current=40.0)
    blocked, other = bank.batteries
    block(blocked, "charge")
    bank.advance(0)

    assert currents(bank) == pytest.approx([0.0, 40.0])
    assert bank.expected_values()["charge_blocked"] == (blocked.address,)
    assert bank.expected_values()["isolated"] == ()
    # The battery knows that a charger is there.
    assert blocked.demand_current > 10

    bank.demand_current = -40.0
    assert currents(bank) == pytest.approx([-20.0, -20.0], abs=2)

    unblock(blocked, "charge")
    bank.demand_current = 40.0
    bank.advance(1)
    assert currents(bank) == pytest.approx([20.0, 20.0], abs=2)
    assert other.expected_values()["protections"] == ()


def test_empty_battery_is_charged_by_others() -> None:
    """It may not discharge, so it only takes, until its protection is released."""
    bank = build({"state_of_charge": 2.0}, {"state_of_charge": 60.0})
    empty, other = bank.batteries
    bank.loosen(empty)
    bank.weaken(empty, resistance=2.0)
    empty.thresholds["cell_uv_protection"] = 3.0
    empty.thresholds["cell_uv_recovery"] = 3.2
    bank.advance(0)
    assert empty.expected_values()["protections"] == ("cell_uv",)

    bank.fasten(empty)
    bank.demand_current = -20.0
    assert empty.current > 20
    assert other.current == pytest.approx(-20 - empty.current)
    assert empty.expected_values()["protections"] == ("cell_uv",)
    bank.advance(600)
    assert empty.expected_values()["protections"] == ()
    assert min(empty.cell_voltages) >= 3.2


def test_tripped_battery_overloads_other() -> None:
    """Both end at the same load, one after the other, and both try again."""
    bank = build({}, {}, demand_current=-150.0)
    first, second = bank.batteries
    bank.advance(60)
    assert bank.expected_values()["isolated"] == ()

    bank.cut_off(first)
    assert currents(bank) == pytest.approx([0.0, -150.0])
    bank.advance(2)
    assert second.expected_values()["protections"] == ("discharge_oc",)
    assert currents(bank) == [0.0, 0.0]
    assert bank.voltage == 0
    expected_values = bank.expected_values()
    assert expected_values["discharge_blocked"] == (first.address, second.address)
    assert expected_values["isolated"] == (first.address,)
    assert expected_values["current"] == expected_values["power"] == 0

    bank.restore(first)
    bank.advance(300)
    assert currents(bank) == pytest.approx([-75, -75], abs=5)


@pytest.mark.parametrize("alone", [0, 1])
def test_delay_of_each_battery_is_kept(alone: int) -> None:
    """However long the step that the others would allow."""
    bank = build({}, {})
    bank.loosen(bank.batteries[1 - alone])
    bank.demand_current = -130.0
    bank.advance(30)

    battery = bank.batteries[alone]
    assert battery.expected_values()["protections"] == ("discharge_oc",)
    assert battery.charge == pytest.approx(60 * 3600 - 130 * 2)


def test_short_circuit_stays_until_it_is_taken_away() -> None:
    """Each battery sees it though nothing flows."""
    bank = build({}, {}, demand_current=-1000.0)
    bank.advance(60)
    assert [battery.expected_values()["protections"] for battery in bank.batteries] == [
        ("short_circuit",)
    ] * 2
    assert [battery.charge for battery in bank.batteries] == [60 * 3600] * 2

    bank.demand_current = -10.0
    bank.advance(1)
    assert currents(bank) == pytest.approx([-5, -5], abs=2)


def test_charger_tapers_and_all_are_full() -> None:
    """The charger's voltage is never passed, and the fuller one ends first."""
    bank = build({"state_of_charge": 97.0}, {"state_of_charge": 92.0})
    bank.demand_current = 50.0
    voltages, totals, ended = [], [], []
    for _ in range(90):
        bank.advance(60)
        voltages.append(bank.voltage)
        totals.append(bank.current)
        ended += [
            battery
            for battery in bank.batteries
            if battery.full and battery not in ended
        ]

    assert max(voltages) <= bank.charger_voltage + TINY
    assert max(totals) <= 50 + TINY
    assert ended == list(bank.batteries)
    assert [
        battery.expected_values()["operating_state"] for battery in bank.batteries
    ] == ["charge_limit"] * 2
    assert bank.expected_values()["state_of_charge"] == 100
    assert bank.expected_values()["current"] == 0


def test_heater_switched_on_is_fed_by_all() -> None:
    """A command to one battery is felt by the others at once."""
    bank = build({"temperature": 2.0}, {"temperature": 2.0})
    cold, other = bank.batteries
    cold.heating_enabled = True
    bank.advance(0)

    heater = cold.heater_current(cold.rest_voltage)
    assert cold.heating and heater > 3
    assert cold.current + other.current == pytest.approx(-heater)
    assert sum(cold.cell_voltages) == pytest.approx(sum(other.cell_voltages))
    assert other.current < -1


def test_power_cycle_of_one_is_felt_by_all() -> None:
    """Its protections start afresh, and the others are relieved."""
    bank = build({}, {}, demand_current=-150.0)
    first, second = bank.batteries
    bank.loosen(second)
    bank.advance(5)
    assert first.expected_values()["protections"] == ("discharge_oc",)
    bank.fasten(second)
    assert currents(bank) == pytest.approx([0.0, -150.0])

    first.power_cycle()
    assert currents(bank) == pytest.approx([-75, -75], abs=5)


# --- a day ----------------------------------------------------------------------------


def sun_and_load(hour: float) -> float:
    """Return what a roof and a household want of a bank at an hour of the day, A."""
    sun = max(0.0, 90 * sin(pi * (hour - 7) / 12)) if 7 <= hour <= 19 else 0.0
    return sun - (25.0 if 18 <= hour < 23 else 6.0)


def live(bank: ParallelBank, hours: Sequence[int]) -> None:
    """Let a part of a day pass."""
    for hour in hours:
        for minute in range(0, 60, 10):
            bank.demand_current = sun_and_load(hour + minute / 60)
            bank.advance(600)


def test_day_with_weak_battery() -> None:
    """It does less than its share all day, is never far from the others, and ends so."""
    bank = build({"state_of_charge": 70.0}, {"state_of_charge": 70.0})
    weak, other = bank.batteries
    bank.weaken(weak, resistance=2.5, capacity=0.75)
    for battery in bank.batteries:
        battery.reset_energy()

    def out() -> list[float]:
        return [battery.discharge_energy_kwh for battery in bank.batteries]

    live(bank, range(3, 7))
    night = out()
    assert 0.3 * night[1] < night[0] < 0.9 * night[1]
    assert sum(night) == pytest.approx(4 * 6 * 26.4 / 1000, rel=0.03)

    live(bank, range(7, 17))
    assert all(battery.full for battery in bank.batteries)
    assert bank.expected_values()["state_of_charge"] == 100

    live(bank, range(17, 24))
    evening = [after - before for before, after in zip(night, out(), strict=True)]
    assert sum(evening) == pytest.approx(
        sum(max(0, -sun_and_load(17 + n / 6)) / 6 for n in range(42)) * 26.4 / 1000,
        rel=0.1,
    )
    assert evening[0] < evening[1]
    assert bank.expected_values()["isolated"] == ()
    assert (
        bank.expected_values()["highest_cell_voltage"]
        > bank.expected_values()["lowest_cell_voltage"]
    )
    assert abs(weak.rest_voltage - other.rest_voltage) < 0.15


def test_day_on_which_one_trips_and_comes_back() -> None:
    """It misses the sun, and then takes from the one that had it."""
    bank = build({"state_of_charge": 40.0}, {"state_of_charge": 40.0})
    tripped, other = bank.batteries

    bank.cut_off(tripped)
    live(bank, range(8, 12))
    assert tripped.reported().state_of_charge == 40
    assert other.reported().state_of_charge > 90
    assert bank.expected_values()["state_of_charge"] == other.reported().state_of_charge
    assert bank.expected_values()["state_of_charge_spread"] == 0

    bank.restore(tripped)
    bank.demand_current = 0.0
    bank.advance(600)
    assert bank.expected_values()["state_of_charge_spread"] > 30
    assert tripped.current > 1
    assert other.current == pytest.approx(-tripped.current)
    assert bank.expected_values()["current"] == 0
    live(bank, range(13, 18))
    assert bank.expected_values()["state_of_charge"] == 100
