"""The one connection of a battery: released for the phone app, shared with others."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockModule,
    mock_integration,
)

from homeassistant.const import EVENT_STATE_CHANGED, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.loader import async_get_integration
from homeassistant.util import dt as dt_util

from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.bleak_client import VirtualClient
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    POLL_INTERVAL,
    STATUS_READ,
    battery,
    device_of,
    entity_id,
    hold_by_other_device,
    issues,
    set_options,
    wait_until,
)
from tests.harness import async_setup_battery, async_setup_fleet

MINUTE = 60.0
HOUR = 3600.0


# --- release ----------------------------------------------------------------------------


async def test_connection_switch_off_lets_the_phone_app_connect(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """For as long as it is off; the last values stay, and nothing is reported lost."""
    one = await async_setup_battery(hass, bluetooth_env)
    assert (one.status, one.shown("bluetooth_connection", "switch")) == (
        "connected",
        "on",
    )
    voltage = one.shown("voltage")
    await one.set_connection(False)
    await wait_until(lambda: one.peripheral.is_advertising, 1)
    assert (one.status, one.shown("bluetooth_connection", "switch")) == (
        "released",
        "off",
    )
    await one.peripheral.occupy()
    connections = one.peripheral.connections
    await asyncio.sleep(2 * HOUR)
    assert one.peripheral.connections == connections
    assert one.shown("voltage") == voltage
    assert one.status == "released"
    assert one.became_unavailable == []

    await one.peripheral.vacate()
    await one.set_connection(True)
    assert one.shown("bluetooth_connection", "switch") == "on"
    switched = hass.loop.time()
    await wait_until(lambda: one.status == "connected", 5)
    await wait_until(
        lambda: one.entry.runtime_data.statistics.last_sample_time > switched, 5
    )
    assert one.became_unavailable == []


@pytest.mark.parametrize("by_entity", [False, True])
async def test_release_action_without_a_duration_lasts_a_quarter_of_an_hour(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, by_entity: bool
) -> None:
    """Then the battery is connected again without an action of the user."""
    one = await async_setup_battery(hass, bluetooth_env)
    target = (
        {"entity_id": entity_id(hass, one.pack.address, "voltage")} if by_entity else {}
    )
    before = dt_util.utcnow()
    await one.release(**target)
    await wait_until(lambda: not one.peripheral.is_connected, 1)
    state = hass.states.get(entity_id(hass, one.pack.address, "connection_status"))
    assert state is not None
    assert state.state == "released"
    until_ = dt_util.parse_datetime(state.attributes["released_until"])
    assert until_ is not None
    assert abs(until_ - before - timedelta(minutes=15)) < timedelta(seconds=1)
    await asyncio.sleep(14.9 * MINUTE)
    assert not one.is_connected
    await asyncio.sleep(0.1 * MINUTE + 5)
    assert one.is_connected
    state = hass.states.get(entity_id(hass, one.pack.address, "connection_status"))
    assert state is not None
    assert state.state == "connected"
    assert "released_until" not in state.attributes
    assert one.became_unavailable == []


async def test_release_during_a_release_replaces_it(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Longer, shorter, or without an end."""
    one = await async_setup_battery(hass, bluetooth_env)
    await one.release(duration={"minutes": 5})
    await one.release(duration={"hours": 1})
    await asyncio.sleep(55 * MINUTE)
    assert one.status == "released"
    await one.release(duration={"minutes": 1})
    await asyncio.sleep(MINUTE + 5)
    assert one.is_connected
    await one.release(duration={"minutes": 1})
    await one.set_connection(False)
    await asyncio.sleep(2 * HOUR)
    assert one.status == "released"
    assert one.became_unavailable == []


@pytest.mark.parametrize(
    "duration", [{"seconds": 59}, {"hours": 24, "seconds": 1}, {"seconds": 0}]
)
async def test_release_with_an_invalid_duration_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, duration: dict[str, int]
) -> None:
    """A minute to a day; nothing is changed."""
    one = await async_setup_battery(hass, bluetooth_env)
    with pytest.raises(ServiceValidationError, match="1 minute to 24 hours"):
        await one.release(duration=duration)
    assert one.is_connected
    assert one.status == "connected"


async def test_release_without_a_battery_of_the_integration_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """All that were named are released, or none."""
    one = await async_setup_battery(hass, bluetooth_env)
    with pytest.raises(
        ServiceValidationError, match="does not include a Voltgo VLRV battery"
    ):
        await one.release(entity_id="sun.sun")
    second = await async_setup_battery(hass, bluetooth_env, battery("winter"))
    device = device_of(hass, second.pack.address).id
    await hass.config_entries.async_unload(second.entry.entry_id)
    with pytest.raises(ServiceValidationError, match=second.entry.title):
        await hass.services.async_call(
            DOMAIN,
            "release_connection",
            {"device_id": [device_of(hass, one.pack.address).id, device]},
            blocking=True,
        )
    assert one.is_connected


