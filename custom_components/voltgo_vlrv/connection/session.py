"""Shares one connection: connects for its first user, disconnects after the last one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, Protocol

from habluetooth import HaBluetoothSlotAllocations

from homeassistant.core import HomeAssistant, callback

from ..options import BatteryOptions
from ..vlrv.client import VlrvClient
from ..vlrv.gatt import close_stale_connections
from .backoff import ReconnectBackoff
from .errors import typed_errors
from .reconnect import AdapterMovePolicy
from .sharing import SlotSharingPolicy, TurnTimes
from .slots import SlotMonitor, adapter_name, async_sharing_lock
from .state import ConnectionMode
from .timers import Timers
from .turns import Turn, async_turns

# An adapter without a free slot for this long is full, and not only for a moment.
ADAPTER_FULL_DEBOUNCE: Final = 10.0  # s
# Home Assistant restarts an adapter of this computer that has received nothing for 90 s,
# and resets it when that does not help: all connections are lost then.
MAX_SILENCE: Final = 60.0  # s
# The next poll is as good, if it comes in time.
SILENCE_POLL_DELAY: Final = timedelta(seconds=10)

# A battery advertises about once a second as soon as it is disconnected, and a proxy
# collects advertisements for a moment.
ADVERTISEMENT_WAIT: Final = 3.0  # s

# Timers.
_ADAPTER_FULL: Final = "adapter full"
_SILENCE: Final = "silence"


class SessionDelegate(Protocol):
    """Decides whether a connection is wanted, and is told of it."""

    options: BatteryOptions

    @property
    def mode(self) -> ConnectionMode:
        """Return when the user wants the battery to be connected."""

    @property
    def is_released(self) -> bool:
        """Return whether the user has released the battery."""

    def request_poll(self, delay: timedelta) -> None:
        """Poll after `delay` at the latest."""

    def check_wanted(self) -> None:
        """Raise VlrvError unless a connection is wanted."""

    def handle_connected(self) -> None:
        """Handle a new connection."""

    def report_status(self) -> None:
        """Call the listeners if the status has changed."""


class ConnectionSession:
    """Shares one connection among polls and operations, and its slot with other batteries."""

    def __init__(
        self,
        hass: HomeAssistant,
        client: VlrvClient,
        slots: SlotMonitor,
        backoff: ReconnectBackoff,
        *,
        timers: Timers,
        delegate: SessionDelegate,
    ) -> None:
        """Start without users."""
        self._hass = hass
        self._client = client
        self._slots = slots
        self._backoff = backoff
        self._timers = timers
        self._delegate = delegate
        self._policy = SlotSharingPolicy(delegate.mode)
        self._turn_times = TurnTimes()
        self._moves = AdapterMovePolicy()
        self.is_reconnecting = False
        """Whether a connection was closed only to be made again at once."""
        self._users = 0
        self._stale_closed = False
        # Lets one user at a time wait for adapter, turn and slot, and count the attempt;
        # the client's own lock begins only after that, and a disconnect needs it.
        self._lock = asyncio.Lock()

    @property
    def is_shared(self) -> bool:
        """Return whether the battery is disconnected between polls, as planned."""
        return self._policy.is_sharing and bool(self._client.counters.connects)

    @property
    def turn_time(self) -> float:
        """Return how long it took to connect lately in s, 0 unless slots are shared."""
        return self._turn_times.longest if self.is_shared else 0.0

    @asynccontextmanager
    async def use(self, max_wait: float = 0.0) -> AsyncGenerator[None]:
        """Hold the connection while the block lasts; raises VlrvError without one.

        Waits up to `max_wait` s for an advertisement: after a lost connection there is
        none for a moment. At the end of the last block that holds a shared connection,
        the battery is disconnected.
        """
        self._users += 1
        try:
            now = self._hass.loop.time()
            if self.is_reconnecting or self._backoff.was_just_lost(now):
                max_wait = max(max_wait, ADVERTISEMENT_WAIT)
            if max_wait and not self._client.is_connected:
                await self._slots.wait_in_range(
                    max_wait, lambda: not self._delegate.is_released
                )
            await self.async_connect()
            yield
        finally:
            self._users -= 1
            if not self._users:
                await self._disconnect_if_shared()
                self._reconnect_if_due()

    async def async_connect(self) -> None:
        """Connect, unless connected; inside of `use`. Raises VlrvError."""
        self._delegate.check_wanted()
        if self._client.is_connected:
            return
        self._delegate.report_status()
        with typed_errors("connecting"):
            await self._connect_in_turn()

    async def _connect_in_turn(self) -> None:
        async with self._lock:
            self._delegate.check_wanted()
            if not self._client.is_connected:  # another user may have connected
                await self._slots.wait_for_adapters()
                self._delegate.check_wanted()
                turns = async_turns(self._hass, self._slots.best_adapter())
                async with turns.take(has_failed=self._backoff.has_failed) as turn:
                    self._delegate.check_wanted()
                    await self._connect(turn)

    async def _connect(self, turn: Turn) -> None:
        loop = self._hass.loop
        self._backoff.begin_attempt(loop.time())
        try:
            if not self._stale_closed:
                # Home Assistant may have been killed while it was connected.
                self._stale_closed = True
                await close_stale_connections(self._slots.address)
            await self._slots.wait_for_slot(lambda: not self._delegate.is_released)
            self._delegate.check_wanted()  # it may have been released while waiting
            self._record_signals()
            async with turn.attempt():
                await self._client.connect()
        finally:
            self.is_reconnecting = False
            self._backoff.end_attempt(loop.time())
        self._turn_times.add(loop.time() - turn.waiting_since)
        self._delegate.handle_connected()
        self._record_adapter()
        self._watch_silence()

    @callback
    def handle_release(self) -> None:
        """End what was about to connect."""
        self.is_reconnecting = False
        self._slots.handle_change()

    @callback
    def handle_allocations(self, allocations: HaBluetoothSlotAllocations) -> None:
        """Handle a change of an adapter's connection slots."""
        self._record_adapter()
        if not allocations.free:
            self._handle_adapter_full(allocations.source)

    def _record_adapter(self) -> None:
        """Name the adapter in the trace as soon as it reports the connection."""
        if self._client.is_connected:
            adapter = self._slots.connected_adapter()
            if adapter is not None:
                self._client.trace.record_adapter(adapter_name(adapter))

    async def _disconnect_if_shared(self) -> None:
        """Disconnect if the mode or the adapter's slots require it."""
        if self._client.is_connected and self._policy.should_disconnect(
            self._delegate.mode,
            slots_scarce=self._slots.are_scarce(),
            now=self._hass.loop.time(),
        ):
            self._backoff.disconnected_on_purpose()
            await self._client.disconnect()
        self._delegate.report_status()

    # --- connecting again on purpose --------------------------------------------------

    def _record_signals(self) -> None:
        now = self._hass.loop.time()
        for adapter, rssi in self._slots.signals().items():
            self._moves.record_signal(adapter, rssi, now)

    @callback
    def _watch_silence(self) -> None:
        """Have a poll before the adapter has been silent for too long."""
        silence = self._slots.local_silence()
        if silence is None or not self._client.is_connected:
            return
        left = MAX_SILENCE - silence
        if left <= 0:
            # A reading has just come when the connection is closed, so none is late.
            self._delegate.request_poll(SILENCE_POLL_DELAY)
            left = MAX_SILENCE
        self._timers.start(_SILENCE, left, self._watch_silence)

    @callback
    def _reconnect_if_due(self) -> None:
        """Connect again after a use, if the adapter needs that or another is better."""
        if not self._client.is_connected or self.is_shared:
            return
        silence = self._slots.local_silence()
        is_silent = silence is not None and silence >= MAX_SILENCE
        if is_silent or self._should_move():
            self.is_reconnecting = True
            self._hass.async_create_background_task(
                self._reconnect(is_move=not is_silent),
                f"{self._client.name} - connect again",
            )

    def _should_move(self) -> bool:
        adapter = self._slots.connected_adapter()
        if adapter is None or self._delegate.mode is not ConnectionMode.AUTOMATIC:
            return False
        others = self._slots.adapters_with_free_slot() - {adapter.source}
        if others:
            self._record_signals()
        return self._moves.should_move(
            adapter.source,
            others,
            interval=self._delegate.options.interval,
            now=self._hass.loop.time(),
        )

    async def _reconnect(self, *, is_move: bool) -> None:
        """Close the connection; the next advertisement leads to a new one."""
        if self._users:
            self.is_reconnecting = False
            return
        if is_move:
            self._moves.begin_move()
        self._backoff.disconnected_on_purpose()
        self._slots.expect_advertisement()
        await self._client.disconnect()

    @callback
    def _handle_adapter_full(self, source: str) -> None:
        """Disconnect before the next poll if the connection's adapter stays full."""
        if not self._client.is_connected or _ADAPTER_FULL in self._timers:
            return
        adapter = self._slots.connected_adapter()
        if adapter is not None and adapter.source == source:
            self._timers.start(
                _ADAPTER_FULL, ADAPTER_FULL_DEBOUNCE, self._handle_full_timer
            )

    @callback
    def _handle_full_timer(self) -> None:
        self._hass.async_create_background_task(
            self._disconnect_if_unused(), f"{self._client.name} - free the slot"
        )

    async def _disconnect_if_unused(self) -> None:
        # One after the other: the others keep their slots once a battery has freed one.
        async with async_sharing_lock(self._hass):
            if not self._users:
                await self._disconnect_if_shared()
