"""The first reading of a battery, handed from the config flow to the new entry.

With it, the entities have values at once, without a second connection.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN, MAX_AGE
from ..vlrv.identity import Identity
from ..vlrv.probe import ProbeResult
from ..vlrv.registers import BatteryStatus


class InitialReading(NamedTuple):
    """Values and identity of a battery, read by the config flow."""

    status: BatteryStatus
    identity: Identity | None
    """None where the battery does not report it."""
    when: datetime
    """UTC."""
    time: float
    """Loop time in s."""


# By address.
_READINGS: HassKey[dict[str, InitialReading]] = HassKey(f"{DOMAIN}_initial_readings")


def _is_fresh(hass: HomeAssistant, reading: InitialReading) -> bool:
    return hass.loop.time() - reading.time <= MAX_AGE.total_seconds()


@callback
def store_initial_reading(
    hass: HomeAssistant, address: str, result: ProbeResult
) -> None:
    """Store what a probe read, for MAX_AGE; delete readings that are older."""
    readings = hass.data.setdefault(_READINGS, {})
    for other in [key for key, value in readings.items() if not _is_fresh(hass, value)]:
        del readings[other]
    readings[address] = InitialReading(
        result.status, result.identity, dt_util.utcnow(), hass.loop.time()
    )


@callback
def take_initial_reading(hass: HomeAssistant, address: str) -> InitialReading | None:
    """Return the stored reading of a battery and delete it; None without a fresh one."""
    reading = hass.data.get(_READINGS, {}).pop(address, None)
    return reading if reading is not None and _is_fresh(hass, reading) else None