async def test_commands_to_a_released_battery_are_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Neither a change nor the button connects; both errors say why."""
    one = await async_setup_battery(hass, bluetooth_env)
    await one.set_connection(False)
    writes = len(one.peripheral.writes)
    for platform, action, key, data in (
        ("button", "press", "refresh", {}),
        ("select", "select_option", "module_id", {"option": "3"}),
    ):
        with pytest.raises(HomeAssistantError, match='"Bluetooth connection" switch'):
            await hass.services.async_call(
                platform,
                action,
                {"entity_id": entity_id(hass, one.pack.address, key, platform), **data},
                blocking=True,
            )
    assert len(one.peripheral.writes) == writes
    assert one.entry.runtime_data.statistics.failed_polls == 0
    assert one.became_unavailable == []


async def test_release_after_a_restart_is_restored(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With its end, and with the last values."""
    one = await async_setup_battery(hass, bluetooth_env)
    voltage = one.shown("voltage")
    await one.release(duration={"minutes": 30})
    assert await hass.config_entries.async_unload(one.entry.entry_id)
    await asyncio.sleep(10 * MINUTE)
    assert await hass.config_entries.async_setup(one.entry.entry_id)
    connections = one.peripheral.connections
    await asyncio.sleep(19 * MINUTE)
    assert one.status == "released"
    assert one.shown("bluetooth_connection", "switch") == "off"
    assert one.shown("voltage") == voltage
    assert one.peripheral.connections == connections
    await asyncio.sleep(MINUTE + 5)
    assert one.is_connected
    assert one.shown("voltage") != STATE_UNAVAILABLE


