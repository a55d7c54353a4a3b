"""Release and resume at the worst moment: nothing spins, nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import storage
from homeassistant.util import dt as dt_util
from homeassistant.util.file import WriteError

from custom_components.voltgo_vlrv.history.store import EntryStore
from custom_components.voltgo_vlrv.vlrv.registers import BatteryStatus
from simulator.bleak_client import VirtualClient
from simulator.clock import FastClock
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    POLL_INTERVAL,
    battery,
    device_of,
    enable_all,
    entity_id,
    wait_until,
)
from tests.harness import BatteryHarness, async_setup_battery, async_setup_fleet


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Replace no storage: what is written and removed is what counts here."""
    return {}


MINUTE = 60.0
HOUR = 3600.0
DAY = 86_400.0
SLOW_CARD = 0.5  # s to save a file
SPINNING = 500  # calls of one timer in five minutes


def slow_memory(monkeypatch: pytest.MonkeyPatch, one: BatteryHarness) -> None:
    """Have the SD card take its time."""
    file = one.entry.runtime_data.history.store
    save: Callable[..., Awaitable[None]] = file.async_save

    async def slow(**kwargs: Any) -> None:
        await asyncio.sleep(SLOW_CARD)
        await save(**kwargs)

    monkeypatch.setattr(file, "async_save", slow)


def is_written(file: EntryStore) -> bool:
    """Return whether there is such a file."""
    return Path(file._store.path).exists()


