"""A battery over an ESPHome proxy and Home Assistant's own `esphome`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError

from .environment import ESPHOME, EsphomeEnvironment
from .harness import MINUTE, async_setup_watched, is_newest
from simulator.esphome.messages import address_to_int
from tests.battery.firmware_helpers import firmware_frames, install, upload
from tests.common import (
    POLL_INTERVAL,
    add_discovered,
    battery,
    entity_id,
    issues,
    set_options,
    value,
    wait_until,
)

ENCRYPTION_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
LONGEST_END = 13.0  # s; an old stack needs 10 to end a connection in the making

KNOWN_FAULTS: dict[str, str] = {}
"""What the integration still does wrong: these tests are expected to fail.

A test that passes while it is listed here fails: delete its line with the fix.
"""


@pytest.mark.parametrize("mtu", [23, 160, 247])
async def test_battery_any_notification_size_shows_true_values(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment, mtu: int
) -> None:
    """A reply arrives in one notification or in several."""
    node = await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env, max_mtu=mtu)
    await asyncio.sleep(5 * MINUTE)
    await found.wait_for_sample()
    found.assert_shown()
    longest = max(
        len(notification.data) for notification in found.peripheral.notifications
    )
    assert longest == min(117, mtu - 3)
    assert found.entry.runtime_data.client.counters.unanswered == 0
    # Once without a cache, for the probe, and once with it.
    assert node.requests["CONNECT_V3_WITHOUT_CACHE"] == 1
    assert node.requests["CONNECT_V3_WITH_CACHE"] == 1


async def test_encrypted_api_battery_is_read(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """As ESPHome recommends, with the same behavior."""
    await bluetooth_env.add_adapter(encryption_key=ENCRYPTION_KEY)
    found = await async_setup_watched(hass, bluetooth_env)
    await found.wait_for_sample()
    found.assert_shown()


async def test_encrypted_api_wrong_key_is_refused(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """Home Assistant asks for the key."""
    node = await bluetooth_env.add_adapter(encryption_key=ENCRYPTION_KEY)
    node.encryption_key = ENCRYPTION_KEY[::-1].replace("=", "") + "="
    node.drop_api()
    await wait_until(lambda: [*node.entry.async_get_active_flows(hass, {"reauth"})])
    assert not node.is_subscribed


async def test_five_batteries_three_slots_are_all_read(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """Each is read at its interval, and no repair issue is created."""
    node = await bluetooth_env.add_adapter(connect_latency=2.0)
    entries = []
    for name in ("idle", "solar_charging", "driving_load", "winter", "full"):
        pack = battery(name)
        await bluetooth_env.add_battery(pack)
        entries.append(await add_discovered(hass, pack.address))
    await asyncio.sleep(5 * MINUTE)
    before = [entry.runtime_data.statistics.samples for entry in entries]
    await asyncio.sleep(10 * MINUTE)
    for entry, samples in zip(entries, before, strict=True):
        assert entry.runtime_data.statistics.samples - samples >= 59
        assert entry.runtime_data.statistics.failed_polls == 0
    assert issues(hass) == []
    # The last slot is free between two turns.
    await wait_until(lambda: len(node.connections) < 3, POLL_INTERVAL)


async def test_five_kept_connections_three_slots_create_two_issues(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """An issue is deleted when a slot is free."""
    await bluetooth_env.add_adapter()
    entries = []
    for name in ("idle", "solar_charging", "driving_load", "winter", "full"):
        pack = battery(name)
        await bluetooth_env.add_battery(pack)
        entries.append(await add_discovered(hass, pack.address))
    for entry in entries:
        await set_options(hass, entry, connection="keep")
    await asyncio.sleep(2 * MINUTE)
    assert len(issues(hass, "no_slot")) == 2
    states = [entry.runtime_data.connection.status.state for entry in entries]
    assert sorted(states) == ["connected"] * 3 + ["no_slot"] * 2
    connected = states.index("connected")
    await entries[connected].runtime_data.connection.async_release()
    await wait_until(lambda: len(issues(hass, "no_slot")) == 1)


async def test_release_lets_phone_connect_at_once(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """After resuming there are values within seconds."""
    node = await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)
    released = hass.loop.time()
    await found.entry.runtime_data.connection.async_release()
    assert hass.loop.time() - released < 1
    assert found.peripheral.is_advertising
    await found.peripheral.occupy()
    await asyncio.sleep(MINUTE)
    assert node.requests["CONNECT_V3_WITH_CACHE"] == 1
    await found.peripheral.vacate()
    found.entry.runtime_data.connection.async_resume()
    await found.wait_for_sample(10)


@pytest.mark.parametrize("mtu", [23, 160])
async def test_settings_any_notification_size_are_applied(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment, mtu: int
) -> None:
    """The heater at once, the module ID after a power cycle."""
    node = await bluetooth_env.add_adapter()
    pack = battery("winter", module_id=1)
    peripheral = await bluetooth_env.add_battery(pack, max_mtu=mtu)
    entry = await add_discovered(hass, pack.address)
    await wait_until(lambda: entry.runtime_data.client.is_connected)
    await asyncio.sleep(20)
    heater = entity_id(hass, pack.address, "heater", "switch")
    wanted = not pack.heating_enabled
    await hass.services.async_call(
        "switch",
        "turn_on" if wanted else "turn_off",
        {"entity_id": heater},
        blocking=True,
    )
    await hass.async_block_till_done()
    assert pack.heating_enabled is wanted
    assert value(hass, pack.address, "heater", "switch") == ("on" if wanted else "off")
    await hass.services.async_call(
        "select",
        "select_option",
        {
            "entity_id": entity_id(hass, pack.address, "module_id", "select"),
            "option": "4",
        },
        blocking=True,
    )
    assert issues(hass, "power_cycle")
    await peripheral.power_cycle()
    await wait_until(
        lambda: value(hass, pack.address, "module_id", "select") == "4", MINUTE
    )
    await wait_until(lambda: not issues(hass), MINUTE)
    assert len(node.connections) == 1


async def test_firmware_large_packets_is_installed(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment, tmp_path: Path
) -> None:
    """In frames of 137 bytes."""
    await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)
    await upload(hass, found.entry, tmp_path)
    await install(hass, found.peripheral.battery)
    assert found.peripheral.battery.identity.firmware == "Z01T21"
    assert max(len(frame) for frame in firmware_frames(found.peripheral)) == 137


async def test_firmware_small_packets_is_refused(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment, tmp_path: Path
) -> None:
    """Before anything is sent."""
    await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env, max_mtu=23)
    await upload(hass, found.entry, tmp_path)
    with pytest.raises(HomeAssistantError, match="small data packets"):
        await install(hass, found.peripheral.battery)
    assert firmware_frames(found.peripheral) == []


@pytest.mark.parametrize("how", ["release", "unload", "remove", "reload"])
@pytest.mark.parametrize("cancels", [True, False])
async def test_disconnect_at_any_moment_leaves_no_connection(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment, how: str, cancels: bool
) -> None:
    """On a proxy that can cancel a connection in the making, and on an older one."""
    node = await bluetooth_env.add_adapter(cancels_open=cancels)
    pack = battery("idle")
    peripheral = await bluetooth_env.add_battery(pack)
    entry = await add_discovered(hass, pack.address)
    await wait_until(lambda: entry.runtime_data.client.is_connected)
    (proxy,) = hass.config_entries.async_entries(ESPHOME)
    proxy_device = proxy.runtime_data.bluetooth_device
    for step in range(16):
        if step % 2:  # also without cached services
            proxy_device.cache.clear_gatt_services_cache(address_to_int(pack.address))
            node.flash.clear()
        asked = node.requests["BluetoothDeviceRequest"]
        peripheral.drop_connection()
        await wait_until(lambda: node.requests["BluetoothDeviceRequest"] > asked, 400)  # noqa: B023
        await asyncio.sleep(0.1 * step)
        began = hass.loop.time()
        match how:
            case "release":
                await entry.runtime_data.connection.async_release()
            case "unload":
                await hass.config_entries.async_unload(entry.entry_id)
            case "remove":
                await hass.config_entries.async_remove(entry.entry_id)
            case "reload":
                await hass.config_entries.async_reload(entry.entry_id)
        assert hass.loop.time() - began < 1
        await asyncio.sleep(LONGEST_END)
        assert len(node.connections) <= (how == "reload")
        if how == "release":
            entry.runtime_data.connection.async_resume()
        elif how == "unload":
            await hass.config_entries.async_setup(entry.entry_id)
        elif how == "remove":
            entry = await add_discovered(hass, pack.address)
        await wait_until(lambda: entry.runtime_data.client.is_connected, 900)  # noqa: B023
        await asyncio.sleep(1)
    if is_newest:  # the oldest one keeps no list
        assert len(proxy_device._tracked_clients) == 1


async def test_stop_of_home_assistant_ends_connection(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """The battery advertises again, so that the phone can connect."""
    node = await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await asyncio.sleep(1)
    assert node.requests["DISCONNECT"] == 2
    assert found.peripheral.is_advertising
