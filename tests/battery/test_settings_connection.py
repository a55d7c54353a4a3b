"""Settings while the connection is lost, released or shared."""

from __future__ import annotations

import asyncio

import pytest

from homeassistant.core import HomeAssistant

from .settings_helpers import (
    SET_CAN,
    SET_MODULE_ID,
    SET_RS485,
    async_setup,
    check,
    in_other_hands,
    refused,
)
from simulator.faults import FOREVER
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, hold_by_other_device, value, wait_until
from tests.harness import GET_FUNCTIONS

# --- The connection -------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["disconnect_on_write", "disconnect_in_reply"])
async def test_heater_command_with_a_lost_connection_has_an_unknown_result(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fault: str
) -> None:
    """The switch shows what the battery reports, without a power cycle."""
    one = await async_setup(hass, bluetooth_env)
    setattr(one.peripheral.faults, fault, 1)
    async with refused(one, "heater_unanswered", "heater"):
        await one.allow_heating(True)
    await one.wait_connected()
    assert one.shown("heater", "switch") == "on"
    assert len(one.changes) == 1


@pytest.mark.parametrize("fault", ["disconnect_on_write", "disconnect_in_reply"])
async def test_change_with_a_lost_connection_has_an_unknown_result(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fault: str
) -> None:
    """The error says so, nothing is sent twice, and the reported value is shown."""
    one = await async_setup(hass, bluetooth_env)
    setattr(one.peripheral.faults, fault, 1)
    async with refused(one, "change_connection_lost", "module_id"):
        await one.select("module_id", "7")
    assert len(one.changes) == 1
    assert one.issue is None
    await one.wait_connected()
    assert one.shown("module_id", "select") == "1"
    assert len(one.changes) == 1
    # The battery had taken it.
    await one.power_cycle()
    assert one.shown("module_id", "select") == "7"
    assert one.issue is None


async def test_change_on_a_released_battery_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The error says how to resume."""
    one = await async_setup(hass, bluetooth_env)
    await one.act("switch", "turn_off", "bluetooth_connection")
    async with refused(one, "change_released", "module_id"):
        await one.select("module_id", "3")
    assert one.changes == []
    assert not one.entry.runtime_data.client.is_connected


async def test_change_released_while_connecting_reports_the_release(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery is neither out of range nor off, and no other device holds it."""
    one = await async_setup(hass, bluetooth_env)
    await hold_by_other_device(one.peripheral)

    async def change() -> None:
        async with refused(one, "change_released", "module_id"):
            await one.select("module_id", "7")

    changing = hass.async_create_task(change())
    await asyncio.sleep(2)
    await one.act("switch", "turn_off", "bluetooth_connection")
    await changing
    assert one.changes == []


async def test_change_on_a_battery_that_is_switched_off_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nothing was sent, and nothing is pending."""
    one = await async_setup(hass, bluetooth_env)
    await one.peripheral.stop()
    await asyncio.sleep(1)
    assert one.shown("module_id", "select") == "1"  # its values are fresh
    for setting, change in (
        ("module_id", lambda: one.select("module_id", "7")),
        ("can_protocol", lambda: one.select("can_protocol", "SMA")),
        ("heater", lambda: one.allow_heating(True)),
    ):
        async with refused(one, "change_unreachable", setting):
            await change()
        if one.shown("module_id", "select") == "unavailable":
            break
    assert one.changes == []
    assert one.issue is None


async def test_change_on_a_battery_out_of_range_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """As for one that is switched off."""
    one = await async_setup(hass, bluetooth_env)
    await one.peripheral.silence()
    one.peripheral.drop_connection()
    one.peripheral.faults.refuse_connection = FOREVER
    await asyncio.sleep(1)
    async with refused(one, "change_unreachable", "module_id"):
        await one.select("module_id", "7")
    assert one.changes == []
    assert one.issue is None
    one.peripheral.faults.clear()
    await one.peripheral.advertise()
    await wait_until(lambda: one.entry.runtime_data.client.is_connected, 120)
    await asyncio.sleep(POLL_INTERVAL)
    assert one.shown("module_id", "select") == "1"
    assert one.changes == []


@pytest.mark.parametrize(
    "how", ["is silent", "drops the connection", "contradicts itself"]
)
async def test_protocol_with_an_unreadable_list_is_not_sent(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """No error says that something may have been changed."""
    one = await async_setup(hass, bluetooth_env)
    answer = one.pack.answer_setting

    def fail(function: int, data: bytes) -> bytes | None:
        if function not in GET_FUNCTIONS:
            return answer(function, data)
        if how == "drops the connection":
            one.peripheral.drop_connection()
        return b"\x05\x01" if how == "contradicts itself" else None

    monkeypatch.setattr(one.pack, "answer_setting", fail)
    await in_other_hands(one)
    asked = len(one.sent())
    async with refused(one, "change_not_sent", "can_protocol"):
        await one.select("can_protocol", "Victron")
    assert len(one.sent()) > asked
    assert one.changes == []
    assert one.issue is None


async def test_change_with_a_connection_lost_before_it_is_sent_says_so(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It waited for the answer to a poll, which ended the connection."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.delay = 1.0
    poll = hass.async_create_task(one.refresh())
    await asyncio.sleep(0.5)
    change = hass.async_create_task(one.select("module_id", "7"))
    await asyncio.sleep(0.1)
    one.peripheral.drop_connection()
    async with refused(one, "change_unreachable", "module_id"):
        await change
    await asyncio.wait({poll})
    check(one, poll.exception(), "connection_lost")
    assert one.changes == []


async def test_change_without_an_answer_is_not_repeated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Whether it was applied is unknown; the next polls continue as before."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.drop = 1
    async with refused(one, "change_not_confirmed", "module_id"):
        await one.select("module_id", "7")
    assert len(one.changes) == 1
    assert one.issue is None
    health = one.entry.runtime_data.statistics
    samples = health.samples
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert health.samples - samples >= 2
    assert len(one.changes) == 1
    # The battery had taken it.
    await one.power_cycle()
    assert one.shown("module_id", "select") == "7"


async def test_change_without_a_read_back_has_an_issue_unless_it_failed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """If the read after it fails, the issue and the error may not disagree."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.notifications.clear()
    task = hass.async_create_task(one.select("module_id", "7"))
    await wait_until(lambda: one.peripheral.notifications)
    one.peripheral.faults.drop = 2
    await asyncio.wait({task})
    unmade = task.exception() is not None
    assert (one.issue is None) is unmade


