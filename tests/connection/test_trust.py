"""What is shown is true and fresh, and recovers without the user."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.util import dt as dt_util

from custom_components.voltgo_vlrv.battery.operations import Operation
from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from simulator.faults import FOREVER
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    POLL_INTERVAL,
    battery,
    enable_all,
    entity_id,
    log_lines,
    set_options,
    value,
    wait_until,
)
from tests.harness import BatteryHarness, async_setup_battery

MINUTE = 60.0
HOUR = 3600.0
STALE = 60.0  # s; how long values stay fresh at least


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Replace no storage: how a file is read and written is what counts here."""
    return {}


def memory_of(hass: HomeAssistant, entry: VlrvConfigEntry) -> Path:
    """Return where the last reply of a battery is stored."""
    return Path(hass.config.path(".storage", f"voltgo_vlrv.{entry.entry_id}"))


async def restart(
    hass: HomeAssistant,
    one: BatteryHarness,
    *,
    off_for: float = 0.0,
    away: bool = False,
) -> None:
    """Unload the battery and set it up again, as a restart does."""
    assert await hass.config_entries.async_unload(one.entry.entry_id)
    if away:
        await one.peripheral.stop()
    await asyncio.sleep(off_for)
    assert await hass.config_entries.async_setup(one.entry.entry_id)
    await hass.async_block_till_done()


# --- how long values stand --------------------------------------------------------------


