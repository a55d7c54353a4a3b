"""What a bank is: plain numbers in, plain numbers out, and where others got it wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings, strategies as st
import pytest

from custom_components.voltgo_vlrv.bank.aggregate import (
    BankReading,
    Cell,
    MemberReading,
    read_bank,
)
from custom_components.voltgo_vlrv.bank.current_share import (
    MIN_IMBALANCE_CURRENT,
    imbalance,
)
from custom_components.voltgo_vlrv.history.charge import Charge, stored_energy
from custom_components.voltgo_vlrv.history.runtime import SETTLING, Runtime
from tests.common import POLL_INTERVAL

FEW = settings(max_examples=40)


def charge(left: float | None, full: float | None = 100.0) -> Charge | None:
    """Return what a battery that counts in whole Ah has left."""
    return None if left is None else Charge(left, left, left + 1, full)


def member(key: str = "A", **changes: Any) -> MemberReading:
    """Return a reading of a 12.8 V 100 Ah battery, half full, under no load."""
    left = changes.get("remaining_capacity", 50.0)
    return replace(
        MemberReading(
            key=key,
            state_of_charge=50,
            voltage=13.2,
            current=0.0,
            cells=(3300, 3301, 3302, 3303),
            lowest_temperature=18,
            highest_temperature=21,
            state_of_health=100,
            remaining_capacity=50.0,
            full_capacity=100.0,
            charge=charge(left, changes.get("full_capacity", 100.0)),
            protected=False,
            too_cold=False,
        ),
        **changes,
    )


@st.composite
def banks(draw: st.DrawFn, smallest: int = 1) -> list[MemberReading]:
    """Return the readings of some members, as far apart as they can be."""
    count = draw(st.integers(smallest, 6))
    probes = st.none() | st.integers(-39, 120)
    lefts = st.none() | st.integers(0, 400).map(float)
    fulls = st.none() | st.integers(90, 4000).map(lambda x: x / 10)
    capacities = [(draw(lefts), draw(fulls)) for _ in range(count)]
    return [
        MemberReading(
            key=f"A4:C1:37:00:00:{number:02X}",
            state_of_charge=draw(st.integers(0, 100)),
            voltage=draw(st.integers(800, 5840)) / 100,
            current=draw(st.integers(-3000, 3000)) / 10,
            cells=tuple(
                draw(st.lists(st.integers(1500, 4200), min_size=4, max_size=4))
            ),
            lowest_temperature=draw(probes),
            highest_temperature=draw(probes),
            state_of_health=draw(st.integers(0, 100)),
            remaining_capacity=left,
            full_capacity=full,
            charge=charge(left, full),
            protected=draw(st.booleans()),
            too_cold=draw(st.none() | st.booleans()),
        )
        for number, (left, full) in enumerate(capacities)
    ]


# --- what must hold for every bank -----------------------------------------------------


@FEW
@given(banks(), st.data())
def test_aggregate_with_reordered_members_is_unchanged(
    readings: list[MemberReading], data: st.DataObject
) -> None:
    """The order of the members decides no value, not even a tie."""
    before = data.draw(st.sets(st.sampled_from([item.key for item in readings])))
    shuffled = data.draw(st.permutations(readings))
    for members in (len(readings), len(readings) + 1):
        assert read_bank(shuffled, members, before) == read_bank(
            readings, members, before
        )


@FEW
@given(banks())
def test_state_of_charge_of_any_members_is_between_theirs(
    readings: list[MemberReading],
) -> None:
    """Isolated members do not count."""
    bank = read_bank(readings, len(readings))
    active = [r.state_of_charge for r in readings if r.key not in bank.isolated]
    assert bank.state_of_charge is not None
    assert min(active) <= bank.state_of_charge <= max(active)


@FEW
@given(banks())
def test_totals_of_any_members_are_their_sums(readings: list[MemberReading]) -> None:
    """To the resolution that is shown."""
    bank = read_bank(readings, len(readings))
    assert bank.current == pytest.approx(sum(r.current for r in readings), abs=0.05001)
    assert bank.power == pytest.approx(
        sum(r.voltage * r.current for r in readings), abs=0.51
    )
    for shown, parts in (
        (bank.remaining_capacity, [r.remaining_capacity for r in readings]),
        (bank.full_capacity, [r.full_capacity for r in readings]),
    ):
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            assert shown is None
        else:
            assert shown == pytest.approx(sum(known), abs=0.05001)
    energies = [
        None if r.charge is None else stored_energy(r.charge, len(r.cells))
        for r in readings
    ]
    known = [energy for energy in energies if energy is not None]
    assert bank.stored_energy == (None if None in energies else sum(known))


@FEW
@given(banks(), st.integers(1, 15))
def test_sums_without_one_member_are_unknown(
    readings: list[MemberReading], missing: int
) -> None:
    """A sum of the others would be too small, and no problem would be reported."""
    bank = read_bank(readings, len(readings) + missing)
    assert not bank.is_complete
    assert {
        bank.current,
        bank.power,
        bank.remaining_capacity,
        bank.full_capacity,
        bank.stored_energy,
        bank.usable,
    } == {None}
    assert bank.protected is not False
    assert bank.too_cold is not False
    assert bank.state_of_charge is not None


@FEW
@given(banks(smallest=2))
def test_extremes_with_one_more_member_are_those_of_the_parts(
    readings: list[MemberReading],
) -> None:
    """Extremes of the whole are the extremes of the parts."""
    whole = read_bank(readings, len(readings))
    parts = [read_bank([reading], 1) for reading in readings]
    assert whole.lowest_cell is not None
    assert whole.highest_cell is not None
    assert whole.lowest_cell.millivolts == min(
        part.lowest_cell.millivolts for part in parts if part.lowest_cell
    )
    assert whole.highest_cell.millivolts == max(
        part.highest_cell.millivolts for part in parts if part.highest_cell
    )
    assert whole.cell_delta == max(part.cell_delta or 0 for part in parts)
    assert whole.state_of_health == min(r.state_of_health for r in readings)
    assert whole.spread == max(r.state_of_charge for r in readings) - min(
        r.state_of_charge for r in readings
    )


@FEW
@given(banks(smallest=2))
def test_isolation_of_all_members_is_impossible(readings: list[MemberReading]) -> None:
    """A battery is isolated only from others that carry the current."""
    bank = read_bank(readings, len(readings))
    assert len(bank.isolated) < len(readings)
    assert bank.voltage is not None


@given(
    st.dictionaries(
        st.sampled_from("ABCDEFGH"),
        st.tuples(st.floats(-200, 200), st.floats(10, 400)),
        min_size=2,
    )
)
def test_imbalance_in_any_unit_and_direction_is_the_same(
    parts: dict[str, tuple[float, float]],
) -> None:
    """Charging or discharging, capacities in Ah or in Wh."""
    currents = {key: current for key, (current, _) in parts.items()}
    capacities: dict[str, float | None] = {
        key: full for key, (_, full) in parts.items()
    }
    found = imbalance(currents, capacities)
    assert found == imbalance({key: -a for key, a in currents.items()}, capacities)
    assert found is None or found >= 0
    if abs(sum(currents.values())) < MIN_IMBALANCE_CURRENT - 1e-6:
        assert found is None


# --- where others got it wrong ------------------------------------------------------------


def test_aggregate_without_reporting_members_is_unknown() -> None:
    """Only the number of members is known then."""
    assert read_bank([], 3) == BankReading(members=3, reporting=0)
    assert not read_bank([], 0).is_complete


def test_averages_divide_by_the_number_of_reporting_members() -> None:
    """Neither by the number of members, nor by the largest possible one."""
    bank = read_bank([member("A"), member("B", state_of_charge=70)], 4)
    assert (bank.state_of_charge, bank.voltage) == (60.0, 13.2)
    assert (bank.reporting, bank.members) == (2, 4)


def test_state_of_charge_is_weighted_by_capacity() -> None:
    """90 % of 300 Ah and 10 % of 100 Ah are 280 of 400 Ah."""
    bank = read_bank(
        [
            member(
                "A", state_of_charge=90, full_capacity=300.0, remaining_capacity=270.0
            ),
            member(
                "B", state_of_charge=10, full_capacity=100.0, remaining_capacity=10.0
            ),
        ],
        2,
    )
    assert bank.state_of_charge == 70.0
    assert (bank.remaining_capacity, bank.full_capacity) == (280.0, 400.0)
    # Each battery's own, which is rounded to 10 Wh: as if they were added by hand.
    assert bank.stored_energy == 3460 + 130


def test_state_of_charge_without_a_capacity_is_the_plain_mean() -> None:
    """A weight of zero for one member would be a guess."""
    bank = read_bank(
        [member("A", state_of_charge=90, full_capacity=None), member("B")], 2
    )
    assert bank.state_of_charge == 70.0
    assert bank.full_capacity is None
    assert bank.usable == Charge(100.0, 100.0, 102.0, None)


def test_charge_that_is_not_measured_follows_from_the_state_of_charge() -> None:
    """For energy and time; the sum of what is measured stays unknown."""
    blind = member("B", remaining_capacity=None, charge=Charge(50, 49.5, 50.5, 100))
    bank = read_bank([member("A"), blind], 2)
    assert bank.remaining_capacity is None
    assert bank.stored_energy == 1280
    assert bank.usable == Charge(100, 99.5, 101.5, 200)
    assert read_bank([member("A"), replace(blind, charge=None)], 2).usable is None


def test_weakest_cell_is_shown_with_its_battery() -> None:
    """The smaller key where two are the same."""
    bank = read_bank(
        [
            member("B", cells=(3300, 3100, 3302, 3400)),
            member("A", cells=(3300, 3301, 3400, 3100)),
        ],
        2,
    )
    assert bank.lowest_cell == Cell("A", 4, 3100)
    assert bank.highest_cell == Cell("A", 3, 3400)
    assert bank.cell_delta == 300


def test_cell_difference_is_the_largest_within_one_battery() -> None:
    """What balancing has to even out lies within one pack."""
    bank = read_bank([member("A"), member("B", cells=(3400, 3401, 3401, 3402))], 2)
    assert bank.cell_delta == 3


def test_temperature_of_a_member_without_probes_is_left_out() -> None:
    """It says nothing about the temperature of the bank, or whether it is too cold."""
    blind = member(
        "B", lowest_temperature=None, highest_temperature=None, too_cold=None
    )
    bank = read_bank([member("A"), blind], 2)
    assert (bank.lowest_temperature, bank.highest_temperature) == (18, 21)
    assert bank.too_cold is None
    assert read_bank([member("A", too_cold=True), blind], 2).too_cold is True
    alone = read_bank([blind], 1)
    assert alone.lowest_temperature is alone.highest_temperature is None


def test_aggregate_of_last_values_says_that_no_member_reports() -> None:
    """The values stay, as all are released on purpose."""
    bank = read_bank([member("A"), member("B")], 2, last_values=True)
    assert bank.shows_last_values is True
    assert (bank.reporting, bank.state_of_charge) == (0, 50.0)
    reporting = read_bank([member("A"), member("B")], 2)
    assert reporting.shows_last_values is False
    assert reporting.reporting == 2


def test_spread_of_one_member_is_unknown() -> None:
    """It takes two to differ."""
    assert read_bank([member("A")], 1).spread is None
    two = [member("A"), member("B", state_of_charge=50)]
    assert read_bank(two, 2).spread == 0


def test_voltage_of_a_bank_has_two_decimals() -> None:
    """As each member reports it."""
    three = [member(key, voltage=13.21) for key in "AB"]
    assert read_bank([*three, member("C", voltage=13.2)], 3).voltage == 13.21


def test_problem_with_one_active_protection_is_on() -> None:
    """Also while another member does not report."""
    readings = [member("A"), member("B", protected=True)]
    assert read_bank(readings, 2).protected is True
    assert read_bank(readings, 3).protected is True
    assert read_bank(readings[:1], 1).protected is False


# --- isolated members ---------------------------------------------------------------------

EMPTY = {"state_of_charge": 0, "voltage": 10.0, "remaining_capacity": 0.0}


def test_isolated_member_is_left_out_of_the_averages() -> None:
    """Its 0 % is not the bank's 40 %, nor are its 10 V."""
    readings = [
        member("A", state_of_charge=80, current=-30.0),
        member("B", state_of_charge=80, current=-28.0),
        member("C", protected=True, **EMPTY),
    ]
    bank = read_bank(readings, 3)
    assert bank.isolated == {"C"}
    assert (bank.state_of_charge, bank.voltage) == (80.0, 13.2)
    assert bank.spread == 80
    assert bank.current == -58.0
    assert bank.usable == Charge(100, 100, 102, 200)
    assert bank.full_capacity == 300.0
    assert bank.active == 2


