"""Messages of the native API: addresses and services as protobuf has them."""

from __future__ import annotations

from typing import Any, Final

from aioesphomeapi import api_pb2

from simulator.gatt.services import ServiceTable

# Its members are created at run time.
pb: Final[Any] = api_pb2

type Message = Any
"""A protobuf message of `pb`."""

# The Bluetooth base UUID, in two halves of 64 bits.
_BASE_HIGH: Final = 0x0000_1000
_BASE_LOW: Final = 0x8000_00805F9B34FB


def address_to_int(address: str) -> int:
    """Return a Bluetooth address as the API has it."""
    return int(address.replace(":", ""), 16)


def int_to_address(number: int) -> str:
    """Return a Bluetooth address in its usual notation."""
    digits = f"{number:012X}"
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def scanner_mode(active: bool) -> int:
    """Return the number of a scanning mode."""
    return int(
        pb.BLUETOOTH_SCANNER_MODE_ACTIVE
        if active
        else pb.BLUETOOTH_SCANNER_MODE_PASSIVE
    )


def services(table: ServiceTable, *, short: bool) -> list[Message]:
    """Return the messages of all services; `short` for clients of API 1.12 and later."""
    return [
        pb.BluetoothGATTService(
            handle=service.handle,
            characteristics=[
                pb.BluetoothGATTCharacteristic(
                    handle=char.handle,
                    properties=int(char.properties),
                    descriptors=[
                        pb.BluetoothGATTDescriptor(
                            handle=desc.handle, **_uuid(desc.uuid, short)
                        )
                        for desc in char.descriptors
                    ],
                    **_uuid(char.uuid, short),
                )
                for char in service.characteristics
            ],
            **_uuid(service.uuid, short),
        )
        for service in table.services
    ]


def _uuid(uuid: int, short: bool) -> dict[str, Any]:
    """[fill_gatt_uuid]."""
    if short:
        return {"short_uuid": uuid}
    return {"uuid": (uuid << 32 | _BASE_HIGH, _BASE_LOW)}
