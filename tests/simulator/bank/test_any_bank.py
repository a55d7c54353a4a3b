"""What holds for any bank, whatever its batteries."""

from itertools import pairwise
from math import fsum
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from .helpers import TINY, block, build, currents
from simulator.bank import ParallelBank
from tests.simulator.battery.helpers import Clock


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
def test_bank_of_any_batteries_has_one_voltage_and_sums(
    bank: ParallelBank, demand: float
) -> None:
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
def test_charge_is_conserved_over_step(
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
def test_bank_with_reordered_batteries_is_unchanged(
    bank: ParallelBank, steps: list[float], random: Any
) -> None:
    """The order of the batteries changes no value."""
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
            *("cell_offsets", "thresholds", "cell_temperatures", "pcb_temperature"),
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
def test_batteries_without_load_approach_each_other(bank: ParallelBank) -> None:
    """Monotonically: nothing swings, however steep the cells' curve is there."""
    for battery in bank.batteries:
        # The heater is a load.
        battery.heater = False
    bank.advance(0)

    def spread() -> float:
        rests = [battery.rest_voltage for battery in bank.batteries]
        return max(rests) - min(rests)

    spreads = [spread()]
    # Four hours: two are too few for large packs whose resistance has grown with age.
    for _ in range(120):
        bank.advance(120)
        assert bank.current == pytest.approx(0, abs=1e-6)
        spreads.append(spread())

    assert all(later <= earlier + TINY for earlier, later in pairwise(spreads))
    assert spreads[-1] <= max(0.6 * spreads[0], 0.02)


@pytest.mark.parametrize("charges", [(0.3, 99.9), (-2.5, 0.5), (99.0, 104.0)])
def test_equalising_does_not_swing_where_curve_is_steep(
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
            for level in ("protection", "recovery"):
                battery.thresholds[f"{rule}_{level}"] = 0.0
        for rule in ("cell_ov", "pack_ov", "charge_oc1", "discharge_oc1"):
            for level in ("_protection", "_recovery", ""):
                battery.thresholds[f"{rule}{level}"] = 9999.0
        for level in ("charge_oc2", "discharge_oc2", "load_short"):
            battery.thresholds[level] = 9999.0
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