@pytest.mark.parametrize("current", [30.0, -30.0])
def test_member_whose_protection_ends_only_charging_is_not_isolated(
    current: float,
) -> None:
    """A bank at full charge: one pack stops at its cell overvoltage, and stays in it."""
    others = [
        member(key, current=current, state_of_charge=99, remaining_capacity=99.0)
        for key in "AB"
    ]
    full = member(
        "C",
        protected=True,
        ends_only_charging=True,
        state_of_charge=100,
        remaining_capacity=100.0,
    )
    assert full.is_blocked
    assert not full.is_cut_off
    bank = read_bank([*others, full], 3)
    assert bank.isolated == frozenset()
    assert bank.active == 3
    assert bank.protected
    assert bank.state_of_charge == pytest.approx(99.3)
    cut_off = replace(full, ends_only_charging=False)
    assert read_bank([*others, cut_off], 3).isolated == {"C"}


@pytest.mark.parametrize(
    ("change", "others"),
    [
        ({"protected": False, "current": 0.0}, -30.0),
        ({"protected": True, "current": -0.5}, -30.0),
        ({"protected": True, "current": 25.0}, -30.0),
        ({"protected": True, "current": 0.0}, -1.9),
        ({"protected": True, "current": 0.0}, 0.0),
    ],
)
def test_member_with_current_or_without_protection_is_not_isolated(
    change: dict[str, Any], others: float
) -> None:
    """While the others carry no current, no member can be found isolated."""
    readings = [member("A", current=others), member("B", **change)]
    assert read_bank(readings, 2).isolated == frozenset()
    assert read_bank(readings, 2).state_of_charge == 50.0


