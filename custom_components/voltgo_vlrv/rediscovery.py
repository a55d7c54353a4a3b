"""Repeat a Bluetooth discovery whose probe failed for a temporary reason.

Home Assistant starts one flow for each address that it discovers. A battery that another
device, such as the phone app, held at that moment would not be discovered again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from homeassistant.components import bluetooth
from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .discovery_queue import DiscoveryQueue

FIRST_DELAY: Final = 60.0
"""The delay after the first failure, in s; it doubles with each failure."""
MAX_DOUBLINGS: Final = 6
"""So the longest delay is about an hour."""
MAX_ADDRESSES: Final = 64
"""As many addresses are remembered; any device can advertise as many as it likes."""


class FailedProbes:
    """Count the failed probes of each address; the longest unchanged is dropped first."""

    def __init__(self) -> None:
        """Start without failures."""
        self._failures: dict[str, int] = {}

    def add(self, address: str) -> float:
        """Count a failure; return the delay until the next discovery in s."""
        count = self._failures.pop(address, 0)
        self._failures[address] = count + 1
        if len(self._failures) > MAX_ADDRESSES:
            del self._failures[next(iter(self._failures))]
        return FIRST_DELAY * (1 << min(count, MAX_DOUBLINGS))

    def count(self, address: str) -> int:
        """Return how often the probe of an address has failed."""
        return self._failures.get(address, 0)

    def remove(self, address: str) -> None:
        """Forget the failures of an address."""
        self._failures.pop(address, None)


_QUEUE: HassKey[DiscoveryQueue] = HassKey(f"{DOMAIN}_discovery_queue")
_FAILED_PROBES: HassKey[FailedProbes] = HassKey(f"{DOMAIN}_failed_probes")
# The timers of the scheduled discoveries by address, at most MAX_ADDRESSES.
_TIMERS: HassKey[dict[str, CALLBACK_TYPE]] = HassKey(f"{DOMAIN}_rediscovery")


@callback
def async_discovery_queue(hass: HomeAssistant) -> DiscoveryQueue:
    """Return the queue of all discovered devices."""
    if _QUEUE not in hass.data:
        hass.data[_QUEUE] = DiscoveryQueue(hass.loop)
    return hass.data[_QUEUE]


@callback
def async_failures(hass: HomeAssistant, address: str) -> int:
    """Return how often the probe of an address has failed."""
    failed_probes = hass.data.get(_FAILED_PROBES)
    return 0 if failed_probes is None else failed_probes.count(address)


@callback
def async_schedule_rediscovery(hass: HomeAssistant, address: str) -> None:
    """Discover an address again, later after each failure.

    Replaces a discovery that is already scheduled, so that a device that appears
    repeatedly does not collect several.
    """
    async_discovery_queue(hass).failures.add(address)
    timers = hass.data.setdefault(_TIMERS, {})
    if (cancel := timers.pop(address, None)) is not None:
        cancel()
    elif len(timers) == MAX_ADDRESSES:
        timers.pop(next(iter(timers)))()
    failed_probes = hass.data.setdefault(_FAILED_PROBES, FailedProbes())

    @callback
    def rediscover(_now: datetime) -> None:
        timers.pop(address, None)
        bluetooth.async_rediscover_address(hass, address)

    timers[address] = async_call_later(
        hass,
        failed_probes.add(address),
        HassJob(rediscover, "rediscover a battery", cancel_on_shutdown=True),
    )


@callback
def async_forget_failures(hass: HomeAssistant, address: str) -> None:
    """Forget the failures of an address, after a successful probe."""
    async_discovery_queue(hass).failures.clear()
    if (failed_probes := hass.data.get(_FAILED_PROBES)) is not None:
        failed_probes.remove(address)
