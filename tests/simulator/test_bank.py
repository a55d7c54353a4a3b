"""Batteries in parallel share voltage and current as a circuit does."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import fsum, pi, sin
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from .test_battery import Clock
from simulator.bank import OVERHEAT, PAIR, ParallelBank, combined, pair
from simulator.battery import SimulatedBattery, read_request
from simulator.circuit import Branch, bus_voltage, total_current

STATUS = read_request(0, 41)
HOUR = 3600.0
thorough = settings(max_examples=200, deadline=None, derandomize=True)
TINY = 1e-9  # V or A


def build(
    *options: dict[str, Any], clock: Callable[[], float] | None = None, **bank: Any
) -> ParallelBank:
    """Return a bank of batteries with these options, each at its own address."""
    clock = clock or Clock()
    return ParallelBank(
        [
            SimulatedBattery(
                **{"address": f"A4:C1:37:00:01:{number:02}", "seed": number} | one,
                clock=clock,
            )
            for number, one in enumerate(options)
        ],
        clock=clock,
        **bank,
    )


def currents(bank: ParallelBank) -> list[float]:
    """Return what flows into each battery, A."""
    return [battery.current for battery in bank.batteries]


def bus_voltages(bank: ParallelBank) -> list[float]:
    """Return the voltage at the poles of each battery, V."""
    return [sum(battery.cell_voltages) for battery in bank.batteries]


def block(battery: SimulatedBattery, *directions: str) -> None:
    """Make its protection hold back a direction, by a limit that is passed now."""
    for direction in directions:
        battery.limits[f"{direction}_ot_protection"] = -50.0
        battery.limits[f"{direction}_ot_release"] = -60.0


def unblock(battery: SimulatedBattery, *directions: str) -> None:
    """Put the limits of `block` where they were."""
    for direction in directions:
        battery.limits[f"{direction}_ot_protection"] = 75.0
        battery.limits[f"{direction}_ot_release"] = 65.0


# --- the circuit --------------------------------------------------------------


branches = st.lists(
    st.builds(
        Branch,
        rest=st.floats(20, 29.2) | st.sampled_from([26.0, 26.5]),
        resistance=st.floats(0.002, 0.05),
        charges=st.booleans(),
        discharges=st.booleans(),
    ),
    min_size=1,
    max_size=16,
)


@thorough
@given(branches, st.floats(-300, 300), st.floats(24, 29.2))
def test_the_bus_takes_what_is_demanded_as_far_as_it_can(
    circuit: list[Branch], demand: float, ceiling: float
) -> None:
    """Nobody else is asked, and a charger stops at its voltage."""
    voltage = bus_voltage(circuit, demand, ceiling)
    total = total_current(circuit, voltage)

    if demand <= 0:
        able = any(branch.discharges for branch in circuit)
        assert total == pytest.approx(demand if able else 0.0, abs=TINY)
        assert demand == 0 or able == (voltage > 0)
    else:
        assert -TINY <= total <= demand + TINY
        if total < demand - TINY:
            assert voltage >= ceiling
        if voltage > ceiling + TINY:
            assert total == pytest.approx(0, abs=TINY)


@thorough
@given(branches, st.floats(-300, 300), st.floats(24, 29.2))
def test_a_diode_lets_nothing_pass_the_wrong_way(
    circuit: list[Branch], demand: float, ceiling: float
) -> None:
    """And what may flow follows from voltage and resistance alone."""
    voltage = bus_voltage(circuit, demand, ceiling)

    for branch in circuit:
        current = branch.current(voltage)
        assert branch.charges or current <= 0
        assert branch.discharges or current >= 0
        if branch.charges and branch.discharges:
            assert branch.rest + current * branch.resistance == pytest.approx(voltage)


@thorough
@given(
    branches.flatmap(
        lambda circuit: st.tuples(st.just(circuit), st.permutations(circuit))
    ),
    st.floats(-300, 300),
)
def test_the_order_of_the_branches_does_not_matter(
    orders: tuple[list[Branch], list[Branch]], demand: float
) -> None:
    """Not even in the last bit."""
    first, second = orders

    assert bus_voltage(first, demand, 28.0) == bus_voltage(second, demand, 28.0)


def test_currents_share_by_resistance() -> None:
    """A third of the resistance, three times the current."""
    circuit = [Branch(rest=26, resistance=0.01), Branch(rest=26, resistance=0.03)]
    voltage = bus_voltage(circuit, -80, 28)

    assert [branch.current(voltage) for branch in circuit] == pytest.approx([-60, -20])
    assert voltage == pytest.approx(25.4)


def test_a_diode_begins_to_conduct_where_it_has_to() -> None:
    """A full battery waits until the load pulls the bus below it."""
    full = Branch(rest=27, resistance=0.01, charges=False)
    other = Branch(rest=26, resistance=0.01)

    def flows(demand: float) -> list[float]:
        voltage = bus_voltage([full, other], demand, 28)
        return [full.current(voltage), other.current(voltage)]

    assert flows(120) == pytest.approx([0, 120])
    assert flows(100) == pytest.approx([0, 100])
    assert flows(50) == pytest.approx([-25, 75])
    assert flows(-20) == pytest.approx([-60, 40])


@pytest.mark.parametrize(
    ("circuit", "demand", "voltage"),
    [
        ([], 10.0, 28.0),
        ([], -10.0, 0.0),
        ([], 0.0, 0.0),
        ([Branch(rest=26, resistance=0.01, discharges=False)], -10.0, 0.0),
        ([Branch(rest=26, resistance=0.01, discharges=False)], 0.0, 0.0),
        ([Branch(rest=26, resistance=0.01, charges=False)], 10.0, 28.0),
        ([Branch(rest=26, resistance=0.01, charges=False)], 0.0, 26.0),
        ([Branch(rest=26, resistance=0.01)], -9999.0, 0.0),
        ([Branch(rest=29, resistance=0.01)], 10.0, 29.0),
    ],
)
def test_a_bus_that_nobody_holds(
    circuit: list[Branch], demand: float, voltage: float
) -> None:
    """It stands where the charger or the only open diode puts it, or is dead."""
    assert bus_voltage(circuit, demand, 28.0) == voltage


# --- any bank -----------------------------------------------------------------


@st.composite
def banks(draw: st.DrawFn, *, most: int = 5, healthy: bool = False) -> ParallelBank:
    """Return batteries of any size, charge, age and state, in parallel."""
    cell_count = draw(st.sampled_from([4, 8, 16]))
    batteries = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "cell_count": st.just(cell_count),
                    "capacity": st.sampled_from([100.0, 200.0, 400.0]),
                    "state_of_charge": st.floats(6, 97),
                    "temperature": st.sampled_from([3.0, 22.0]),
                    "heating_enabled": st.booleans(),
                    "seed": st.integers(0, 9),
                }
            ),
            min_size=2,
            max_size=most,
        )
    )
    bank = build(*batteries)
    for battery in bank.batteries:
        bank.weaken(
            battery,
            resistance=draw(st.floats(1, 4)),
            capacity=draw(st.floats(0.6, 1)),
        )
        if not healthy:
            block(
                battery,
                *draw(st.sets(st.sampled_from(["charge", "discharge"])).map(sorted)),
            )
            if draw(st.integers(0, 4)) == 0:
                bank.loosen(battery)
            if draw(st.integers(0, 4)) == 0:
                bank.corrode(battery, draw(st.floats(0, 0.02)))
    bank.advance(0)
    return bank


demands = st.floats(-150, 150) | st.sampled_from([0.0, 20.0, -20.0])


@settings(max_examples=100, deadline=None, derandomize=True)
@given(banks(), demands)
def test_one_voltage_and_sums_for_any_bank(bank: ParallelBank, demand: float) -> None:
    """Whatever is blocked, loose or corroded."""
    bank.demand_current = demand
    bank.advance(0)

    expected_values = bank.expected_values()
    open_ways = 0
    for battery in bank.batteries:
        current = battery.current
        if battery not in bank.fastened:
            assert current == pytest.approx(
                -battery.heater_current(battery.rest_voltage)
            )
            continue
        if not (battery.charge_blocked or battery.discharge_blocked):
            corroded = bank._corroded.get(battery, 0.0)
            poles = sum(battery.cell_voltages) + current * corroded
            assert poles == pytest.approx(bank.voltage)
            open_ways += 1
        assert not (battery.charge_blocked and current > 0)
        assert not (battery.discharge_blocked and current < 0)
    total = fsum(battery.current for battery in bank.fastened)
    heater_currents = fsum(
        battery.heater_current(battery.rest_voltage) for battery in bank.fastened
    )
    assert bank.current == total
    if open_ways and demand <= heater_currents:
        assert total == pytest.approx(demand - heater_currents, abs=1e-6)
    elif open_ways:
        assert -1e-6 <= total <= demand - heater_currents + 1e-6
        assert (
            total >= demand - heater_currents - 1e-6
            or bank.voltage >= bank.charger_voltage
        )
    shown = bank.connected or bank.batteries
    assert expected_values["current"] == round(
        fsum(battery.reported().current for battery in shown), 1
    )
    assert expected_values["full_capacity"] == sum(
        battery.capacity for battery in shown
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(banks(), demands, st.floats(0.1, 4))
def test_charge_is_conserved_over_a_step(
    bank: ParallelBank, demand: float, seconds: float
) -> None:
    """What goes into the bank is in its batteries, cell by cell."""
    bank.demand_current = demand
    bank.advance(0)
    seconds = min(seconds, *(battery.longest_step for battery in bank.batteries))
    flowing = currents(bank)
    total = bank.current
    balancing = [battery.balancing for battery in bank.batteries]
    before = [list(battery.cell_charge) for battery in bank.batteries]

    bank.advance(seconds)

    moved = []
    for battery, was, current, bled in zip(
        bank.batteries, before, flowing, balancing, strict=True
    ):
        for number, (old, new) in enumerate(
            zip(was, battery.cell_charge, strict=True), 1
        ):
            bleeding = 0.1 * (number in bled)
            assert new - old == pytest.approx((current - bleeding) * seconds, abs=1e-6)
        if battery in bank.fastened:
            moved.append(battery.cell_charge[0] - was[0] + 0.1 * (1 in bled) * seconds)
    assert sum(moved) == pytest.approx(total * seconds, abs=1e-6)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(banks(most=4), st.lists(demands, min_size=1, max_size=4), st.randoms())
def test_the_order_of_the_batteries_does_not_matter(
    bank: ParallelBank, steps: list[float], random: Any
) -> None:
    """The same batteries the other way round live the same life."""
    twins = build(
        *(
            {
                "cell_count": battery.cell_count,
                "capacity": battery.capacity,
                "address": battery.address,
            }
            for battery in bank.batteries
        )
    )
    for battery, twin in zip(bank.batteries, twins.batteries, strict=True):
        twin.bank = None
        for name in (
            *("charge", "cell_charge", "cell_capacity", "cell_resistance"),
            *("cell_offsets", "limits", "cell_temperatures", "pcb_temperature"),
            *("ambient", "heating_enabled"),
        ):
            value = getattr(battery, name)
            copied = value.copy() if isinstance(value, list | dict) else value
            setattr(twin, name, copied)
    shuffled = list(twins.batteries)
    random.shuffle(shuffled)
    other = ParallelBank(shuffled, charger_voltage=bank.charger_voltage, clock=Clock())
    by_address = {battery.address: battery for battery in shuffled}
    for battery in bank.batteries:
        bank.fasten(battery)
        bank.corrode(battery, 0.0)
    for demand in steps:
        for each in (bank, other):
            each.demand_current = demand
            each.advance(45)

    assert other.voltage == bank.voltage
    for battery in bank.batteries:
        assert (
            by_address[battery.address].expected_values() == battery.expected_values()
        )
        assert by_address[battery.address].cell_charge == battery.cell_charge


@settings(max_examples=15, deadline=None, derandomize=True)
@given(banks(most=4), st.data())
def test_energy_meters_never_fall(bank: ParallelBank, data: st.DataObject) -> None:
    """Whatever is demanded and done, they count up, and all of the energy."""

    def meters() -> list[float]:
        return [
            value
            for battery in bank.batteries
            for value in (battery.charge_energy_kwh, battery.discharge_energy_kwh)
        ]

    readings = [meters()]
    for _ in range(6):
        battery = data.draw(st.sampled_from(bank.batteries))
        act = data.draw(
            st.sampled_from([bank.cut_off, bank.restore, bank.loosen, bank.fasten])
        )
        act(battery)
        bank.demand_current = data.draw(demands)
        bank.advance(60)
        readings.append(meters())

    for earlier, later in pairwise(readings):
        assert all(old <= new for old, new in zip(earlier, later, strict=True))


@settings(max_examples=6, deadline=None, derandomize=True)
@given(banks(most=3, healthy=True))
def test_batteries_without_a_load_approach_each_other(bank: ParallelBank) -> None:
    """Monotonically: nothing swings, however steep the cells' curve is there."""
    for battery in bank.batteries:
        # The film is a load.
        battery.heater = False
    bank.advance(0)

    def spread() -> float:
        rests = [battery.rest_voltage for battery in bank.batteries]
        return max(rests) - min(rests)

    spreads = [spread()]
    for _ in range(120):
        bank.advance(60)
        assert bank.current == pytest.approx(0, abs=1e-6)
        spreads.append(spread())

    assert all(later <= earlier + TINY for earlier, later in pairwise(spreads))
    assert spreads[-1] <= max(0.6 * spreads[0], 0.02)


