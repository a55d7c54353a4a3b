"""What batteries of a bank that rest tell by comparison."""

from __future__ import annotations

from random import Random

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.bank.aggregate import MemberReading
from custom_components.voltgo_vlrv.bank.rest_comparison import (
    END_SPREAD,
    MAX_SPREAD,
    Difference,
    RestComparison,
)
from custom_components.voltgo_vlrv.history.charge_trust import REST_TIME
from simulator.battery.cells import open_circuit_voltage
from tests.history.common import DAY, HOUR

STEP = 300.0  # s


def reading(
    key: str,
    charge: float,
    part: float = 0.6,
    current: float = 0.0,
    capacity: float = 100,
) -> MemberReading:
    """Return a member that reports a charge, whose cells hold a part."""
    millivolts = round(1000 * open_circuit_voltage(part))
    return MemberReading(
        key=key,
        state_of_charge=round(min(max(charge, 0), 100)),
        voltage=4 * millivolts / 1000,
        current=current,
        cells=(millivolts,) * 4,
        lowest_temperature=20,
        highest_temperature=20,
        state_of_health=100,
        remaining_capacity=None,
        full_capacity=capacity,
        charge=None,
        protected=False,
        too_cold=False,
    )


class Bank:
    """Two batteries at one voltage; the counter of the second one is off."""

    def __init__(self, drift: float = 0.0) -> None:
        """Let the counter be off by some points."""
        self.drift = drift
        self.time = 1000.0
        self.at_rest = RestComparison()

    def read(
        self,
        part: float,
        current: float = 0.0,
        *,
        complete: bool = True,
        lag: float = 0.0,
    ) -> bool:
        """Read both; the second one really holds less by `lag`."""
        self.time += STEP
        pair = [
            reading("A", 100 * part, part, current),
            reading("B", 100 * (part - lag) + self.drift, part - lag, current),
        ]
        self.at_rest.update(self.time, pair, 10.0, is_complete=complete)
        return Difference.CHARGE in self.at_rest.differences


@pytest.mark.parametrize("drift", [15, -15, 30])
def test_drift_of_a_member_is_found_within_a_day(drift: int) -> None:
    """By day and night, at the first rest of a quarter of an hour."""
    bank = Bank(drift)
    found = []
    for step in range(round(DAY / STEP)):
        hour = step * STEP / HOUR
        part = 0.8 - 0.02 * hour
        resting = 3 <= hour % 6 < 3.5
        found.append(bank.read(part, 0.0 if resting else -2.0 if hour % 2 else -10.0))
    assert any(found)


def test_healthy_bank_in_a_year_is_not_doubted() -> None:
    """Counters a few points apart, another capacity, any load and rest."""
    random = Random(5)
    for drift in (0, 5, -5):
        bank = Bank(drift)
        for _ in range(365):
            part = random.uniform(0.05, 1.0)
            lag = random.uniform(-0.02, 0.02)
            assert not bank.read(part, random.choice((-30.0, 20.0)), lag=lag)
            for _ in range(6):
                assert not bank.read(part, lag=lag if 0.3 < part < 0.9 else 0.0)
            assert not bank.at_rest.differences


def test_batteries_that_really_differ_are_not_doubted() -> None:
    """Near both ends the voltage tells that their charges differ: they are not joined."""
    bank = Bank()
    for _ in range(20):
        assert not bank.read(0.2, lag=0.15)
    assert bank.at_rest.differences == {Difference.VOLTAGE}
    bank.read(0.2, lag=0.15, complete=False)
    bank.read(0.2, -10.0)
    assert bank.at_rest.differences == {Difference.VOLTAGE}
    bank.read(0.2)
    assert not bank.at_rest.differences


def test_voltages_that_differ_under_load_or_for_a_moment_are_no_difference() -> None:
    """A corroded cable takes some of it, and a battery that was joined needs time."""
    bank = Bank()
    for step in range(30):
        bank.read(0.2, 0.0 if step % 3 else -10.0, lag=0.15)
        assert not bank.at_rest.differences


@pytest.mark.parametrize("what", ["short rest", "load", "one is missing", "gap"])
def test_unequal_charges_without_proof_raise_no_doubt(what: str) -> None:
    """The voltage is theirs only at rest, and all have to report."""
    bank = Bank(30)
    for step in range(20):
        if what == "gap":
            bank.time += HOUR
        rests = what != "load" and (what != "short rest" or step % 3)
        assert not bank.read(
            0.6, 0.0 if rests else -10.0, complete=what != "one is missing"
        )


def test_doubt_ends_when_the_charges_agree() -> None:
    """Under load as well, and not before they are near."""
    bank = Bank(MAX_SPREAD + 1)
    assert [bank.read(0.6) for _ in range(int(REST_TIME / STEP) + 1)][-1]
    bank.drift = END_SPREAD + 1
    assert bank.read(0.6, 20.0)
    assert bank.read(0.6, complete=False)
    bank.drift = END_SPREAD
    assert not bank.read(0.6, 20.0)


@given(
    st.lists(
        st.lists(
            st.builds(
                reading,
                st.sampled_from("ABC"),
                st.integers(0, 100),
                st.floats(0, 1),
                st.floats(-200, 200),
                st.none() | st.floats(1, 400),
            ),
            max_size=4,
        ),
        max_size=20,
    )
)
def test_doubt_of_any_readings_needs_two_that_differ(
    samples: list[list[MemberReading]],
) -> None:
    """Whatever is read."""
    at_rest, widest = RestComparison(), 0
    for number, readings in enumerate(samples):
        charges = [item.state_of_charge for item in readings]
        if len(charges) > 1:
            widest = max(widest, max(charges) - min(charges))
        at_rest.update(number * STEP, readings, 10.0, is_complete=True)
        doubts = at_rest.differences
        assert Difference.CHARGE not in doubts or widest > MAX_SPREAD
