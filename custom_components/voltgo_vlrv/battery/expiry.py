"""Declares the next sample of a battery late, and the last one expired."""

from __future__ import annotations

from datetime import datetime, timedelta

from homeassistant.core import CALLBACK_TYPE, HassJob, callback
from homeassistant.helpers.event import async_call_at, async_call_later

from ..connection.timers import Timers
from ..const import MAX_AGE
from ..options import BatteryOptions
from .access import BatteryAccess
from .freshness import SampleFreshness
from .poll_delegate import PollDelegate
from .reporting import LATE, WaitingValues, standing_limit


class SampleExpiry:
    """Watches the age of the last sample, also during a poll that takes long."""

    def __init__(
        self,
        access: BatteryAccess,
        options: BatteryOptions,
        delegate: PollDelegate,
        on_expired: CALLBACK_TYPE,
        on_late: CALLBACK_TYPE,
    ) -> None:
        """Start without a sample.

        `on_expired` is called once when a sample expires; not while polling is paused.
        `on_late` is called when the next sample is late, so that no value waits for it.
        """
        self.waiting = WaitingValues(every_change=options.records_every_change)
        self._hass = access.hass
        self._connection = access.connection
        self._options = options
        self._delegate = delegate
        self._on_expired = on_expired
        self._on_late = on_late
        self._late = Timers(access.hass)
        self._freshness = SampleFreshness()
        self._cancel: CALLBACK_TYPE | None = None

    @property
    def _max_age(self) -> timedelta:
        return self._options.max_age_in_turns(self._connection.turn_time)

    def is_live(self, age: float | None) -> bool:
        """Return whether a sample of this age in s is live: none is during a release."""
        if age is None or self._connection.is_released:
            return False
        limit = self._options.live_age_in_turns(self._connection.turn_time)
        return age < limit.total_seconds()

    @property
    def is_fresh(self) -> bool:
        """Return whether the last sample may still be shown."""
        return self._freshness.is_fresh(self._hass.loop.time(), self._max_age)

    @property
    def is_expired(self) -> bool:
        """Return whether the last sample was declared expired."""
        return self._freshness.is_expired

    def expire(self) -> None:
        """Declare the last sample expired."""
        self._freshness.expire()

    @callback
    def sample_received(self, time: float) -> None:
        """Start again with a sample that was received at loop time `time` (s)."""
        self._freshness.sample_received(time)
        round_time = self._options.round_time(self._connection.turn_time)
        late = (LATE * round_time).total_seconds()
        self.waiting.limit = standing_limit(late)
        if self.waiting.limit is not None:
            self._late.start("sample", late, self._handle_late)

    @callback
    def sample_restored(self) -> None:
        """Show a sample from before a restart as if it were received now."""
        self._freshness.sample_restored(self._hass.loop.time())

    @callback
    def release(self) -> None:
        """Stop the age of the sample while the user has released the battery."""
        self._freshness.release(self._hass.loop.time(), self._max_age)
        self._stop_expiry()

    @callback
    def resume(self) -> None:
        """End a release: a sample that was shown counts as received now."""
        if self._freshness.resume(self._hass.loop.time()):
            self.schedule()

    @callback
    def schedule(self) -> None:
        """Set the timer for a fresh sample, unless it is set or the battery is released."""
        if self._cancel is None and self.is_fresh and not self._freshness.is_released:
            self._cancel = async_call_at(
                self._hass,
                HassJob(self._handle_timer, cancel_on_shutdown=True),
                self._freshness.expires_at(self._max_age),
            )

    @callback
    def options_updated(self) -> None:
        """Set the timer again for another limit of age.

        A sample that is too old by now is left to the next poll. No value waits for a
        sample that may be late by the new interval.
        """
        self.waiting.limit = None
        self.waiting.every_change = self._options.records_every_change
        if self._cancel is not None and self.is_fresh:
            self._stop_expiry()
            self.schedule()

    @callback
    def stop(self) -> None:
        """Cancel the timers."""
        self._stop_expiry()
        self._late.cancel()

    @callback
    def _handle_late(self) -> None:
        self.waiting.limit = None
        self._on_late()

    @callback
    def _stop_expiry(self) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None

    @callback
    def _handle_timer(self, _now: datetime) -> None:
        self._cancel = None
        if self._freshness.is_released:
            return
        if self.is_fresh:
            self.schedule()
        elif self._delegate.is_polling_paused:
            self._cancel = async_call_later(
                self._hass,
                MAX_AGE,
                HassJob(self._handle_timer, cancel_on_shutdown=True),
            )
        else:
            self.expire()
            self._on_expired()