@pytest.mark.parametrize("charges", [(0.3, 99.9), (-2.5, 0.5), (99.0, 104.0)])
def test_equalising_does_not_swing_where_the_curve_is_steep(
    charges: tuple[float, float],
) -> None:
    """Even an aged cell of little capacity does not run past the others."""
    bank = build({}, {})
    for battery, charge in zip(bank.batteries, charges, strict=True):
        battery.cell_charge = [
            capacity * charge / 100 for capacity in battery.cell_capacity
        ]
        # Protections are not what is tested.
        for rule in ("cell_uv", "pack_uv"):
            for level in ("protection", "release"):
                battery.limits[f"{rule}_{level}"] = 0.0
        for rule in ("cell_ov", "pack_ov", "charge_oc1", "discharge_oc1"):
            for level in ("_protection", "_release", ""):
                battery.limits[f"{rule}{level}"] = 9999.0
        for level in ("charge_oc2", "discharge_oc2", "load_short"):
            battery.limits[level] = 9999.0
    bank.charger_voltage = 99.0
    bank.weaken(bank.batteries[0], capacity=0.25)
    assert currents(bank)[0] > 1

    flows = []
    for _ in range(400):
        bank.advance(10)
        flows.append(currents(bank)[0])

    assert all(later <= earlier + TINY for earlier, later in pairwise(flows))
    assert flows[-1] >= -TINY
    assert flows[-1] < 0.2 * flows[0]


