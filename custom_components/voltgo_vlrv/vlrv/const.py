"""How these batteries appear over Bluetooth: GATT layout, advertised names, addresses."""

from __future__ import annotations

from typing import Final, NamedTuple

from .registers import STATUS_COUNTS


def uuid(short: int) -> str:
    """Return the 128-bit form of a 16-bit Bluetooth UUID."""
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"


class GattProfile(NamedTuple):
    """One way these batteries lay out their GATT server (protocol 1, A)."""

    service: str
    write: str
    notify: str
    status_counts: tuple[int, ...]
    """Register counts to ask a status for, best first."""


GATT_PROFILES: Final = (
    GattProfile(uuid(0x1006), uuid(0x1008), uuid(0x1007), STATUS_COUNTS),
    # Older boards were only ever asked for 39.
    GattProfile(uuid(0x1000), uuid(0x1001), uuid(0x1002), (39,)),
)


class AdvertisedName(NamedTuple):
    """How a brand of this battery family begins its Bluetooth name (protocol 1).

    ZT-, BB- and Z12 were recorded (A), the other names are likely (C).
    """

    prefix: str
    manufacturer: str


ADVERTISED_NAMES: Final = (
    AdvertisedName("ZT-", "Voltgo"),
    AdvertisedName("VLRV", "Voltgo"),
    AdvertisedName("Voltgo", "Voltgo"),
    AdvertisedName("VOLTGO", "Voltgo"),
    AdvertisedName("BB-", "BigBattery"),
    AdvertisedName("Z12", "EG4"),
)

LIKELY_SERVICES: Final = frozenset({uuid(0xFF00), uuid(0x1000)})
"""Service UUIDs such a battery may advertise; JBD packs share the first."""
LIKELY_ADDRESSES: Final = ("A4:C1:37:", "A4:C1:38:", "80:6F:B0:")
"""Address ranges of their radio modules; JBD packs share the first two."""
