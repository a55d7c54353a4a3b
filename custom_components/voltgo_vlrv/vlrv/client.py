"""One battery over one Bluetooth link, one request in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
import logging
from typing import Final, NamedTuple

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

# As a module: Home Assistant puts its own client class in there when its Bluetooth
# comes up, and a class imported earlier would bypass every adapter and proxy.
import bleak_retry_connector

from .const import GATT_PROFILES, GattProfile
from .errors import (
    ConnectionLostError,
    ImplausibleError,
    NoAnswerError,
    NoSlotError,
    NotReachableError,
    NotSentError,
    NotVlrvError,
    RefusedError,
)
from .firmware import FirmwareImage, transfer
from .frames import (
    EXCEPTION,
    FIRMWARE_FAMILY,
    READ_REGISTERS,
    SETTINGS_FAMILY,
    STATUS_FAMILY,
    FrameAssembler,
    read_request,
    settings_request,
)
from .identity import IDENTITY_COUNT, IDENTITY_START, Identity, decode_identity
from .registers import CURRENT_SCALE, STATUS_START, BatteryStatus, decode_status
from .settings import (
    GET_MODULE_ID,
    STATUS_BYTE,
    STATUS_REPLY_LENGTH,
    SUCCESS,
    ProtocolList,
    decode_module_id,
    decode_protocols,
)
from .thresholds import THRESHOLD_READS, decode_thresholds
from .trace import ConnectionEvent, Trace
from .validation import implausibilities

_LOGGER = logging.getLogger(__name__)


# What a link fails with: bleak's own, and what comes through it when the system's
# Bluetooth service dies. A timeout is an OSError.
_BROKEN: Final = (BleakError, EOFError, OSError)

NO_SUCH_REGISTERS: Final = (2, 3)
"""Exception codes of a read of more registers than there are, as Modbus has them (C:
recorded batteries answer zeros for what they do not have)."""


class Timing(NamedTuple):
    """How long things may take, in seconds."""

    connect: float = 40.0
    """Ceiling for one connection with its retries: two attempts of 20 s each. A silent
    battery would hold a caller for longer without it."""
    subscribe: float = 10.0
    """For switching notifications on."""
    request: float = 2.0
    """Per try; recorded answers took 87-140 ms (A)."""
    attempts: int = 3
    """Batteries leave a request unanswered now and then (27 answers to 37 polls, A)."""
    optional_attempts: int = 2
    """For what not every board of the family answers, and no live value waits for."""
    min_write_interval: float = 0.15
    """Between two frames: closer writes are lost and not applied (A)."""
    settle_delay: float = 0.1
    """Between subscribing and the first frame; nothing recorded says how much it takes
    (C)."""
    disconnect: float = 8.0
    """After that the link is left to its supervision timeout. Home Assistant waits for
    10 s for an entry to unload."""
    clear_cache_timeout: float = 5.0
    """For an adapter to forget services; one that hangs would hold a caller for ever."""


class _Expected(NamedTuple):
    """Which frame answers a request: a reply names neither register nor request."""

    family: int
    function: int
    length: int | None  # None where only the battery knows

    def is_met_by(self, frame: bytes) -> bool:
        return (
            frame[0] == self.family
            and frame[1] == self.function
            and (self.length is None or len(frame) == self.length)
        )

    def is_refused_by(self, frame: bytes) -> bool:
        return (
            self.family == STATUS_FAMILY
            and frame[0] == STATUS_FAMILY
            and frame[1] == self.function | EXCEPTION
        )


@dataclass(slots=True)
class _Pending:
    """A request that waits for its answer."""

    expected: _Expected
    done: asyncio.Future[None]
    frame: bytes = b""
    """The answer; when several came at once, the last: those before are older."""


def _read(start: int, count: int) -> tuple[bytes, _Expected]:
    return (
        read_request(start, count),
        _Expected(STATUS_FAMILY, READ_REGISTERS, 5 + 2 * count),
    )


@dataclass(slots=True)
class ConnectionCounters:
    """What happened on the link since the client was made."""

    connects: int = 0
    requests: int = 0
    unanswered: int = 0
    late_replies: int = 0


class VlrvClient:
    """Talks to one battery.

    Whatever fails, the client is afterwards either disconnected or usable; a call that
    is cancelled leaves it so too. Errors are those of `errors`, nothing of bleak's.
    """

    def __init__(
        self,
        name: str,
        find_device: Callable[[], BLEDevice | None],
        *,
        on_disconnect: Callable[[], None] | None = None,
        on_settings_frame: Callable[[bytes], None] | None = None,
        status_register_count: int | None = None,
        timing: Timing | None = None,
        trace: Trace | None = None,
    ) -> None:
        """Prepare; `find_device` names the device anew for each attempt to connect.

        `status_register_count` is how many registers this battery answered a status read with,
        `on_settings_frame` is told every frame of that family, asked for or not.
        """
        self.name = name
        self.counters = ConnectionCounters()
        self.trace = trace or Trace()
        self.current_scale = CURRENT_SCALE
        """How many counts of the current make 1 A."""
        self._find_device = find_device
        self._on_disconnect = on_disconnect
        self._on_settings_frame = on_settings_frame
        self._timing = timing or Timing()
        self._client: BleakClient | None = None
        self._write_char: BleakGATTCharacteristic | None = None
        self._status_register_count = status_register_count
        self._status_counts: tuple[int, ...] = ()
        self._all_status_counts: tuple[int, ...] = ()
        self._assembler = FrameAssembler()
        self._lock = asyncio.Lock()
        self._link_lock = asyncio.Lock()
        self._attempt: asyncio.Timeout | None = None
        self._ending: asyncio.Task[None] | None = None
        # How often somebody asked to let go.
        self._endings = 0
        self._last_write = 0.0
        self._pending: _Pending | None = None

    @property
    def is_connected(self) -> bool:
        """Return whether the link stands and is subscribed."""
        return self._write_char is not None

    @property
    def adapter(self) -> str:
        """Return the address of the adapter with the link, empty when not known."""
        return "" if self._client is None else _adapter(self._client)

    @property
    def discarded_bytes(self) -> int:
        """Return how many received bytes were part of no intact frame."""
        return self._assembler.discarded

    # --- the link -----------------------------------------------------------------

    async def connect(self) -> None:
        """Connect and subscribe, or do nothing when that is the case already.

        Raises NotReachableError, NoSlotError, ConnectionLostError, or NotVlrvError when the
        device lacks the battery's service.
        """
        endings = self._endings
        async with self._link_lock:
            if self.is_connected:
                return
            if endings != self._endings:
                # Meant for this call, too, though it only waited for its turn.
                raise NotReachableError("given up for a disconnect")
            try:
                async with asyncio.timeout(None) as self._attempt:
                    try:
                        await self._subscribe(*await self._find_service())
                    finally:
                        self._attempt = None  # from here on it cannot be given up
            except BaseException as err:  # also a cancelled call leaves no link behind
                self.trace.record_event(
                    ConnectionEvent.NOT_CONNECTED, f"{type(err).__name__}: {err}"
                )
                await self._drop()
                if isinstance(err, TimeoutError):
                    raise NotReachableError("given up for a disconnect") from err
                raise

    async def _find_service(self) -> tuple[BleakClient, _Service]:
        """Connect to a device that has the battery's service."""
        client = await self._establish()
        if (service := _find_service(client)) is None:
            # The adapter may remember services from before a firmware update.
            await self._clear_service_cache(client)
            await self._drop()
            client = await self._establish()
            if (service := _find_service(client)) is None:
                raise NotVlrvError("the battery's GATT service is not there")
        return client, service

    async def _subscribe(self, client: BleakClient, service: _Service) -> None:
        self._assembler.clear()
        try:
            async with asyncio.timeout(self._timing.subscribe):
                await client.start_notify(service.notify, self._on_notification)
        except _BROKEN as err:
            # Perhaps they are somewhere else by now than the adapter remembers.
            await self._clear_service_cache(client)
            raise ConnectionLostError("no notifications from the battery") from err
        if not client.is_connected:
            raise ConnectionLostError("the link broke right after connecting")
        self._write_char = service.write
        self._all_status_counts = service.profile.status_counts
        if self._status_register_count in self._all_status_counts:
            self._status_counts = (self._status_register_count,)
        else:
            self._status_register_count = None
            self._status_counts = self._all_status_counts
        # The first frame follows after the time to settle, by the rule of spacing.
        self._last_write = (
            asyncio.get_running_loop().time()
            + self._timing.settle_delay
            - self._timing.min_write_interval
        )
        self.counters.connects += 1
        self.trace.record_event(ConnectionEvent.CONNECTED, _adapter(client))

    async def _establish(self) -> BleakClient:
        await self._await_end()
        if (device := self._find_device()) is None:
            raise NotReachableError("no adapter hears the battery")
        try:
            async with asyncio.timeout(self._timing.connect):
                self._client = await bleak_retry_connector.establish_connection(
                    bleak_retry_connector.BleakClientWithServiceCache,
                    device,
                    self.name,
                    disconnected_callback=self._on_disconnected,
                    max_attempts=2,
                    ble_device_callback=lambda: self._find_device() or device,
                )
        except bleak_retry_connector.BleakOutOfConnectionSlotsError as err:
            raise NoSlotError(str(err)) from err
        except _BROKEN as err:
            raise NotReachableError(str(err) or type(err).__name__) from err
        return self._client

    async def disconnect(self, *, clear_service_cache: bool = False) -> None:
        """Let the battery go; never raises, does nothing when there is no link.

        A connection that is still being made is given up. `clear_service_cache` has the
        adapter look for them anew next time.
        """
        if clear_service_cache and self._client is not None:
            await self._clear_service_cache(self._client)
        self._endings += 1
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.reschedule(asyncio.get_running_loop().time())
        async with self._link_lock:
            await self._drop()

    async def _clear_service_cache(self, client: BleakClient) -> None:
        """Clear the adapter's memory of the services, where it has one."""
        with suppress(*_BROKEN):
            async with asyncio.timeout(self._timing.clear_cache_timeout):
                await client.clear_cache()  # type: ignore[attr-defined]

    async def _drop(self) -> None:
        client, self._client = self._client, None
        if self.is_connected:
            self.trace.record_event(ConnectionEvent.DISCONNECTED)
        self._forget_link(ConnectionLostError("disconnected"))
        if client is not None:
            # Goes on when whoever asked is cancelled, as by a script that is stopped:
            # else a link would be left that nobody knows of.
            self._ending = asyncio.create_task(self._end(client))
        await self._await_end()

    async def _await_end(self) -> None:
        """Wait for the end of a link that is being let go."""
        if self._ending is not None:
            await asyncio.wait({self._ending})

    async def _end(self, client: BleakClient) -> None:
        try:
            async with asyncio.timeout(self._timing.disconnect):
                await client.disconnect()
        except _BROKEN as err:
            _LOGGER.debug("%s: while disconnecting: %s", self.name, err)

    def _on_disconnected(self, client: BleakClient) -> None:
        if client is not self._client:
            return  # an attempt that was given up, or a disconnect of our own
        self._client = None
        if was_connected := self.is_connected:
            self.trace.record_event(ConnectionEvent.LOST)
        self._forget_link(ConnectionLostError("the link broke"))
        if was_connected and self._on_disconnect is not None:
            self._on_disconnect()

    def _forget_link(self, error: ConnectionLostError) -> None:
        self._write_char = None
        if self._pending is not None and not self._pending.done.done():
            self._pending.done.set_exception(error)

    # --- requests -------------------------------------------------------------------

    def _on_notification(
        self, _characteristic: BleakGATTCharacteristic, data: bytearray
    ) -> None:
        for frame in self._assembler.feed(data):
            self.trace.record_received(frame)
            if frame[0] == SETTINGS_FAMILY and self._on_settings_frame is not None:
                self._on_settings_frame(frame)
            # An answer to a request that was given up, or the same one twice.
            if (late := self._take(frame)) is not None:
                self.counters.late_replies += 1
                self.trace.record_event(ConnectionEvent.LATE_REPLY, frame=late)

    def _take(self, frame: bytes) -> bytes | None:
        """Take a frame as the answer; return what is none, this or the one before.

        An adapter may hold answers back, and hand them on together: a battery answers in
        order, so the last is the one that is true now.
        """
        if (pending := self._pending) is None:
            return frame
        if pending.expected.is_met_by(frame):
            if not pending.done.done():
                pending.frame = frame
                pending.done.set_result(None)
                return None
            if pending.frame:
                late, pending.frame = pending.frame, frame
                return late
        elif not pending.done.done() and pending.expected.is_refused_by(frame):
            pending.done.set_exception(RefusedError(frame[2]))
            self.trace.record_event(ConnectionEvent.REFUSED, f"code {frame[2]}", frame)
            return None
        return frame

    async def _request(
        self, request: bytes, expected: _Expected, attempts: int
    ) -> bytes:
        """Send a read and return its answer, asking again when there is none."""
        async with self._lock:
            for _ in range(attempts):
                with suppress(NoAnswerError):
                    return await self._ask(request, expected)
            raise NoAnswerError(f"no answer to {attempts} requests")

    async def _ask(
        self,
        request: bytes,
        expected: _Expected,
        patience: float | None = None,
        connection: int | None = None,
    ) -> bytes:
        """Send once and return the answer; on this connection only, where given."""
        loop = asyncio.get_running_loop()
        if (
            wait := self._last_write + self._timing.min_write_interval - loop.time()
        ) > 0:
            await asyncio.sleep(wait)
        if self._client is None or self._write_char is None:
            raise NotSentError("not connected")
        if connection not in (None, self.counters.connects):
            raise NotSentError("connected anew")
        self._assembler.clear()
        self._pending = pending = _Pending(expected, loop.create_future())
        self.counters.requests += 1
        try:
            async with asyncio.timeout(patience or self._timing.request):
                self._last_write = loop.time()
                self.trace.record_sent(request)
                await self._client.write_gatt_char(
                    self._write_char, request, response=False
                )
                await pending.done
                return pending.frame
        except TimeoutError:
            self.counters.unanswered += 1
            self.trace.record_event(ConnectionEvent.UNANSWERED, frame=request)
            raise NoAnswerError("no answer") from None
        except _BROKEN as err:
            raise ConnectionLostError(str(err)) from err
        finally:
            self._pending = None
            if pending.done.done() and not pending.done.cancelled():
                # Retrieved, also when nobody waits for it any more.
                pending.done.exception()

    async def _get(self, function: int, length: int | None) -> bytes:
        return await self._request(
            settings_request(function),
            _Expected(SETTINGS_FAMILY, function, length),
            self._timing.optional_attempts,
        )

    async def read_status(self) -> BatteryStatus:
        """Read the live values.

        Raises ImplausibleError when they cannot be true, NoAnswerError, ConnectionLostError
        or RefusedError.
        """
        counts = self._status_counts
        for count in counts:
            try:
                frame = await self._request(
                    *_read(STATUS_START, count), attempts=self._timing.attempts
                )
            except (NoAnswerError, RefusedError) as err:
                if isinstance(err, RefusedError):
                    if err.code not in NO_SUCH_REGISTERS:
                        raise
                    # As after another firmware: it is asked for all on this link already.
                    self._status_counts = self._all_status_counts
                # What was answered before is not taken for granted next time.
                self._status_register_count = None
                if count == counts[-1]:
                    raise
                continue
            # What was answered once is what this battery is asked from now on; more, if
            # that was answered while this one waited.
            self._status_register_count = max(self._status_register_count or 0, count)
            self._status_counts = (self._status_register_count,)
            status = decode_status(frame, self.current_scale)
            if reasons := implausibilities(status):
                self.trace.record_event(
                    ConnectionEvent.REJECTED, ", ".join(reasons), frame
                )
                raise ImplausibleError(reasons)
            return status
        raise ConnectionLostError("not connected")

    async def probe_status_length(self) -> None:
        """Ask for the most registers there may be, where fewer were answered so far.

        That a reply was lost when the battery was asked first does not probe that it has
        no more; `read_status` then reads all of them. Nothing is sent where nothing can
        be found. Raises NoAnswerError, ConnectionLostError or RefusedError.
        """
        most = self._all_status_counts[:1]
        if self._status_counts[:1] != most:
            await self._request(
                *_read(STATUS_START, most[0]), attempts=self._timing.optional_attempts
            )
            self._status_register_count = most[0]
            self._status_counts = most

    async def read_identity(self) -> Identity:
        """Read model, firmware and serial.

        Raises NoAnswerError, ConnectionLostError or RefusedError.
        """
        return decode_identity(
            await self._request(
                *_read(IDENTITY_START, IDENTITY_COUNT),
                attempts=self._timing.optional_attempts,
            )
        )

    async def read_thresholds(self) -> Mapping[str, float]:
        """Read the thresholds, by the keys of `thresholds.THRESHOLDS`; empty when it has none.

        Raises NoAnswerError, ConnectionLostError or RefusedError.
        """
        return decode_thresholds(
            [
                await self._request(
                    *_read(start, count), attempts=self._timing.optional_attempts
                )
                for start, count in THRESHOLD_READS
            ]
        )

    async def read_module_id(self) -> int:
        """Read the module ID, 1-16.

        Raises NoAnswerError, ConnectionLostError, or ImplausibleError for any other number.
        """
        try:
            return decode_module_id(await self._get(GET_MODULE_ID, 6))
        except ValueError as err:
            raise ImplausibleError((str(err),)) from err

    async def read_protocols(self, function: int) -> ProtocolList:
        """Read the list behind GET_CAN or GET_RS485.

        Raises NoAnswerError, ConnectionLostError, or ImplausibleError for a garbled list.
        """
        try:
            return decode_protocols(await self._get(function, None))
        except ValueError as err:
            raise ImplausibleError((str(err),)) from err

    async def write_setting(self, request: bytes) -> None:
        """Write one setting, once: what was not confirmed is not sent again.

        Raises RefusedError with the battery's code, NoAnswerError when it is unknown
        whether the battery took it, and ConnectionLostError; NotSentError when it surely did
        not. What it is based on was read on this connection, so on no other is it sent.

        A reply does not say which value it confirms, so a write that was given up ends
        the link: on that, the reply may come late, and be taken for the next one's.
        """
        expected = _Expected(SETTINGS_FAMILY, request[1], STATUS_REPLY_LENGTH)
        connection = self.counters.connects
        async with self._lock:
            try:
                frame = await self._ask(request, expected, connection=connection)
            except NotSentError:
                raise
            except BaseException:  # also when the caller was cancelled
                if connection == self.counters.connects:
                    await self.disconnect()
                raise
        if (code := frame[STATUS_BYTE]) != SUCCESS:
            self.trace.record_event(ConnectionEvent.REFUSED, f"code {code}", frame)
            raise RefusedError(code)

    @property
    def max_write_size(self) -> int:
        """Return how many bytes one write can carry on this link, 0 without one."""
        # Not the client's `mtu_size`: BlueZ's never tells more than the smallest MTU.
        char = self._write_char
        return 0 if char is None else char.max_write_without_response_size

    async def transfer_firmware(
        self, image: FirmwareImage, progress: Callable[[int], None]
    ) -> None:
        """Transfer a firmware image, see `firmware.transfer`.

        Nothing else is sent meanwhile. Raises FirmwareError.
        """

        async def exchange(request: bytes, length: int, patience: float) -> bytes:
            return await self._ask(
                request,
                _Expected(FIRMWARE_FAMILY, request[1], length),
                patience,
                # One that was made anew may lead to a battery that has restarted.
                connection=connection,
            )

        async with self._lock:
            connection = self.counters.connects
            await transfer(exchange, image, progress)


class _Service(NamedTuple):
    """The battery's service as found on a device."""

    profile: GattProfile
    write: BleakGATTCharacteristic
    notify: BleakGATTCharacteristic


def _adapter(client: BleakClient) -> str:
    """Return the address of the adapter with the link, empty where that is not told."""
    # Home Assistant's client chooses it when it connects, and has no name for it.
    scanner = getattr(client, "_connected_scanner", None)
    return str(getattr(scanner, "source", ""))


def _find_service(client: BleakClient) -> _Service | None:
    try:
        services = client.services
    except BleakError as err:
        raise ConnectionLostError(str(err)) from err
    for profile in GATT_PROFILES:
        # Not `get_service`: that raises where there are two of a kind.
        for service in services:
            if service.uuid != profile.service:
                continue
            write = service.get_characteristic(profile.write)
            notify = service.get_characteristic(profile.notify)
            if write is not None and notify is not None:
                return _Service(profile, write, notify)
    return None