# --- time ---------------------------------------------------------------------


def test_reading_one_battery_moves_all() -> None:
    """They are at the same time whoever is read, and follow the clock."""
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
    """One battery whose time stands still holds the bank."""
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


def test_many_reads_or_one_make_no_difference() -> None:
    """The physics do not depend on how often somebody looks."""
    ends = []
    for looks in (6, 360):
        clock = Clock()
        bank = build({"state_of_charge": 90.0}, {}, clock=clock, demand_current=-30.0)
        for _ in range(looks):
            clock.now += HOUR / looks
            bank.batteries[0].update()
        ends.append([battery.charge for battery in bank.batteries])

    assert ends[0] == pytest.approx(ends[1], rel=1e-4)


def test_time_that_goes_back_does_nothing() -> None:
    """As with a battery of its own."""
    clock = Clock()
    bank = build({}, {}, clock=clock, demand_current=-30.0)
    clock.now -= 100
    bank.update()

    assert [battery.charge for battery in bank.batteries] == [60 * 3600] * 2


# --- what batteries do to each other ------------------------------------------


def test_a_high_battery_charges_a_low_one_without_a_load() -> None:
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


def test_a_charger_of_less_voltage_changes_nothing() -> None:
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


def test_a_larger_battery_carries_more() -> None:
    """Its cells have less resistance, so that both empty together."""
    bank = build({"capacity": 100.0}, {"capacity": 200.0}, demand_current=-90.0)

    assert currents(bank) == pytest.approx([-30, -60], rel=0.1)
    bank.advance(HOUR)
    expected_values = bank.expected_values()
    assert expected_values["full_capacity"] == 300
    assert expected_values["remaining_capacity"] == pytest.approx(300 * 0.6 - 90, abs=2)
    assert expected_values["state_of_charge_spread"] <= 2
    assert expected_values["state_of_charge"] == pytest.approx(30, abs=1)