async def test_release_that_ended_during_a_restart_is_over(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Home Assistant was off for longer than that."""
    one = await async_setup_battery(hass, bluetooth_env)
    await one.release(duration={"minutes": 5})
    assert await hass.config_entries.async_unload(one.entry.entry_id)
    await asyncio.sleep(10 * MINUTE)
    assert await hass.config_entries.async_setup(one.entry.entry_id)
    await wait_until(lambda: one.is_connected, 5)
    await wait_until(lambda: one.status == "connected", 5)


async def test_release_end_with_the_phone_connected_waits_for_it(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The time is over, the app still open: the status says so; no reload is needed."""
    one = await async_setup_battery(hass, bluetooth_env)
    await one.release(duration={"minutes": 1})
    await asyncio.sleep(5)
    await one.peripheral.occupy()
    await asyncio.sleep(5 * MINUTE)
    assert one.status == "unreachable"
    assert one.shown("voltage") == STATE_UNAVAILABLE
    await asyncio.sleep(2 * HOUR)
    await one.peripheral.vacate()
    await wait_until(lambda: one.shown("voltage") != STATE_UNAVAILABLE, 5)
    assert one.status == "connected"


async def test_release_while_connecting_cancels_the_attempt(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A release must not wait for a timeout."""
    one = await async_setup_battery(hass, bluetooth_env)
    await hold_by_other_device(one.peripheral)
    released = hass.loop.time()
    await one.set_connection(False)
    assert hass.loop.time() - released < 1
    assert one.status == "released"
    (adapter,) = bluetooth_env.adapters.values()
    assert adapter.free_slots == adapter.slots
    one.peripheral.faults.clear()
    connections = one.peripheral.connections
    await asyncio.sleep(HOUR / 2)
    assert one.peripheral.connections == connections


async def test_release_during_a_heater_command_does_not_wait(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Both are switches, and the heater may be trying to connect for a minute."""
    one = await async_setup_battery(hass, bluetooth_env)
    await hold_by_other_device(one.peripheral)
    heater = {"entity_id": entity_id(hass, one.pack.address, "heater", "switch")}
    change = hass.async_create_task(
        hass.services.async_call("switch", "turn_on", heater, blocking=True)
    )
    await asyncio.sleep(1)
    began = hass.loop.time()
    await one.set_connection(False)
    assert hass.loop.time() - began < 1
    assert one.status == "released"
    with pytest.raises(HomeAssistantError) as error:
        await change
    assert error.value.translation_key == "change_released"


async def test_release_while_waiting_for_a_slot_cancels_the_attempt(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The slot that becomes free a moment later is not used."""
    one = await async_setup_battery(hass, bluetooth_env)
    (adapter,) = bluetooth_env.adapters.values()
    adapter.slots = 0
    one.peripheral.drop_connection()
    await wait_until(
        lambda: one.entry.runtime_data.connection._backoff.attempt_started > 0
    )
    await wait_until(lambda: one.status == "connecting", 5)
    await asyncio.sleep(1)
    await one.set_connection(False)
    adapter.slots = 1
    adapter._publish_allocations()
    connections = one.peripheral.connections
    await asyncio.sleep(MINUTE)
    assert one.peripheral.connections == connections
    assert not one.is_connected
    assert one.status == "released"


# --- connecting for each poll -----------------------------------------------------------


async def test_mode_for_each_poll_disconnects_between_polls(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Applied at once, without a reload; values stay live, with one request a poll."""
    one = await async_setup_battery(hass, bluetooth_env)
    await set_options(hass, one.entry, connection="each_poll", interval=60)
    await asyncio.sleep(5)
    assert one.status == "idle"
    assert one.peripheral.is_advertising
    one.peripheral.writes.clear()
    connections = one.peripheral.connections
    health = one.entry.runtime_data.statistics
    samples = health.samples
    lines: list[str] = []
    hass.bus.async_listen(
        EVENT_STATE_CHANGED,
        callback(lambda event: lines.append(event.data["entity_id"])),
    )
    for count in range(1, 31):
        # Home Assistant's timer begins at a whole second after the poll before.
        await wait_until(lambda count=count: health.samples - samples == count, 65)
        await asyncio.sleep(50)
        assert one.peripheral.is_advertising
    assert one.peripheral.connections - connections == 30
    assert health.samples - samples == 30
    assert health.failed_polls == 0
    # The battery tells of itself once an hour.
    reads = [write.data for write in one.peripheral.writes]
    assert reads.count(STATUS_READ) == len(reads) == 30
    assert entity_id(hass, one.pack.address, "connection_status") not in lines
    assert one.became_unavailable == []

    await set_options(hass, one.entry, connection="keep", interval=10)
    await asyncio.sleep(5)
    assert one.status == "connected"
    connections = one.peripheral.connections
    await asyncio.sleep(10 * MINUTE)
    assert one.peripheral.connections == connections


async def test_change_between_two_polls_connects_for_it(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And disconnects again when it is confirmed."""
    one = await async_setup_battery(hass, bluetooth_env)
    await set_options(hass, one.entry, connection="each_poll", interval=600)
    await asyncio.sleep(5)
    await hass.services.async_call(
        "select",
        "select_option",
        {
            "entity_id": entity_id(hass, one.pack.address, "module_id", "select"),
            "option": "3",
        },
        blocking=True,
    )
    await wait_until(lambda: one.peripheral.is_advertising, 5)
    await one.peripheral.power_cycle()
    await wait_until(lambda: one.shown("module_id", "select") == "3", 700)
    assert issues(hass) == []


async def test_commands_at_the_same_time_share_a_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The second does not wait for the slot that the first has just used."""
    one = await async_setup_battery(hass, bluetooth_env, slots=1)
    await set_options(hass, one.entry, connection="each_poll", interval=600)
    await asyncio.sleep(5)
    assert not one.is_connected
    connections = one.peripheral.connections
    started = hass.loop.time()
    await asyncio.gather(
        *(
            hass.services.async_call(
                platform,
                action,
                {"entity_id": entity_id(hass, one.pack.address, key, platform), **data},
                blocking=True,
            )
            for platform, action, key, data in (
                ("button", "press", "refresh", {}),
                ("select", "select_option", "module_id", {"option": "4"}),
            )
        )
    )
    assert hass.loop.time() - started < 5
    assert one.peripheral.connections == connections + 1


async def test_last_slot_in_automatic_mode_is_shared(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Until there is another one."""
    one = await async_setup_battery(hass, bluetooth_env, slots=1)
    (adapter,) = bluetooth_env.adapters.values()
    await asyncio.sleep(5)
    assert one.status == "idle"
    assert adapter.free_slots == 1
    adapter.slots = 2
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert one.status == "connected"
    connections = one.peripheral.connections
    await asyncio.sleep(MINUTE)
    assert one.peripheral.connections == connections
    adapter.slots = 1
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert one.status == "idle"
    await set_options(hass, one.entry, connection="keep")
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert one.status == "connected"
    assert adapter.free_slots == 0
    assert one.became_unavailable == []


# --- several batteries ------------------------------------------------------------------


def watch_attempts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with the number of attempts under way at each start."""
    under_way = 0
    seen: list[int] = []
    connect = VirtualClient.connect

    async def counted(client: VirtualClient, *args: Any, **kwargs: Any) -> None:
        nonlocal under_way
        under_way += 1
        seen.append(under_way)
        try:
            await connect(client, *args, **kwargs)
        finally:
            under_way -= 1

    monkeypatch.setattr(VirtualClient, "connect", counted)
    return seen


@pytest.mark.parametrize("adapters", [1, 2])
async def test_connection_attempts_over_one_adapter_are_sequential(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    adapters: int,
) -> None:
    """Also when all batteries return at once."""
    batteries = await async_setup_fleet(
        hass, bluetooth_env, 5, *[{"slots": 6}] * adapters
    )
    await asyncio.sleep(30)
    attempts = watch_attempts(monkeypatch)
    for one in batteries:
        one.peripheral.drop_connection()
    await wait_until(lambda: not any(one.is_connected for one in batteries), 5)
    await wait_until(lambda: all(one.is_connected for one in batteries), 60)
    assert len(attempts) >= 5
    assert max(attempts) == adapters


async def test_polls_of_several_batteries_are_spread_over_the_interval(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Batteries that were added at the same moment do not all use the radio at once."""
    batteries = await async_setup_fleet(hass, bluetooth_env, 5, {"slots": 6})
    await asyncio.sleep(2 * MINUTE)
    for one in batteries:
        one.peripheral.writes.clear()
    await asyncio.sleep(MINUTE)
    poll_times = sorted(
        write.time for one in batteries for write in one.peripheral.writes
    )
    assert len(poll_times) == 5 * 6
    assert min(b - a for a, b in pairwise(poll_times)) > 0.5


async def test_proxy_with_three_slots_serves_eight_batteries_in_turn(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """None is left out, and no option has to be set for it."""
    batteries = await async_setup_fleet(hass, bluetooth_env, 8, {"slots": 3})
    await asyncio.sleep(2 * MINUTE)
    for one in batteries:
        one.became_unavailable.clear()
    before = [one.entry.runtime_data.statistics.samples for one in batteries]
    await asyncio.sleep(5 * MINUTE)
    samples = [
        one.entry.runtime_data.statistics.samples - count
        for one, count in zip(batteries, before, strict=True)
    ]
    # Five minutes without one missed interval are 30.
    assert min(samples) >= 15, samples
    assert [one.became_unavailable for one in batteries] == [[]] * 8
    assert issues(hass, "no_slot") == []


# --- repair issues ----------------------------------------------------------------------


async def test_batteries_that_take_turns_keep_their_mode(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The connections that stay settle, though a slot is free after each disconnection."""
    batteries = await async_setup_fleet(
        hass, bluetooth_env, 8, {"slots": 3}, {"slots": 3}
    )
    bluetooth_env.medium.connection_interval = 0.05  # as slow as real ones
    await asyncio.sleep(10 * MINUTE)
    changes: list[str] = []
    hass.bus.async_listen(
        EVENT_STATE_CHANGED,
        callback(
            lambda event: (
                changes.append(event.data["entity_id"])
                if event.data["entity_id"].endswith("_connection_status")
                else None
            )
        ),
    )
    await asyncio.sleep(20 * MINUTE)
    assert len(changes) <= 2 * len(batteries)
    shown = [one.status for one in batteries]
    assert set(shown) == {"connected", "idle"}
    assert all(one.became_unavailable == [] for one in batteries)


async def test_slot_issue_without_a_free_slot_ends_by_itself(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It names the adapters in range, what uses their slots, and what to do."""
    one = await async_setup_battery(hass, bluetooth_env)
    adapter = next(iter(bluetooth_env.adapters.values()))
    adapter.faults.out_of_slots = True
    one.peripheral.drop_connection()
    await wait_until(lambda: issues(hass, "no_slot"), 2 * MINUTE)
    (issue,) = issues(hass, "no_slot")
    assert issue.translation_placeholders == {
        "name": one.entry.title,
        "adapters": f"{adapter.scanner.name} (3/3)",
    }
    assert one.status == "no_slot"
    adapter.faults.out_of_slots = False
    await wait_until(lambda: one.is_connected, 6 * MINUTE)
    assert issues(hass, "no_slot") == []
    assert one.status == "connected"


async def test_slot_issue_of_a_removed_battery_is_deleted(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It could not be resolved any more."""
    one = await async_setup_battery(hass, bluetooth_env)
    adapter = next(iter(bluetooth_env.adapters.values()))
    adapter.slots = 0
    one.peripheral.drop_connection()
    await wait_until(lambda: issues(hass, "no_slot"), 2 * MINUTE)
    await asyncio.sleep(MINUTE)
    button = {"entity_id": entity_id(hass, one.pack.address, "refresh", "button")}
    pressed = hass.async_create_task(
        hass.services.async_call("button", "press", button, blocking=True)
    )
    await asyncio.sleep(2)
    await hass.config_entries.async_remove(one.entry.entry_id)
    with pytest.raises(HomeAssistantError):
        await pressed
    assert issues(hass) == []


async def test_slot_that_becomes_free_is_used_at_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not after the delay of a battery with hours of failed attempts."""
    one = await async_setup_battery(hass, bluetooth_env)
    adapter = next(iter(bluetooth_env.adapters.values()))
    adapter.slots = 0
    one.peripheral.drop_connection()
    await asyncio.sleep(HOUR / 2)
    assert one.status == "no_slot"
    adapter.slots = 1
    adapter._publish_allocations()
    await wait_until(lambda: one.is_connected, 10)


@pytest.mark.parametrize(
    "unique_id", ["A4:C1:37:43:A4:42", "a4:c1:37:43:a4:42", "a4c13743a442"]
)
async def test_competing_integration_issue_names_the_entry(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, unique_id: str
) -> None:
    """With the entry to remove, by the names on the screen; it ends with that entry."""
    mock_integration(hass, MockModule("bms_ble"))
    integration = await async_get_integration(hass, "bms_ble")
    integration.manifest["name"] = "BLE Battery Management"
    one = await async_setup_battery(
        hass, bluetooth_env, battery("solar_charging", address="A4:C1:37:43:A4:42")
    )
    assert issues(hass) == []
    stranger = MockConfigEntry(domain="bms_ble", title="JBD", unique_id="a4:c1:00:00")
    stranger.add_to_hass(hass)
    await asyncio.sleep(1)
    assert issues(hass) == []
    other = MockConfigEntry(domain="bms_ble", title="JBD BMS", unique_id=unique_id)
    await hass.config_entries.async_add(other)
    await asyncio.sleep(1)
    (issue,) = issues(hass, "competing_integration")
    assert issue.translation_placeholders == {
        "name": one.entry.title,
        "entry": "JBD BMS",
        "integration": "BLE Battery Management",
    }
    await hass.config_entries.async_remove(other.entry_id)
    await asyncio.sleep(1)
    assert issues(hass) == []


async def test_competing_integration_issue_for_an_earlier_entry_is_created(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It is deleted with the battery."""
    pack = battery("solar_charging")
    MockConfigEntry(
        domain="bms_ble", title="JBD BMS", unique_id=pack.address
    ).add_to_hass(hass)
    one = await async_setup_battery(hass, bluetooth_env, pack)
    assert issues(hass, "competing_integration")
    await hass.config_entries.async_remove(one.entry.entry_id)
    assert issues(hass) == []


async def test_last_slot_used_by_others_is_shared_before_the_next_reading(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Which may be an hour away; a moment without a slot is no reason yet."""
    one = await async_setup_battery(hass, bluetooth_env, slots=2)
    (adapter,) = bluetooth_env.adapters.values()
    await set_options(hass, one.entry, interval=3600)
    await asyncio.sleep(5)
    assert one.status == "connected"
    connections = one.peripheral.connections
    adapter.slots = 1
    adapter._publish_allocations()
    await asyncio.sleep(3)
    adapter.slots = 2
    adapter._publish_allocations()
    await asyncio.sleep(MINUTE)
    assert one.is_connected

    adapter.slots = 1
    adapter._publish_allocations()
    await wait_until(lambda: one.status == "idle", 15)
    assert not one.is_connected
    assert adapter.free_slots == 1
    await asyncio.sleep(10 * MINUTE)
    assert one.peripheral.connections == connections
    assert one.became_unavailable == []


async def test_last_slot_with_several_batteries_is_freed_by_one(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The others stay connected, and so does one whose mode is to stay connected."""
    batteries = await async_setup_fleet(hass, bluetooth_env, 4, {"slots": 5})
    (adapter,) = bluetooth_env.adapters.values()
    for one in batteries:
        await one.wait_connected()
        await set_options(hass, one.entry, interval=3600)
    await set_options(hass, batteries[0].entry, connection="keep")
    await asyncio.sleep(30)
    assert all(one.is_connected for one in batteries)
    adapter.slots = 4
    adapter._publish_allocations()
    await asyncio.sleep(MINUTE)
    assert [one.is_connected for one in batteries].count(False) == 1
    assert batteries[0].is_connected