def test_small_shares_of_many_members_isolate_none() -> None:
    """Each battery may read 0 below about an ampere: a share has to be larger."""
    others = [member(key, current=-1.9) for key in "ABCDE"]
    cut_off = member("F", protected=True)
    assert read_bank([*others, cut_off], 6).isolated == frozenset()
    others = [member(key, current=-2.0) for key in "ABCDE"]
    assert read_bank([*others, cut_off], 6).isolated == {"F"}


def test_isolated_member_stays_isolated_until_it_carries_current() -> None:
    """Also over night, while no member carries a current."""
    idle = [member("A"), member("B", protected=True)]
    assert read_bank(idle, 2).isolated == frozenset()
    assert read_bank(idle, 2, {"B"}).isolated == {"B"}
    assert read_bank([member("A"), member("B")], 2, {"B"}).isolated == frozenset()
    working = [member("A", current=-9.0), member("B", protected=True, current=-9.0)]
    assert read_bank(working, 2, {"B"}).isolated == frozenset()


def test_isolated_member_that_does_not_report_stays_isolated() -> None:
    """A missing report says nothing about whether it is connected again."""
    for others in (0.0, -30.0):
        bank = read_bank([member("A", current=others)], 2, {"B"})
        assert bank.isolated == {"B"}
        assert bank.active == 1
        assert bank.state_of_charge == 50.0
        assert bank.current is bank.usable is None
    assert read_bank([], 2, {"B"}) == BankReading(
        members=2, reporting=0, isolated=frozenset("B")
    )