def test_a_weak_battery_carries_less_and_sags_no_lower() -> None:
    """What an owner sees of it is the current, as the voltage is common."""
    bank = build({}, {}, demand_current=-60.0)
    weak, other = bank.batteries
    even = currents(bank)
    bank.weaken(weak, resistance=3.0, capacity=0.7)

    assert even == pytest.approx([-30, -30], abs=3)
    assert currents(bank) == pytest.approx([-15, -45], abs=3)
    assert sum(weak.cell_voltages) == pytest.approx(sum(other.cell_voltages))
    assert weak.reported().full_capacity == 100
    assert weak.cell_charge[0] / weak.cell_capacity[0] == pytest.approx(0.6, abs=0.01)


def test_a_corroded_battery_is_seen_by_its_voltage() -> None:
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


def test_a_loose_battery_knows_of_nothing() -> None:
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


def test_a_loose_battery_feeds_its_own_film() -> None:
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


def test_a_battery_cut_off_comes_back_when_it_has_cooled() -> None:
    """By the rule of its guard, 80 degrees, and until then the other carries all."""
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


def test_a_battery_that_may_not_charge_still_gives() -> None:
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


def test_an_empty_battery_is_charged_by_the_others() -> None:
    """It may not discharge, so it only takes, until its guard lets go."""
    bank = build({"state_of_charge": 2.0}, {"state_of_charge": 60.0})
    empty, other = bank.batteries
    bank.loosen(empty)
    bank.weaken(empty, resistance=2.0)
    empty.limits["cell_uv_protection"] = 3.0
    empty.limits["cell_uv_release"] = 3.2
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


