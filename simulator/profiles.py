"""How batteries look over the air: services, characteristics, advertised UUIDs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bumble.gatt import Characteristic


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """How a pack looks on the air (protocol chapter 1); 16-bit UUIDs."""

    advertised: int
    service: int
    notify: int
    write: int
    max_mtu: int
    write_properties: Characteristic.Properties
    address_as_manufacturer_data: bool = False
    silent_service: int | None = None
    answers: bool = True


_WRITE = Characteristic.Properties.WRITE
COMMAND = Characteristic.Properties.WRITE_WITHOUT_RESPONSE

PROFILES: Final = {
    # 83 bytes were seen as 75 + 8, hence the MTU.
    "v1": Profile(
        advertised=0x1000,
        service=0x1000,
        notify=0x1002,
        write=0x1001,
        max_mtu=78,
        write_properties=COMMAND,
        address_as_manufacturer_data=True,
    ),
    "v2": Profile(
        advertised=0xFF00,
        service=0x1006,
        notify=0x1007,
        write=0x1008,
        max_mtu=160,
        write_properties=_WRITE | COMMAND,
        silent_service=0xFA00,
    ),
    # A battery of another maker that advertises what a v2 pack does.
    "jbd": Profile(
        advertised=0xFF00,
        service=0xFF00,
        notify=0xFF01,
        write=0xFF02,
        max_mtu=247,
        write_properties=_WRITE | COMMAND,
        answers=False,
    ),
}
