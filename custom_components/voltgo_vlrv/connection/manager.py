"""The Bluetooth connection to one battery: acquired, shared, released, restored.

A battery accepts one connection at a time, and a proxy has about three slots. Therefore a
battery is disconnected while the user releases it, and between polls where the mode or the
slots require it. Batteries connect one after the other, with growing delays after failures.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
import logging
from typing import Any, Final, Protocol

from habluetooth import HaBluetoothSlotAllocations

from homeassistant.components import bluetooth
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback

from ..const import CONF_CONNECTION, POLL_INTERVAL
from ..options import BatteryOptions
from ..vlrv.client import VlrvClient
from ..vlrv.errors import (
    ConnectionLostError,
    NotReachableError,
    NotVlrvError,
    VlrvError,
)
from .backoff import ReconnectBackoff
from .errors import ReleasedError, error_reason
from .scan_pause import keep_adapter
from .session import ConnectionSession
from .slots import SlotMonitor, async_clear_stale_advertisements
from .state import ADAPTER_REASONS, ConnectionMode, ConnectionStatus, connection_state
from .timed_release import TimedRelease
from .timers import Timers

# From a slot that became free to the attempt to take it.
FREE_SLOT_DELAY: Final = timedelta(seconds=1)
# Time between two checks whether a released battery is disconnected.
DISCONNECTED_CHECK: Final = 2.0  # s

_LOGGER = logging.getLogger(__name__)

# Timers.
_DISCONNECTED: Final = "disconnected"


class ConnectionDelegate(Protocol):
    """Polls the battery over the connection, and stores the release state."""

    def request_poll(self, delay: timedelta = ...) -> None:
        """Poll after `delay` at the latest, by default as soon as possible."""

    def connection_established(self) -> None:
        """Handle a new connection."""

    def connection_lost(self, retry_after: timedelta | None) -> None:
        """Handle a lost connection; poll no sooner than `retry_after`, where given."""

    def connection_released(self) -> None:
        """Stop polling: the user is about to release the battery."""

    def connection_resumed(self) -> None:
        """Poll again after a release."""

    def slots_exhausted(self, exhausted: bool) -> None:
        """Tell the user that there is no slot for the battery, or no longer."""

    def connection_orphaned(self, adapter: bluetooth.BaseHaScanner | None) -> None:
        """Tell the user which adapter keeps a lost connection; None if none does."""

    async def async_store_release(self, released: bool, until: datetime | None) -> None:
        """Store at once whether the battery is released, and until when (UTC)."""


class ConnectionManager:
    """Decides when one battery is connected, and reports how that goes."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry[Any],
        client: VlrvClient,
        options: BatteryOptions,
        delegate: ConnectionDelegate,
    ) -> None:
        """Start disconnected; the first poll or advertisement connects."""
        self._hass = hass
        self._entry = entry
        self._client = client
        self.options = options
        self._delegate = delegate
        self.request_poll = delegate.request_poll
        self._backoff = ReconnectBackoff()
        self._timers = Timers(hass)
        self._release = TimedRelease(
            hass,
            self._timers,
            on_end=self.async_resume,
            on_clock_set=self._handle_clock_set,
        )
        self._slots = SlotMonitor(hass, entry.data[CONF_ADDRESS])
        self._session = ConnectionSession(
            hass, client, self._slots, self._backoff, timers=self._timers, delegate=self
        )
        self._reason: str | None = None
        self._closed = False
        self._listeners: list[CALLBACK_TYPE] = []
        self._reported = self.status

    # --- state ------------------------------------------------------------------------

    @property
    def mode(self) -> ConnectionMode:
        """Return the connection mode that the user has chosen; in storage, a short one."""
        if self.options.is_stored:
            return ConnectionMode.EACH_POLL
        return ConnectionMode.from_option(self._entry.options.get(CONF_CONNECTION))

    @property
    def status(self) -> ConnectionStatus:
        """Return state, reason of a failure, and end of a release."""
        state = connection_state(
            self._reason,
            is_closed=self._closed,
            is_released=self.is_released,
            is_connected=self._client.is_connected or self._session.is_reconnecting,
            is_disconnecting=self._client.is_disconnecting,
            is_intermittent=self._session.is_shared or self._backoff.is_unstable,
        )
        return ConnectionStatus(state, self._reason, self._release.until)

    def error_reason(self, err: VlrvError) -> str:
        """Return the key of the text that tells the user what happened."""
        if isinstance(err, NotReachableError) and self._slots.orphaned_on is not None:
            return "orphaned"
        return error_reason(self._hass, self._slots.address, err)

    @property
    def adapter(self) -> bluetooth.BaseHaScanner | None:
        """Return the adapter with the connection, None if no adapter reports it."""
        return self._slots.connected_adapter()

    @property
    def turn_time(self) -> timedelta:
        """Return how long it took to connect lately, zero unless slots are shared."""
        return timedelta(seconds=self._session.turn_time)

    @property
    def is_released(self) -> bool:
        """Return whether the user has released the battery."""
        return self._release.released

    @property
    def is_closed(self) -> bool:
        """Return whether the connection is closed for good."""
        return self._closed

    @callback
    def async_add_listener(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call `listener` whenever the status changes."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def report_status(self) -> None:
        """Call the listeners if the status has changed."""
        if (status := self.status) != self._reported:
            self._reported = status
            for listener in self._listeners:
                listener()

    # --- connecting -------------------------------------------------------------------

    def use(self, *, max_wait: float = 0.0) -> AbstractAsyncContextManager[None]:
        """Hold the connection while the block lasts; see `ConnectionSession.use`."""
        return self._session.use(max_wait)

    def keep_adapter(self) -> AbstractAsyncContextManager[None]:
        """Keep the adapter from being reset while the block lasts; inside of `use`."""
        return keep_adapter(self._hass, self._slots)

    async def async_connect(self) -> None:
        """Connect, unless connected; inside of `use`. Raises VlrvError."""
        await self._session.async_connect()

    def check_wanted(self) -> None:
        """Raise ReleasedError or NotReachableError unless a connection is wanted."""
        if self.is_released:
            raise ReleasedError("released by the user")
        if self._closed:
            raise NotReachableError("shutting down")

    @callback
    def handle_connected(self) -> None:
        """Handle a new connection."""
        if self._backoff.connected() or self._reason in ADAPTER_REASONS:
            self._reason = None
        self._clear_problems()
        self._delegate.connection_established()
        self.report_status()

    @callback
    def handle_allocations(self, allocations: HaBluetoothSlotAllocations) -> None:
        """Handle a change of an adapter's connection slots."""
        self._session.handle_allocations(allocations)
        if allocations.free and self._reason == "no_slot" and not self.is_released:
            self.request_poll(FREE_SLOT_DELAY)

    def _clear_problems(self) -> None:
        self._slots.forget_orphan()
        self._delegate.slots_exhausted(False)
        self._delegate.connection_orphaned(None)

    # --- events -----------------------------------------------------------------------

    @callback
    def handle_sample(self) -> None:
        """Handle a sample: the connection works."""
        self._backoff.sample_received(self._hass.loop.time())
        self._reason = None
        self.report_status()

    @callback
    def handle_lost(self) -> None:
        """Handle a lost connection; with growing delays while connections are unstable."""
        self._slots.expect_advertisement()  # it leads to a poll
        retry_after: timedelta | None = None
        if not self.is_released and not self._closed:
            self._backoff.connection_lost(self._hass.loop.time())
            if self._backoff.is_unstable:
                if not self._backoff.received_sample:
                    self._reason = "connection_lost"
                retry_after = self._backoff.delay_while_unstable(
                    self.options.interval, self.options.max_age
                )
        self._delegate.connection_lost(retry_after)
        self.report_status()

    @callback
    def handle_poll_failed(self, err: VlrvError) -> timedelta:
        """Handle a failed poll; return the delay: while connected, 10 s at most."""
        now = self._hass.loop.time()
        if isinstance(err, NotReachableError):
            self._slots.look_for_orphan(now)
        reason = self.error_reason(err)
        delay = min(self.options.interval, POLL_INTERVAL)
        if isinstance(err, (NotReachableError, ConnectionLostError, NotVlrvError)):
            is_lost = isinstance(err, ConnectionLostError)
            if is_lost:
                self._backoff.connection_lost(now)
            delay = self._backoff.attempt_failed(no_slot=reason == "no_slot")
            # After a lost connection, the next advertisement most often reconnects.
            if self._backoff.is_repeated or not is_lost:
                self._reason = reason
            self._delegate.connection_orphaned(self._slots.orphaned_on)
            async_clear_stale_advertisements(
                self._hass, self._slots.address, self._backoff.attempt_started
            )
        elif self._backoff.reply_missing(now):
            self._reason = reason
        self._delegate.slots_exhausted(self._backoff.lacks_slots and not self._closed)
        self.report_status()
        return delay

    @callback
    def handle_advertisement(self) -> None:
        """Poll a battery that advertises, if a connection is wanted."""
        self._slots.handle_change()
        if self.is_released or self._closed or self._client.is_connected:
            return
        has_failed = self._reason is not None
        if self._session.is_shared and not has_failed:
            return  # its next poll is due in time
        self.request_poll(
            self._backoff.delay_after_advertisement(
                self._hass.loop.time(),
                self.options.interval,
                self.options.max_age,
                failed=has_failed,
            )
        )

    # --- release ----------------------------------------------------------------------

    @callback
    def async_restore(
        self, until: datetime | None, began_after: datetime | None
    ) -> None:
        """Restore a release as before a restart, see `TimedRelease.restore`."""
        self._release.restore(until, began_after)
        if self.is_released:
            self._handle_release()
        else:
            # Otherwise a restart with a clock that is behind would release it again.
            self._store_release()

    async def async_release(self, duration: timedelta | None = None) -> None:
        """Release the battery until `async_resume`, or for `duration`."""
        self.async_begin_release(duration)
        await self.async_finish_release()

    @callback
    def async_begin_release(self, duration: timedelta | None = None) -> None:
        """Begin a release: no more use of the connection; `async_finish_release` follows."""
        self._delegate.connection_released()
        self._release.release(duration)
        self._handle_release()
        self.report_status()

    async def async_finish_release(self) -> None:
        """Disconnect a battery that is released, and store that it is."""
        try:
            # Before storing, because the user waits for it with the phone app.
            await self._client.disconnect()
        finally:
            # Also if the calling script is stopped meanwhile.
            self._watch_disconnecting()
            if self.is_released:  # and not resumed meanwhile
                if self._client.is_disconnecting:
                    _LOGGER.warning(
                        "%s: the Bluetooth adapter has not closed the connection yet, so "
                        "no other device can connect; it is tried again",
                        self._entry.title,
                    )
                await self._delegate.async_store_release(True, self._release.until)

    @callback
    def _watch_disconnecting(self) -> None:
        """Report when a released battery is free."""
        self.report_status()
        if self.is_released and self._client.is_disconnecting:
            self._timers.start(
                _DISCONNECTED, DISCONNECTED_CHECK, self._watch_disconnecting
            )

    def _handle_release(self) -> None:
        self._timers.cancel()
        self._session.handle_release()
        self._backoff.reset()
        self._reason = None
        self._clear_problems()
        self._release.schedule_end()

    @callback
    def _handle_clock_set(self) -> None:
        self.report_status()
        self._store_release()

    @callback
    def async_resume(self) -> None:
        """End a release, and connect again."""
        if not self.is_released:
            return
        self._timers.cancel()
        self._release.resume()
        self._delegate.connection_resumed()
        self.report_status()
        self._store_release()

    def _store_release(self) -> None:
        self._hass.async_create_task(
            self._delegate.async_store_release(self.is_released, self._release.until)
        )

    async def async_close(self) -> None:
        """Disconnect for good."""
        self._closed = True
        self._timers.cancel()
        self._clear_problems()
        await self._client.disconnect()
