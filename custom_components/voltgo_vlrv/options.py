"""Typed, read-only view of the options of one battery."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple, Self

from homeassistant.config_entries import ConfigEntry

from .const import (
    CONF_CURRENT_SCALE,
    CONF_INTERVAL,
    CONF_LOW_BATTERY,
    CONF_MAX_AGE,
    CONF_RECORD_EVERY_CHANGE,
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


class _Values(NamedTuple):
    """What follows from the options of a battery."""

    is_stored: bool
    interval: timedelta
    chosen_max_age: timedelta | None
    """The age that the user has set; None without a valid one."""
    low_battery: int
    reserve: int
    records_every_change: bool

    @classmethod
    def from_entry(cls, entry: ConfigEntry[Any]) -> Self:
        """Read an entry's options; what is missing or invalid has its default."""
        options = entry.options
        is_stored = is_in_storage(entry)
        interval = _time(options.get(CONF_INTERVAL), MIN_INTERVAL, MAX_INTERVAL)
        return cls(
            is_stored=is_stored,
            interval=MAX_INTERVAL if is_stored else interval or POLL_INTERVAL,
            chosen_max_age=_time(
                options.get(CONF_MAX_AGE), MIN_AGE_OPTION, MAX_AGE_OPTION
            ),
            low_battery=low_battery(entry),
            reserve=reserve(entry),
            records_every_change=records_every_change(entry),
        )


class BatteryOptions:
    """The present options of a battery's entry, with their defaults."""

    def __init__(self, entry: ConfigEntry[Any]) -> None:
        """Read from `entry`; changed options apply at once."""
        self._entry = entry
        self._options = entry.options
        self._read = _Values.from_entry(entry)

    @property
    def _values(self) -> _Values:
        # Home Assistant replaces the options when they change.
        if self._entry.options is not self._options:
            self._options = self._entry.options
            self._read = _Values.from_entry(self._entry)
        return self._read

    @property
    def interval(self) -> timedelta:
        """Return the time between two polls."""
        return self._values.interval

    @property
    def max_age(self) -> timedelta:
        """Return the age at which a sample expires."""
        chosen = None if self.is_stored else self._values.chosen_max_age
        return self.live_age if chosen is None else chosen

    @property
    def live_age(self) -> timedelta:
        """Return the age at which a sample expires unless the user sets another one."""
        return max(MAX_AGE, MAX_AGE_INTERVALS * self.interval)

    def max_age_in_turns(self, turn_time: timedelta) -> timedelta:
        """Return the age at which a sample expires while batteries take turns.

        A round may take longer than usual by one turn, of `turn_time`. An age that the
        user has set stays as it is.
        """
        if self._values.chosen_max_age is not None:
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
        return self._values.low_battery

    @property
    def is_stored(self) -> bool:
        """Return whether the user has put the battery into storage: it is read hourly."""
        return self._values.is_stored

    @property
    def reserve(self) -> int:
        """Return the state of charge in % that the user wants to keep."""
        return self._values.reserve

    @property
    def records_every_change(self) -> bool:
        """Return whether each change is shown, also of one step."""
        return self._values.records_every_change

    @property
    def current_scale(self) -> int:
        """Return the counts of the current register for 1 A, 10 or 100."""
        chosen = self._entry.options.get(CONF_CURRENT_SCALE)
        known = {str(scale): scale for scale in CURRENT_SCALES}
        return known.get(str(chosen), CURRENT_SCALE)


def _time(value: Any, low: timedelta, high: timedelta) -> timedelta | None:
    seconds = number_within(value, low.total_seconds(), high.total_seconds())
    return None if seconds is None else timedelta(seconds=seconds)


def is_in_storage(entry: ConfigEntry[Any]) -> bool:
    """Return whether the user has put a battery into storage."""
    return entry.options.get(CONF_USAGE) == STORED


def low_battery(entry: ConfigEntry[Any]) -> int:
    """Return the state of charge in % at which a battery or a bank counts as low."""
    percent = number_within(entry.options.get(CONF_LOW_BATTERY), 1, 99)
    return DEFAULT_LOW_BATTERY if percent is None else int(percent)


def reserve(entry: ConfigEntry[Any]) -> int:
    """Return the state of charge in % to keep in a battery or a bank."""
    percent = number_within(entry.options.get(CONF_RESERVE), 0, MAX_RESERVE)
    return DEFAULT_RESERVE if percent is None else int(percent)


def records_every_change(entry: ConfigEntry[Any]) -> bool:
    """Return whether a battery or a bank shows each change, also of one step."""
    return entry.options.get(CONF_RECORD_EVERY_CHANGE) is True


def energy_gap(interval: timedelta) -> timedelta:
    """Return the longest time between two samples over which energy is counted."""
    return max(ENERGY_GAP, ENERGY_GAP_INTERVALS * interval)
