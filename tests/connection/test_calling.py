"""How often a battery is called that does badly, and what the screen says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, callback

from custom_components.voltgo_vlrv.vlrv.errors import ConnectionLostError
from simulator.faults import FOREVER
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, entity_id, set_options, value, wait_until
from tests.harness import BatteryHarness, async_setup_battery

MINUTE = 60.0
HOUR = 3600.0
# An hour; half as many as a reading each ten seconds would take.
MOST_LINKS = 180


def states_of(
    hass: HomeAssistant, one: BatteryHarness, key: str = "connection_status"
) -> list[str]:
    """Return a list that grows with the states of a battery's sensor from now."""
    wanted = entity_id(hass, one.pack.address, key)
    states = [value(hass, one.pack.address, key) or ""]
    hass.bus.async_listen(
        EVENT_STATE_CHANGED,
        callback(
            lambda event: (
                states.append(event.data["new_state"].state)
                if event.data["entity_id"] == wanted
                and event.data["new_state"].state not in states[-1:]
                else None
            )
        ),
    )
    return states


def break_after_each_sample(one: BatteryHarness, seconds: float) -> Callable[[], None]:
    """Have the connection lost so many seconds after a good reading; return how to stop."""
    battery_data = one.entry.runtime_data
    samples = battery_data.statistics.samples

    @callback
    def on_poll() -> None:
        nonlocal samples
        if battery_data.statistics.samples > samples:
            samples = battery_data.statistics.samples
            battery_data.coordinator.hass.loop.call_later(
                seconds, one.peripheral.drop_connection
            )

    return battery_data.coordinator.async_add_listener(on_poll)


# --- short connections -----------------------------------------------------------------


@pytest.mark.parametrize("interval", [10, 600])
@pytest.mark.parametrize("connection", ["automatic", "keep"])
async def test_connection_lost_after_each_reading_is_made_less_often(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    connection: str,
    interval: int,
) -> None:
    """A reading is not worth hundreds of connections."""
    one = await async_setup_battery(hass, bluetooth_env)
    await set_options(hass, one.entry, connection=connection, interval=interval)
    await asyncio.sleep(2 * MINUTE)
    stop = break_after_each_sample(one, 0.5)
    one.peripheral.drop_connection()
    lines = states_of(hass, one)
    connections = one.peripheral.connections
    samples = one.entry.runtime_data.statistics.samples
    await asyncio.sleep(HOUR)
    assert one.peripheral.connections - connections < MOST_LINKS
    # Each still brings a reading, and none is made for less.
    assert one.entry.runtime_data.statistics.samples - samples >= min(
        12, HOUR // interval
    )
    assert len(lines) < 20
    assert one.status == "idle"
    assert one.became_unavailable == []
    if interval == 600:
        assert one.peripheral.connections - connections <= 3 + HOUR / interval + 1

    stop()
    await wait_until(
        lambda: one.is_connected, max(5 * MINUTE, interval) + POLL_INTERVAL
    )
    await asyncio.sleep(max(2 * MINUTE, interval + POLL_INTERVAL))
    assert one.status == "connected"
    # That connection was stable: the next loss is answered at once.
    one.peripheral.drop_connection()
    await wait_until(lambda: not one.is_connected, 1)
    await wait_until(lambda: one.is_connected, 3)


async def test_connection_lost_after_minutes_is_made_again_at_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """However often: values stay live, and nothing is reported unreachable."""
    one = await async_setup_battery(hass, bluetooth_env)
    lines = states_of(hass, one)
    for _ in range(10):
        await asyncio.sleep(2 * MINUTE)
        one.peripheral.drop_connection()
        await wait_until(lambda: not one.is_connected, 1)
        await wait_until(lambda: one.is_connected, 3)
    assert "unreachable" not in lines
    assert one.became_unavailable == []


