"""Currents of a bank follow from voltages and resistances."""

from hypothesis import given, strategies as st
import pytest

from .helpers import TINY, thorough
from simulator.circuit import Branch, bus_voltage, total_current

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
def test_bus_takes_what_is_demanded_as_far_as_it_can(
    circuit: list[Branch], demand: float, ceiling: float
) -> None:
    """The currents add up to the demand, and a charger stops at its voltage."""
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
def test_diode_lets_nothing_pass_wrong_way(
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
def test_circuit_with_reordered_branches_is_unchanged(
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


def test_diode_begins_to_conduct_where_it_has_to() -> None:
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
def test_bus_without_conducting_battery(
    circuit: list[Branch], demand: float, voltage: float
) -> None:
    """The charger or the only open diode sets its voltage; without one it has none."""
    assert bus_voltage(circuit, demand, 28.0) == voltage
