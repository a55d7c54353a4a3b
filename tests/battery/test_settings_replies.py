"""Settings with replies that are late, doubled or refused, and their texts."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from homeassistant.core import HomeAssistant

from .settings_helpers import (
    SET_CAN,
    SET_MODULE_ID,
    SET_RS485,
    SPACING,
    STRINGS,
    async_setup,
    check,
    refused,
)
from simulator.battery import settings_frame
from simulator.faults import FOREVER
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, set_options, value
from tests.vlrv.captures import capture, needs_captures

# --- Replies as they really come ------------------------------------------------------


async def test_reply_behind_a_late_one_in_one_notification_counts(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Two replies in one notification (A)."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.held = settings_frame(SET_RS485, b"\x01")
    one.peripheral.notifications.clear()
    await one.select("module_id", "7")
    assert one.peripheral.notifications[0].data == settings_frame(
        SET_RS485, b"\x01"
    ) + settings_frame(SET_MODULE_ID, b"\0")
    assert one.pending == "- Module ID: 7"
    assert one.entry.runtime_data.client.counters.late_replies == 1


@needs_captures
async def test_double_notification_recorded_confirms_the_module_id(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The refusal behind it belongs to another request."""
    double = capture("notification", "two replies")
    one = await async_setup(hass, bluetooth_env)
    handle = one.pack.handle

    def answer(frame: bytes) -> bytes | None:
        reply = handle(frame)
        return double if frame[:2] == double[:2] else reply

    monkeypatch.setattr(one.pack, "handle", answer)
    await one.select("module_id", "7")
    assert double in [note.data for note in one.peripheral.notifications]
    assert one.pending == "- Module ID: 7"
    await one.power_cycle()
    assert one.shown("module_id", "select") == "7"


