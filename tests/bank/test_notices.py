"""Repair issues about a bank: when they are created, and when they end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from hypothesis import given, strategies as st
import pytest

from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir

from .harness import async_setup_bank, packs
from .test_entities import PROTECTED
from custom_components.voltgo_vlrv.bank.module_ids import (
    FIRST,
    LAST,
    ModuleId,
    is_conflict,
    plan,
)
from custom_components.voltgo_vlrv.bank.notices import (
    ISOLATED_FOR,
    BankSnapshot,
    MemberSnapshot,
    notices,
)
from custom_components.voltgo_vlrv.bank.rest_comparison import Difference
from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import discovered, settle, value, wait_for_poll, wait_until

# --- module IDs, plain ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reported", "expected"),
    [
        ([], {}),
        ([1], {}),
        ([1, 2], {}),
        ([2, 1, 7], {}),
        ([1, 1], {"B": 2}),
        ([1, 1, 1], {"B": 2, "C": 3}),
        ([1, 2, 2], {"C": 3}),
        ([2, 1, 1], {"C": 3}),
        ([2, 3], {"A": 1}),
        ([2, 2], {"B": 1}),
        ([3, 3], {"B": 1}),
        ([None, 3], {}),
        ([None, 1], {}),
        ([None, None], {}),
        # No other battery takes 1 from the one that may have it.
        ([None, 3, 3], {"C": 2}),
        ([None, 2, 2], {"C": 3}),
        ([1, None, 1], {"C": 2}),
    ],
)
def test_module_id_plan_changes_as_few_batteries_as_possible(
    reported: list[int | None], expected: dict[str, int]
) -> None:
    """An unknown ID is neither blamed nor counted on."""
    members = [
        ModuleId(key, number) for key, number in zip("ABC", reported, strict=False)
    ]
    assert plan(members) == expected


def test_module_id_plan_keeps_a_pending_id() -> None:
    """It waits for its power cycle; another proposal would send the user in circles."""
    assert plan([ModuleId("A", 1), ModuleId("B", 1, 9)]) == {"B": 9}
    assert plan([ModuleId("A", 1, 5), ModuleId("B", 1)]) == {"A": 5}
    assert plan([ModuleId("A", 2, 5), ModuleId("B", 2, 5)]) == {"A": 5, "B": 1}


def test_module_id_plan_with_an_unknown_id_leaves_the_first_to_it() -> None:
    """After a restart with battery 1 away: the same answer as when it is back."""
    away = [ModuleId("A", None), ModuleId("B", 2), ModuleId("C", 2)]
    assert plan(away) == plan([ModuleId("A", 1), *away[1:]]) == {"C": 3}
    # What the user has set already stays.
    assert plan([*away[:2], ModuleId("C", 2, 1)]) == {"C": 1}


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(FIRST, LAST), st.none() | st.integers(FIRST, LAST)
        ),
        max_size=LAST,
    )
)
def test_module_id_plan_that_is_followed_ends_the_conflict(
    numbers: list[tuple[int | None, int | None]],
) -> None:
    """There is a plan exactly when there is a conflict."""
    members = [ModuleId(str(index), *number) for index, number in enumerate(numbers)]
    changes = plan(members)
    assert bool(changes) is is_conflict(members)
    after = [
        ModuleId(member.key, changes.get(member.key, member.reported))
        for member in members
    ]
    assert not is_conflict(after)
    assert all(FIRST <= number <= LAST for number in changes.values())


# --- module IDs, in Home Assistant -------------------------------------------------------------


async def test_module_id_issue_without_an_inverter_is_not_created(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """All have 1 when they come out of the box (manual 6: no further action)."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2, module_id=1))
    await wait_for_poll()
    assert bank.issues == {}