def slow_disconnect(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have the adapter disconnect slowly."""
    disconnect = VirtualClient.disconnect

    async def slow(client: VirtualClient) -> None:
        await asyncio.sleep(seconds)
        await disconnect(client)

    monkeypatch.setattr(VirtualClient, "disconnect", slow)


async def test_release_during_a_reading_leaves_no_timer(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No timer is set again for a time that is over, until the battery is resumed."""
    one = await async_setup_battery(hass, bluetooth_env)
    battery_data = one.entry.runtime_data
    calls = 0
    on_age = battery_data.coordinator._expiry._handle_timer

    def counted(now: datetime) -> None:
        nonlocal calls
        calls += 1
        if calls < SPINNING:
            on_age(now)

    monkeypatch.setattr(battery_data.coordinator._expiry, "_handle_timer", counted)
    slow_memory(monkeypatch, one)
    one.peripheral.faults.delay = 0.3
    requests = battery_data.client.counters.requests
    await wait_until(
        lambda: battery_data.client.counters.requests > requests, POLL_INTERVAL + 5
    )
    await one.set_connection(False)
    await asyncio.sleep(5 * MINUTE)
    assert calls <= 1
    assert one.status == "released"
    assert one.became_unavailable == []


async def test_reading_that_ends_after_a_release_sets_no_timer(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """While released, the age of the values is not watched."""
    one = await async_setup_battery(hass, bluetooth_env)
    battery_data = one.entry.runtime_data
    await one.set_connection(False)
    battery_data.coordinator._expiry.schedule()
    assert battery_data.coordinator._expiry._cancel is None


async def test_release_disconnects_before_it_is_saved(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The user waits with the phone in the hand."""
    one = await async_setup_battery(hass, bluetooth_env)
    slow_memory(monkeypatch, one)
    release = hass.async_create_task(one.set_connection(False))
    await asyncio.sleep(SLOW_CARD / 2)
    assert not one.peripheral.is_connected
    assert not release.done()
    await release
    assert one.entry.runtime_data.history.last_status._stored.released


async def test_resume_while_the_release_is_saved_keeps_the_new_connection(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last action counts, for the connection and for what is stored."""
    one = await async_setup_battery(hass, bluetooth_env)
    file = one.entry.runtime_data.history.store
    save = file.async_save

    async def slow(**kwargs: Any) -> None:
        await asyncio.sleep(5)
        await save(**kwargs)

    monkeypatch.setattr(file, "async_save", slow)
    release = hass.async_create_task(one.release())
    await asyncio.sleep(1)
    await one.set_connection(True)
    await wait_until(lambda: one.is_connected, 3)
    connections = one.peripheral.connections
    await release
    await asyncio.sleep(MINUTE)
    assert (one.status, one.is_connected) == ("connected", True)
    assert one.peripheral.connections == connections
    assert not one.entry.runtime_data.history.last_status._stored.released


async def test_resume_while_the_adapter_disconnects_counts(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is connected again after that, and not stored as released."""
    one = await async_setup_battery(hass, bluetooth_env)
    slow_disconnect(monkeypatch, 4)
    release = hass.async_create_task(one.release())
    await asyncio.sleep(1)
    await one.set_connection(True)
    await release
    await wait_until(lambda: one.is_connected, 15)
    await asyncio.sleep(MINUTE)
    assert (one.status, one.is_connected) == ("connected", True)
    assert not one.entry.runtime_data.history.last_status._stored.released


# --- a winter ---------------------------------------------------------------------------


@pytest.mark.parametrize("restarted", [False, True])
async def test_time_based_sensors_while_released_are_updated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, restarted: bool
) -> None:
    """A battery in winter storage still needs its recharge date."""
    pack = battery("full", temperature=15.0, ambient=15.0)
    pack.cell_temperatures = [15.0, 15.0]
    one = await async_setup_battery(hass, bluetooth_env, pack)
    await enable_all(hass, pack.address)
    await wait_until(lambda: one.shown("recharge_due") not in {None, "unknown"}, MINUTE)

    def months() -> float:
        due = dt_util.parse_datetime(one.shown("recharge_due") or "")
        assert due is not None
        return (due - dt_util.utcnow()) / timedelta(days=30.4)

    assert 8.8 < months() < 9.2
    await one.set_connection(False)
    if restarted:
        assert await hass.config_entries.async_reload(one.entry.entry_id)
    battery_data = one.entry.runtime_data
    connections = one.peripheral.connections
    polls = battery_data.statistics.polls
    # A day of advertisements is a day of work for the virtual radio.
    await one.peripheral.silence()
    await asyncio.sleep(1.1 * DAY)
    await one.peripheral.advertise()
    # After a day the temperature is unknown.
    assert 5.8 < months() < 6.1
    assert one.peripheral.connections == connections
    assert battery_data.statistics.polls == polls
    assert one.status == "released"

    await one.set_connection(True)
    await wait_until(lambda: one.is_connected, 5)
    await asyncio.sleep(POLL_INTERVAL / 2)
    polls = battery_data.statistics.polls
    await asyncio.sleep(10 * POLL_INTERVAL)
    assert battery_data.statistics.polls - polls == 10


# --- what is stored ---------------------------------------------------------------------


async def test_release_that_ended_while_off_is_not_restored(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fast_clock: FastClock
) -> None:
    """Nor at a later start with a late clock, as without a clock battery."""
    one = await async_setup_battery(hass, bluetooth_env)
    await one.release(duration={"minutes": 5})
    assert await hass.config_entries.async_unload(one.entry.entry_id)
    await asyncio.sleep(10 * MINUTE)
    assert await hass.config_entries.async_setup(one.entry.entry_id)
    await wait_until(lambda: one.is_connected, 10)
    # A power cut: what is not written by now is lost.
    stored = await one.entry.runtime_data.history.store._store.async_load()
    assert stored["last_status"]["released"] is False
    await asyncio.sleep(HOUR)
    assert await hass.config_entries.async_unload(one.entry.entry_id)
    fast_clock.epoch -= 2 * HOUR
    assert await hass.config_entries.async_setup(one.entry.entry_id)
    await wait_until(lambda: one.is_connected, 10)
    assert one.status == "connected"


async def test_release_while_the_clock_is_set_lasts_as_long_as_it_should(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fast_clock: FastClock
) -> None:
    """As after a start without a clock battery; the end that is shown follows."""
    one = await async_setup_battery(hass, bluetooth_env)
    fast_clock.epoch -= 365 * DAY
    await one.release(duration={"minutes": 15})
    await asyncio.sleep(2 * MINUTE)
    fast_clock.epoch += 365 * DAY
    await asyncio.sleep(2 * MINUTE)
    assert one.status == "released"
    state = hass.states.get(one.entity_id("connection_status"))
    assert state is not None
    ends = dt_util.parse_datetime(state.attributes["released_until"])
    assert ends is not None
    left = (ends - dt_util.utcnow()).total_seconds()
    assert left == pytest.approx(11 * MINUTE, abs=5)
    await asyncio.sleep(left + 5)
    assert one.status != "released"


# --- several at once --------------------------------------------------------------------


async def test_release_action_for_several_batteries_is_simultaneous(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slow disconnection must leave no time for a firmware update of another one."""
    one, two = await async_setup_fleet(hass, bluetooth_env, 2, {"slots": 3})
    await one.wait_connected()
    await two.wait_connected()
    slow_disconnect(monkeypatch, 6)
    action = hass.async_create_task(
        one.release(
            device_id=[device_of(hass, each.pack.address).id for each in (one, two)]
        )
    )
    await asyncio.sleep(1)
    # Until the adapter has disconnected, no other device can connect.
    assert [each.status for each in (one, two)] == ["connected"] * 2
    assert [each.entry.runtime_data.connection.is_released for each in (one, two)] == [
        True,
        True,
    ]
    started = hass.loop.time()
    await action
    assert hass.loop.time() - started < 7
    assert not one.peripheral.is_connected
    assert not two.peripheral.is_connected
    assert [each.status for each in (one, two)] == ["released"] * 2


# --- removing ---------------------------------------------------------------------------


async def test_removal_during_a_reading_leaves_no_file(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The data of a late answer are not written any more."""
    one = await async_setup_battery(hass, bluetooth_env, battery("driving_load"))
    battery_data = one.entry.runtime_data
    await asyncio.sleep(2 * MINUTE)
    store = battery_data.history.store
    read = battery_data.client.read_status

    async def late() -> BatteryStatus:
        status = await read()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0.5)
        return status

    monkeypatch.setattr(battery_data.client, "read_status", late)
    requests = battery_data.client.counters.requests
    pressed = hass.async_create_task(
        hass.services.async_call(
            "button",
            "press",
            {"entity_id": entity_id(hass, one.pack.address, "refresh", "button")},
            blocking=True,
        )
    )
    await wait_until(lambda: battery_data.client.counters.requests > requests, 5)
    await asyncio.sleep(0.2)
    await hass.config_entries.async_remove(one.entry.entry_id)
    with suppress(HomeAssistantError):
        await pressed
    await asyncio.sleep(HOUR)
    await hass.async_block_till_done()
    assert not is_written(store)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
    await hass.async_block_till_done()
    assert not is_written(store)


async def test_unload_with_a_slow_disconnection_does_not_wait(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Home Assistant waits for ten seconds, and warns then."""
    one = await async_setup_battery(hass, bluetooth_env)
    await asyncio.sleep(2 * POLL_INTERVAL)
    slow_disconnect(monkeypatch, HOUR)
    file = one.entry.runtime_data.history.store
    started = hass.loop.time()
    assert await hass.config_entries.async_unload(one.entry.entry_id)
    assert hass.loop.time() - started < 9
    assert "did not complete in time" not in caplog.text
    # What is known was saved nevertheless.
    assert is_written(file)
    monkeypatch.undo()
    one.peripheral.drop_connection()


async def test_release_by_a_script_that_is_stopped_is_completed(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disconnection is finished, and the battery stays disconnected."""
    one = await async_setup_battery(hass, bluetooth_env)
    slow_disconnect(monkeypatch, 3.0)
    releasing = hass.async_create_task(
        one.entry.runtime_data.connection.async_release()
    )
    await asyncio.sleep(1)
    releasing.cancel()
    with suppress(asyncio.CancelledError):
        await releasing
    await asyncio.sleep(5)
    assert one.status == "released"
    assert one.peripheral.is_advertising
    assert await hass.config_entries.async_reload(one.entry.entry_id)
    await asyncio.sleep(MINUTE)
    assert one.status == "released"
    assert one.peripheral.is_advertising


async def test_release_on_a_full_disk_takes_place_and_says_that_it_is_not_stored(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next restart would end it without a word."""
    one = await async_setup_battery(hass, bluetooth_env, battery("idle"))
    with monkeypatch.context() as disk:

        def full(*_args: Any, **_kwargs: Any) -> None:
            raise WriteError("No space left on device")

        disk.setattr(storage, "write_utf8_file_atomic", full)
        with pytest.raises(HomeAssistantError) as raised:
            await one.release()
    assert raised.value.translation_key == "release_not_stored"
    assert one.status == "released"
    assert not one.is_connected
    await one.release()  # there is space again
