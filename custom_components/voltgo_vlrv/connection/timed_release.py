"""A release with the timer that ends it."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import inf
from typing import Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.util import dt as dt_util

from .release import MAX_CHECK_INTERVAL, ReleaseState, time_asleep
from .timers import Timers

_RESUME: Final = "resume"  # timer


class TimedRelease:
    """Whether the user has released a battery; ends a release with a duration."""

    def __init__(
        self,
        hass: HomeAssistant,
        timers: Timers,
        *,
        on_end: CALLBACK_TYPE,
        on_clock_set: CALLBACK_TYPE,
    ) -> None:
        """Start without a release.

        `on_end` is called when a release has ended by itself, `on_clock_set` when `until`
        has changed because the system clock was set.
        """
        self._hass = hass
        self._timers = timers
        self._on_end = on_end
        self._on_clock_set = on_clock_set
        self._state = ReleaseState()

    @property
    def released(self) -> bool:
        """Return whether the battery is released."""
        return self._state.released

    @property
    def until(self) -> datetime | None:
        """Return when the release ends by itself, UTC; None if it does not."""
        return self._state.until

    def release(self, duration: timedelta | None) -> None:
        """Begin a release for `duration`, None for no end, or replace the present one."""
        self._state.release(duration, *self._now())

    def restore(self, until: datetime | None, began_after: datetime | None) -> None:
        """Restore a stored release, unless it has ended meanwhile; None for no end.

        At `began_after` it had not begun yet; None where that is not known.
        """
        self._state.restore(until, *self._now(), began_after=began_after)

    def resume(self) -> None:
        """End the release."""
        self._state.resume()

    @callback
    def schedule_end(self) -> None:
        """End the release if it is over, else check again at its end."""
        if self._state.follow_clock(*self._now()):
            self._on_clock_set()
        remaining = self._state.remaining(*self._now())
        if not remaining:
            self._on_end()
        elif remaining < inf:
            self._timers.start(
                _RESUME, min(remaining, MAX_CHECK_INTERVAL), self.schedule_end
            )

    def _now(self) -> tuple[datetime, float]:
        """Return system clock and steady time, as `ReleaseState` needs them."""
        return dt_util.utcnow(), self._hass.loop.time() + time_asleep()
