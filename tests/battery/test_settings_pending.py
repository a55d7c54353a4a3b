"""Settings that a battery offers, and changes that wait for a power cycle."""

from __future__ import annotations

import asyncio

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, issue_registry as ir

from .settings_helpers import GET_CAN, GET_MODULE_ID, GET_RS485, async_setup, check
from custom_components.voltgo_vlrv.const import CONF_PENDING, DOMAIN
from simulator.faults import FOREVER
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, battery, device_of, wait_until

# --- What the battery offers ----------------------------------------------------------


async def test_protocol_select_without_protocols_is_not_created(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A ZT of 2024 has none on RS485 and one on CAN."""
    one = await async_setup(
        hass,
        bluetooth_env,
        battery("idle", rs485_protocols=(), can_protocols=("P01-GRW",)),
    )
    assert not one.has("rs485_protocol", "select")
    assert one.options("can_protocol") == ["Growatt"]
    assert one.shown("can_protocol", "select") == "Growatt"
    assert one.shown("module_id", "select") == "1"


async def test_protocol_with_an_unknown_name_is_shown_unchanged(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And can be selected."""
    one = await async_setup(
        hass,
        bluetooth_env,
        battery("idle", can_protocols=("P01-GRW", "P13-XYZ", "P14-GRW"), can_index=1),
    )
    assert one.options("can_protocol") == ["Growatt", "P13-XYZ", "Growatt (P14-GRW)"]
    assert one.shown("can_protocol", "select") == "P13-XYZ"
    await one.select("can_protocol", "Growatt (P14-GRW)")
    assert one.changes[0][3] == 2
    assert one.pending == "- Inverter CAN protocol: Growatt (P14-GRW)"
    await one.power_cycle()
    assert one.shown("can_protocol", "select") == "Growatt (P14-GRW)"


async def test_settings_without_answers_are_not_created(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is asked twice, once for each connection, and no poll is lost to it."""
    pack = battery("idle")
    monkeypatch.setattr(pack, "answer_setting", lambda *_: None)
    one = await async_setup(hass, bluetooth_env, pack)
    await asyncio.sleep(POLL_INTERVAL)
    for key in ("module_id", "can_protocol", "rs485_protocol"):
        assert not one.has(key, "select")
    assert not one.has("bluetooth_name", "text")
    assert one.gets == {GET_MODULE_ID: 2}
    health = one.entry.runtime_data.statistics
    samples = health.samples
    await asyncio.sleep(10 * POLL_INTERVAL)
    assert health.samples - samples == 10
    assert health.failed_polls == 0
    assert one.gets == {GET_MODULE_ID: 2}
    await one.power_cycle()
    await asyncio.sleep(POLL_INTERVAL)
    assert one.gets == {GET_MODULE_ID: 4}


@pytest.mark.parametrize("silent", [GET_RS485, GET_CAN])
async def test_settings_with_some_answers_are_those(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    silent: int,
) -> None:
    """One list that is never received removes none of the others."""
    pack = battery("idle")
    answer = pack.answer_setting
    monkeypatch.setattr(
        pack,
        "answer_setting",
        lambda function, data: None if function == silent else answer(function, data),
    )
    one = await async_setup(hass, bluetooth_env, pack)
    await asyncio.sleep(POLL_INTERVAL)
    assert one.has("module_id", "select")
    assert one.shown("module_id", "select") == "1"
    assert one.has("can_protocol", "select") is (silent != GET_CAN)
    assert one.has("rs485_protocol", "select") is (silent != GET_RS485)


async def test_settings_are_read_once_a_connection_and_after_each_write(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """No more than that."""
    one = await async_setup(hass, bluetooth_env)
    once = {GET_MODULE_ID: 1, GET_CAN: 1, GET_RS485: 1}
    assert one.gets == once
    await asyncio.sleep(10 * POLL_INTERVAL)
    assert one.gets == once
    await one.select("module_id", "1")
    assert one.gets == once | {GET_MODULE_ID: 2}
    await one.select("can_protocol", "Victron")
    assert one.gets == {GET_MODULE_ID: 2, GET_CAN: 2, GET_RS485: 1}
    await one.select("rs485_protocol", "Luxpower")
    assert one.gets == {GET_MODULE_ID: 2, GET_CAN: 2, GET_RS485: 2}
    await one.allow_heating(True)
    assert one.gets == {GET_MODULE_ID: 2, GET_CAN: 2, GET_RS485: 2}
    await asyncio.sleep(10 * POLL_INTERVAL)
    assert one.gets == {GET_MODULE_ID: 2, GET_CAN: 2, GET_RS485: 2}
    await one.power_cycle()
    assert one.gets == {GET_MODULE_ID: 3, GET_CAN: 3, GET_RS485: 3}


# --- Pending changes ------------------------------------------------------------------


async def test_pending_setting_is_shown_beside_the_reported_value(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The select keeps what the battery reports, and says what waits."""
    one = await async_setup(hass, bluetooth_env)

    def waits_for() -> str | None:
        state = hass.states.get(one.entity_id("module_id", "select"))
        assert state is not None
        return state.attributes.get("pending")

    assert waits_for() is None
    assert one.shown("pending_settings") == "None"
    await one.select("can_protocol", "Victron")
    await one.select("module_id", "3")
    assert one.shown("module_id", "select") == "1"
    assert waits_for() == "3"
    text = "Inverter CAN protocol: Victron, Module ID: 3"
    assert one.shown("pending_settings") == (
        f"{text}, after the battery was turned off and on"
    )
    await one.power_cycle()
    assert one.shown("module_id", "select") == "3"
    assert waits_for() is None
    assert one.shown("pending_settings") == "None"


async def test_pending_issue_after_a_return_without_the_value_says_so(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It changes its text, and is deleted when the value is reported after all."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "7")
    one.pack.settings.pending.clear()  # lost, as with writes that follow too closely
    await one.power_cycle()
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle_without_effect"
    assert issue.translation_placeholders == {
        "name": one.pack.name,
        "settings": "- Module ID: 7",
    }
    assert one.shown("module_id", "select") == "1"

    # Set once more, as the repair issue says.
    await one.select("module_id", "7")
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"
    await one.power_cycle()
    assert one.issue is None
    assert one.shown("module_id", "select") == "7"


async def test_pending_issue_after_a_lost_connection_remains(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Only the value ends it."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("can_protocol", "Victron")
    one.peripheral.drop_connection()
    await asyncio.sleep(1)
    await one.wait_connected()
    assert one.pending == "- Inverter CAN protocol: Victron"
    await one.power_cycle()
    assert one.issue is None


async def test_pending_issue_after_a_reload_remains(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With the same text, also before the battery has been read again."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("can_protocol", "Victron")
    assert one.entry.data[CONF_PENDING] == {"can_protocol": "Victron"}
    assert await hass.config_entries.async_reload(one.entry.entry_id)
    assert one.pending == "- Inverter CAN protocol: Victron"
    await one.wait_connected()
    assert one.pending == "- Inverter CAN protocol: Victron"
    await one.power_cycle()
    assert one.issue is None
    assert one.shown("can_protocol", "select") == "Victron"


async def test_pending_issue_with_a_reload_after_the_confirmation_remains(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery has accepted the change, with or without a read-back."""
    one = await async_setup(hass, bluetooth_env)
    controls = one.entry.runtime_data.settings
    change = hass.async_create_task(one.select("module_id", "7"))
    async with asyncio.timeout(5):
        while not controls.pending:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert await hass.config_entries.async_reload(one.entry.entry_id)
    await change
    await one.wait_connected()
    assert one.pending == "- Module ID: 7"
    await one.power_cycle()
    assert one.shown("module_id", "select") == "7"
    assert one.issue is None


async def test_pending_issue_after_a_start_without_the_battery_remains(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """As after a restart of Home Assistant, which forgets its issues."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "3")
    assert await hass.config_entries.async_unload(one.entry.entry_id)
    await one.peripheral.stop()
    one.pack.power_cycle()
    issue = one.issue
    assert issue is not None
    ir.async_delete_issue(hass, DOMAIN, issue.issue_id)
    assert await hass.config_entries.async_setup(one.entry.entry_id)
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"
    assert one.pending == "- Module ID: 3"
    await asyncio.sleep(60)
    await one.peripheral.start()
    await one.wait_connected()
    assert one.issue is None
    assert one.shown("module_id", "select") == "3"


async def test_pending_change_after_a_reload_is_not_reported_as_lost(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery was not away, so nothing is said of its return."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("can_protocol", "Victron")
    assert await hass.config_entries.async_reload(one.entry.entry_id)
    await one.wait_connected()
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"


async def test_pending_change_on_a_new_connection_is_not_reported_as_lost(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """What is read at its beginning is read after the change was made."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.drop_connection()
    await wait_until(lambda: not one.entry.runtime_data.client.is_connected)
    await one.select("module_id", "7")
    assert one.pending == "- Module ID: 7"
    await asyncio.sleep(2 * POLL_INTERVAL)
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"


async def test_pending_change_made_while_settings_are_read_is_not_reported_as_lost(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The reading at the beginning of a connection takes a second or more."""
    one = await async_setup(hass, bluetooth_env)
    reads = one.gets[GET_MODULE_ID]
    one.peripheral.drop_connection()
    await wait_until(lambda: one.gets[GET_MODULE_ID] > reads)
    await one.select("module_id", "7")
    await asyncio.sleep(5)
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"


async def test_pending_issue_of_a_removed_battery_is_deleted(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It could not be resolved any more."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "7")
    assert one.issue is not None
    await hass.config_entries.async_remove(one.entry.entry_id)
    await hass.async_block_till_done()
    assert one.issue is None


@pytest.mark.parametrize("after", [0.05, 0.1])
@pytest.mark.parametrize("again", [False, True])
async def test_pending_issue_of_a_battery_removed_during_a_change_is_not_created(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, again: bool, after: float
) -> None:
    """With or without another change that waits; the error is in plain words."""
    one = await async_setup(hass, bluetooth_env)
    if again:
        await one.select("module_id", "7")
        await asyncio.sleep(1)
    change = hass.async_create_task(one.select("module_id", "7"))
    await asyncio.sleep(after)
    await hass.config_entries.async_remove(one.entry.entry_id)
    try:
        await change
    except HomeAssistantError as error:
        check(one, error, str(error.translation_key), "module_id")
    await asyncio.sleep(POLL_INTERVAL)
    assert one.issue is None


@pytest.mark.parametrize("by", ["device", "entry"])
async def test_issues_and_errors_use_the_name_that_the_user_gave(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, by: str
) -> None:
    """Most users set it on the battery's page, and look for the battery under it."""
    one = await async_setup(hass, bluetooth_env)
    await one.select("module_id", "7")
    if by == "device":
        dr.async_get(hass).async_update_device(
            device_of(hass, one.pack.address).id, name_by_user="Under the bed"
        )
    else:
        hass.config_entries.async_update_entry(one.entry, title="Under the bed")
    await asyncio.sleep(1)
    assert one.issue is not None
    assert one.issue.translation_placeholders is not None
    assert one.issue.translation_placeholders["name"] == "Under the bed"
    one.peripheral.faults.drop = FOREVER
    with pytest.raises(HomeAssistantError, match="Under the bed is not responding"):
        await one.refresh()
    one.peripheral.faults.clear()
    await hass.config_entries.async_reload(one.entry.entry_id)
    await one.wait_connected()
    assert one.issue.translation_placeholders["name"] == "Under the bed"
    assert one.pending == "- Module ID: 7"


async def test_pending_issues_of_two_batteries_are_separate(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Each by its own name."""
    one = await async_setup(hass, bluetooth_env)
    other = await async_setup(hass, bluetooth_env, battery("winter"))
    await one.select("module_id", "7")
    await other.select("can_protocol", "SMA")
    issues = [
        issue.translation_placeholders
        for (domain, _), issue in ir.async_get(hass).issues.items()
        if domain == DOMAIN
    ]
    assert issues == [
        {"name": one.pack.name, "settings": "- Module ID: 7"},
        {"name": other.pack.name, "settings": "- Inverter CAN protocol: SMA"},
    ]
    await one.power_cycle()
    assert one.pending == "- Inverter CAN protocol: SMA"