def test_aggregate_of_one_isolated_member_is_unknown() -> None:
    """An isolated member alone is no bank with a state of charge."""
    bank = read_bank([member("B", protected=True)], 2, {"B"})
    assert bank.state_of_charge is bank.voltage is None
    assert bank.lowest_cell is not None


# --- imbalance ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("currents", "capacities", "expected"),
    [
        ((-20.0, -20.0), (100.0, 100.0), 0),
        ((-30.0, -10.0), (100.0, 100.0), 50),
        ((30.0, 10.0), (100.0, 100.0), 50),
        ((-30.0, -10.0), (300.0, 100.0), 0),
        ((-20.0, -20.0), (300.0, 100.0), 100),
        ((-30.0, -10.0), (None, 100.0), 50),
        ((-30.0, 10.0), (100.0, 100.0), 200),
        ((-40.0, 0.0), (100.0, 100.0), 100),
        ((-3.0, -1.9), (100.0, 100.0), None),
        ((-3.0, -2.0), (100.0, 100.0), 20),
        ((50.0, -50.0), (100.0, 100.0), None),
        ((-50.0,), (100.0,), None),
    ],
)
def test_imbalance_is_the_deviation_from_a_fair_share(
    currents: tuple[float, ...],
    capacities: tuple[float | None, ...],
    expected: int | None,
) -> None:
    """Fair is by capacity, and too little current tells nothing."""
    assert (
        imbalance(
            dict(zip("ABC", currents, strict=False)),
            dict(zip("ABC", capacities, strict=False)),
        )
        == expected
    )


