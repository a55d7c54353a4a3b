"""Polling of one battery: its samples, its errors, and how long a sample is shown."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
import logging
from math import inf
from typing import Any, Protocol, override

from homeassistant.components import bluetooth
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import CALLBACK_TYPE, HassJob, callback
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.event import async_call_at, async_call_later
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .battery.access import BatteryAccess
from .battery.freshness import SampleFreshness
from .battery.info_store import InfoStore
from .battery.poll_schedule import next_poll_delay
from .battery.statistics import PollStatistics
from .battery.stuck_data import StuckDataDetector
from .connection.errors import error_reason
from .const import (
    DOMAIN,
    MAX_AGE,
    MAX_UNANSWERED_POLLS,
    POLL_INTERVAL,
    RELEASED_INTERVAL,
)
from .entries import async_batteries
from .options import BatteryOptions
from .vlrv.errors import (
    ImplausibleError,
    NoAnswerError,
    NotReachableError,
    RefusedError,
    VlrvError,
)
from .vlrv.registers import BatteryStatus

_LOGGER = logging.getLogger(__name__)


class PollOwner(Protocol):
    """What uses the samples of one battery."""

    @property
    def is_polling_paused(self) -> bool:
        """Return whether something else uses the battery, and polls have to wait."""

    def handle_sample(
        self, status: BatteryStatus, when: datetime, time: float, interval: timedelta
    ) -> None:
        """Use a sample that was received at `when` (UTC) and `time` (loop time, s).

        `interval` is the time between two polls around it.
        """

    def handle_disconnected(self) -> None:
        """Handle that the battery is not connected: anything may happen to it."""

    def handle_forced_reconnect(self) -> None:
        """Handle that a useless connection is about to be closed."""


class VlrvCoordinator(DataUpdateCoordinator[BatteryStatus]):
    """Polls one battery, and publishes its last valid sample.

    `data` is None until the first sample ever, which outlives a restart. A poll that
    fails changes nothing while the last sample is fresh; only then the update counts as
    failed, which makes the entities unavailable and is logged once.
    """

    config_entry: ConfigEntry[Any]

    def __init__(
        self,
        access: BatteryAccess,
        owner: PollOwner,
        options: BatteryOptions,
        info: InfoStore,
    ) -> None:
        """Prepare; nothing is sent yet."""
        super().__init__(
            access.hass,
            _LOGGER,
            config_entry=access.entry,
            name=access.client.name,
            update_interval=POLL_INTERVAL,
            # Entities compare before they write: what follows from the time changes
            # also with samples that are all the same.
            always_update=True,
            request_refresh_debouncer=Debouncer(
                access.hass, _LOGGER, cooldown=1.0, immediate=True
            ),
        )
        self.address: str = access.entry.data[CONF_ADDRESS]
        self.options = options
        self.statistics = PollStatistics()
        self._owner = owner
        self._info = info
        self._client = access.client
        self._connection = access.connection
        self._freshness = SampleFreshness()
        self._stuck = StuckDataDetector()
        self._cancel_expiry: CALLBACK_TYPE | None = None
        # The interval when the last sample was received.
        self._previous_interval: timedelta = POLL_INTERVAL
        self._last_error: VlrvError = NotReachableError()
        # When the next poll is due, and by when one was requested, in loop time.
        self._next_poll = -inf
        self._poll_requested = inf

    # --- for entities ---------------------------------------------------------------

    @property
    def identifier(self) -> str:
        """Return the Bluetooth address: what unique IDs of the entities begin with."""
        return self.address

    @property
    def device_info(self) -> DeviceInfo:
        """Return the battery for the device registry."""
        return self._info.device_info

    @property
    def has_values(self) -> bool:
        """Return whether there is a sample that may be shown."""
        return self.last_update_success and self.data is not None

    @property
    def is_live(self) -> bool:
        """Return whether the last sample was received lately.

        One that is shown over a release or a restart is not live.
        """
        age = self.statistics.age(self.hass.loop.time())
        return (
            not self._connection.is_released
            and age is not None
            and age < self.options.live_age.total_seconds()
        )

    @property
    def last_failure(self) -> str:
        """Return the key of the text that tells why the last poll failed."""
        return error_reason(self.hass, self.address, self._last_error)

    # --- start, changes and stop ----------------------------------------------------

    @callback
    def async_restore(self, status: BatteryStatus, when: datetime) -> None:
        """Show a sample from before a restart as if it were received now."""
        self.data = status
        self.statistics.last_sample = when
        self._freshness.sample_restored(self.hass.loop.time())

    @callback
    def async_take_initial(
        self, status: BatteryStatus, when: datetime, time: float
    ) -> None:
        """Use the sample that was read when the battery was added, moments ago."""
        self._handle_sample(status, when, time)
        self.data = status

    @callback
    def async_start(self) -> None:
        """Watch the age of the sample that is shown from the start."""
        if self._is_fresh:
            self._schedule_expiry()

    @callback
    def async_options_updated(self) -> None:
        """Apply changed options at once."""
        if self._cancel_expiry is not None and self._is_fresh:
            # How long a sample may be shown follows the interval; of one that is too
            # old by now, the poll below decides.
            self._cancel_expiry_timer()
            self._schedule_expiry()
        self.async_update_listeners()
        # The next poll sets the time of those that follow.
        self.request_poll()

    @override
    async def async_shutdown(self) -> None:
        """Stop polling."""
        await super().async_shutdown()
        self._cancel_expiry_timer()

    @override
    def _schedule_refresh(self) -> None:
        """Schedule the next poll: after the interval, or when one was requested."""
        requested = self._poll_requested - self.hass.loop.time()
        if (
            self.update_interval is not None
            and requested < self.update_interval.total_seconds()
        ):
            self.update_interval = timedelta(seconds=max(requested, 0.0))
        super()._schedule_refresh()
        if self.update_interval is not None:
            self._next_poll = (
                self.hass.loop.time() + self.update_interval.total_seconds()
            )

    @callback
    def request_poll(self, delay: timedelta = timedelta()) -> None:
        """Poll in the background after `delay` at the latest, by default at once.

        There is one schedule: a poll that is due before `delay` is enough.
        """
        if self._owner.is_polling_paused or self._shutdown_requested:
            return
        if delay > timedelta():
            due = self.hass.loop.time() + delay.total_seconds()
            self._poll_requested = min(due, self._poll_requested)
            if due < self._next_poll:
                self._schedule_refresh()
            return
        self.config_entry.async_create_background_task(
            self.hass, self.async_request_refresh(), f"{self.name} - connect"
        )

    # --- the connection -------------------------------------------------------------

    @callback
    def handle_reconnect(self) -> None:
        """Handle a connection after the battery was disconnected."""
        self._stuck.reset()

    @callback
    def handle_lost(self, retry_after: timedelta | None) -> None:
        """Handle a lost connection; poll no sooner than `retry_after`, where given."""
        if retry_after is not None:
            self._poll_requested = inf
            self._set_next_poll(max(retry_after, self.options.interval))
            self._schedule_refresh()

    @callback
    def handle_release(self) -> None:
        """Stop polling: the user is about to release the battery; values stay shown."""
        self._poll_requested = inf
        self._freshness.release(self.hass.loop.time(), self.options.max_age)
        self._cancel_expiry_timer()

    @callback
    def handle_resume(self) -> None:
        """Poll again. Until the first poll succeeds, the last sample counts as fresh."""
        if self._freshness.resume(self.hass.loop.time()):
            self._schedule_expiry()
        self._set_next_poll(self.options.interval)
        self.request_poll()

    # --- polling --------------------------------------------------------------------

    @override
    async def _async_refresh(self, *args: Any, **kwargs: Any) -> None:
        """Poll; one that is cancelled with the script that asked changes nothing."""
        success = self.last_update_success
        try:
            await super()._async_refresh(*args, **kwargs)
        except asyncio.CancelledError:
            self.last_update_success = success and not self._freshness.is_expired
            raise
        if not success and not self.last_update_success:
            # Home Assistant tells only of the first failure; time passes in the others.
            self.async_update_listeners()

    @override
    async def _async_update_data(self) -> BatteryStatus:
        self._poll_requested = inf
        if self._owner.is_polling_paused:
            if self._freshness.is_expired:
                raise self._failure(self._last_error)
            return self.data
        self.statistics.polls += not self._connection.is_released
        try:
            status = await self._poll()
        except VlrvError as err:
            if self._connection.is_released:
                return self._data_while_released()
            self._set_next_poll(await self._handle_failure(err))
            return self._stale_data_or_raise(err)
        self._set_next_poll(self._next_poll_delay())
        return status

    async def _poll(self) -> BatteryStatus:
        async with self._connection.use():
            try:
                status = await self._client.read_status()
            except NoAnswerError:
                # Within: a connection that is shared is closed at the end of the block.
                await self._handle_no_answer()
                raise
            self._handle_sample(status, dt_util.utcnow(), self.hass.loop.time())
            self._connection.handle_sample()
            self._schedule_expiry()
            if self._stuck.add(status.frame, status.current, self.hass.loop.time()):
                self.statistics.stuck += 1
                await self._force_reconnect()
        return status

    @callback
    def _handle_sample(
        self, status: BatteryStatus, when: datetime, time: float
    ) -> None:
        """Use a valid sample, received at `when` (UTC) and `time` (loop time, s)."""
        if self._shutdown_requested:
            return
        self.statistics.record_sample(when, time)
        self._freshness.sample_received(time)
        interval = max(self.options.interval, self._previous_interval)
        self._previous_interval = self.options.interval
        self._owner.handle_sample(status, when, time, interval)

    async def _handle_failure(self, err: VlrvError) -> timedelta:
        """Record why a poll failed, close a broken connection; return the next delay."""
        statistics = self.statistics
        self._last_error = err
        _LOGGER.debug("%s: poll failed: %s", self.name, err)
        if isinstance(err, ImplausibleError):
            statistics.rejected.update(err.reasons)
            statistics.unanswered_polls = 0
        else:
            statistics.failed_polls += 1
        if isinstance(err, NotReachableError):
            self._owner.handle_disconnected()
        elif not isinstance(err, (ImplausibleError, NoAnswerError, RefusedError)):
            await self._client.disconnect()
        return self._connection.handle_poll_failed(err)

    async def _handle_no_answer(self) -> None:
        """Count a poll without an answer; close a connection that stays silent."""
        self.statistics.unanswered_polls += 1
        if self.statistics.unanswered_polls >= MAX_UNANSWERED_POLLS:
            self.statistics.unanswered_polls = 0
            await self._force_reconnect()

    async def _force_reconnect(self) -> None:
        """Close a useless connection, and forget what was known about it."""
        self._owner.handle_forced_reconnect()
        self._stuck.reset()
        await self._client.disconnect(clear_service_cache=True)
        # The next advertisement is then reported as new, and leads to a poll.
        bluetooth.async_clear_advertisement_history(self.hass, self.address)

    def _data_while_released(self) -> BatteryStatus:
        """Return the last data while released.

        Hourly refreshes only update what follows from the time.
        """
        self._set_next_poll(RELEASED_INTERVAL)
        return self._stale_data_or_raise(self._last_error)

    def _stale_data_or_raise(self, err: VlrvError) -> BatteryStatus:
        """Return the last sample while it may be shown; otherwise raise UpdateFailed."""
        if self._is_fresh:
            return self.data
        self._freshness.expire()
        raise self._failure(err) from err

    def _failure(self, err: VlrvError) -> UpdateFailed:
        return UpdateFailed(
            translation_domain=DOMAIN,
            translation_key=error_reason(self.hass, self.address, err),
            translation_placeholders={"name": self.name},
        )

    def _set_next_poll(self, delay: timedelta) -> None:
        """Poll next in `delay`, when this poll is over."""
        self.update_interval = delay

    def _next_poll_delay(self) -> timedelta:
        """Return when to poll next: several batteries each at a phase of its own."""
        loaded = {
            entry.entry_id
            for entry in self.hass.config_entries.async_loaded_entries(DOMAIN)
        }
        batteries = sorted(
            entry.entry_id
            for entry in async_batteries(self.hass)
            if entry.entry_id in loaded
        )
        if self.config_entry.entry_id not in batteries:
            return self.options.interval
        return next_poll_delay(
            batteries.index(self.config_entry.entry_id),
            len(batteries),
            self.options.interval,
            self.hass.loop.time(),
        )

    # --- age of the data ------------------------------------------------------------

    @property
    def _is_fresh(self) -> bool:
        """Return whether the last sample may still be shown."""
        return self._freshness.is_fresh(self.hass.loop.time(), self.options.max_age)

    @callback
    def _schedule_expiry(self) -> None:
        """Set a timer for the end of the last sample, however long a poll takes.

        While the battery is released, a sample does not expire.
        """
        if self._cancel_expiry is None and not self._connection.is_released:
            self._cancel_expiry = async_call_at(
                self.hass,
                HassJob(self._handle_expiry, cancel_on_shutdown=True),
                self._freshness.expires_at(self.options.max_age),
            )

    @callback
    def _cancel_expiry_timer(self) -> None:
        if self._cancel_expiry is not None:
            self._cancel_expiry()
            self._cancel_expiry = None

    @callback
    def _handle_expiry(self, _now: datetime) -> None:
        self._cancel_expiry = None
        if self._connection.is_released:
            return
        if self._is_fresh:
            self._schedule_expiry()
        elif self._owner.is_polling_paused:
            self._cancel_expiry = async_call_later(
                self.hass,
                MAX_AGE,
                HassJob(self._handle_expiry, cancel_on_shutdown=True),
            )
        else:
            self._freshness.expire()
            self.async_set_update_error(self._failure(self._last_error))
