"""The options of one battery, typed."""

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
    """Read the options of a battery's entry as they are now, with their defaults."""

    def __init__(self, entry: ConfigEntry[Any]) -> None:
        """Read the options of `entry`, also after they have changed."""
        self._entry = entry

    @property
    def interval(self) -> timedelta:
        """Return the time between two polls."""
        seconds = self._entry.options.get(CONF_INTERVAL)
        return POLL_INTERVAL if seconds is None else timedelta(seconds=seconds)

    @property
    def max_age(self) -> timedelta:
        """Return for how long a sample is shown without a newer one."""
        seconds = self._entry.options.get(CONF_MAX_AGE)
        return self.live_age if seconds is None else timedelta(seconds=seconds)

    @property
    def live_age(self) -> timedelta:
        """Return up to which age a sample is live, whatever age the user accepts."""
        return max(MAX_AGE, MAX_AGE_INTERVALS * self.interval)

    @property
    def low_battery(self) -> int:
        """Return the state of charge in % at which the battery counts as low."""
        return int(self._entry.options.get(CONF_LOW_BATTERY, DEFAULT_LOW_BATTERY))

    @property
    def current_scale(self) -> int:
        """Return the registers' steps for one ampere, which differ between boards."""
        return int(self._entry.options.get(CONF_CURRENT_SCALE, CURRENT_SCALE))


def energy_gap(interval: timedelta) -> timedelta:
    """Return the longest time between two samples over which energy is counted."""
    return max(ENERGY_GAP, ENERGY_GAP_INTERVALS * interval)
