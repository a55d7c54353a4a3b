"""When a battery is polled, which samples are valid, and what failures look like."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
import logging
from typing import Any
from unittest.mock import Mock

import pytest

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import (
    EVENT_HOMEASSISTANT_STOP,
    EVENT_STATE_CHANGED,
    EVENT_STATE_REPORTED,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType, InvalidData
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.update_coordinator import UpdateFailed
from homeassistant.util import dt as dt_util

from .bluetooth_env import BluetoothEnvironment
from .common import (
    battery,
    device_of,
    entity_id,
    hold_by_other_device,
    log_lines,
    value,
    wait_until,
)
from custom_components.voltgo_vlrv.battery.reporting import STANDING
from custom_components.voltgo_vlrv.battery.slow_values import SLOW
from custom_components.voltgo_vlrv.const import CONF_INFO
from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from custom_components.voltgo_vlrv.vlrv.identity import Identity
from custom_components.voltgo_vlrv.vlrv.registers import register_of
from simulator.battery import SimulatedBattery
from simulator.faults import FOREVER
from tests.common import POLL_INTERVAL, STATUS_READ
from tests.harness import async_setup_battery

IDENTITY_READ = bytes.fromhex("010300690017d5d8")


def writes(hass: HomeAssistant) -> list[str]:
    """Return a list that grows with the entity of each state written from now on."""
    written: list[str] = []

    @callback
    def note(event: Event[Any]) -> None:
        written.append(event.data["entity_id"])

    for kind in (EVENT_STATE_CHANGED, EVENT_STATE_REPORTED):
        hass.bus.async_listen(kind, note, event_filter=callback(lambda _: True))
    return written


async def test_change_at_the_battery_is_shown_with_the_next_poll(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Ten seconds at most."""
    pack = battery()
    await async_setup_battery(hass, bluetooth_env, pack)
    pack.demand_current = -77.0
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert value(hass, pack.address, "current") == "-77.0"


