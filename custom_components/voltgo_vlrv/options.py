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
    CONF_RESERVE,
    CONF_USAGE,
    DEFAULT_LOW_BATTERY,
    DEFAULT_RESERVE,
    ENERGY_GAP,
    ENERGY_GAP_INTERVALS,
    MAX_AGE,
    MAX_AGE_INTERVALS,
    MAX_AGE_OPTION,
    MAX_INTERVAL,
    MAX_RESERVE,
    MIN_AGE_OPTION,
    MIN_INTERVAL,
    POLL_INTERVAL,
    STORED,
)
from .entry_values import number_within
from .vlrv.registers import CURRENT_SCALE, CURRENT_SCALES


class BatteryOptions:
    """The present options of a battery's entry, with their defaults."""

    def __init__(self, entry: ConfigEntry[Any]) -> None:
        """Read from `entry` at each access, so that changed options apply at once."""
        self._entry = entry

    @property
    def interval(self) -> timedelta:
        """Return the time between two polls."""
        if self.is_stored:
            return MAX_INTERVAL
        seconds = self._seconds(CONF_INTERVAL, MIN_INTERVAL, MAX_INTERVAL)
        return POLL_INTERVAL if seconds is None else timedelta(seconds=seconds)

    @property
    def max_age(self) -> timedelta:
        """Return the age at which a sample expires."""
        if self.is_stored:
            return self.live_age
        seconds = self._seconds(CONF_MAX_AGE, MIN_AGE_OPTION, MAX_AGE_OPTION)
        return self.live_age if seconds is None else timedelta(seconds=seconds)

    @property
    def live_age(self) -> timedelta:
        """Return the age at which a sample expires unless the user sets another one."""
        return max(MAX_AGE, MAX_AGE_INTERVALS * self.interval)

    def max_age_in_turns(self, turn_time: timedelta) -> timedelta:
        """Return the age at which a sample expires while batteries take turns.

        A round may take longer than usual by one turn, of `turn_time`. An age that the
        user has set stays as it is.
        """
        if self._seconds(CONF_MAX_AGE, MIN_AGE_OPTION, MAX_AGE_OPTION) is not None:
            return self.max_age
        return max(self.max_age, self.round_time(turn_time))

    def live_age_in_turns(self, turn_time: timedelta) -> timedelta:
        """Return up to which age a sample is live while batteries take turns."""
        return max(self.live_age, self.round_time(turn_time))

    def round_time(self, turn_time: timedelta) -> timedelta:
        """Return the longest time between two samples with turns of `turn_time`."""
        return self.interval + 2 * turn_time

    @property
    def low_battery(self) -> int:
        """Return the state of charge in % at which the battery counts as low."""
        return low_battery(self._entry)

    @property
    def is_stored(self) -> bool:
        """Return whether the user has put the battery into storage: it is read hourly."""
        return self._entry.options.get(CONF_USAGE) == STORED

    @property
    def reserve(self) -> int:
        """Return the state of charge in % that the user wants to keep."""
        return reserve(self._entry)

    @property
    def current_scale(self) -> int:
        """Return the counts of the current register for 1 A, 10 or 100."""
        chosen = self._entry.options.get(CONF_CURRENT_SCALE)
        known = {str(scale): scale for scale in CURRENT_SCALES}
        return known.get(str(chosen), CURRENT_SCALE)

    def _seconds(self, key: str, low: timedelta, high: timedelta) -> float | None:
        return number_within(
            self._entry.options.get(key), low.total_seconds(), high.total_seconds()
        )


def low_battery(entry: ConfigEntry[Any]) -> int:
    """Return the state of charge in % at which a battery or a bank counts as low."""
    percent = number_within(entry.options.get(CONF_LOW_BATTERY), 1, 99)
    return DEFAULT_LOW_BATTERY if percent is None else int(percent)


def reserve(entry: ConfigEntry[Any]) -> int:
    """Return the state of charge in % to keep in a battery or a bank."""
    percent = number_within(entry.options.get(CONF_RESERVE), 0, MAX_RESERVE)
    return DEFAULT_RESERVE if percent is None else int(percent)


def energy_gap(interval: timedelta) -> timedelta:
    """Return the longest time between two samples over which energy is counted."""
    return max(ENERGY_GAP, ENERGY_GAP_INTERVALS * interval)
