"""Interfaces of BlueZ, and the objects of adapters, devices and GATT services."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from bumble.core import AdvertisingData
from dbus_fast import Variant

from .bus import Interfaces
from simulator.gatt.peripheral import GattPeripheral
from simulator.gatt.services import Characteristic, Property, Service, ServiceTable

ADAPTER: Final = "org.bluez.Adapter1"
AGENT_MANAGER: Final = "org.bluez.AgentManager1"
DEVICE: Final = "org.bluez.Device1"
SERVICE: Final = "org.bluez.GattService1"
CHARACTERISTIC: Final = "org.bluez.GattCharacteristic1"
DESCRIPTOR: Final = "org.bluez.GattDescriptor1"

FAILED: Final = "org.bluez.Error.Failed"
IN_PROGRESS: Final = "org.bluez.Error.InProgress"
NOT_CONNECTED: Final = "org.bluez.Error.NotConnected"

# Generic Access and Generic Attribute, which BlueZ does not show.
_HIDDEN_SERVICES: Final = (0x1800, 0x1801)
_FLAGS: Final = {
    Property.READ: "read",
    Property.WRITE_COMMAND: "write-without-response",
    Property.WRITE: "write",
    Property.NOTIFY: "notify",
    Property.INDICATE: "indicate",
}


class GattObject(NamedTuple):
    """An object of a connected device."""

    path: str
    interfaces: Interfaces
    handle: int


def device_path(adapter: str, address: str) -> str:
    """Return the path of a device."""
    return f"{adapter}/dev_{address.replace(':', '_')}"


def device_address(path: str) -> str:
    """Return the address of the device with a path."""
    return path[-17:].replace("_", ":")


def adapter_interfaces(address: str) -> Interfaces:
    """Return the properties of an adapter that is powered on."""
    return {
        ADAPTER: {
            "Address": Variant("s", address),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", "homeassistant"),
            "Alias": Variant("s", "homeassistant"),
            "Class": Variant("u", 0),
            "Powered": Variant("b", True),
            "Discoverable": Variant("b", False),
            "Pairable": Variant("b", False),
            "Discovering": Variant("b", False),
            "UUIDs": Variant("as", []),
            "Modalias": Variant("s", "usb:v1D6Bp0246d054D"),
            "Roles": Variant("as", ["central", "peripheral"]),
        }
    }


def device_interfaces(
    peripheral: GattPeripheral, adapter: str, rssi: int
) -> Interfaces:
    """Return the properties of a device that was just received."""
    data = AdvertisingData.from_bytes(b"".join(peripheral.advertisement()))
    name = str(data.get(AdvertisingData.Type.COMPLETE_LOCAL_NAME) or "")
    return {
        DEVICE: {
            "Address": Variant("s", peripheral.address),
            "AddressType": Variant("s", "public"),
            "Name": Variant("s", name),
            "Alias": Variant("s", name or peripheral.address.replace(":", "-")),
            "Adapter": Variant("o", adapter),
            "Paired": Variant("b", False),
            "Bonded": Variant("b", False),
            "Trusted": Variant("b", False),
            "Blocked": Variant("b", False),
            "LegacyPairing": Variant("b", False),
            "Connected": Variant("b", False),
            "ServicesResolved": Variant("b", False),
            "UUIDs": Variant("as", [_uuid(peripheral.profile.advertised)]),
            "RSSI": Variant("n", rssi),
            "AdvertisingFlags": Variant("ay", b"\x06"),
        }
    }


def service_uuids(table: ServiceTable) -> Variant:
    """Return the UUIDs of all services, as a property has them."""
    return Variant("as", [_uuid(service.uuid) for service in table.services])


def gatt_objects(device: str, table: ServiceTable, mtu: int) -> Iterator[GattObject]:
    """Return the objects of a device's services, each before those below it."""
    for service in table.services:
        if service.uuid not in _HIDDEN_SERVICES:
            yield from _service_objects(device, service, mtu)


def _service_objects(device: str, service: Service, mtu: int) -> Iterator[GattObject]:
    path = f"{device}/service{service.handle:04x}"
    yield GattObject(
        path,
        {
            SERVICE: {
                "UUID": Variant("s", _uuid(service.uuid)),
                "Device": Variant("o", device),
                "Primary": Variant("b", True),
                "Includes": Variant("ao", []),
            }
        },
        service.handle,
    )
    for char in service.characteristics:
        yield from _characteristic_objects(path, char, mtu)


def _characteristic_objects(
    service: str, char: Characteristic, mtu: int
) -> Iterator[GattObject]:
    # Named after the handle of the declaration, which is one before the value.
    path = f"{service}/char{char.handle - 1:04x}"
    yield GattObject(
        path,
        {
            CHARACTERISTIC: {
                "UUID": Variant("s", _uuid(char.uuid)),
                "Service": Variant("o", service),
                "Value": Variant("ay", b""),
                "Notifying": Variant("b", False),
                "Flags": Variant(
                    "as", [_FLAGS[one] for one in Property if one in char.properties]
                ),
                "MTU": Variant("q", mtu),
            }
        },
        char.handle,
    )
    for desc in char.descriptors:
        yield GattObject(
            f"{path}/desc{desc.handle:04x}",
            {
                DESCRIPTOR: {
                    "UUID": Variant("s", _uuid(desc.uuid)),
                    "Characteristic": Variant("o", path),
                    "Value": Variant("ay", b""),
                    "Flags": Variant("as", []),
                }
            },
            desc.handle,
        )


def _uuid(short: int) -> str:
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"
