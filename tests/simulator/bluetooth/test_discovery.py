"""Home Assistant discovers simulated batteries as it does real ones."""

from __future__ import annotations

import asyncio

import pytest

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant

from .session import (
    ADDRESS,
    FOREIGN_ADDRESS,
    NAME,
    OLD_ADDRESS,
    SECOND_PROXY,
    CannedBattery,
    uuid,
)
from simulator.adapter import VirtualAdapter
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment


async def test_battery_is_discovered_with_its_name(
    bluetooth_env: BluetoothEnvironment, adapter: VirtualAdapter
) -> None:
    """The advertisement carries name and service, from a public address."""
    info = await bluetooth_env.heard(ADDRESS)
    assert info.name == NAME
    assert info.service_uuids == [uuid(0xFF00)]
    assert info.connectable
    assert info.rssi == -60
    assert info.source == adapter.source


@pytest.mark.parametrize(
    ("mode", "name"), [("active", NAME), ("passive", ADDRESS), ("auto", ADDRESS)]
)
async def test_name_in_scan_response_needs_active_scan(
    bluetooth_env: BluetoothEnvironment, battery: CannedBattery, mode: str, name: str
) -> None:
    """Passive scanning never asks for the scan response."""
    await bluetooth_env.add_battery(battery, name_in_scan_response=True)
    await bluetooth_env.add_adapter(mode=mode)
    await asyncio.sleep(2)
    info = await bluetooth_env.heard(ADDRESS)
    assert info.name == name
    assert info.service_uuids == [uuid(0xFF00)]


async def test_automatic_scanning_learns_name_in_active_window(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, battery: CannedBattery
) -> None:
    """An adapter in automatic mode scans actively on demand."""
    await bluetooth_env.add_battery(battery, name_in_scan_response=True)
    await bluetooth_env.add_adapter(mode="auto")
    await bluetooth.async_request_active_scan(hass, 2)
    assert (await bluetooth_env.heard(ADDRESS)).name == NAME


async def test_long_name_moves_to_scan_response(
    bluetooth_env: BluetoothEnvironment,
) -> None:
    """A legacy advertisement holds 31 bytes."""
    name = "ZT-25.6V100Ah-1238-house-bank"
    await bluetooth_env.add_battery(CannedBattery(name))
    await bluetooth_env.add_adapter()
    await asyncio.sleep(2)
    assert (await bluetooth_env.heard(ADDRESS)).name == name


async def test_first_generation_battery_looks_different(
    bluetooth_env: BluetoothEnvironment,
) -> None:
    """Its address is its manufacturer data; replies come in 75 bytes at most."""
    battery = CannedBattery("Z121000001", OLD_ADDRESS, generation=1)
    peripheral = await bluetooth_env.add_battery(battery)
    await bluetooth_env.add_adapter()
    info = await bluetooth_env.heard(OLD_ADDRESS)
    assert info.name == "Z121000001"
    assert info.service_uuids == [uuid(0x1000)]
    assert info.manufacturer_data == {0x6F80: bytes.fromhex("b0155e71")}

    client = await bluetooth_env.connect(OLD_ADDRESS)
    write = client.services.get_characteristic(uuid(0x1001))
    assert write is not None
    assert "write-without-response" in write.properties
    assert "write" not in write.properties
    await client.start_notify(uuid(0x1002), lambda _char, _data: None)
    await client.write_gatt_char(write, b"?", response=False)
    await asyncio.sleep(1)
    assert [len(sent.data) for sent in peripheral.notifications] == [75, 12]


async def test_foreign_pack_advertises_alike_but_has_other_services(
    bluetooth_env: BluetoothEnvironment,
) -> None:
    """0xFF00 proves nothing, neither does a name; the services do."""
    battery = CannedBattery("ZT-lookalike", FOREIGN_ADDRESS)
    peripheral = await bluetooth_env.add_battery(battery, profile="jbd")
    await bluetooth_env.add_adapter()
    assert (await bluetooth_env.heard(FOREIGN_ADDRESS)).service_uuids == [uuid(0xFF00)]
    client = await bluetooth_env.connect(FOREIGN_ADDRESS)
    assert client.services.get_service(uuid(0x1006)) is None
    await client.start_notify(uuid(0xFF01), lambda _char, _data: None)
    await client.write_gatt_char(uuid(0xFF02), b"?", response=False)
    await asyncio.sleep(5)
    assert not peripheral.notifications
    assert not battery.frames


async def test_adapter_with_strongest_signal_connects(
    bluetooth_env: BluetoothEnvironment, adapter: VirtualAdapter
) -> None:
    """Home Assistant takes the strongest path; out of range there is none."""
    second = await bluetooth_env.add_adapter(SECOND_PROXY)
    adapter.radio.rssi[ADDRESS] = -85
    second.radio.rssi[ADDRESS] = -50
    await asyncio.sleep(60)
    client = await bluetooth_env.connect(ADDRESS)
    assert (list(adapter.connections), list(second.connections)) == ([], [ADDRESS])
    await client.disconnect()

    second.radio.rssi[ADDRESS] = None
    await asyncio.sleep(600)
    info = await bluetooth_env.heard(ADDRESS)
    assert (info.source, info.rssi) == (adapter.source, -85)
    await bluetooth_env.connect(ADDRESS)
    assert (list(adapter.connections), list(second.connections)) == ([ADDRESS], [])


async def test_silent_battery_is_forgotten_in_time(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral, adapter: VirtualAdapter
) -> None:
    """Home Assistant's own ageing runs on the simulated clock."""
    await bluetooth_env.heard(ADDRESS)
    await peripheral.silence()
    assert not peripheral.is_advertising
    await asyncio.sleep(60)
    assert bluetooth_env.last_heard(ADDRESS) is not None
    await asyncio.sleep(1200)
    assert bluetooth_env.last_heard(ADDRESS) is None
    await peripheral.advertise()
    assert await bluetooth_env.heard(ADDRESS)