async def test_module_id_issue_for_a_duplicate_ends_when_it_is_reported_changed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With what to set; and gone when the battery reports it, not when it was sent."""
    bank = await async_setup_bank(
        hass, bluetooth_env, packs(2, module_id=1), inverter=True
    )
    await wait_for_poll()
    expected = {
        "bank_module_ids": {
            "bank": "House bank",
            "changes": "- ZT-12.8V100Ah-0002: 1 → 2",
        }
    }
    assert bank.issues == expected
    entry = bank.batteries[1].entry
    # A battery that is set up again has not reported its ID yet; it is still the same.
    removed: list[str] = []

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["action"] == "remove":
            removed.append(event.data["issue_id"])

    hass.bus.async_listen(ir.EVENT_REPAIRS_ISSUE_REGISTRY_UPDATED, note)
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_until(lambda: entry.runtime_data.settings.module_id is not None)
    await settle(hass)
    assert bank.issues == expected
    assert not [issue for issue in removed if issue.startswith("bank_")]
    await entry.runtime_data.settings.async_set_module_id(7)
    await settle(hass)
    expected["bank_module_ids"]["changes"] = "- ZT-12.8V100Ah-0002: 1 → 7"
    assert bank.issues == expected
    await bank.batteries[1].peripheral.power_cycle()
    await wait_until(lambda: not bank.issues, 120)
    assert bank.coordinator.members[bank.batteries[1].address].module_id == 7


async def test_module_id_issue_without_a_first_id_follows_the_option(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Then no battery talks to the inverter. The option takes the issue back."""
    pair = packs(2)
    for number, pack in enumerate(pair, 4):
        pack.settings.module_id = number
    bank = await async_setup_bank(hass, bluetooth_env, pair, inverter=True)
    await wait_for_poll()
    assert bank.issues == {
        "bank_module_ids": {
            "bank": "House bank",
            "changes": "- ZT-12.8V100Ah-0001: 4 → 1",
        }
    }
    options = hass.config_entries.options
    result = await options.async_init(bank.entry.entry_id)
    await options.async_configure(
        result["flow_id"], {"inverter": False, "low_battery": 20}
    )
    await settle(hass)
    assert bank.issues == {}


# --- the others --------------------------------------------------------------------------------


async def test_isolation_issue_lasts_as_long_as_the_isolation(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not for a protection that releases by itself."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    bank.batteries[0].set_reported(current=-20.0)
    bank.batteries[1].set_reported(**PROTECTED)
    await wait_for_poll()
    assert bank.coordinator.data.isolated
    await asyncio.sleep(60)
    assert bank.issues == {}
    await asyncio.sleep(90)
    charges = [
        value(hass, battery.pack.address, "state_of_charge")
        for battery in bank.batteries
    ]
    assert bank.issues == {
        "bank_isolated": {
            "bank": "House bank",
            "name": "ZT-12.8V100Ah-0002",
            "charge": charges[1],
            "others": charges[0],
        }
    }
    (issue,) = (
        issue
        for issue in ir.async_get(hass).issues.values()
        if issue.translation_key == "bank_isolated"
    )
    assert issue.severity is ir.IssueSeverity.ERROR
    assert not issue.is_fixable
    bank.batteries[1].pack.override = None
    await wait_for_poll()
    assert bank.issues == {}


@pytest.mark.parametrize(
    ("second", "line"),
    [
        ({"capacity": 200.0}, "Voltgo VLRV2560A, 200 Ah"),
        ({"name": "BB-12.8V100Ah-0002"}, "BigBattery TC-4S100-V1.0, 100 Ah"),
        ({"model": "TC\0\0-4S100-V2.0"}, None),
        ({"capacity": 108.0}, None),
    ],
)
async def test_different_batteries_issue_names_the_difference(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    second: dict[str, Any],
    line: str | None,
) -> None:
    """Another board revision, or a capacity that was learned, is no other battery."""
    one, _ = packs(2)
    _, other = packs(2, **second)
    bank = await async_setup_bank(hass, bluetooth_env, [one, other])
    await wait_for_poll()
    found = bank.issues
    if line is None:
        assert found == {}
    else:
        batteries = found["bank_mixed"]["batteries"].splitlines()
        assert batteries == [
            "- ZT-12.8V100Ah-0001: Voltgo VLRV1280A, 100 Ah",
            f"- {other.name}: {line}",
        ]


# --- which issues a bank should have, plain -------------------------------------------------


def snapshot(
    *members: MemberSnapshot,
    inverter: bool = False,
    differences: Collection[Difference] = (),
) -> BankSnapshot:
    """Return a bank of these members."""
    return BankSnapshot(
        entry_id="bank",
        title="House bank",
        has_inverter=inverter,
        differ_at_rest=differences,
        members=members,
    )


def member(number: int, **changes: Any) -> MemberSnapshot:
    """Return a member of the usual model whose module ID is its number."""
    return replace(
        MemberSnapshot(
            address=f"A{number}",
            name=f"Battery {number}",
            entry_id=f"entry{number}",
            info=BatteryInfo(name="ZT-1", cell_count=4, full_capacity=100.0),
            module_id=number,
            pending_module_id=None,
            isolated_for=None,
            state_of_charge=50 + number,
            voltage=None,
        ),
        **changes,
    )


def test_issues_of_a_bank_without_fault_are_none() -> None:
    """Neither with an inverter nor without one."""
    pair = (member(1), member(2))
    assert list(notices(snapshot(*pair))) == []
    assert list(notices(snapshot(*pair, inverter=True))) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"isolated_for": ISOLATED_FOR}, ["bank_isolated_bank_entry2"]),
        ({"isolated_for": ISOLATED_FOR - 1}, []),
        ({"isolated_for": ISOLATED_FOR, "entry_id": None}, []),
        ({"module_id": 1}, ["bank_module_ids_bank"]),
        ({"module_id": 1, "pending_module_id": 2}, ["bank_module_ids_bank"]),
        ({"module_id": None}, []),
        (
            {"info": BatteryInfo(name="ZT-1", cell_count=8, full_capacity=100.0)},
            ["bank_mixed_bank"],
        ),
        (
            {"info": BatteryInfo(name="ZT-1", cell_count=4, full_capacity=121.0)},
            ["bank_mixed_bank"],
        ),
        ({"info": BatteryInfo(name="ZT-1", cell_count=4, full_capacity=119.0)}, []),
        ({"info": BatteryInfo(name="ZT-1", cell_count=4, full_capacity=None)}, []),
        ({"info": None}, []),
    ],
)
def test_issues_of_a_changed_member_name_the_cause(
    changes: dict[str, Any], expected: list[str]
) -> None:
    """Each cause has an issue of its own, and an unknown value is no cause."""
    pair = (member(1), member(2, **changes))
    found = [notice.issue_id for notice in notices(snapshot(*pair, inverter=True))]
    assert found == expected