@needs_captures
async def test_double_notification_recorded_refuses_the_protocol(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The success in front of it belongs to another request."""
    double = capture("notification", "two replies")
    one = await async_setup(hass, bluetooth_env)
    one.pack.settings.module_id = 2
    one.peripheral.faults.held = double[:6]
    async with refused(one, "change_refused", "rs485_protocol"):
        await one.select("rs485_protocol", "Luxpower")
    assert one.peripheral.notifications[-1].data == double
    assert one.issue is None


async def test_reply_that_is_held_back_confirms_nothing_later(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It would arrive with the answer to a poll, but its connection was ended."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.merge = 1
    async with refused(one, "change_not_confirmed", "module_id"):
        await one.select("module_id", "7")
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert len(one.changes) == 1
    assert one.issue is None
    assert one.shown("module_id", "select") == "1"
    assert one.entry.runtime_data.client.counters.late_replies == 0
    assert one.entry.runtime_data.statistics.failed_polls == 0


async def test_replies_received_twice_confirm_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """For as long as they are repeated."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.duplicate = FOREVER
    await one.select("module_id", "7")
    await one.select("can_protocol", "Victron")
    await one.select("rs485_protocol", "Luxpower")
    await one.allow_heating(True)
    assert len(one.changes) == 4
    assert one.shown("heater", "switch") == "on"
    await one.power_cycle()
    assert one.shown("module_id", "select") == "7"
    assert one.shown("can_protocol", "select") == "Victron"
    assert one.shown("rs485_protocol", "select") == "Luxpower"
    assert one.issue is None


async def test_reply_received_late_does_not_confirm_another_change(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A success of the CAN protocol is no success of RS485; its connection is closed."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.late = 1
    one.peripheral.faults.late_by = 3.0
    async with refused(one, "change_not_confirmed", "can_protocol"):
        await one.select("can_protocol", "Victron")
    monkeypatch.setattr(one.pack.settings, "_select", lambda *_: b"\x01")
    async with refused(one, "change_refused", "rs485_protocol"):
        await one.select("rs485_protocol", "Luxpower")
    await asyncio.sleep(5)
    assert one.issue is None
    assert one.entry.runtime_data.client.counters.late_replies == 0


async def test_reply_received_late_does_not_confirm_the_next_value(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A success does not name its value: Victron's may not be taken for Deye's."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.late = 1
    one.peripheral.faults.late_by = 2.6
    async with refused(one, "change_not_confirmed", "can_protocol"):
        await one.select("can_protocol", "Victron")
    answer = one.pack.answer_setting
    monkeypatch.setattr(
        one.pack,
        "answer_setting",
        lambda function, data: None if function == SET_CAN else answer(function, data),
    )
    async with refused(one, "change_not_confirmed", "can_protocol"):
        await one.select("can_protocol", "Deye")
    assert len(one.changes) == 2
    assert one.issue is None


@pytest.mark.parametrize("interval", [10, 3600])
async def test_polls_after_a_change_without_an_answer_continue_at_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, interval: int
) -> None:
    """On a new connection, which is not taken for a battery that was away."""
    one = await async_setup(hass, bluetooth_env)
    await set_options(hass, one.entry, interval=interval)
    await one.select("can_protocol", "Victron")
    await asyncio.sleep(2 * POLL_INTERVAL)
    health = one.entry.runtime_data.statistics
    samples = health.samples
    connections = one.peripheral.connections
    one.peripheral.faults.drop = 1
    async with refused(one, "heater_unanswered", "heater"):
        await one.allow_heating(True)
    await asyncio.sleep(3)
    assert one.peripheral.connections == connections + 1
    assert one.entry.runtime_data.client.is_connected
    assert health.samples > samples
    assert one.shown("heater", "switch") == "on"
    issue = one.issue
    assert issue is not None
    assert issue.translation_key == "power_cycle"


async def test_poll_behind_an_unanswered_change_is_repeated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It loses the connection with the change, and its value arrives on the next."""
    one = await async_setup(hass, bluetooth_env)
    health = one.entry.runtime_data.statistics
    one.peripheral.faults.drop = 1
    change = hass.async_create_task(one.select("module_id", "7"))
    await asyncio.sleep(0.5)
    poll = hass.async_create_task(one.refresh())
    async with refused(one, "change_not_confirmed", "module_id"):
        await change
    await asyncio.wait({poll})
    check(one, poll.exception(), "connection_lost")
    samples = health.samples
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert health.samples > samples
    assert value(hass, one.pack.address, "voltage") != "unavailable"


@pytest.mark.parametrize("fault", ["corrupt", "truncate", "lead", "lose_chunk"])
async def test_reply_that_is_damaged_confirms_nothing(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fault: str
) -> None:
    """Except where it is whole behind some garbage."""
    one = await async_setup(hass, bluetooth_env)
    setattr(one.peripheral.faults, fault, 1)
    if fault == "lead":
        await one.select("module_id", "7")
        assert one.pending == "- Module ID: 7"
    else:
        async with refused(one, "change_not_confirmed", "module_id"):
            await one.select("module_id", "7")
        assert one.issue is None
    assert len(one.changes) == 1


async def test_settings_in_small_and_slow_packets_are_read(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A list of 117 bytes in packets of 20, each answer after 0.14 s."""
    one = await async_setup(hass, bluetooth_env, max_mtu=23, reply_latency=0.14)
    assert len(one.options("can_protocol")) == 11
    await one.select("can_protocol", "Victron")
    await one.allow_heating(True)
    await one.power_cycle()
    assert one.shown("can_protocol", "select") == "Victron"
    assert one.issue is None


async def test_frames_are_sent_with_the_minimum_interval(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery loses writes within 10 ms; polls and settings share one connection."""
    one = await async_setup(hass, bluetooth_env)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulator.module.WRITE_SPACING", SPACING - 1e-3)
        for round_ in range(4):
            await asyncio.gather(
                one.select("module_id", str(round_ + 2)),
                one.select("can_protocol", one.options("can_protocol")[round_]),
                one.refresh(),
                one.refresh(),
                asyncio.sleep(9.9 + 0.05 * round_),
            )
            await asyncio.gather(one.allow_heating(not round_ % 2), one.refresh())
            one.peripheral.drop_connection()
            await asyncio.sleep(1)
            await one.wait_connected()
        await one.power_cycle()
    assert all(write.applied for write in one.peripheral.writes)
    times = [write.time for write in one.peripheral.writes]
    assert len(times) > 60
    assert min(later - earlier for earlier, later in pairwise(times)) >= SPACING - 1e-6
    assert one.shown("module_id", "select") == "5"
    assert one.issue is None


# --- Texts ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "key",
    [
        "change_connection_lost", "change_not_confirmed", "change_refused", "heater_refused",
        "change_in_progress", "change_unreachable", "heater_not_confirmed",
        "change_not_sent", "change_released", "heater_unanswered", "invalid_name",
        "protocol_needs_module_id", "protocol_not_offered",
    ],
)  # fmt: skip
def test_error_names_the_battery_and_the_setting(key: str) -> None:
    """And says what was changed."""
    message = STRINGS["exceptions"][key]["message"]
    assert "{name}" in message
    assert "{setting}" in message


@pytest.mark.parametrize(
    ("key", "look"),
    [
        ("change_connection_lost", "Turn the battery off and back on"),
        ("change_not_confirmed", "Turn the battery off and back on"),
        ("heater_unanswered", "when the values are up to date"),
    ],
)
def test_error_of_a_lost_answer_does_not_report_a_refusal(key: str, look: str) -> None:
    """The change may have been applied; the error says where that is shown."""
    message = STRINGS["exceptions"][key]["message"]
    assert "It is not known" in message
    assert "not made" not in message
    assert look in message


def test_pending_issue_names_the_battery_and_the_settings() -> None:
    """In the title and below."""
    for key in ("power_cycle", "power_cycle_without_effect"):
        issue = STRINGS["issues"][key]
        assert "{name}" in issue["title"]
        assert "{settings}" in issue["description"]
        assert "is resolved automatically" in issue["description"]
