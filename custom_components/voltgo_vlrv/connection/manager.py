"""The battery's one link: shared with the phone app, with other batteries, with time.

A battery takes one connection, and a proxy has about three. So the link is let go when
the owner says so, or between polls where that is wanted; our entries connect one after
the other; and a battery that cannot be reached is called less and less often.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Final

from homeassistant.components import bluetooth
from homeassistant.core import CALLBACK_TYPE, HassJob, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import (
    CONF_CONNECTION,
    DOMAIN,
    MAX_AGE,
    MAX_BACKOFF,
    MAX_RELEASE,
    POLL_INTERVAL,
)
from ..issues import async_clear_slot_issue, async_raise_slot_issue
from ..vlrv.errors import (
    ConnectionLostError,
    NoSlotError,
    NotReachableError,
    NotVlrvError,
    VlrvError,
)
from .errors import error_reason
from .slots import connected_scanner

if TYPE_CHECKING:
    from ..coordinator import VlrvCoordinator

_CONNECTING: HassKey[asyncio.Lock] = HassKey(f"{DOMAIN}_connecting")

# So many links in a row that break soon are made anew at once.
MAX_SHORT_CONNECTIONS: Final = 3
# A link that lived for so long was a good one.
STABLE_AFTER: Final = timedelta(minutes=1)
# Links that broke are forgotten when there was none for so long.
SHORT_CONNECTION_RESET: Final = 2 * MAX_BACKOFF
# How long another one may need to let go.
SLOT_WAIT_TIMEOUT: Final = 5.0  # s
# Without a free slot for so long, an adapter is full, and not just busy for a moment.
ADAPTER_FULL_DEBOUNCE: Final = 10.0  # s
# Who gives the last slot back twice within so long stays without for as long: among
# many, each would keep its link by turns, and write a line of history for each turn.
SHARING_HYSTERESIS: Final = timedelta(minutes=30)
# One attempt may meet a slot that is free a moment later.
SLOT_FAILURES: Final = 2


class ConnectionMode(StrEnum):
    """When the link is ours, as the owner chooses it."""

    AUTOMATIC = "automatic"
    """Keep it, but not while that takes the adapter's last slot."""
    KEEP = "keep"
    EACH_POLL = "each_poll"


class ConnectionState(StrEnum):
    """What the link is doing, in the words of strings.json."""

    CONNECTED = "connected"
    IDLE = "idle"
    """Let go between two polls, as planned."""
    CONNECTING = "connecting"
    RELEASED = "released"
    """Let go because the owner said so."""
    UNREACHABLE = "unreachable"
    """In use by another device, out of range or switched off: these look alike."""
    SILENT = "silent"
    """Connected, without an answer of any use for some time."""
    NO_SLOT = "no_slot"
    NO_BLUETOOTH = "no_bluetooth"


_STATES: Final = {
    "no_slot": ConnectionState.NO_SLOT,
    "no_bluetooth": ConnectionState.NO_BLUETOOTH,
    "no_answer": ConnectionState.SILENT,
    "refused": ConnectionState.SILENT,
    "implausible": ConnectionState.SILENT,
}


class ReleasedError(VlrvError):
    """The owner has let go of the battery, and has not taken it back."""


