"""Adding, offering, changing and removing a bank: what a user sees."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeassistant.config_entries import (
    SOURCE_IGNORE,
    SOURCE_INTEGRATION_DISCOVERY,
    ConfigEntryState,
    ConfigFlowResult,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er

from .harness import (
    async_add_bank,
    async_setup_bank,
    async_setup_batteries,
    open_add,
    packs,
)
from custom_components.voltgo_vlrv.bank import config_flow as bank_flow
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.entries import async_batteries, members_of
from custom_components.voltgo_vlrv.options import records_every_change
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    POLL_INTERVAL,
    add_discovered,
    battery,
    device_of,
    finish_progress,
    flows,
    settle,
    wait_for_poll,
)


def choices(result: ConfigFlowResult) -> list[str]:
    """Return the members on offer."""
    schema = result["data_schema"]
    assert schema is not None
    return [option["value"] for option in schema.schema["members"].config["options"]]


def suggested(result: ConfigFlowResult) -> list[str]:
    """Return the members that are ticked already."""
    schema = result["data_schema"]
    assert schema is not None
    (key,) = (key for key in schema.schema if key == "members")
    return list(key.description["suggested_value"])


def offers(hass: HomeAssistant) -> list[Any]:
    """Return the discovery flows of a bank, as a user sees them."""
    return [
        flow
        for flow in flows(hass)
        if flow["context"]["source"] == SOURCE_INTEGRATION_DISCOVERY
    ]


# --- by hand ----------------------------------------------------------------------------


async def test_user_step_with_two_batteries_shows_the_menu(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With one battery, banks are not mentioned."""
    pair = packs(2)
    await async_setup_batteries(hass, bluetooth_env, pair[:1])
    await bluetooth_env.add_battery(pair[1])
    await bluetooth_env.heard(pair[1].address)
    result = await open_add(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    hass.config_entries.flow.async_abort(result["flow_id"])

    await add_discovered(hass, pair[1].address)
    result = await open_add(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "add")


async def test_menu_choice_of_a_battery_leads_to_the_battery_form(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also after a battery that could not be reached: not back to the menu."""
    await async_setup_batteries(hass, bluetooth_env, packs(2))
    third = battery("driving_load")
    peripheral = await bluetooth_env.add_battery(third)
    await bluetooth_env.heard(third.address)
    result = await open_add(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "add")
    assert result["menu_options"] == ["battery", "bank"]
    flow = hass.config_entries.flow
    result = await flow.async_configure(result["flow_id"], {"next_step_id": "battery"})
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    await peripheral.stop()
    pick = {"address": third.address}
    result = await finish_progress(
        hass, await flow.async_configure(result["flow_id"], pick)
    )
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    assert result["errors"]
    await peripheral.start()
    await bluetooth_env.heard(third.address, after=hass.loop.time())
    result = await finish_progress(
        hass, await flow.async_configure(result["flow_id"], pick)
    )
    assert result["step_id"] == "confirm"


async def test_bank_that_is_added_is_a_service_device_with_its_members(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """No connection is made for it."""
    pair = await async_setup_batteries(hass, bluetooth_env, packs(2))
    connections = [item.connections for item in bluetooth_env.peripherals.values()]
    result = await open_add(hass)
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": "bank"}
    )
    addresses = [battery.address for battery in pair]
    assert choices(result) == suggested(result) == addresses
    hass.config_entries.flow.async_abort(result["flow_id"])

    bank = await async_add_bank(hass, pair)
    assert bank.entry.state is ConfigEntryState.LOADED
    assert bank.entry.title == "House bank"
    device = bank.device
    assert device.entry_type is dr.DeviceEntryType.SERVICE
    assert (device.name, device.manufacturer) == ("House bank", "Voltgo")
    assert device.model == "2 × VLRV1280A"
    assert not device.connections
    for address in addresses:
        assert device_of(hass, address).via_device_id == device.id
    await wait_for_poll()
    assert [
        item.connections for item in bluetooth_env.peripherals.values()
    ] == connections
    assert offers(hass) == []


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ([0], "too_few_members"),
        ([], "too_few_members"),
        ([0, 1, 2], "different_voltage"),
        ([0, 3], "members_changed"),
    ],
)
async def test_bank_form_with_invalid_input_shows_the_error(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    members: list[int],
    error: str,
) -> None:
    """The form keeps what was filled in."""
    pair = packs(2)
    other = battery("driving_load")
    batteries = await async_setup_batteries(hass, bluetooth_env, [*pair, other])
    addresses = [*(pack.address for pack in [*pair, other]), "A4:C1:37:00:0A:99"]
    result = await open_add(hass)
    flow = hass.config_entries.flow
    result = await flow.async_configure(result["flow_id"], {"next_step_id": "bank"})
    picked = [addresses[number] for number in members]
    if error == "members_changed":
        # It was there when the form was opened.
        picked = [pair[0].address, other.address]
        await batteries[2].remove()
        await hass.async_block_till_done()
        handler = flow._progress[result["flow_id"]]
        result = await handler.async_step_bank(
            {"name": "x", "members": picked, "inverter": False}
        )
    else:
        result = await flow.async_configure(
            result["flow_id"], {"name": "x", "members": picked, "inverter": False}
        )
    assert result["errors"] == {"members": error}
    assert suggested(result) == picked


async def test_bank_form_with_more_batteries_than_module_ids_shows_the_error(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Otherwise the bank could not be numbered."""
    assert bank_flow.MAX_MEMBERS == 16
    # Fewer do, so that not 17 batteries have to be added.
    monkeypatch.setattr(bank_flow, "MAX_MEMBERS", 2)
    trio = packs(3)
    await async_setup_batteries(hass, bluetooth_env, trio)
    result = await open_add(hass)
    flow = hass.config_entries.flow
    result = await flow.async_configure(result["flow_id"], {"next_step_id": "bank"})
    picked = [pack.address for pack in trio]
    filled = {"name": "x", "members": picked, "inverter": False}
    result = await flow.async_configure(result["flow_id"], filled)
    assert result["errors"] == {"members": "too_many_members"}
    result = await flow.async_configure(
        result["flow_id"], {**filled, "members": picked[:2]}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_bank_form_offers_only_batteries_without_a_bank(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With fewer than two left, no bank can be added."""
    four = await async_setup_batteries(hass, bluetooth_env, packs(4))
    addresses = [item.address for item in four]
    first = await async_add_bank(hass, four[:2])
    result = await open_add(hass)
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": "bank"}
    )
    assert choices(result) == addresses[2:]
    hass.config_entries.flow.async_abort(result["flow_id"])
    result = await first.open_reconfigure()
    assert choices(result) == addresses
    hass.config_entries.flow.async_abort(result["flow_id"])

    second = await async_add_bank(hass, four[2:])
    assert second.entry.unique_id != first.entry.unique_id
    other = await bluetooth_env.add_battery(battery("driving_load"))
    await bluetooth_env.heard(other.address)
    result = await open_add(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    handler = hass.config_entries.flow._progress[result["flow_id"]]
    result = await handler.async_step_bank()
    assert (result["type"], result["reason"]) == (
        FlowResultType.ABORT,
        "too_few_batteries",
    )


# --- offered ----------------------------------------------------------------------------


async def test_discovery_of_a_bank_with_two_batteries_of_a_model_starts_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not with the first, nor with one of another model; a third one is included."""
    three = packs(3)
    await async_setup_batteries(
        hass, bluetooth_env, [three[0], battery("driving_load")]
    )
    assert offers(hass) == []
    await async_setup_batteries(hass, bluetooth_env, three[1:2])
    (offer,) = offers(hass)
    assert offer["context"]["unique_id"] == "bank_VLRV1280A"
    assert offer["context"]["title_placeholders"] == {
        "name": "Battery bank (VLRV1280A)"
    }
    await async_setup_batteries(hass, bluetooth_env, three[2:])
    (offer,) = offers(hass)
    result = await hass.config_entries.flow.async_configure(offer["flow_id"])
    assert result["step_id"] == "bank"
    addresses = [pack.address for pack in three]
    assert suggested(result) == addresses
    result = await hass.config_entries.flow.async_configure(
        offer["flow_id"], {"name": " ", "members": addresses, "inverter": True}
    )
    await settle(hass)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Battery bank"
    assert result["result"].unique_id == "bank_VLRV1280A"
    assert result["result"].options == {"inverter": True}
    assert offers(hass) == []
    # Neither a restart of a battery nor one more brings it back.
    for entry in async_batteries(hass):
        await hass.config_entries.async_reload(entry.entry_id)
    await settle(hass)
    assert offers(hass) == []


async def test_discovery_of_a_bank_that_was_ignored_stays_ignored(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also after a restart; and a bank can still be added by hand."""
    pair = await async_setup_batteries(hass, bluetooth_env, packs(2))
    (offer,) = offers(hass)
    await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_IGNORE},
        data={"unique_id": offer["context"]["unique_id"], "title": "Battery bank"},
    )
    await settle(hass)
    assert offers(hass) == []
    for item in pair:
        await item.reload()
    await settle(hass)
    assert offers(hass) == []
    bank = await async_add_bank(hass, pair)
    assert bank.entry.state is ConfigEntryState.LOADED


async def test_discovery_of_a_bank_without_two_batteries_ends(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Because a battery was removed, or is in a bank that was made by hand."""
    three = packs(3)
    first, second = await async_setup_batteries(hass, bluetooth_env, three[:2])
    assert len(offers(hass)) == 1
    await first.remove()
    await settle(hass)
    assert offers(hass) == []
    (third,) = await async_setup_batteries(hass, bluetooth_env, three[2:])
    assert len(offers(hass)) == 1
    await async_add_bank(hass, [second, third])
    assert offers(hass) == []


async def test_discovery_of_a_deleted_bank_is_not_repeated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Until there is one more battery; by hand it can be added at any time."""
    four = packs(4)
    addresses = [pack.address for pack in four]
    batteries = await async_setup_batteries(hass, bluetooth_env, four[:3])
    bank = await async_add_bank(hass, batteries[:2])
    await bank.remove()
    await settle(hass)
    for item in batteries:
        await item.reload()
    await settle(hass)
    # The third was there when the user decided.
    assert offers(hass) == []
    bank = await async_add_bank(hass, batteries[:2])
    assert bank.entry.state is ConfigEntryState.LOADED
    await bank.remove()
    await settle(hass)
    (fourth,) = await async_setup_batteries(hass, bluetooth_env, four[3:])
    (offer,) = offers(hass)
    result = await hass.config_entries.flow.async_configure(offer["flow_id"])
    assert suggested(result) == addresses
    # Without the one that is new, it is as it was.
    await fourth.remove()
    await settle(hass)
    assert offers(hass) == []


async def test_discovery_of_a_bank_leaves_out_a_disabled_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """When it is enabled again, it counts."""
    pair = packs(2)
    (first,) = await async_setup_batteries(hass, bluetooth_env, pair[:1])
    await first.set_disabled(True)
    await async_setup_batteries(hass, bluetooth_env, pair[1:])
    assert offers(hass) == []
    result = await open_add(hass)
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"next_step_id": "bank"}
    )
    assert choices(result) == [pack.address for pack in pair]
    assert suggested(result) == [pair[1].address]
    hass.config_entries.flow.async_abort(result["flow_id"])
    await first.set_disabled(False)
    await settle(hass)
    assert len(offers(hass)) == 1


# --- changed and removed ------------------------------------------------------------------


async def test_reconfigure_of_a_bank_changes_name_and_members(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The entities keep their names, and a former member no longer belongs to it."""
    three = await async_setup_batteries(hass, bluetooth_env, packs(3))
    addresses = [battery.address for battery in three]
    bank = await async_add_bank(hass, three[:2])

    def entities() -> set[str]:
        return {item.entity_id for item in bank.registered.values()}

    before = entities()
    result = await bank.reconfigure("Starter", addresses[1:])
    assert result["reason"] == "reconfigure_successful"
    assert bank.entry.title == "Starter"
    assert members_of(bank.entry) == tuple(addresses[1:])
    assert entities() == before
    device = bank.device
    assert device.name == "Starter"
    assert device_of(hass, addresses[0]).via_device_id is None
    assert device_of(hass, addresses[2]).via_device_id == device.id
    assert bank.shown("batteries_reporting") == "2"

    result = await bank.reconfigure("x", addresses[:1])
    assert result["errors"] == {"members": "too_few_members"}


async def test_reconfigure_of_a_battery_aborts(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The button is there for all entries of an integration."""
    (single,) = await async_setup_batteries(hass, bluetooth_env, packs(1))
    result = await single.open_reconfigure()
    assert (result["type"], result["reason"]) == (
        FlowResultType.ABORT,
        "battery_not_reconfigured",
    )


async def test_options_of_a_bank_apply_at_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """They are others than those of a battery."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    assert bank.shown("low_battery") == "off"
    options = hass.config_entries.options
    result = await options.async_init(bank.entry.entry_id)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "bank")
    chosen = {
        "inverter": True,
        "low_battery": 55,
        "reserve": 30,
        "record_every_change": True,
    }
    await options.async_configure(result["flow_id"], chosen)
    await settle(hass)
    assert bank.entry.options == chosen
    # They are what the form begins with the next time.
    result = await options.async_init(bank.entry.entry_id)
    assert result["description_placeholders"] == {"name": "House bank"}
    schema = result["data_schema"]
    assert schema is not None
    assert schema({}) == chosen
    assert records_every_change(bank.entry)
    assert bank.coordinator.reserve == 30
    assert bank.shown("low_battery") == "on"
    assert bank.coordinator.has_inverter
    result = await options.async_init(bank.batteries[0].entry.entry_id)
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "init")


async def test_bank_that_is_removed_leaves_its_batteries(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    hass_storage: dict[str, Any],
) -> None:
    """With their connections, their values and no reference to the bank."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    # Unloading saves what there is to save.
    await bank.unload()
    assert [key for key in hass_storage if bank.entry.entry_id in key]
    await bank.remove()
    await settle(hass)
    for member in bank.batteries:
        assert device_of(hass, member.address).via_device_id is None
        assert member.shown("state_of_charge") == "50"
    assert not [
        item
        for item in er.async_get(hass).entities.values()
        if item.config_entry_id == bank.entry.entry_id
    ]
    assert not dr.async_entries_for_config_entry(
        dr.async_get(hass), bank.entry.entry_id
    )
    assert not [key for key in hass_storage if bank.entry.entry_id in key]
    bank.batteries[0].pack.demand_current = -20.0
    await wait_for_poll()
    assert bank.batteries[0].shown("current") == "-20.0"


async def test_bank_without_a_removed_battery_continues(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With the other members, also if only one is left."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3))
    for member, left in zip(bank.batteries, (2, 1, 0), strict=True):
        await member.remove()
        await settle(hass)
        assert bank.entry.state is ConfigEntryState.LOADED
        assert len(members_of(bank.entry)) == left
        assert bank.shown("batteries_reporting") == str(left)
        assert bank.shown("remaining_capacity") == (
            f"{50.0 * left}" if left else "unavailable"
        )
    assert bank.shown("battery_missing") == "off"


async def test_bank_that_loads_before_its_members_follows_them(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Members may be loaded, unloaded and loaded again."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    for entry in bank.entries:
        await hass.config_entries.async_unload(entry.entry_id)
    await bank.setup()
    await settle(hass)
    assert bank.shown("batteries_reporting") == "0"
    assert bank.shown("state_of_charge") == "unavailable"
    # No connection was tried yet: nothing is known to be missing.
    assert bank.shown("battery_missing") == "unknown"
    for member in bank.batteries:
        await member.setup()
    await bank.wait_reporting(2, 60)
    assert bank.shown("battery_missing") == "off"
    assert bank.shown("remaining_capacity") == "100.0"

    first = bank.batteries[0]
    await first.reload()
    await bank.wait_reporting(2, 60)

    await first.set_disabled(True)
    await settle(hass)
    assert bank.shown("batteries_reporting") == "1"
    assert bank.shown("battery_missing") == "on"
    assert bank.shown("remaining_capacity") == "unknown"
    await first.set_disabled(False)
    await bank.wait_reporting(2, 60)
    assert bank.shown("remaining_capacity") == "100.0"


async def test_bank_does_not_change_poll_phases_and_action_targets(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A bank is not polled, and stands for its members as a target."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    await asyncio.sleep(60)
    first, second = (
        member.entry.runtime_data.statistics.last_sample_time or 0.0
        for member in bank.batteries
    )
    # Home Assistant moves each poll by up to a second: it schedules in whole seconds and
    # adds a fraction of its own.
    assert (second - first) % POLL_INTERVAL == pytest.approx(POLL_INTERVAL / 2, abs=2.0)
    assert not any(member.connection.is_released for member in bank.batteries)
    await bank.release()
    await settle(hass)
    assert all(member.connection.is_released for member in bank.batteries)
