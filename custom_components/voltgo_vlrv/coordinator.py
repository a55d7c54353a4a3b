"""Polling of one battery: its samples, its errors, and how long a sample is shown."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
import logging
from typing import Any, override

from homeassistant.components import bluetooth
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import callback
from homeassistant.helpers.debounce import Debouncer
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator, UpdateFailed
from homeassistant.util import dt as dt_util

from .battery.access import BatteryAccess
from .battery.expiry import SampleExpiry
from .battery.info_store import InfoStore
from .battery.poll_delegate import PollDelegate
from .battery.poll_schedule import PollSchedule, next_poll_delay
from .battery.reporting import WaitingValues
from .battery.slow_values import SlowValues, call_all_but_slow
from .battery.statistics import PollStatistics
from .battery.stuck_data import StuckDataDetector
from .connection.errors import as_vlrv_error
from .const import DOMAIN, POLL_INTERVAL, RELEASED_INTERVAL
from .entries import async_poll_position
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


class VlrvCoordinator(DataUpdateCoordinator[BatteryStatus]):
    """Polls one battery, and publishes its last valid sample.

    `data` is None until the first sample ever; the last one is restored after a restart.
    A failed poll makes the entities unavailable only if that sample is no longer fresh.
    """

    config_entry: ConfigEntry[Any]

    def __init__(
        self,
        access: BatteryAccess,
        delegate: PollDelegate,
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
            request_refresh_debouncer=Debouncer(
                access.hass, _LOGGER, cooldown=1.0, immediate=True
            ),
        )
        # The address; unique IDs of the entities begin with it.
        self.identifier: str = access.entry.data[CONF_ADDRESS]
        self.options = options
        self.statistics = PollStatistics()
        self._delegate = delegate
        self._info = info
        self._client = access.client
        self._connection = access.connection
        self._expiry = SampleExpiry(
            access, options, delegate, self._handle_expired, self.async_update_listeners
        )
        self.stuck = StuckDataDetector()
        self._last_error: VlrvError = NotReachableError()
        self._slow_values = SlowValues()
        self._schedule = PollSchedule()

    @property
    def device_info(self) -> DeviceInfo:
        """Return the battery for the device registry."""
        return self._info.device_info

    @property
    def waiting(self) -> WaitingValues:
        """Return which values wait until they are shown."""
        return self._expiry.waiting

    @property
    def has_values(self) -> bool:
        """Return whether there is a sample that may be shown."""
        return self.last_update_success and self.data is not None

    @property
    def is_live(self) -> bool:
        """Return whether the last sample is recent: not of before a release or restart."""
        return self._expiry.is_live(self.statistics.age(self.hass.loop.time()))

    @property
    def last_failure(self) -> str:
        """Return the key of the text that tells why the last poll failed."""
        return self._connection.error_reason(self._last_error)

    @callback
    def async_restore(self, status: BatteryStatus, when: datetime) -> None:
        """Show a sample from before a restart as if it were received now."""
        self.data = status
        self.statistics.last_sample = when
        self._expiry.sample_restored()

    @callback
    def async_take_initial(
        self, status: BatteryStatus, when: datetime, time: float
    ) -> None:
        """Use the sample that the config flow read, and show it as if received now."""
        self._handle_sample(status, when, time)
        self._expiry.sample_restored()
        self.data = status

    @callback
    def async_start(self) -> None:
        """Schedule the expiry of the sample that is shown from the start."""
        self._expiry.schedule()

    @callback
    def async_options_updated(self) -> None:
        """Apply changed options at once."""
        self._expiry.options_updated()
        self.async_update_listeners()
        # Later polls are scheduled from the end of this one.
        self.request_poll()

    @override
    async def async_shutdown(self) -> None:
        """Stop polling."""
        await super().async_shutdown()
        self._expiry.stop()

    @override
    def _schedule_refresh(self) -> None:
        """Schedule the next poll: after the interval, or when one was requested."""
        if self.update_interval is None or self._shutdown_requested:
            return
        now = self.hass.loop.time()
        self.update_interval = self._schedule.next_delay(self.update_interval, now)
        super()._schedule_refresh()

    @callback
    def request_poll(self, delay: timedelta = timedelta()) -> None:
        """Poll in the background after `delay` at the latest, by default at once."""
        if self._delegate.is_polling_paused or self._shutdown_requested:
            return
        if delay <= timedelta():
            self.config_entry.async_create_background_task(
                self.hass, self.async_request_refresh(), f"{self.name} - connect"
            )
        elif self._schedule.request(self.hass.loop.time() + delay.total_seconds()):
            self._schedule_refresh()

    @callback
    def handle_lost(self, retry_after: timedelta | None) -> None:
        """Handle a lost connection; poll no sooner than `retry_after`, where given."""
        if retry_after is not None:
            self._schedule.drop_request()
            self.update_interval = max(retry_after, self.options.interval)
            self._schedule_refresh()

    @callback
    def handle_release(self) -> None:
        """Stop polling: the user is about to release the battery; values stay shown."""
        self._schedule.drop_request()
        self._expiry.release()

    @callback
    def handle_resume(self) -> None:
        """Poll again. Until the first poll succeeds, the last sample counts as fresh."""
        self._expiry.resume()
        self.update_interval = self.options.interval
        self.request_poll()

    @override
    async def _async_refresh(self, *args: Any, **kwargs: Any) -> None:
        """Poll; if the calling script is stopped, the availability stays as it was."""
        success = self.last_update_success
        try:
            await super()._async_refresh(*args, **kwargs)
        except asyncio.CancelledError:
            self.last_update_success = success and not self._expiry.is_expired
            raise
        if not success and not self.last_update_success:
            # Home Assistant reports only the first failure; time-based sensors change.
            self.async_update_listeners()

    @callback
    @override
    def async_update_listeners(self) -> None:
        """Call the listeners, those of slow values if one of these may have changed."""
        if self._slow_values.update(self.data if self.has_values else None):
            super().async_update_listeners()
        else:
            call_all_but_slow(self._listeners, self.logger)

    @override
    async def _async_update_data(self) -> BatteryStatus:
        self._schedule.drop_request()
        if self._delegate.is_polling_paused:
            if self._expiry.is_expired:
                raise self._failure(self._last_error)
            return self.data
        self.statistics.polls += not self._connection.is_released
        started = self.hass.loop.time()
        try:
            status = await self._poll()
        except Exception as err:  # noqa: BLE001
            error = as_vlrv_error(err, "reading a battery")
            if self._connection.is_released:
                # Hourly refreshes only update time-based sensors.
                self.update_interval = RELEASED_INTERVAL
                return self._stale_data_or_raise(self._last_error)
            self.update_interval = await self._handle_failure(error)
            return self._stale_data_or_raise(error)
        index, count = async_poll_position(self.hass, self.config_entry)
        self.update_interval = next_poll_delay(
            index, count, self.options.interval, started, self.hass.loop.time()
        )
        return status

    async def _poll(self) -> BatteryStatus:
        async with self._connection.use():
            try:
                status = await self._client.read_status()
            except NoAnswerError:
                # Before the end of the block, which closes a shared connection.
                if self.statistics.record_no_answer():
                    await self._force_reconnect()
                raise
            await self._delegate.async_check_sample(status)
            self._handle_sample(status, dt_util.utcnow(), self.hass.loop.time())
            self._connection.handle_sample()
            self._expiry.schedule()
            if self.stuck.add(status.frame, status.current, self.hass.loop.time()):
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
        self._expiry.sample_received(time)
        self._delegate.handle_sample(status, when, time)

    async def _handle_failure(self, err: VlrvError) -> timedelta:
        """Record why a poll failed, close a broken connection; return the next delay."""
        self._last_error = err
        _LOGGER.debug("%s: poll failed: %s", self.name, err)
        self.statistics.record_failure(err)
        if isinstance(err, NotReachableError):
            self._delegate.handle_disconnected()
        elif not isinstance(err, (ImplausibleError, NoAnswerError, RefusedError)):
            await self._client.disconnect()
        return self._connection.handle_poll_failed(err)

    async def _force_reconnect(self) -> None:
        """Disconnect and clear the service cache, because the connection does not work."""
        self._delegate.handle_forced_reconnect()
        self.stuck.reset()
        await self._client.disconnect(clear_service_cache=True)
        # The next advertisement is then reported as new, and leads to a poll.
        bluetooth.async_clear_advertisement_history(self.hass, self.identifier)

    def _stale_data_or_raise(self, err: VlrvError) -> BatteryStatus:
        """Return the last sample while it may be shown; otherwise raise UpdateFailed."""
        if self._expiry.is_fresh:
            return self.data
        self._expiry.expire()
        raise self._failure(err) from err

    def _failure(self, err: VlrvError) -> UpdateFailed:
        return UpdateFailed(
            translation_domain=DOMAIN,
            translation_key=self._connection.error_reason(err),
            translation_placeholders={"name": self.name},
        )

    @callback
    def _handle_expired(self) -> None:
        self.async_set_update_error(self._failure(self._last_error))
