"""A battery over a local adapter: `bluetooth`, bleak's BlueZ backend, D-Bus."""

from __future__ import annotations

import asyncio

import pytest

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant

from .environment import BluezEnvironment
from simulator.bluez.objects import FAILED, IN_PROGRESS
from tests.common import add_discovered, battery, set_options, value, wait_until
from tests.esphome.harness import MINUTE, async_setup_watched

KNOWN_FAULTS = {
    "test_kept_connection_does_not_reset_adapter": (
        "nothing is received while the connection is kept"
    ),
}
"""What the integration still does wrong: these tests are expected to fail.

A test that passes while it is listed here fails: delete its line with the fix.
"""


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
    assert len(bluetooth_env.bluez.connections) == 1


async def test_services_never_resolved_battery_recovers(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """The attempt is canceled, and its connection ended."""
    found = await async_setup_watched(hass, bluetooth_env)
    bluetooth_env.bluez.faults.never_resolve = 2
    found.peripheral.drop_connection()
    await found.wait_for_sample(3 * MINUTE)
    assert bluetooth_env.bluez.faults.never_resolve == 0
    assert len(bluetooth_env.bluez.connections) == 1


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
    assert len(bluetooth_env.bluez.connections) == 1


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
    allocations = scanner.get_allocations()
    assert allocations is not None
    assert allocations.free >= 1
    assert allocations.slots - allocations.free == len(bluetooth_env.bluez.connections)
    assert [entry.runtime_data.statistics.failed_polls for entry in entries] == [0] * 8


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


async def test_kept_connection_does_not_reset_adapter(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment
) -> None:
    """Home Assistant resets an adapter that receives no advertisement for a while."""
    await async_setup_watched(hass, bluetooth_env)
    await asyncio.sleep(20 * MINUTE)
    assert bluetooth_env.reset.call_count == 0


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