# --- times --------------------------------------------------------------------------------


def runtime(readings: list[MemberReading], members: int | None = None) -> Runtime:
    """Return the times after a while under the same load."""
    bank = read_bank(readings, members or len(readings))
    assert bank.current is not None
    found = Runtime()
    for number in range(int(2 * SETTLING / POLL_INTERVAL)):
        found.add(
            number * POLL_INTERVAL,
            bank.current,
            bank.usable,
            POLL_INTERVAL,
            bank.active,
        )
    return found


LOADS = st.lists(
    st.tuples(st.integers(10, 2000), st.integers(5, 95)), min_size=1, max_size=6
)


@FEW
@given(LOADS, st.sampled_from([-1, 1]))
def test_runtime_of_a_bank_is_between_those_of_its_members(
    loads: list[tuple[int, int]], sign: int
) -> None:
    """No longer than the longest, no shorter than the shortest."""
    readings = [
        member(
            f"A{number}",
            current=sign * tenths / 10,
            state_of_charge=percent,
            remaining_capacity=float(percent),
        )
        for number, (tenths, percent) in enumerate(loads)
    ]
    bank = runtime(readings)
    parts = [runtime([reading]) for reading in readings]
    if sign < 0:
        whole, each = bank.minutes_to_empty, [part.minutes_to_empty for part in parts]
        assert bank.minutes_to_full is None
    else:
        whole, each = bank.minutes_to_full, [part.minutes_to_full for part in parts]
        assert bank.minutes_to_empty is None
    known = [minutes for minutes in each if minutes is not None]
    assert len(known) == len(readings)
    assert whole is not None
    # The charge is counted within its steps, which are wider for all than for one.
    assume(min(known) > 0)
    assert min(known) * 0.9 <= whole <= max(known) * 1.1


@FEW
@given(st.integers(1, 16), st.integers(10, 2000), st.integers(5, 95))
def test_runtime_of_equal_members_is_that_of_one(
    count: int, tenths: int, percent: int
) -> None:
    """However many there are: the threshold of idle grows with their number."""
    readings = [
        member(f"A{number:02}", current=-tenths / 10, remaining_capacity=float(percent))
        for number in range(count)
    ]
    assert runtime(readings).minutes_to_empty == pytest.approx(
        runtime(readings[:1]).minutes_to_empty
    )


def test_runtime_below_an_ampere_for_each_member_is_unknown() -> None:
    """Each may read 0 below about an ampere, so less tells nothing."""
    nearly = [member("A", current=-1.9), member("B")]
    assert runtime(nearly).minutes_to_empty is None
    assert runtime(nearly[:1]).minutes_to_empty is not None
    enough = [member("A", current=-2.0), member("B")]
    assert runtime(enough).minutes_to_empty is not None


def test_runtime_of_a_bank_leaves_out_an_isolated_member() -> None:
    """An isolated battery can be neither charged nor discharged."""
    others = [
        member("A", current=-20.0, state_of_charge=80, remaining_capacity=80.0),
        member("C", current=-20.0, state_of_charge=80, remaining_capacity=80.0),
    ]
    cut_off = member("B", protected=True, remaining_capacity=100.0)
    assert (
        runtime([*others, cut_off]).minutes_to_empty == runtime(others).minutes_to_empty
    )


def test_runtime_with_one_active_member_uses_its_threshold() -> None:
    """With all others isolated, an ampere and a half is a load."""
    bank = read_bank(
        [member("A", current=-2.0), member("B", protected=True)], 2, frozenset()
    )
    assert (bank.isolated, bank.active) == ({"B"}, 1)


@pytest.mark.parametrize(
    ("allowed", "members", "expected"),
    [
        ((True, True), 2, True),
        ((True, False), 2, False),
        ((None, False), 3, False),
        ((True, None), 2, None),
        ((True, True), 3, None),
    ],
)
def test_bank_may_be_used_when_every_member_may(
    allowed: tuple[bool | None, ...], members: int, expected: bool | None
) -> None:
    """One that is not known is never taken for allowed."""
    readings = [
        member(f"{number}", may_charge=each, may_discharge=each)
        for number, each in enumerate(allowed)
    ]
    bank = read_bank(readings, members)
    assert (bank.may_charge, bank.may_discharge) == (expected, expected)
