"""Which advertisements the manifest has Home Assistant offer."""

from __future__ import annotations

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
import pytest

from homeassistant.components.bluetooth import BluetoothServiceInfoBleak
from homeassistant.components.bluetooth.match import IntegrationMatcher
from homeassistant.core import HomeAssistant
from homeassistant.loader import async_get_bluetooth

from custom_components.voltgo_vlrv.const import DOMAIN

SERVICE = "00001000-0000-1000-8000-00805f9b34fb"
OTHER_SERVICE = "0000ffd0-0000-1000-8000-00805f9b34fb"


def advertisement(
    name: str, address: str, manufacturer: dict[int, bytes], services: list[str]
) -> BluetoothServiceInfoBleak:
    """Return what Home Assistant hears of a device that can be connected."""
    return BluetoothServiceInfoBleak(
        name=name,
        address=address,
        rssi=-60,
        manufacturer_data=manufacturer,
        service_data={},
        service_uuids=services,
        source="local",
        device=BLEDevice(address, name, {}),
        advertisement=AdvertisementData(name, manufacturer, {}, services, -60, -60, ()),
        connectable=True,
        time=0.0,
        tx_power=None,
    )


@pytest.mark.parametrize(
    ("name", "address", "manufacturer", "services", "offered"),
    [
        # Recorded: the address as manufacturer data, and no service.
        ("Bat1", "CC:45:A5:A0:93:B8", {17868: b"\xa5\xa0\x93\xb8"}, [], True),
        ("Z122002264", "A4:C1:37:00:00:01", {}, [], True),
        ("Bat1", "80:6F:B0:00:00:01", {28544: b"\xb0\x00\x00\x01"}, [SERVICE], True),
        # Another brand's module has addresses of that range.
        ("Bat1", "80:6F:B0:00:00:01", {28544: b"\xb0\x00\x00\x01"}, [], False),
        (
            "BT-TH-B00001",
            "80:6F:B0:00:00:01",
            {28544: b"\xb0\x00\x00\x01"},
            [OTHER_SERVICE],
            False,
        ),
        ("Z2", "A4:C1:37:00:00:01", {}, [], False),
    ],
)
@pytest.mark.usefixtures("enable_custom_integrations")
async def test_advertisement_of_a_known_kind_starts_a_discovery(
    hass: HomeAssistant,
    name: str,
    address: str,
    manufacturer: dict[int, bytes],
    services: list[str],
    *,
    offered: bool,
) -> None:
    """By name, or by the address as manufacturer data."""
    matcher = IntegrationMatcher(await async_get_bluetooth(hass))
    matcher.async_setup()
    heard = advertisement(name, address, manufacturer, services)
    assert (DOMAIN in matcher.match_domains(heard)) is offered