def test_a_tripped_battery_overloads_the_other() -> None:
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
def test_the_delay_of_each_battery_is_kept(alone: int) -> None:
    """However long the step that the others would allow."""
    bank = build({}, {})
    bank.loosen(bank.batteries[1 - alone])
    bank.demand_current = -130.0
    bank.advance(30)

    battery = bank.batteries[alone]
    assert battery.expected_values()["protections"] == ("discharge_oc",)
    assert battery.charge == pytest.approx(60 * 3600 - 130 * 2)


def test_a_short_circuit_stays_until_it_is_taken_away() -> None:
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


def test_a_charger_tapers_and_all_are_full() -> None:
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


def test_a_heater_switched_on_is_fed_by_all() -> None:
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


def test_a_power_cycle_of_one_is_felt_by_all() -> None:
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


# --- a day --------------------------------------------------------------------


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


def test_a_day_with_a_weak_battery() -> None:
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


def test_a_day_on_which_one_trips_and_comes_back() -> None:
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


# --- what should be shown -----------------------------------------------------


def test_the_truth_of_a_bank() -> None:
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


def test_some_can_be_combined_alone() -> None:
    """For a bank of which one battery is not heard."""
    bank = build({"state_of_charge": 80.0}, {"state_of_charge": 50.0})
    second = bank.batteries[1]
    alone = combined([second])

    assert alone["state_of_charge"] == 50
    assert alone["current"] == second.reported().current
    assert alone["highest_cell_battery"] == second.address


def test_a_bank_of_which_all_is_isolated_shows_all() -> None:
    """Somebody has to be shown."""
    bank = build({"state_of_charge": 80.0}, {"state_of_charge": 50.0})
    for battery in bank.batteries:
        bank.loosen(battery)

    expected_values = bank.expected_values()
    assert expected_values["connected"] == ()
    assert expected_values["state_of_charge"] == 65
    assert expected_values["terminal_voltage"] == 0


# --- building -----------------------------------------------------------------


def test_a_bank_that_cannot_be_is_refused() -> None:
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


def test_sixteen_share_a_load() -> None:
    """The largest bank there is."""
    bank = build(*[{"cell_count": 4}] * 16, demand_current=-800.0)
    bank.advance(600)

    assert bank.current == pytest.approx(-800)
    assert currents(bank) == pytest.approx([-50] * 16, abs=5)
    assert max(bus_voltages(bank)) == pytest.approx(min(bus_voltages(bank)))


def test_the_pair_to_show_is_under_load_with_fresh_meters() -> None:
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
