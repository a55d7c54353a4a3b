"""Constants of the Bluetooth side: GATT layout, timing, advertised names, addresses."""

from __future__ import annotations

from typing import Final, NamedTuple

from .registers import STATUS_COUNTS


def uuid(short: int) -> str:
    """Return the 128-bit form of a 16-bit Bluetooth UUID."""
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"


class GattProfile(NamedTuple):
    """One layout of the GATT server of these batteries (protocol 1, A)."""

    service: str
    write: str
    notify: str
    status_counts: tuple[int, ...]
    """Register counts to ask for in a status read, most first."""


GATT_PROFILES: Final = (
    GattProfile(uuid(0x1006), uuid(0x1008), uuid(0x1007), STATUS_COUNTS),
    # Older boards were only ever asked for 39.
    GattProfile(uuid(0x1000), uuid(0x1001), uuid(0x1002), (39,)),
)


class Timing(NamedTuple):
    """Timeouts, delays (all in s) and numbers of attempts of a connection."""

    connect: float = 40.0
    """Limit of one connection attempt with its retries: two of 20 s each. A silent
    battery would hold a caller for longer without it."""
    subscribe: float = 10.0
    """Limit for enabling notifications."""
    request: float = 2.0
    """Limit of one attempt of a request; recorded replies took 87-140 ms (A)."""
    attempts: int = 3
    """For a status read: batteries leave a request unanswered now and then (27 replies
    to 37 polls, A)."""
    optional_attempts: int = 2
    """For reads that not every board of the family answers."""
    min_write_interval: float = 0.15
    """Between two frames: closer writes are lost and not applied (A)."""
    settle_delay: float = 0.1
    """Between subscribing and the first frame (C: no recording tells how much)."""
    disconnect: float = 8.0
    """Limit of one attempt to disconnect. Home Assistant waits for 10 s for an entry to
    unload."""
    disconnect_retry: float = 2.0
    """Until the next attempt to disconnect; doubles up to `max_disconnect_retry`."""
    max_disconnect_retry: float = 60.0
    clear_cache_timeout: float = 5.0
    """Limit for clearing an adapter's service cache."""


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
LIKELY_ADDRESSES: Final = ("A4:C1:37:", "A4:C1:38:", "80:6F:B0:", "CC:45:A5:")
"""Address ranges of their radio modules; JBD packs share the first two."""