async def test_change_during_another_one_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The error asks to wait, and the first one is not disturbed."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.delay = 1.0
    first = hass.async_create_task(one.select("module_id", "7"))
    await asyncio.sleep(0.5)
    async with refused(one, "change_in_progress", "heater"):
        await one.allow_heating(True)
    await first
    assert [frame[1] for frame in one.changes] == [SET_MODULE_ID]
    assert one.pending == "- Module ID: 7"
    await one.allow_heating(True)
    assert one.shown("heater", "switch") == "on"


async def test_changes_of_two_selects_in_turn_succeed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """As a scene does; each is confirmed."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.delay = 0.5
    await asyncio.gather(
        one.select("module_id", "7"),
        one.select("can_protocol", "Victron"),
        one.select("rs485_protocol", "Luxpower"),
    )
    assert [frame[1] for frame in one.changes] == [SET_MODULE_ID, SET_CAN, SET_RS485]
    assert one.pending == (
        "- Module ID: 7\n- Inverter CAN protocol: Victron\n- Inverter RS485 protocol: Luxpower"
    )


# --- Refresh now ----------------------------------------------------------------------


async def test_refresh_button_reads_at_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And not with the next poll."""
    one = await async_setup(hass, bluetooth_env)
    one.pack.demand_current = -77.0
    started = hass.loop.time()
    await one.refresh()
    await hass.async_block_till_done()
    assert hass.loop.time() - started < 1
    assert value(hass, one.pack.address, "current") == "-77.0"


async def test_refresh_button_on_failure_shows_the_reason(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery that does not answer, one that is away, one that contradicts itself."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.drop = 3
    async with refused(one, "no_answer"):
        await one.refresh()
    await one.refresh()

    one.peripheral.faults.disconnect_on_write = 1
    async with refused(one, "connection_lost"):
        await one.refresh()
    await one.wait_connected()

    await one.peripheral.stop()
    await asyncio.sleep(600)
    assert value(hass, one.pack.address, "voltage") == "unavailable"
    assert one.shown("refresh", "button") != "unavailable"
    async with refused(one, "out_of_range"):
        await one.refresh()

    await one.peripheral.start()
    await one.wait_connected()
    await one.refresh()
    assert value(hass, one.pack.address, "voltage") != "unavailable"


async def test_refresh_now_says_that_connecting_failed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery advertises, so no other device holds it."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.refuse_connection = FOREVER
    one.peripheral.drop_connection()
    await asyncio.sleep(1)
    async with refused(one, "connect_failed"):
        await one.refresh()


async def test_refresh_button_with_invalid_values_says_so(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And shows the last good ones."""
    one = await async_setup(hass, bluetooth_env)
    before = value(hass, one.pack.address, "state_of_charge")
    one.pack.override = one.pack.reported()
    object.__setattr__(one.pack.override, "state_of_charge", 398)
    async with refused(one, "implausible"):
        await one.refresh()
    assert value(hass, one.pack.address, "state_of_charge") == before
