"""Typed, read-only view of the options of one battery."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from homeassistant.config_entries import ConfigEntry

from .const import (
    CONF_CURRENT_SCALE,
    CONF_INTERVAL,
    CONF_LOW_BATTERY,
    CONF_MAX_AGE,
    DEFAULT_LOW_BATTERY,
    ENERGY_GAP,
    ENERGY_GAP_INTERVALS,
    MAX_AGE,
    MAX_AGE_INTERVALS,
    POLL_INTERVAL,
)
from .vlrv.registers import CURRENT_SCALE


class BatteryOptions:
    """The present options of a battery's entry, with their defaults."""

    def __init__(self, entry: ConfigEntry[Any]) -> None:
        """Read from `entry` at each access, so that changed options apply at once."""
        self._entry = entry

    @property
    def interval(self) -> timedelta:
        """Return the time between two polls."""
        seconds = self._entry.options.get(CONF_INTERVAL)
        return POLL_INTERVAL if seconds is None else timedelta(seconds=seconds)

    @property
    def max_age(self) -> timedelta:
        """Return the age at which a sample expires."""
        seconds = self._entry.options.get(CONF_MAX_AGE)
        return self.live_age if seconds is None else timedelta(seconds=seconds)

    @property
    def live_age(self) -> timedelta:
        """Return the age at which a sample expires unless the user sets another one."""
        return max(MAX_AGE, MAX_AGE_INTERVALS * self.interval)

    @property
    def low_battery(self) -> int:
        """Return the state of charge in % at which the battery counts as low."""
        return int(self._entry.options.get(CONF_LOW_BATTERY, DEFAULT_LOW_BATTERY))

    @property
    def current_scale(self) -> int:
        """Return the counts of the current register for 1 A, 10 or 100."""
        return int(self._entry.options.get(CONF_CURRENT_SCALE, CURRENT_SCALE))


def energy_gap(interval: timedelta) -> timedelta:
    """Return the longest time between two samples over which energy is counted."""
    return max(ENERGY_GAP, ENERGY_GAP_INTERVALS * interval)
