"""Which devices look like such a battery, from their advertisements.

Names, services and address ranges are shared with other brands, so they only sort a
list: `probe` finds out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

# As a module: Home Assistant and others replace the scanner class in it.
import bleak
from bleak.backends.device import BLEDevice

from .const import ADVERTISED_NAMES, LIKELY_ADDRESSES, LIKELY_SERVICES
from .errors import NotReachableError
from .gatt import radio_call
from .text import clean_text


class ScanResult(NamedTuple):
    """A device that may be such a battery."""

    device: BLEDevice
    name: str
    """As advertised, without control characters; may be empty."""
    rssi: int
    """Signal strength in dBm."""
    score: int
    """See `match_score`."""


def match_score(name: str, address: str, service_uuids: Iterable[str]) -> int:
    """Return how much a device looks like such a battery, 0 (not at all) to 7."""
    return (
        4 * any(name.startswith(known.prefix) for known in ADVERTISED_NAMES)
        + 2 * (not LIKELY_SERVICES.isdisjoint(service_uuids))
        + address.upper().startswith(LIKELY_ADDRESSES)
    )


def is_likely(name: str, address: str, service_uuids: Iterable[str] = ()) -> bool:
    """Return whether an advertisement looks like that of such a battery.

    Some packs advertise nothing but an address of a known range (A), which other brands
    use as well: a true result is no proof.
    """
    return match_score(name, address, service_uuids) > 0


async def scan(duration: float = 10.0) -> list[ScanResult]:
    """Scan for `duration` s; return likely batteries, the likeliest and nearest first.

    A battery that is connected to another device does not advertise (A). Raises
    NotReachableError when there is no usable Bluetooth adapter.
    """
    with radio_call("scanning", NotReachableError):
        found = await bleak.BleakScanner.discover(duration, return_adv=True)
    results = []
    for device, advertisement in found.values():
        name = clean_text(advertisement.local_name or device.name or "")
        score = match_score(name, device.address, advertisement.service_uuids)
        if score:
            results.append(ScanResult(device, name, advertisement.rssi, score))
    return sorted(results, key=lambda result: (-result.score, -result.rssi))