async def test_short_connections_of_hours_ago_do_not_delay(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A vehicle that leaves after some short connections is reconnected at its return."""
    one = await async_setup_battery(hass, bluetooth_env)
    stop = break_after_each_sample(one, 0.5)
    await asyncio.sleep(10 * MINUTE)
    stop()
    await one.peripheral.stop()
    await asyncio.sleep(HOUR)
    await one.peripheral.start()
    await wait_until(lambda: one.is_connected, 5)


@pytest.mark.parametrize(
    ("connection", "read"),
    [
        ("keep", "read_identity"),
        ("keep", "read_thresholds"),
        ("keep", "read_module_id"),
        ("each_poll", "read_thresholds"),
    ],
)
async def test_optional_read_that_drops_the_connection_is_not_repeated(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    connection: str,
    read: str,
) -> None:
    """For an hour; all other values are read nevertheless."""
    one = await async_setup_battery(hass, bluetooth_env)
    await set_options(hass, one.entry, connection=connection)
    await asyncio.sleep(2 * MINUTE)
    client = one.entry.runtime_data.client
    asked = 0
    others = 0
    read_thresholds = client.read_thresholds

    async def hangs_up() -> None:
        nonlocal asked
        asked += 1
        one.peripheral.drop_connection()
        await asyncio.sleep(0.2)
        raise ConnectionLostError("x")

    async def noted() -> object:
        nonlocal others
        others += 1
        return await read_thresholds()

    monkeypatch.setattr(client, "read_thresholds", noted)
    monkeypatch.setattr(client, read, hangs_up)
    one.entry.runtime_data.handle_disconnected()
    if connection == "keep":
        one.peripheral.drop_connection()
    connections = one.peripheral.connections
    await asyncio.sleep(HOUR - MINUTE)
    if connection == "keep":
        assert one.peripheral.connections - connections <= 3
    assert asked == 2
    if read != "read_thresholds":
        assert others >= 1
    assert one.became_unavailable == []
    # It is tried again, as another firmware may do better.
    await asyncio.sleep(HOUR + 2 * MINUTE)
    if connection == "each_poll":
        assert asked >= 3
    assert asked <= 4


# --- services that moved ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("connection", "slots"), [("each_poll", 3), ("automatic", 1), ("keep", 3)]
)
async def test_handles_that_moved_are_discovered_in_each_mode(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    connection: str,
    slots: int,
) -> None:
    """Also where each reading has its own connection, which ends before the error."""
    one = await async_setup_battery(hass, bluetooth_env, slots=slots)
    (adapter,) = bluetooth_env.adapters.values()
    await set_options(hass, one.entry, connection=connection)
    await asyncio.sleep(2 * POLL_INTERVAL)
    moved = adapter.gatt_cache[one.pack.address]
    for characteristic in moved.characteristics.values():
        if characteristic.uuid.startswith("00001008"):
            # What bleak reads; there is no other way to move one.
            characteristic._handle = characteristic.handle + 40
    one.peripheral.drop_connection()
    health = one.entry.runtime_data.statistics
    samples = health.samples
    await wait_until(lambda: health.samples > samples, 2 * MINUTE)
    assert adapter.gatt_cache[one.pack.address] is not moved
    # Three readings without an answer are not many to find out.
    assert health.failed_polls <= 4
    await asyncio.sleep(2 * MINUTE)
    assert one.shown("voltage") != STATE_UNAVAILABLE


# --- a battery that is reached and tells nothing ----------------------------------------


@pytest.mark.parametrize("says", ["nothing", "no", "nonsense"])
@pytest.mark.parametrize("connection", ["keep", "each_poll"])
async def test_status_without_usable_answers_is_silent(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    connection: str,
    says: str,
) -> None:
    """Connected and idle would mean that all is well; one line in the log, not many."""
    one = await async_setup_battery(hass, bluetooth_env)
    await set_options(hass, one.entry, connection=connection)
    await asyncio.sleep(2 * POLL_INTERVAL)
    good = one.status
    assert good == ("idle" if connection == "each_poll" else "connected")
    lines = states_of(hass, one)
    if says == "nothing":
        one.peripheral.faults.drop = FOREVER
    elif says == "no":
        monkeypatch.setattr(one.pack, "handle", lambda _: bytes.fromhex("018302c0f1"))
    else:
        one.pack.override = replace(one.pack.reported(), state_of_charge=398)
    await asyncio.sleep(45)
    assert "silent" not in lines
    await asyncio.sleep(15 * MINUTE)
    assert one.shown("voltage") == STATE_UNAVAILABLE
    # A connection without answers was ended once before.
    assert lines in ([good, "silent"], [good, "connecting", good, "silent"])
    lines.clear()
    one.peripheral.faults.clear()
    one.pack.override = None
    monkeypatch.undo()
    await wait_until(lambda: one.status == good, MINUTE)
    assert lines == [good]
    assert one.shown("voltage") != STATE_UNAVAILABLE


async def test_status_of_a_silent_battery_that_leaves_is_unreachable(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The status shows the last known state."""
    one = await async_setup_battery(hass, bluetooth_env)
    one.peripheral.faults.drop = FOREVER
    await wait_until(lambda: one.status == "silent", 2 * MINUTE)
    await one.peripheral.stop()
    await wait_until(lambda: one.status == "unreachable", 5 * MINUTE)
    await one.set_connection(False)
    assert one.status == "released"