async def test_availability_option_decides_how_long_values_are_shown(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Applied at once, to the sample that is shown, and empty means the default."""
    one = await async_setup_battery(hass, bluetooth_env)
    await set_options(hass, one.entry, max_age=600)
    one.peripheral.faults.drop = FOREVER
    await asyncio.sleep(580)
    assert one.became_unavailable == []
    await asyncio.sleep(30)
    assert one.shown("voltage") == STATE_UNAVAILABLE
    one.peripheral.faults.clear()
    await wait_until(lambda: one.shown("voltage") != STATE_UNAVAILABLE, 6 * MINUTE)
    one.peripheral.faults.drop = FOREVER
    await asyncio.sleep(200)
    assert one.shown("voltage") != STATE_UNAVAILABLE
    await empty_max_age(hass, one.entry)
    # The poll that follows has its say first.
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert one.shown("voltage") == STATE_UNAVAILABLE
    assert "max_age" not in one.entry.options


async def empty_max_age(hass: HomeAssistant, entry: VlrvConfigEntry) -> None:
    """Clear the field, as the frontend sends it: not at all."""
    result = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"next_step_id": "general"}
    )
    result = await hass.config_entries.options.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_live_sensor_with_a_long_availability_follows_the_interval(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A user who shows values for an hour wants to know which were read just now."""
    one = await async_setup_battery(hass, bluetooth_env)
    await set_options(hass, one.entry, max_age=3600)

    def is_live() -> bool:
        state = hass.states.get(entity_id(hass, one.pack.address, "connection_status"))
        assert state is not None
        return bool(state.attributes["up_to_date"])

    assert is_live()
    one.peripheral.faults.drop = FOREVER
    await asyncio.sleep(2 * MINUTE)
    assert not is_live()
    assert one.shown("voltage") != STATE_UNAVAILABLE
    one.peripheral.faults.clear()
    await wait_until(is_live, MINUTE)


async def test_availability_option_below_two_intervals_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One missed poll would make everything unavailable; the input stays."""
    one = await async_setup_battery(hass, bluetooth_env)
    before = dict(one.entry.options)
    flow = await hass.config_entries.options.async_init(one.entry.entry_id)
    flow = await hass.config_entries.options.async_configure(
        flow["flow_id"], {"next_step_id": "general"}
    )
    flow = await hass.config_entries.options.async_configure(
        flow["flow_id"], {"interval": 60, "max_age": 119}
    )
    assert flow["type"] is FlowResultType.FORM
    assert flow["errors"] == {"max_age": "max_age_too_short"}
    assert one.entry.options == before
    flow = await hass.config_entries.options.async_configure(
        flow["flow_id"], {"interval": 60, "max_age": 120}
    )
    assert flow["type"] is FlowResultType.CREATE_ENTRY
    assert one.entry.options["max_age"] == 120


# --- recovery ---------------------------------------------------------------------------


async def test_connection_after_failed_attempts_is_tried_less_often(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Twice the delay each time, five minutes at most."""
    one = await async_setup_battery(hass, bluetooth_env)
    await one.peripheral.stop()
    calls: list[float] = []
    connect = one.entry.runtime_data.client.connect

    async def noted() -> None:
        calls.append(hass.loop.time())
        await connect()

    one.entry.runtime_data.client.connect = noted  # type: ignore[method-assign]
    await asyncio.sleep(2 * HOUR)
    pauses = [b - a for a, b in pairwise(calls)]
    # The first call is the advertisement's, the later ones double until the ceiling.
    assert pauses[1] < 25
    assert all(b > 1.5 * a for a, b in pairwise(pauses[1:5]))
    assert min(pauses[6:]) > 290
    assert 290 <= max(pauses) <= 345  # an attempt takes up to 40 s itself
    assert 24 <= len(calls) <= 34
    await one.peripheral.start()
    await wait_until(lambda: one.shown("voltage") != STATE_UNAVAILABLE, 5)


async def test_advertisement_after_failed_attempts_connects(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Out of range for an hour and a half, back within seconds; two lines in the log."""
    one = await async_setup_battery(hass, bluetooth_env)
    for _ in range(3):
        caplog.clear()
        await one.peripheral.stop()
        await asyncio.sleep(1.5 * HOUR)
        assert one.shown("voltage") == STATE_UNAVAILABLE
        await one.peripheral.start()
        heard = hass.loop.time()
        await wait_until(lambda: one.shown("voltage") != STATE_UNAVAILABLE, 5)
        assert hass.loop.time() - heard < 5
        gone, back = log_lines(caplog, logging.INFO)
        assert one.entry.title in gone
        assert "recovered" in back


async def test_services_that_moved_are_discovered_again(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """An adapter remembers the old ones; no user has to clear its cache."""
    one = await async_setup_battery(hass, bluetooth_env)
    (adapter,) = bluetooth_env.adapters.values()
    (services,) = adapter.gatt_cache.values()
    foreign = await bluetooth_env.add_battery(
        battery("idle", address="A4:C1:38:00:00:99", name="ZT-jbd"), profile="jbd"
    )
    client = await bluetooth_env.connect(foreign.address)
    # Not from the cache: the discovery of the foreign one may have cleared it by now.
    adapter.gatt_cache[one.pack.address] = client.services
    await client.disconnect()
    one.peripheral.drop_connection()
    await wait_until(lambda: not one.is_connected)
    await wait_until(lambda: one.is_connected, 30)
    await asyncio.sleep(1)
    assert adapter.gatt_cache[one.pack.address] is not services
    assert one.entry.runtime_data.statistics.failed_polls <= 1
    assert one.became_unavailable == []


# --- stuck data -------------------------------------------------------------------------


async def test_stuck_data_under_load_reconnects(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The same bytes for half an hour while a current flows are no measurement."""
    one = await async_setup_battery(hass, bluetooth_env, battery("driving_load"))
    assert one.pack.expected_values()["current"]
    one.pack.hold = True
    connections = one.peripheral.connections
    health = one.entry.runtime_data.statistics
    await asyncio.sleep(29 * MINUTE)
    assert health.stuck == 0
    assert one.peripheral.connections == connections
    await asyncio.sleep(2 * MINUTE)
    assert health.stuck == 1
    assert one.peripheral.connections == connections + 1
    await asyncio.sleep(31 * MINUTE)
    assert health.stuck == 2
    one.pack.hold = False
    await asyncio.sleep(2 * HOUR)
    assert health.stuck == 2
    assert one.became_unavailable == []


async def test_stuck_data_at_rest_is_accepted(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nothing flows, nothing changes."""
    one = await async_setup_battery(hass, bluetooth_env, battery("idle"))
    one.pack.hold = True
    one.pack.override = replace(one.pack.reported(), current=0.0)
    connections = one.peripheral.connections
    await asyncio.sleep(3 * HOUR)
    assert one.entry.runtime_data.statistics.stuck == 0
    assert one.peripheral.connections == connections


# --- after a restart --------------------------------------------------------------------


async def test_last_values_after_a_restart_are_shown_at_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With the time they were read, and live soon after the first advertisement."""
    one = await async_setup_battery(hass, bluetooth_env)
    await enable_all(hass, one.pack.address)
    await one.wait_connected()
    shown = {
        key: one.shown(key)
        for key in ("voltage", "state_of_charge", "cell_1", "probe_1", "active_faults")
    }
    updated = one.shown("last_update")
    await restart(hass, one, off_for=5 * HOUR, away=True)
    assert {key: one.shown(key) for key in shown} == shown
    assert one.shown("last_update") == updated
    assert one.shown("low_battery", "binary_sensor") == "off"
    await asyncio.sleep(STALE + 1)
    assert one.shown("voltage") == STATE_UNAVAILABLE
    assert one.shown("last_update") == updated
    started = dt_util.utcnow().replace(microsecond=0)
    await one.peripheral.start()
    await wait_until(lambda: one.shown("voltage") != STATE_UNAVAILABLE, 5)
    now = dt_util.parse_datetime(one.shown("last_update") or "")
    assert now is not None
    assert now >= started


async def test_live_values_after_a_restart_arrive_within_seconds(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nothing turns unavailable on the way."""
    one = await async_setup_battery(hass, bluetooth_env)
    await restart(hass, one, off_for=MINUTE)
    one.became_unavailable.clear()
    set_up = hass.loop.time()
    one.pack.demand_current = -60.0
    health = one.entry.runtime_data.statistics
    await wait_until(lambda: health.samples, 5)
    assert hass.loop.time() - set_up < 5
    assert one.became_unavailable == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{not json",
        "[]",
        '{"version": 1, "minor_version": 1, "key": "x", "data": []}',
        json.dumps({"version": 99, "minor_version": 1, "key": "x", "data": {}}),
        json.dumps(
            {
                "version": 1,
                "minor_version": 1,
                "key": "x",
                "data": {"frame": "zz", "when": 5, "released": "yes"},
            }
        ),
        json.dumps(
            {
                "version": 1,
                "minor_version": 1,
                "key": "x",
                "data": {
                    # Intact but for its checksum.
                    "frame": "01035200" + "00" * 80,
                    "when": "2026-01-01T00:00:00+00:00",
                },
            }
        ),
        json.dumps(
            {
                "version": 1,
                "minor_version": 1,
                "key": "x",
                "data": {"frame": "01" * 50_000, "when": "yesterday"},
            }
        ),
    ],
)
async def test_last_values_with_a_damaged_file_are_not_shown(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, content: str
) -> None:
    """Nothing of it is shown, and the battery is set up as usual."""
    one = await async_setup_battery(hass, bluetooth_env)
    assert await hass.config_entries.async_unload(one.entry.entry_id)
    await one.peripheral.stop()
    memory_of(hass, one.entry).write_text(content)
    assert await hass.config_entries.async_setup(one.entry.entry_id)
    await hass.async_block_till_done()
    assert one.shown("voltage") == STATE_UNAVAILABLE
    assert one.shown("bluetooth_connection", "switch") == "on"
    await one.peripheral.start()
    await wait_until(lambda: one.shown("voltage") != STATE_UNAVAILABLE, 10)


async def test_running_battery_is_saved_twelve_times_an_hour_at_most(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """An SD card lives by what is not written to it."""
    one = await async_setup_battery(hass, bluetooth_env)
    path = memory_of(hass, one.entry)
    contents: set[str] = set()
    for _ in range(120):
        await asyncio.sleep(MINUTE)
        if path.exists():
            contents.add(path.read_text())
    assert 7 <= len(contents) <= 2 * 12 + 1


async def test_last_status_of_a_removed_battery_is_removed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A user who removes it wants nothing of it to stay."""
    one = await async_setup_battery(hass, bluetooth_env)
    assert await hass.config_entries.async_unload(one.entry.entry_id)
    path = memory_of(hass, one.entry)
    assert path.exists()
    await hass.config_entries.async_remove(one.entry.entry_id)
    await hass.async_block_till_done()
    assert not path.exists()


# --- shown while away -------------------------------------------------------------------


async def test_poll_that_is_missed_once_writes_no_state(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Similar integrations turn all their entities unavailable for it."""
    one = await async_setup_battery(hass, bluetooth_env, battery("idle"))
    one.pack.hold = True
    await asyncio.sleep(2 * POLL_INTERVAL)
    written: list[str] = []
    hass.bus.async_listen(
        EVENT_STATE_CHANGED,
        callback(lambda event: written.append(event.data["entity_id"])),
    )
    for fault in ("drop", "corrupt", "truncate", "lose_chunk"):
        # As many as one poll asks.
        setattr(one.peripheral.faults, fault, 3)
        await asyncio.sleep(4 * POLL_INTERVAL)
    assert one.entry.runtime_data.statistics.failed_polls >= 2
    assert written == []
    assert value(hass, one.pack.address, "connection_status") == "connected"


# --- options that are changed at a bad moment -------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(600, 10), (10, 600)])
async def test_interval_change_loses_no_energy(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, before: int, after: int
) -> None:
    """What flowed since the last reading is judged by the interval it was read at."""
    one = await async_setup_battery(hass, bluetooth_env, battery("driving_load"))
    energy = one.entry.runtime_data.history.energy
    await set_options(hass, one.entry, interval=before)
    await asyncio.sleep(5)
    base = energy.total("discharged") - one.pack.discharge_energy_kwh
    await asyncio.sleep(before + min(0.9 * before, 9 * MINUTE))
    await set_options(hass, one.entry, interval=after)
    await asyncio.sleep(after + POLL_INTERVAL)
    counted = energy.total("discharged") - base
    assert counted == pytest.approx(one.pack.discharge_energy_kwh, rel=0.05)


async def test_energy_over_a_release_is_not_counted_at_any_interval(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Where no reading would be missed, either: the phone app may have changed much."""
    one = await async_setup_battery(hass, bluetooth_env, battery("driving_load"))
    energy = one.entry.runtime_data.history.energy
    await set_options(hass, one.entry, interval=600)
    await asyncio.sleep(MINUTE)
    before = energy.total("discharged")
    await one.release(duration={"minutes": 20})
    await asyncio.sleep(20 * MINUTE + 5)
    assert one.is_connected
    assert energy.total("discharged") == before
    await asyncio.sleep(21 * MINUTE)
    assert energy.total("discharged") > before


async def test_values_that_have_expired_return_only_with_a_reading(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither with a longer maximum age, nor with a release after that."""
    one = await async_setup_battery(hass, bluetooth_env)
    one.peripheral.faults.drop = FOREVER
    await asyncio.sleep(30 * MINUTE)
    assert one.shown("voltage") == STATE_UNAVAILABLE
    await set_options(hass, one.entry, max_age=24 * 3600)
    await asyncio.sleep(5 * MINUTE)
    assert one.shown("voltage") == STATE_UNAVAILABLE
    await one.release(duration={"minutes": 1})
    await asyncio.sleep(2 * MINUTE)
    assert one.shown("voltage") == STATE_UNAVAILABLE
    assert len(log_lines(caplog, logging.INFO)) == 1
    one.peripheral.faults.clear()
    await wait_until(lambda: one.shown("voltage") != STATE_UNAVAILABLE, MINUTE)
    # And those that stand now may do so for a day.
    one.peripheral.faults.drop = FOREVER
    await asyncio.sleep(2 * HOUR)
    assert one.shown("voltage") != STATE_UNAVAILABLE


async def test_values_that_have_expired_stay_so_during_a_firmware_update(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Polls pause meanwhile, and fresh values stay fresh."""
    one = await async_setup_battery(hass, bluetooth_env)
    access = one.entry.runtime_data.firmware._operations
    async with access.hold(Operation.FIRMWARE):
        await asyncio.sleep(5 * MINUTE)
        assert one.became_unavailable == []
    await asyncio.sleep(2 * POLL_INTERVAL)
    one.peripheral.faults.drop = FOREVER
    await asyncio.sleep(30 * MINUTE)
    assert one.shown("voltage") == STATE_UNAVAILABLE
    async with access.hold(Operation.FIRMWARE):
        await asyncio.sleep(10 * MINUTE)
        assert one.shown("voltage") == STATE_UNAVAILABLE
    assert len(log_lines(caplog, logging.INFO)) == 1
    one.peripheral.faults.clear()
    await wait_until(lambda: one.shown("voltage") != STATE_UNAVAILABLE, 6 * MINUTE)


async def test_stuck_data_in_each_mode_is_detected(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also where each reading has a connection of its own."""
    one = await async_setup_battery(hass, bluetooth_env, battery("driving_load"))
    await set_options(hass, one.entry, connection="each_poll", interval=60)
    await asyncio.sleep(MINUTE)
    one.pack.hold = True
    health = one.entry.runtime_data.statistics
    await asyncio.sleep(29 * MINUTE)
    assert health.stuck == 0
    await asyncio.sleep(4 * MINUTE)
    assert health.stuck == 1
    await asyncio.sleep(32 * MINUTE)
    assert health.stuck == 2


async def test_log_lines_after_a_rename_use_the_new_name(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A user who renames a battery looks for it under its new name."""
    one = await async_setup_battery(hass, bluetooth_env)
    old = one.entry.title
    hass.config_entries.async_update_entry(one.entry, title="Grandma")
    await asyncio.sleep(1)
    await one.peripheral.stop()
    await asyncio.sleep(2 * MINUTE)
    (line,) = log_lines(caplog, logging.INFO)
    assert "Grandma" in line
    assert old not in line