async def test_battery_that_was_just_added_is_read_with_one_request_a_poll(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The connection is shared with others; the config flow has read the identity."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    assert [write.data for write in peripheral.writes].count(IDENTITY_READ) == 1
    peripheral.writes.clear()
    polls = entry.runtime_data.statistics.polls
    await asyncio.sleep(10 * POLL_INTERVAL)
    assert entry.runtime_data.statistics.polls - polls == 10
    assert [write.data for write in peripheral.writes] == [STATUS_READ] * 10
    assert peripheral.connections == 2  # proof and entry


class DeafBattery(SimulatedBattery):
    """A battery that does not hear the first requests for all its registers."""

    unheard = 3

    def handle(self, frame: bytes) -> bytes | None:
        """Answer, but not to these."""
        if frame == STATUS_READ and self.unheard:
            self.unheard -= 1
            return None
        return super().handle(frame)


async def test_heater_after_lost_replies_is_available(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery that was added as one with fewer registers is asked for all once more."""
    pack = DeafBattery(name="ZT-25.6V100Ah-0042", heating_enabled=True)
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    assert entry.data[CONF_INFO]["status_count"] == 39
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert value(hass, pack.address, "heater", "switch") == "on"
    assert entry.data[CONF_INFO]["status_count"] == 41
    peripheral.writes.clear()
    await asyncio.sleep(10 * POLL_INTERVAL)
    assert [write.data for write in peripheral.writes] == [STATUS_READ] * 10
    await hass.config_entries.async_reload(entry.entry_id)
    await asyncio.sleep(2)
    assert value(hass, pack.address, "heater", "switch") == "on"


async def test_states_without_a_change_are_not_written(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Neither a changed state nor a reported one."""
    pack = battery("idle")
    pack.hold = True
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    written = writes(hass)
    samples = entry.runtime_data.statistics.samples
    await asyncio.sleep(10 * POLL_INTERVAL)
    assert entry.runtime_data.statistics.samples - samples == 10
    assert written == []


async def test_states_that_changed_are_written_only(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A changed current does not rewrite the temperatures."""
    pack = battery("idle")
    pack.hold = True
    await async_setup_battery(hass, bluetooth_env, pack)
    pack.override = replace(pack.reported(), current=-3.0)
    written = writes(hass)
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert sorted(entity.rsplit("_", 1)[1] for entity in written) == [
        "current",
        "power",
    ]


async def test_slow_listener_is_called_when_one_of_the_slow_values_may_have_changed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not for another cell voltage; but as soon as there are no values any more."""
    harness = await async_setup_battery(hass, bluetooth_env, battery())
    coordinator = harness.entry.runtime_data.coordinator
    called = Counter[str]()
    coordinator.async_add_listener(lambda: called.update(["any"]))
    coordinator.async_add_listener(lambda: called.update(["slow"]), SLOW)

    def is_called(change: Callable[[], None]) -> bool:
        """Return whether a change calls the slow listener, as it calls any other."""
        called.clear()
        change()
        assert called["any"] == 1
        return called["slow"] == 1

    def receive(field: str) -> bool:
        """Receive a sample with another value of one field."""
        frame = bytearray(coordinator.data.frame)
        frame[3 + 2 * register_of(field).number + 1] ^= 1
        status = replace(coordinator.data, frame=bytes(frame))
        return is_called(lambda: coordinator.async_set_updated_data(status))

    assert not receive("cells")
    assert not receive("current")
    assert receive("pcb_temperature")
    assert receive("switches")
    # Without a sample it may be a setting, an option, or what is known of the battery.
    assert is_called(coordinator.async_update_listeners)
    assert is_called(lambda: coordinator.async_set_update_error(UpdateFailed()))
    assert receive("cells")


async def test_listener_that_fails_keeps_no_other_from_a_sample(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As in a coordinator of Home Assistant; it is logged with its traceback."""
    harness = await async_setup_battery(hass, bluetooth_env, battery())
    coordinator = harness.entry.runtime_data.coordinator
    other = Mock()
    coordinator.async_add_listener(Mock(side_effect=KeyError("a listener's fault")))
    coordinator.async_add_listener(other)
    coordinator.async_set_updated_data(replace(coordinator.data))
    other.assert_called_once_with()
    assert 'KeyError: "a listener\'s fault"' in caplog.text


async def test_values_with_missed_polls_stay_for_a_minute(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Then they are unavailable, with one line in the log, and one when they return."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    last = value(hass, pack.address, "voltage")
    pack.hold = True
    peripheral.faults.drop = FOREVER
    await asyncio.sleep(45)
    assert value(hass, pack.address, "voltage") == last
    assert entry.runtime_data.statistics.failed_polls >= 1
    assert not log_lines(caplog, logging.INFO)
    await asyncio.sleep(25)
    assert value(hass, pack.address, "voltage") == "unavailable"
    await asyncio.sleep(600)
    (line,) = log_lines(caplog, logging.INFO)
    assert pack.name in line
    assert "is not responding" in line

    peripheral.faults.clear()
    await wait_until(lambda: value(hass, pack.address, "voltage") == last, 60)
    assert len(log_lines(caplog, logging.INFO)) == 2
    assert "recovered" in log_lines(caplog, logging.INFO)[1]


async def test_values_read_a_minute_before_the_battery_was_added_stay_until_a_poll(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Otherwise a battery would be unavailable, with an error, just after it was added."""
    harness = await async_setup_battery(hass, bluetooth_env, battery())
    coordinator = harness.entry.runtime_data.coordinator
    harness.peripheral.faults.refuse_connection = FOREVER
    harness.peripheral.drop_connection()
    coordinator.async_take_initial(
        coordinator.data, dt_util.utcnow(), hass.loop.time() - 59
    )
    await asyncio.sleep(55)
    assert harness.shown("voltage") != "unavailable"
    assert not log_lines(caplog, logging.INFO)
    await asyncio.sleep(15)
    assert harness.shown("voltage") == "unavailable"


async def test_values_while_a_connection_attempt_hangs_expire(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The age decides, not the end of an attempt to connect."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    peripheral.faults.refuse_connection = FOREVER
    peripheral.drop_connection()
    before = entry.runtime_data.statistics.last_sample_time
    assert before is not None
    await wait_until(lambda: value(hass, pack.address, "voltage") == "unavailable", 120)
    age = entry.runtime_data.statistics.age(hass.loop.time())
    assert age is not None
    assert 60 <= age <= 61
    peripheral.faults.clear()
    await wait_until(lambda: value(hass, pack.address, "voltage") != "unavailable", 120)


async def test_refresh_by_a_script_that_is_stopped_is_not_a_failure(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The reading is cancelled with it, as where the script is restarted."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    peripheral.faults.drop = 1
    samples = entry.runtime_data.statistics.samples
    asking = asyncio.create_task(
        hass.services.async_call(
            "button",
            "press",
            {"entity_id": entity_id(hass, pack.address, "refresh", "button")},
            blocking=True,
        )
    )
    await asyncio.sleep(0.5)
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()
    entry.runtime_data.coordinator.async_update_listeners()
    assert value(hass, pack.address, "voltage") != "unavailable"
    await asyncio.sleep(POLL_INTERVAL + 3)
    assert entry.runtime_data.statistics.samples > samples


async def test_connection_without_answers_ends_after_three_polls(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A connection that brings no answers is of no use."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    connections = peripheral.connections
    tries = 3
    peripheral.faults.drop = 2 * tries
    await wait_until(lambda: entry.runtime_data.statistics.unanswered_polls == 2, 60)
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert entry.runtime_data.statistics.unanswered_polls == 0
    assert peripheral.connections == connections
    peripheral.faults.drop = 3 * tries
    await wait_until(lambda: peripheral.connections > connections, 60)
    await asyncio.sleep(POLL_INTERVAL)
    assert entry.runtime_data.statistics.failed_polls == 5
    assert entry.runtime_data.statistics.reconnects == 1
    assert value(hass, pack.address, "voltage") != "unavailable"


async def test_connection_lost_is_restored_with_the_next_advertisement(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not with the next poll, and without a gap in the values."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    states: list[str] = []
    hass.bus.async_listen(
        EVENT_STATE_CHANGED,
        callback(lambda event: states.append(event.data["new_state"].state)),
    )
    lost = hass.loop.time()
    peripheral.drop_connection()
    await wait_until(lambda: not entry.runtime_data.client.is_connected)
    await wait_until(lambda: entry.runtime_data.client.is_connected)
    assert hass.loop.time() - lost < 3
    await asyncio.sleep(2)
    assert entry.runtime_data.statistics.reconnects == 1
    assert "unavailable" not in states


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"state_of_charge": 398}, "state_of_charge"),
        ({"voltage": 20.0}, "pack_voltage"),
        ({"cell_voltages": (3.3, 0.0, *[3.3] * 6)}, "cell_voltage"),
        ({"cell_count": 0}, "cell_count"),
        ({"current": 3200.0}, "current"),
    ],
)
async def test_sample_that_is_invalid_is_dropped_and_counted(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    change: dict[str, Any],
    reason: str,
) -> None:
    """The last values stay, and nothing of the sample is used."""
    pack = battery()
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    health = entry.runtime_data.statistics
    pack.hold = True
    # Until every value is shown that waited because it was one step off.
    await asyncio.sleep(STANDING + 1)
    before = {state.entity_id: state.state for state in hass.states.async_all("sensor")}
    samples = health.samples
    pack.override = replace(pack.reported(), **change)
    await asyncio.sleep(3 * POLL_INTERVAL)
    assert health.samples == samples
    assert health.rejected[reason] == 3
    assert before == {
        state.entity_id: state.state for state in hass.states.async_all("sensor")
    }
    assert entry.runtime_data.client.is_connected
    pack.override = None
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert health.samples == samples + 1


async def test_setup_without_the_battery_keeps_the_entities(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Setup needs no battery, and the first advertisement brings the values."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    entities = {
        entity.entity_id
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
    }
    await hass.config_entries.async_unload(entry.entry_id)
    await peripheral.stop()
    await asyncio.sleep(1200)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED
    await asyncio.sleep(300)
    assert value(hass, pack.address, "voltage") == "unavailable"
    assert len(log_lines(caplog, logging.WARNING)) == 1
    assert entities == {
        entity.entity_id
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
    }
    await peripheral.start()
    heard = hass.loop.time()
    await wait_until(lambda: value(hass, pack.address, "voltage") != "unavailable")
    assert hass.loop.time() - heard < 5


async def test_unload_and_reload_leave_no_second_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """No slot is lost on the way."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    (adapter,) = bluetooth_env.adapters.values()
    for _ in range(3):
        assert await hass.config_entries.async_reload(entry.entry_id)
        await wait_until(lambda: entry.runtime_data.client.is_connected)
        assert adapter.slots - adapter.free_slots == 1
    await hass.config_entries.async_unload(entry.entry_id)
    await wait_until(lambda: not peripheral.is_connected)
    assert adapter.free_slots == adapter.slots
    connections = peripheral.connections
    await asyncio.sleep(60)
    assert peripheral.connections == connections


async def test_unload_while_connecting_leaves_no_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """An attempt that hangs is cancelled."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    (adapter,) = bluetooth_env.adapters.values()
    await hold_by_other_device(peripheral)
    assert await hass.config_entries.async_unload(entry.entry_id)
    await asyncio.sleep(1)
    assert adapter.free_slots == adapter.slots


async def test_stop_of_home_assistant_disconnects(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Otherwise the phone app cannot see the battery until its connection times out."""
    pack = battery()
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await wait_until(lambda: not peripheral.is_connected)
    connections = peripheral.connections
    await asyncio.sleep(60)
    assert peripheral.connections == connections


async def test_stop_while_a_connection_attempt_hangs_does_not_wait(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """An attempt may take most of a minute, too long for a shutdown."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await hold_by_other_device(peripheral)
    stopped = hass.loop.time()
    await entry.runtime_data.async_shutdown()
    assert hass.loop.time() - stopped < 1
    (adapter,) = bluetooth_env.adapters.values()
    assert adapter.free_slots == adapter.slots


async def test_firmware_version_after_a_reconnection_is_updated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The identity is read again with each connection."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    assert device_of(hass, pack.address).sw_version == "Z01T20"
    pack.identity.firmware = "Z01T21"
    await peripheral.power_cycle()
    await wait_until(lambda: device_of(hass, pack.address).sw_version == "Z01T21")
    assert entry.data[CONF_INFO]["firmware"] == "Z01T21"


async def test_identity_of_zeros_is_ignored(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Registers that a board does not serve read zero; what is known stays."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    before = entry.data[CONF_INFO]
    pack.identity.model = pack.identity.firmware = pack.identity.serial = ""
    client = entry.runtime_data.client
    connects = client.counters.connects
    await peripheral.power_cycle()
    await wait_until(lambda: client.counters.connects > connects)
    await asyncio.sleep(POLL_INTERVAL)
    assert await client.read_identity() == Identity("", "", "")
    assert entry.data[CONF_INFO] == before
    assert device_of(hass, pack.address).sw_version == "Z01T20"


async def test_battery_with_a_new_name_is_the_same(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It is identified by its address."""
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    pack.name = "Grandma"
    await peripheral.power_cycle()
    await wait_until(lambda: entry.runtime_data.client.is_connected)
    await asyncio.sleep(POLL_INTERVAL)
    assert value(hass, pack.address, "voltage") != "unavailable"
    assert device_of(hass, pack.address).name == "ZT-25.6V100Ah-1238"


async def test_address_is_not_logged_above_debug(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Logs are posted in public."""
    caplog.set_level(logging.DEBUG, "custom_components")
    pack = battery()
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    peripheral.faults.drop = FOREVER
    await asyncio.sleep(120)
    peripheral.faults.clear()
    await peripheral.stop()
    await asyncio.sleep(1200)
    await hass.config_entries.async_unload(entry.entry_id)
    lines = log_lines(caplog, logging.INFO)
    assert lines
    assert not [line for line in lines if pack.address in line]


async def test_battery_with_small_packets_and_slow_answers_is_read(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A proxy may leave 20 bytes a packet, and a battery may answer slowly."""
    pack = battery("failing_cell")
    pack.hold = True
    entry = (
        await async_setup_battery(
            hass, bluetooth_env, pack, max_mtu=23, reply_latency=0.14
        )
    ).entry
    await asyncio.sleep(5 * POLL_INTERVAL)
    assert entry.runtime_data.statistics.failed_polls == 0
    assert value(hass, pack.address, "voltage") == str(
        pack.expected_values()["voltage"]
    )


async def set_interval(
    hass: HomeAssistant, entry: VlrvConfigEntry, seconds: float
) -> None:
    """Change the interval as a user does."""
    result = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"next_step_id": "general"}
    )
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"interval": seconds}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await asyncio.sleep(2)


@pytest.mark.parametrize("seconds", [5, 60, 3600])
async def test_interval_change_applies_at_once_and_keeps_the_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, seconds: float
) -> None:
    """The user waits neither for the old interval nor for a new connection."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    connections = peripheral.connections
    await set_interval(hass, entry, seconds)
    health = entry.runtime_data.statistics
    polls = health.polls
    await asyncio.sleep(5 * seconds)
    assert health.polls - polls == 5
    assert health.failed_polls == 0
    assert peripheral.connections == connections
    assert value(hass, pack.address, "voltage") != "unavailable"
    await set_interval(hass, entry, 10)
    polls = health.polls
    await asyncio.sleep(5 * POLL_INTERVAL)
    assert health.polls - polls == 5


@pytest.mark.parametrize("seconds", [4, 3601, -1])
async def test_interval_out_of_range_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, seconds: float
) -> None:
    """The radio and the SD card have their limits; nothing is changed."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    with pytest.raises(InvalidData):
        await set_interval(hass, entry, seconds)
    assert entry.options == {}


async def test_values_are_fresh_for_four_intervals(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And a missed poll is repeated soon, not after another interval."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await set_interval(hass, entry, 120)
    peripheral.faults.drop = FOREVER
    await asyncio.sleep(460)
    assert value(hass, pack.address, "voltage") != "unavailable"
    await asyncio.sleep(40)
    assert value(hass, pack.address, "voltage") == "unavailable"
    peripheral.faults.clear()
    await wait_until(lambda: value(hass, pack.address, "voltage") != "unavailable", 60)


async def test_interval_made_shorter_shortens_the_availability(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also of the sample that was shown under the longer one."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await set_interval(hass, entry, 3600)
    peripheral.faults.drop = FOREVER
    await asyncio.sleep(300)
    assert value(hass, pack.address, "voltage") != "unavailable"
    await set_interval(hass, entry, 10)
    await asyncio.sleep(POLL_INTERVAL)
    assert value(hass, pack.address, "voltage") == "unavailable"


async def test_connection_lost_after_unloading_schedules_no_poll(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The stack may report the end of a connection late."""
    entry = (await async_setup_battery(hass, bluetooth_env)).entry
    coordinator = entry.runtime_data.coordinator
    assert await hass.config_entries.async_unload(entry.entry_id)
    coordinator.async_add_listener(lambda: None)
    coordinator.handle_lost(timedelta(seconds=5))
    assert coordinator._unsub_refresh is None
