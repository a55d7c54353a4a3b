"""A battery over a local adapter: `bluetooth`, bleak's BlueZ backend, D-Bus."""

from __future__ import annotations

import asyncio

import pytest

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant
from homeassistant.helpers.event import async_track_state_change_event

from .environment import BluezEnvironment
from simulator.bluez.objects import FAILED, IN_PROGRESS, device_path
from simulator.faults import FOREVER
from tests.common import (
    add_discovered,
    battery,
    entity_id,
    set_options,
    value,
    wait_until,
)
from tests.esphome.harness import MINUTE, async_setup_watched


@pytest.mark.parametrize("mtu", [23, 160])
async def test_battery_any_notification_size_shows_true_values(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment, mtu: int
) -> None:
    """It is disconnected when its entry is unloaded."""
    found = await async_setup_watched(hass, bluetooth_env, max_mtu=mtu)
    await asyncio.sleep(5 * MINUTE)
    await found.wait_for_sample()
    found.assert_shown()
    longest = max(len(one.data) for one in found.peripheral.notifications)
    assert longest == min(117, mtu - 3)
    assert await hass.config_entries.async_unload(found.entry.entry_id)
    assert not bluetooth_env.bluez.connections
    assert found.peripheral.is_advertising


async def test_connection_lost_is_restored(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """With the next advertisement."""
    found = await async_setup_watched(hass, bluetooth_env)
    found.peripheral.drop_connection()
    await found.wait_for_sample(15)


async def test_release_lets_phone_connect_at_once(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """BlueZ has disconnected when the release is reported."""
    found = await async_setup_watched(hass, bluetooth_env)
    await found.entry.runtime_data.connection.async_release()
    assert found.peripheral.is_advertising
    await asyncio.sleep(MINUTE)
    assert not bluetooth_env.bluez.connections
    found.entry.runtime_data.connection.async_resume()
    await found.wait_for_sample(15)


@pytest.mark.parametrize(
    "error",
    [
        (IN_PROGRESS, "In Progress"),
        (FAILED, "br-connection-canceled"),
        (FAILED, "le-connection-abort-by-local"),
        (FAILED, "Software caused connection abort"),
        ("org.bluez.Error.NotReady", "Resource Not Ready"),
        ("org.freedesktop.DBus.Error.NoReply", "Did not receive a reply"),
    ],
    ids=lambda error: error[1],
)
async def test_connect_errors_battery_recovers(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment, error: tuple[str, str]
) -> None:
    """After the longest backoff at the latest."""
    found = await async_setup_watched(hass, bluetooth_env)
    bluetooth_env.bluez.faults.connect_errors.extend([error] * 6)
    found.peripheral.drop_connection()
    await wait_until(lambda: not bluetooth_env.bluez.faults.connect_errors, 3600)
    await found.wait_for_sample(6 * MINUTE)
    # It may just be connected again, because the adapter was silent.
    await wait_until(lambda: len(bluetooth_env.bluez.connections) == 1, 5)


async def test_services_never_resolved_battery_recovers(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """The attempt is canceled, and its connection ended."""
    found = await async_setup_watched(hass, bluetooth_env)
    bluetooth_env.bluez.faults.never_resolve = 2
    found.peripheral.drop_connection()
    await found.wait_for_sample(3 * MINUTE)
    assert bluetooth_env.bluez.faults.never_resolve == 0
    # It may just be connected again, because the adapter was silent.
    await wait_until(lambda: len(bluetooth_env.bluez.connections) == 1, 5)


@pytest.mark.parametrize("error", [IN_PROGRESS, FAILED, "org.bluez.Error.NotPermitted"])
@pytest.mark.parametrize("what", ["notify_errors", "write_errors"])
async def test_refused_operations_battery_recovers(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment, what: str, error: str
) -> None:
    """A subscription or a write fails three times."""
    found = await async_setup_watched(hass, bluetooth_env)
    getattr(bluetooth_env.bluez.faults, what).extend([(error, "refused")] * 3)
    if what == "notify_errors":
        found.peripheral.drop_connection()
    await asyncio.sleep(30)
    await found.wait_for_sample(3 * MINUTE)
    # It may just be connected again, because the adapter was silent.
    await wait_until(lambda: len(bluetooth_env.bluez.connections) == 1, 5)


async def test_bluez_restart_battery_recovers(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """Home Assistant's own watchdog notices within two minutes."""
    found = await async_setup_watched(hass, bluetooth_env)
    await bluetooth_env.bluez.stop()
    await asyncio.sleep(2)
    await bluetooth_env.bluez.start()
    await found.wait_for_sample(3 * MINUTE)


async def test_eight_batteries_five_slots_are_all_read(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """Home Assistant assumes five slots, and one of them stays free."""
    entries = []
    for at in range(1, 9):
        pack = battery(
            "idle", address=f"A4:C1:37:00:00:{at:02X}", name=f"ZT-{at}", seed=at
        )
        await bluetooth_env.add_battery(pack)
        entries.append(await add_discovered(hass, pack.address))
    await asyncio.sleep(4 * MINUTE)
    scanner = bluetooth.async_scanner_by_source(hass, bluetooth_env.bluez.address)
    assert scanner is not None

    def has_free_slot() -> bool:
        allocations = scanner.get_allocations()
        assert allocations is not None
        taken = allocations.slots - allocations.free
        return allocations.free >= 1 and taken == len(bluetooth_env.bluez.connections)

    # While one is being connected, it has a slot and no connection yet.
    await wait_until(has_free_slot, 10)
    assert [entry.runtime_data.statistics.failed_polls for entry in entries] == [0] * 8


async def test_unreachable_batteries_do_not_delay_others(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """With two that refuse to connect, the others get 95 % of their readings."""
    entries = []
    for at in range(1, 6):
        pack = battery(
            "idle", address=f"A4:C1:37:00:00:{at:02X}", name=f"ZT-{at}", seed=at
        )
        await bluetooth_env.add_battery(pack)
        entry = await add_discovered(hass, pack.address)
        await set_options(hass, entry, connection="each_poll")
        entries.append(entry)
    await asyncio.sleep(2 * MINUTE)
    for peripheral in [*bluetooth_env.peripherals.values()][:2]:
        peripheral.faults.refuse_connection = FOREVER
        peripheral.drop_connection()
    before = [entry.runtime_data.statistics.samples for entry in entries]
    await asyncio.sleep(20 * MINUTE)
    readings = [
        entry.runtime_data.statistics.samples - count
        for entry, count in zip(entries, before, strict=True)
    ]
    assert readings[:2] == [0, 0]
    assert min(readings[2:]) >= 0.95 * 120


async def test_connection_of_a_killed_home_assistant_is_closed_at_start(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """BlueZ has kept it, so the battery does not advertise."""
    found = await async_setup_watched(hass, bluetooth_env)
    assert await hass.config_entries.async_unload(found.entry.entry_id)
    path = device_path("/org/bluez/hci0", found.peripheral.address)
    await bluetooth_env.bluez.call(None, path, "Connect", [])  # type: ignore[arg-type]
    await asyncio.sleep(10 * MINUTE)
    assert not found.peripheral.is_advertising
    assert await hass.config_entries.async_setup(found.entry.entry_id)
    found.watch.follow()
    await found.wait_for_sample(30)
    assert len(bluetooth_env.bluez.connections) == 1


async def test_connection_for_each_poll_leaves_none(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """Each connection is ended, and no poll is missed."""
    found = await async_setup_watched(hass, bluetooth_env)
    await set_options(hass, found.entry, connection="each_poll")
    await asyncio.sleep(10 * MINUTE)
    assert found.entry.runtime_data.statistics.failed_polls == 0
    assert (
        bluetooth_env.bluez.calls["Disconnect"] == bluetooth_env.bluez.calls["Connect"]
    )
    assert found.watch.samples > 55


@pytest.mark.parametrize("interval", [10, 300])
async def test_kept_connection_without_other_devices_does_not_restart_adapter(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment, interval: int
) -> None:
    """Home Assistant does so with an adapter that has received nothing for 90 s.

    The battery is connected again in time, right after a poll, so no reading is missed.
    """
    found = await async_setup_watched(hass, bluetooth_env)
    await set_options(hass, found.entry, interval=interval)
    await asyncio.sleep(MINUTE)
    starts = bluetooth_env.bluez.calls["StartDiscovery"]
    readings, connections = found.watch.samples, bluetooth_env.bluez.calls["Connect"]
    entity = entity_id(hass, found.peripheral.address, "connection_status")
    states: list[str] = []
    async_track_state_change_event(
        hass, entity, lambda event: states.append(event.data["new_state"].state)
    )
    await asyncio.sleep(20 * MINUTE)
    assert bluetooth_env.reset.call_count == 0
    assert bluetooth_env.bluez.calls["StartDiscovery"] == starts
    assert found.watch.samples - readings >= 20 * MINUTE / interval
    assert found.entry.runtime_data.statistics.failed_polls == 0
    assert 15 <= bluetooth_env.bluez.calls["Connect"] - connections <= 22
    assert set(states) <= {"connected"}


async def test_disconnect_without_effect_is_not_released(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """BlueZ has answered, and the connection stays: the phone cannot connect."""
    found = await async_setup_watched(hass, bluetooth_env)
    bluetooth_env.bluez.faults.ignore_disconnects = 1
    await found.entry.runtime_data.connection.async_release()
    await asyncio.sleep(MINUTE)
    assert found.peripheral.is_advertising


async def test_disconnect_without_effect_is_repeated_before_released_is_shown(
    hass: HomeAssistant,
    bluetooth_env: BluezEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Until then no other device can connect, and the log says so."""
    found = await async_setup_watched(hass, bluetooth_env)
    bluetooth_env.bluez.faults.ignore_disconnects = 4
    await found.entry.runtime_data.connection.async_release()
    address = found.peripheral.address
    assert value(hass, address, "connection_status") == "connected"
    assert "has not closed the connection yet" in caplog.text
    await wait_until(lambda: found.peripheral.is_advertising, 5 * MINUTE)
    await wait_until(lambda: value(hass, address, "connection_status") == "released", 5)
    connections = bluetooth_env.bluez.calls["Connect"]
    await asyncio.sleep(10 * MINUTE)
    assert bluetooth_env.bluez.calls["Connect"] == connections