class ConnectionManager:
    """Decides when one battery's link is ours."""

    def __init__(self, coordinator: VlrvCoordinator) -> None:
        """Start with a link that is ours and does not stand yet."""
        self._coordinator = coordinator
        self._client = coordinator.client
        self._hass = coordinator.hass
        self._users = 0
        self._closed = False
        self._listeners: list[CALLBACK_TYPE] = []
        self._shown: tuple[ConnectionState, datetime | None] | None = None
        # Planned: the battery is let go between polls.
        self._sharing = self.mode is ConnectionMode.EACH_POLL
        # On the event loop's clock: when the last slot was given back, and until when the
        # battery is let go between polls whether there is another slot or not.
        self._gave_at = -inf
        self._sharing_until = -inf
        self._failures = 0
        self._slot_failures = 0
        # Links in a row that broke soon, whether they brought a sample or not; when the
        # last one did, and whether that of now is counted, or has brought one.
        self._short = 0
        self._broke_at = 0.0
        self._is_counted = False
        self._is_useful = False
        self._failure: str | None = None
        # Since when polls have brought nothing though the link stood.
        self._silent_since: float | None = None
        self._slot_freed = asyncio.Event()
        self._attempt_began = 0.0
        self._attempt_ended = 0.0
        self._cancel_call: CALLBACK_TYPE | None = None
        self._cancel_return: CALLBACK_TYPE | None = None
        self._cancel_full: CALLBACK_TYPE | None = None
        self.is_released = False
        self.released_until: datetime | None = None
        """When it is taken back by itself; None when it is not, or not released."""

    # --- for entities ---------------------------------------------------------------

    @property
    def mode(self) -> ConnectionMode:
        """Return what the owner wants."""
        return ConnectionMode(
            self._coordinator.config_entry.options.get(
                CONF_CONNECTION, ConnectionMode.AUTOMATIC
            )
        )

    @property
    def state(self) -> ConnectionState:
        """Return what the link is doing.

        A battery that is read now and then stays idle through its polls: nobody wants
        a line of history for each of them.
        """
        if self.is_released:
            return ConnectionState.RELEASED
        if self._failure is not None:
            return _STATES.get(self._failure, ConnectionState.UNREACHABLE)
        # One whose links break after each reading is read like that, too.
        if (self._sharing or self._short > MAX_SHORT_CONNECTIONS) and (
            self._client.counters.connects
        ):
            return ConnectionState.IDLE
        if self._client.is_connected:
            return ConnectionState.CONNECTED
        return ConnectionState.CONNECTING

    @callback
    def async_add_listener(self, listener: CALLBACK_TYPE) -> CALLBACK_TYPE:
        """Call `listener` whenever the state of the link changes."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @callback
    def async_update(self) -> None:
        """Tell the listeners, if there is anything new."""
        shown = (self.state, self.released_until)
        if shown != self._shown:
            self._shown = shown
            for listener in self._listeners:
                listener()

    @property
    def is_closed(self) -> bool:
        """Return whether it is let go for good, and never made again."""
        return self._closed

    # --- having it ------------------------------------------------------------------

    @asynccontextmanager
    async def use(self) -> AsyncGenerator[None]:
        """Have the link while the block lasts; raises VlrvError when that fails.

        Whoever leaves last lets the battery go, where the link is shared.
        """
        self._users += 1
        try:
            await self.async_connect()
            yield
        finally:
            self._users -= 1
            if not self._users:
                await self._share()

    async def async_connect(self) -> None:
        """Connect, unless the link stands; within `use`. Raises VlrvError.

        One connection at a time is made for all our batteries: more of them only get
        in each other's way on the air.
        """
        self._check_ours()
        if self._client.is_connected:
            return
        self.async_update()
        async with self._hass.data.setdefault(_CONNECTING, asyncio.Lock()):
            await self._connect()

    async def _connect(self) -> None:
        self._check_ours()
        if self._client.is_connected:
            return  # whoever came first has it by now
        loop = self._hass.loop
        self._attempt_began = loop.time()
        self._is_counted = self._is_useful = False
        try:
            await self._await_slot()
            self._check_ours()  # the owner may have let go meanwhile
            await self._client.connect()
        finally:
            self._attempt_ended = loop.time()
        self._slot_failures = 0
        if self._short <= MAX_SHORT_CONNECTIONS and self._silent_since is None:
            self._failures = 0
            self._failure = None
        elif self._failure in ("no_slot", "no_bluetooth"):
            self._failure = None  # it was the adapter's, and is over
        async_clear_slot_issue(self._hass, self._coordinator.config_entry)
        self._coordinator.note_connected()
        self.async_update()

    async def _await_slot(self) -> None:
        """Wait until somebody who hears the battery can connect; raises NoSlotError.

        Most often it is one of our own that is about to let go. To try in vain takes
        much longer, and keeps the others waiting.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(SLOT_WAIT_TIMEOUT):
                while self._all_slots_taken() and not self.is_released:
                    self._slot_freed.clear()
                    await self._slot_freed.wait()
        if self._all_slots_taken() and not self.is_released:
            raise NoSlotError("all connection slots are in use")

    def _all_slots_taken(self) -> bool:
        hearing = bluetooth.async_scanner_devices_by_address(
            self._hass, self._coordinator.address, True
        )
        slots = [device.scanner.get_allocations() for device in hearing]
        return bool(slots) and not any(slot is None or slot.free for slot in slots)

    @callback
    def handle_sample(self) -> None:
        """Note that the link is of use."""
        self._failures = 0
        self._is_useful = True
        self._silent_since = None
        if self._lived() >= STABLE_AFTER:
            self._short = 0
        if self._failure is not None:
            self._failure = None
            self.async_update()

    def _lived(self) -> timedelta:
        """Return for how long the link has lived, or the last attempt is over."""
        return timedelta(seconds=self._hass.loop.time() - self._attempt_ended)

    def _check_ours(self) -> None:
        if self.is_released:
            raise ReleasedError("released by the owner")
        if self._closed:
            raise NotReachableError("shutting down")

    async def _share(self) -> None:
        """Let the battery go if others shall have a chance."""
        if self._client.is_connected:
            mode = self.mode
            self._sharing = mode is ConnectionMode.EACH_POLL or (
                mode is ConnectionMode.AUTOMATIC and self._gives_its_slot()
            )
            if self._sharing:
                self._short = 0  # it has lived for as long as it was wanted
                await self._client.disconnect()
        self.async_update()

    def _gives_its_slot(self) -> bool:
        now = self._hass.loop.time()
        if not self._took_the_last_slot():
            return now < self._sharing_until
        if not self._sharing:
            if now - self._gave_at < SHARING_HYSTERESIS.total_seconds():
                self._sharing_until = now + SHARING_HYSTERESIS.total_seconds()
            self._gave_at = now
        return True

    def _took_the_last_slot(self) -> bool:
        scanner = connected_scanner(self._hass, self._coordinator.address)
        allocations = None if scanner is None else scanner.get_allocations()
        return allocations is not None and not allocations.free

    @callback
    def handle_adapter_full(self, source: str) -> None:
        """Let the battery go before its next poll if its adapter stays full."""
        if (
            self._cancel_full is None
            and self._client.is_connected
            and (scanner := connected_scanner(self._hass, self._coordinator.address))
            is not None
            and source == scanner.source
        ):
            self._cancel_full = async_call_later(
                self._hass,
                ADAPTER_FULL_DEBOUNCE,
                HassJob(self._on_full, cancel_on_shutdown=True),
            )

    @callback
    def _on_full(self, _now: datetime) -> None:
        self._cancel_full = None
        self._coordinator.config_entry.async_create_background_task(
            self._hass, self._share_unused(), f"{self._coordinator.name} - share"
        )

    async def _share_unused(self) -> None:
        # One after the other: where one of ours has let go, the others need not.
        async with self._hass.data.setdefault(_CONNECTING, asyncio.Lock()):
            if not self._users:
                await self._share()

    # --- losing it ------------------------------------------------------------------

    @callback
    def handle_lost(self) -> timedelta | None:
        """Note that a link broke; return the pause that its many likes ask for.

        One that breaks soon after each reading costs the radio as much as one that
        brings nothing, and is made less and less often, too.
        """
        if self.is_released or self._closed:
            return None
        self._count_lost()
        if self._short <= MAX_SHORT_CONNECTIONS:
            return None
        if not self._is_useful:
            self._failure = "connection_lost"
        return self._pause_when_short()

    def _count_lost(self) -> None:
        """Count a link that broke, once, however many tell of it."""
        if self._is_counted:
            return
        self._is_counted = True
        self._broke_at = self._hass.loop.time()
        self._short = self._short + 1 if self._lived() < STABLE_AFTER else 0

    def _pause_when_short(self) -> timedelta:
        pause = _doubled(self._short - MAX_SHORT_CONNECTIONS)
        if not self._is_useful:
            return pause
        # Who has the reading does not want another one before its time, but before it is
        # too old to be shown.
        return max(
            min(pause, self._coordinator.options.max_age / 2),
            self._coordinator.options.interval,
        )

    @callback
    def handle_poll_failed(self, err: VlrvError) -> timedelta:
        """Note why a poll failed; return how long to wait before the next one.

        Each failure to connect doubles it, and so does each link that breaks soon. On
        one that stands the interval decides, but who wants a value each hour does not
        want to wait two for it.
        """
        reason = error_reason(self._hass, self._coordinator.address, err)
        pause = min(self._coordinator.options.interval, POLL_INTERVAL)
        if isinstance(err, (NotReachableError, ConnectionLostError, NotVlrvError)):
            self._failures += 1
            # A link that broke is most often back at once, with an advertisement.
            if self._failures > 1 or not isinstance(err, ConnectionLostError):
                self._failure = reason
            if isinstance(err, ConnectionLostError):
                self._count_lost()
            pause = _doubled(max(self._failures, self._short))
            self._forget_unheard()
        else:
            now = self._hass.loop.time()
            if self._silent_since is None:
                self._silent_since = now
            elif now - self._silent_since >= MAX_AGE.total_seconds():
                self._failure = reason
        if isinstance(err, NoSlotError) and not self._closed:
            self._slot_failures += 1
            if self._slot_failures >= SLOT_FAILURES:
                async_raise_slot_issue(self._hass, self._coordinator.config_entry)
        else:
            self._slot_failures = 0
            async_clear_slot_issue(self._hass, self._coordinator.config_entry)
        self.async_update()
        return pause

    def _forget_unheard(self) -> None:
        """See to it that the next advertisement of a silent battery counts as news.

        Home Assistant tells only of changed ones, for minutes: a battery that the phone
        app gives back would go unnoticed. One that is heard, and yet does not take the
        connection, is no news.
        """
        address = self._coordinator.address
        info = bluetooth.async_last_service_info(self._hass, address, True)
        if (
            info is not None
            and info.time < self._attempt_began - POLL_INTERVAL.total_seconds()
        ):
            bluetooth.async_clear_advertisement_history(self._hass, address)

    @callback
    def handle_advertisement(self) -> None:
        """Call a battery that shows up, unless it is let go on purpose."""
        if self.is_released or self._closed or self._client.is_connected:
            return
        if self._sharing and self._failure is None and self._client.counters.connects:
            return  # its next poll is due in time
        if (
            self._hass.loop.time() - self._broke_at
            > SHORT_CONNECTION_RESET.total_seconds()
        ):
            self._short = 0
        if self._short > MAX_SHORT_CONNECTIONS:
            # That it is there says nothing about whether its link holds by now.
            pause = self._pause_when_short()
        else:
            self._failures = 0
            # One that took long is followed by a pause, for the sake of the others.
            lasted = timedelta(seconds=self._attempt_ended - self._attempt_began)
            pause = min(lasted, POLL_INTERVAL) if self._failure else timedelta()
        self._call_in(
            self._attempt_ended + pause.total_seconds() - self._hass.loop.time()
        )

    @callback
    def handle_free_slot(self) -> None:
        """Try again when a slot may have become free."""
        self._slot_freed.set()
        if self._failure == "no_slot" and not self.is_released:
            self._call_in(1.0)

    def _call_in(self, seconds: float) -> None:
        """Poll the battery, now when the time is over."""
        if seconds <= 0:
            self._coordinator.request_refresh()
        elif self._cancel_call is None:
            self._cancel_call = async_call_later(
                self._hass, seconds, HassJob(self._on_call, cancel_on_shutdown=True)
            )

    @callback
    def _on_call(self, _now: datetime) -> None:
        self._cancel_call = None
        if not self.is_released and not self._client.is_connected:
            self._coordinator.request_refresh()

    # --- letting it go --------------------------------------------------------------

    @callback
    def async_restore(self, until: datetime | None) -> None:
        """Be released from the start, as before a restart; None for no end."""
        if until is None:
            self._note_release(None)
        elif (left := until - dt_util.utcnow()) > timedelta():
            # A clock that was changed shall not hold the battery back for years.
            self._note_release(min(left, MAX_RELEASE))
        else:
            # Else a start with a clock that is behind would release it once more.
            self._keep_taken_back()

    async def async_release(self, duration: timedelta | None = None) -> None:
        """Let the battery go, until it is taken back or the duration is over."""
        self.async_begin_release(duration)
        await self.async_finish_release()

    @callback
    def async_begin_release(self, duration: timedelta | None = None) -> None:
        """Have nobody ask the battery from now on; `async_finish_release` has to follow."""
        self._coordinator.pause()
        self._note_release(duration)
        self.async_update()

    async def async_finish_release(self) -> None:
        """End the link of a battery that is released, and keep that it is."""
        try:
            # First: somebody waits for it with the phone in the hand.
            await self._client.disconnect()
        finally:
            # Also where the script that asked is stopped meanwhile.
            if self.is_released:  # and not taken back meanwhile
                await self._coordinator.memory.async_note_release(
                    True, self.released_until
                )
            self.async_update()

    def _note_release(self, duration: timedelta | None) -> None:
        self.is_released = True
        self._slot_freed.set()  # nobody waits for one any more
        self.released_until = None
        self._stop_waiting()
        self._failures = self._slot_failures = self._short = 0
        self._failure = self._silent_since = None
        async_clear_slot_issue(self._hass, self._coordinator.config_entry)
        if duration is not None:
            self.released_until = dt_util.utcnow() + duration
            self._cancel_return = async_call_later(
                self._hass, duration, HassJob(self._on_return, cancel_on_shutdown=True)
            )

    @callback
    def _on_return(self, _now: datetime) -> None:
        self._cancel_return = None
        self.async_resume()

    @callback
    def async_resume(self) -> None:
        """Make the link ours again."""
        if not self.is_released:
            return
        self._stop_waiting()
        self.is_released = False
        self.released_until = None
        self._coordinator.resume()
        self.async_update()
        self._keep_taken_back()

    def _keep_taken_back(self) -> None:
        self._hass.async_create_task(
            self._coordinator.memory.async_note_release(False, None)
        )

    def _stop_waiting(self) -> None:
        for cancel in (self._cancel_call, self._cancel_return, self._cancel_full):
            if cancel is not None:
                cancel()
        self._cancel_call = self._cancel_return = self._cancel_full = None

    async def async_close(self) -> None:
        """Let the battery go for good."""
        self._closed = True
        self._stop_waiting()
        async_clear_slot_issue(self._hass, self._coordinator.config_entry)
        await self._client.disconnect()


def _doubled(times: int) -> timedelta:
    """Return the pause after so many failures in a row: ten seconds to five minutes."""
    return min(POLL_INTERVAL * (1 << min(max(times - 1, 0), 8)), MAX_BACKOFF)
