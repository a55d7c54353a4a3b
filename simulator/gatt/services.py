"""The GATT services of a battery, with handles as recorded from a ZT pack."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntFlag
from typing import Final

CCCD: Final = 0x2902
ENABLE_NOTIFICATIONS: Final = b"\x01\x00"

# ATT errors (Bluetooth Core, volume 3, part F, 3.4.1.1).
INVALID_HANDLE: Final = 0x01
WRITE_NOT_PERMITTED: Final = 0x03
REQUEST_NOT_SUPPORTED: Final = 0x06


class Property(IntFlag):
    """A property of a characteristic."""

    READ = 0x02
    WRITE_COMMAND = 0x04
    WRITE = 0x08
    NOTIFY = 0x10
    INDICATE = 0x20


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A descriptor with its 16-bit UUID."""

    uuid: int
    handle: int


@dataclass(frozen=True, slots=True)
class Characteristic:
    """A characteristic with its 16-bit UUID; `handle` is that of its value."""

    uuid: int
    handle: int
    properties: Property
    descriptors: tuple[Descriptor, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A service with its 16-bit UUID."""

    uuid: int
    handle: int
    characteristics: tuple[Characteristic, ...]


@dataclass(frozen=True, slots=True)
class ServiceTable:
    """All services of a device, and the handles that the battery's protocol uses."""

    services: tuple[Service, ...]
    notify: int
    write: int

    @property
    def cccd(self) -> int:
        """Return the handle that enables the battery's notifications."""
        return self._characteristics[self.notify].descriptors[0].handle

    @property
    def _characteristics(self) -> dict[int, Characteristic]:
        return {
            char.handle: char
            for service in self.services
            for char in service.characteristics
        }

    def find(self, handle: int) -> Characteristic | None:
        """Return the characteristic whose value has a handle."""
        return self._characteristics.get(handle)

    def is_descriptor(self, handle: int) -> bool:
        """Return whether a handle is that of a descriptor."""
        return any(
            desc.handle == handle
            for char in self._characteristics.values()
            for desc in char.descriptors
        )

    def moved(self, by: int) -> ServiceTable:
        """Return the table with other handles, as after an update of the module."""
        return ServiceTable(
            tuple(
                replace(
                    service,
                    handle=service.handle + by,
                    characteristics=tuple(
                        replace(
                            char,
                            handle=char.handle + by,
                            descriptors=tuple(
                                replace(desc, handle=desc.handle + by)
                                for desc in char.descriptors
                            ),
                        )
                        for char in service.characteristics
                    ),
                )
                for service in self.services
            ),
            self.notify + by,
            self.write + by,
        )


_READ_NOTIFY: Final = Property.READ | Property.NOTIFY
_READ_WRITE: Final = Property.READ | Property.WRITE | Property.WRITE_COMMAND

_GENERIC: Final = (
    Service(0x1800, 0x01, (Characteristic(0x2A00, 0x03, Property.READ),)),
    Service(
        0x1801,
        0x06,
        (Characteristic(0x2A05, 0x08, Property.INDICATE, (Descriptor(CCCD, 0x09),)),),
    ),
)

SERVICE_TABLES: Final = {
    "v1": ServiceTable(
        (
            *_GENERIC,
            Service(
                0x1000,
                0x0F,
                (
                    Characteristic(
                        0x1001, 0x11, Property.READ | Property.WRITE_COMMAND
                    ),
                    Characteristic(
                        0x1002, 0x13, _READ_NOTIFY, (Descriptor(CCCD, 0x14),)
                    ),
                ),
            ),
        ),
        notify=0x13,
        write=0x11,
    ),
    # Handles of notify, CCCD and write as recorded (protocol 1, A).
    "v2": ServiceTable(
        (
            *_GENERIC,
            Service(
                0x1006,
                0x0F,
                (
                    Characteristic(
                        0x1007, 0x11, _READ_NOTIFY, (Descriptor(CCCD, 0x12),)
                    ),
                    Characteristic(0x1008, 0x15, _READ_WRITE),
                ),
            ),
            Service(
                0xFA00,
                0x25,
                (
                    Characteristic(
                        0xFA01, 0x27, Property.NOTIFY, (Descriptor(CCCD, 0x28),)
                    ),
                    Characteristic(0xFA02, 0x2A, Property.WRITE_COMMAND),
                ),
            ),
        ),
        notify=0x11,
        write=0x15,
    ),
    # A battery of another manufacturer that advertises what a v2 pack does.
    "jbd": ServiceTable(
        (
            *_GENERIC,
            Service(
                0xFF00,
                0x0F,
                (
                    Characteristic(
                        0xFF01, 0x11, _READ_NOTIFY, (Descriptor(CCCD, 0x12),)
                    ),
                    Characteristic(0xFF02, 0x15, _READ_WRITE),
                ),
            ),
        ),
        notify=0x11,
        write=0x15,
    ),
}
"""By the keys of `simulator.profiles.PROFILES`."""