@pytest.mark.parametrize(
    ("difference", "key"),
    [
        (Difference.CHARGE, "bank_full_charge_needed"),
        (Difference.VOLTAGE, "bank_not_parallel"),
    ],
)
def test_issue_of_members_that_differ_at_rest_shows_all(
    difference: Difference, key: str
) -> None:
    """Which of them is wrong is not known."""
    pair = (member(1, voltage=13.2), member(2, state_of_charge=None))
    (found,) = notices(snapshot(*pair, differences={difference}))
    assert (found.issue_id, found.translation_key) == (f"{key}_bank", key)
    assert found.placeholders == {
        "bank": "House bank",
        "batteries": "- Battery 1: 51%, 13.20 V\n- Battery 2: ?%, ? V",
    }


def test_issue_of_an_isolated_member_is_an_error_and_others_are_warnings() -> None:
    """Connecting an isolated battery to the others is dangerous."""
    single = snapshot(member(1, isolated_for=ISOLATED_FOR, module_id=2), inverter=True)
    assert {n.translation_key: n.severity for n in notices(single)} == {
        "bank_isolated": "error",
        "bank_too_small": "warning",
        "bank_module_ids": "warning",
    }


@pytest.mark.parametrize(
    ("charges", "expected"),
    [
        ((40, 62, 62), ("40", "62")),
        ((40, 62, 55), ("40", "55–62")),
        ((40, None, 55), ("40", "55")),
        ((None, None, None), ("?", "?")),
    ],
)
def test_issue_of_an_isolated_member_names_both_states_of_charge(
    charges: tuple[int | None, ...], expected: tuple[str, str]
) -> None:
    """Connecting batteries is safe only where they match; an unknown one is no 0 %."""
    trio = [
        member(number, state_of_charge=charge)
        for number, charge in enumerate(charges, 1)
    ]
    trio[0] = replace(trio[0], isolated_for=ISOLATED_FOR)
    (notice,) = notices(snapshot(*trio))
    assert (notice.placeholders["charge"], notice.placeholders["others"]) == expected


def test_issue_of_mixed_members_leaves_out_an_unknown_capacity() -> None:
    """It is not shown as 0 Ah, and a name from the air brings no markup."""
    info = BatteryInfo(name="ZT-1", cell_count=8, full_capacity=None, board="<b>X*1")
    (notice,) = notices(snapshot(member(1), member(2, info=info)))
    first, second = notice.placeholders["batteries"].splitlines()
    assert first.startswith("- Battery 1: ")
    assert first.endswith(", 100 Ah")
    assert second.startswith("- Battery 2: ")
    assert "Ah" not in second
    assert not set("<>[]*`") & set(second)


async def test_single_battery_issue_lasts_until_the_bank_has_two(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also over a restart; the batteries that are left are not its fault."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3))
    first, second, third = bank.batteries
    await first.remove()
    await settle(hass)
    assert bank.issues == {}
    await second.remove()
    await settle(hass)
    assert bank.issues == {"bank_too_small": {"bank": "House bank"}}
    await bank.unload()
    assert bank.issues == {}
    await bank.setup()
    assert bank.issues == {"bank_too_small": {"bank": "House bank"}}
    again = await discovered(hass, second.address)
    await hass.config_entries.flow.async_configure(again["flow_id"], {})
    await settle(hass)
    await bank.reconfigure("House bank", [second.address, third.address])
    assert bank.issues == {}
