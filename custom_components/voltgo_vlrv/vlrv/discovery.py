"""Which advertisements look like such a battery.

Names, services and addresses are shared with other brands, so they only sort a list:
`probe` is the proof.
"""

from __future__ import annotations

from collections.abc import Iterable

from .const import ADVERTISED_NAMES, LIKELY_ADDRESSES, LIKELY_SERVICES


def match_score(name: str, address: str, service_uuids: Iterable[str]) -> int:
    """Return how much a device looks like such a battery, 0 (not at all) to 7."""
    return (
        4 * any(name.startswith(known.prefix) for known in ADVERTISED_NAMES)
        + 2 * (not LIKELY_SERVICES.isdisjoint(service_uuids))
        + address.startswith(LIKELY_ADDRESSES)
    )
