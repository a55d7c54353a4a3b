"""Operations on one battery: read its values, write a setting, transfer firmware."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Self

from bleak.backends.device import BLEDevice

from .const import GattProfile, Timing
from .errors import (
    ConnectionLostError,
    FirmwareError,
    FirmwareFailure,
    FirmwareStep,
    ImplausibleError,
    NoAnswerError,
    NotSentError,
    RefusedError,
)
from .firmware import MAX_REQUEST_SIZE, transfer
from .firmware_image import FirmwareImage
from .frames import FIRMWARE_FAMILY, SETTINGS_FAMILY, settings_request
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
from .trace import ConnectionCounters, ConnectionEvent, Trace
from .transport import ExpectedReply, Transport
from .validation import drop_unknown_fields, implausibilities

NO_SUCH_REGISTERS: Final = (2, 3)
"""Exception codes of a read of more registers than there are, as Modbus has them (C:
recorded batteries answer zeros for what they do not have)."""


class StatusLength:
    """How many registers a status read of one battery asks for.

    Newer batteries answer 41, older ones 39: the most is tried first on each connection
    until a length was answered once.
    """

    def __init__(self, known: int | None) -> None:
        """Begin with the length that was answered before, None if there is none."""
        self._known = known
        self._possible: tuple[int, ...] = ()
        self.candidates: tuple[int, ...] = ()
        """Lengths to try, in this order; empty before the first connection."""

    def reset(self, possible: tuple[int, ...]) -> None:
        """Handle a new connection to a battery with these possible lengths."""
        self._possible = possible
        if self._known in possible:
            self.candidates = (self._known,)
        else:
            self._known = None
            self.candidates = possible

    def answered(self, count: int) -> None:
        """Ask for `count` from now on, or for more if that was answered before."""
        self._known = max(self._known or 0, count)
        self.candidates = (self._known,)

    def failed(self, *, refused: bool) -> None:
        """Try all lengths on the next connection; on this one too if `refused`."""
        self._known = None
        if refused:
            self.candidates = self._possible

    @property
    def unproven_maximum(self) -> int | None:
        """Return the most registers there may be, None if that many were answered."""
        most = self._possible[:1]
        return None if self.candidates[:1] == most else most[0]


class VlrvClient:
    """Client for one battery over Bluetooth LE.

    After any failure and any cancelled call the client is either disconnected or usable.
    Only the errors of `errors` are raised. As an asynchronous context manager it is
    connected inside and disconnected afterwards.
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
        """Prepare a client; nothing is sent.

        `find_device` returns the device at each attempt to connect, None while no
        adapter receives it. `on_disconnect` is called when a connection is lost, not
        after `disconnect`. `on_settings_frame` gets every settings frame, requested or
        not. `status_register_count` (39 or 41) is how many registers this battery
        answered a status read with before.
        """
        self.counters = ConnectionCounters()
        self.trace = trace or Trace()
        self.current_scale = CURRENT_SCALE
        """Counts of the current register for 1 A: one of `registers.CURRENT_SCALES`."""
        self._timing = timing or Timing()
        self._status_length = StatusLength(status_register_count)
        self._transport = Transport(
            name,
            find_device,
            timing=self._timing,
            counters=self.counters,
            trace=self.trace,
            on_connected=self._handle_connected,
            on_lost=on_disconnect,
            on_settings_frame=on_settings_frame,
        )
        self._connection = self._transport.connection

    @classmethod
    def from_device(
        cls, device: BLEDevice, *, name: str | None = None, **options: Any
    ) -> Self:
        """Return a client for a scanned device; `options` as for the class."""
        return cls(name or device.name or device.address, lambda: device, **options)

    def set_ble_device(self, device: BLEDevice) -> None:
        """Connect to `device` from the next attempt on, as after another scan."""
        self._connection.find_device = lambda: device

    async def __aenter__(self) -> Self:
        """Connect; raises as `connect` does."""
        await self.connect()
        return self

    async def __aexit__(self, *_error: object) -> None:
        """Disconnect."""
        await self.disconnect()

    @property
    def name(self) -> str:
        """Name of the battery in log lines."""
        return self._connection.name

    @name.setter
    def name(self, name: str) -> None:
        self._connection.name = name

    @property
    def is_connected(self) -> bool:
        """Return whether there is a subscribed connection."""
        return self._connection.is_connected

    @property
    def is_disconnecting(self) -> bool:
        """Return whether a connection that is to end is still held.

        A disconnect that fails is repeated; until it works no other device can connect.
        """
        return self._connection.is_disconnecting

    @property
    def max_notification_size(self) -> int:
        """Return the bytes of the largest notification of this connection.

        Both directions have the same MTU, so a write of that size fits as well (A).
        """
        return self._connection.max_notification_size

    @property
    def discarded_bytes(self) -> int:
        """Return how many received bytes were part of no intact frame."""
        return self._transport.assembler.discarded

    async def connect(self) -> None:
        """Connect and subscribe; do nothing while connected.

        Raises NotReachableError, NoSlotError, ConnectionLostError or NotVlrvError.
        """
        await self._connection.connect()

    async def disconnect(self, *, clear_service_cache: bool = False) -> None:
        """Disconnect; never raises, does nothing without a connection.

        Cancels a connection attempt. Takes about 8 s at most; `is_disconnecting` is true
        afterwards if the Bluetooth stack could not do it yet. `clear_service_cache` has
        the adapter discover the services again next time.
        """
        await self._connection.disconnect(clear_service_cache=clear_service_cache)

    def _handle_connected(self, profile: GattProfile) -> None:
        self._status_length.reset(profile.status_counts)

    async def read_status(self) -> BatteryStatus:
        """Read the live values.

        A secondary field out of its range is None and counted in
        `counters.unknown_fields` (see `validation`). Raises ImplausibleError when the
        sample cannot be true, NoAnswerError, RefusedError or ConnectionLostError.
        """
        candidates = self._status_length.candidates
        for count in candidates:
            try:
                frame = await self._transport.read_registers(
                    STATUS_START, count, self._timing.attempts
                )
            except (NoAnswerError, RefusedError) as err:
                refused = isinstance(err, RefusedError)
                if isinstance(err, RefusedError) and err.code not in NO_SUCH_REGISTERS:
                    raise
                # Another firmware may have fewer registers.
                self._status_length.failed(refused=refused)
                if count == candidates[-1]:
                    raise
                continue
            self._status_length.answered(count)
            status = decode_status(frame, self.current_scale)
            if reasons := implausibilities(status):
                self.trace.record_event(
                    ConnectionEvent.REJECTED, ", ".join(reasons), frame
                )
                raise ImplausibleError(reasons)
            status, unknown = drop_unknown_fields(status)
            self.counters.unknown_fields.update(unknown)
            return status
        raise ConnectionLostError("not connected")

    async def probe_status_length(self) -> None:
        """Ask for the most status registers, if fewer were answered so far.

        A reply that was lost proves nothing; `read_status` then reads all of them. Raises
        NoAnswerError, RefusedError or ConnectionLostError.
        """
        if (most := self._status_length.unproven_maximum) is not None:
            await self._read_block(STATUS_START, most)
            self._status_length.answered(most)

    async def read_identity(self) -> Identity:
        """Read model, firmware version and serial number.

        Raises NoAnswerError, RefusedError or ConnectionLostError.
        """
        return decode_identity(await self._read_block(IDENTITY_START, IDENTITY_COUNT))

    async def read_thresholds(self) -> Mapping[str, float]:
        """Read the thresholds by key, in the units of `thresholds.THRESHOLDS`.

        Empty when the battery reports none. Raises NoAnswerError, RefusedError or
        ConnectionLostError.
        """
        return decode_thresholds(
            [await self._read_block(start, count) for start, count in THRESHOLD_READS]
        )

    async def read_registers(self, start: int, count: int) -> tuple[int, ...]:
        """Read `count` (1-125) raw registers of 16 bits from `start` (0-65535).

        Raises ValueError outside of these ranges, NoAnswerError, RefusedError or
        ConnectionLostError.
        """
        frame = await self._read_block(start, count)
        return tuple(
            int.from_bytes(frame[at : at + 2], "big")
            for at in range(3, len(frame) - 2, 2)
        )

    async def _read_block(self, start: int, count: int) -> bytes:
        return await self._transport.read_registers(
            start, count, self._timing.optional_attempts
        )

    async def read_module_id(self) -> int:
        """Read the module ID, 1-16.

        Raises NoAnswerError, ConnectionLostError, or ImplausibleError for another number.
        """
        return await self._read_setting(GET_MODULE_ID, 6, decode_module_id)

    async def read_protocols(self, function: int) -> ProtocolList:
        """Read the list of protocols; `function` is `settings.GET_CAN` or `GET_RS485`.

        Raises NoAnswerError, ConnectionLostError, or ImplausibleError for a list that
        contradicts itself.
        """
        return await self._read_setting(function, None, decode_protocols)

    async def _read_setting[T](
        self, function: int, length: int | None, decode: Callable[[bytes], T]
    ) -> T:
        frame = await self._transport.request(
            settings_request(function),
            ExpectedReply(SETTINGS_FAMILY, function, length),
            self._timing.optional_attempts,
        )
        try:
            return decode(frame)
        except ValueError as err:
            raise ImplausibleError((str(err),)) from err

    async def measure_write_size(self) -> int:
        """Return how many bytes one write surely carries on this connection.

        See `Transport.measure_write_size`; `firmware.MAX_REQUEST_SIZE` is wanted. Raises
        ConnectionLostError.
        """
        async with self._transport.exclusive() as connection:
            return await self._transport.measure_write_size(
                MAX_REQUEST_SIZE, connection
            )

    async def write_setting(self, request: bytes) -> None:
        """Write one setting, once; `request` comes from a function of `settings`.

        Raises NotSentError when it surely was not sent, RefusedError with the battery's
        code, and NoAnswerError or ConnectionLostError when it is unknown whether the
        battery applied it. It is based on values read on this connection, so it is sent
        on no other.

        Without a reply the connection is closed: it does not say which value it confirms,
        so a late one could be taken for that of the next write.
        """
        expected = ExpectedReply(SETTINGS_FAMILY, request[1], STATUS_REPLY_LENGTH)
        connection = self.counters.connects
        async with self._transport.exclusive():
            try:
                frame = await self._transport.send_once(
                    request, expected, connection=connection
                )
            except NotSentError:
                raise
            except BaseException:  # also when the caller was cancelled
                if connection == self.counters.connects:
                    await self.disconnect()
                raise
        if (code := frame[STATUS_BYTE]) != SUCCESS:
            self.trace.record_event(ConnectionEvent.REFUSED, f"code {code}", frame)
            raise RefusedError(code)

    async def transfer_firmware(
        self, image: FirmwareImage, progress: Callable[[int], None]
    ) -> None:
        """Transfer a firmware image, see `firmware.transfer`.

        Nothing else is sent meanwhile, and nothing before this connection is known to
        carry a package (`measure_write_size`). Raises FirmwareError.
        """
        async with self._transport.exclusive() as connection:
            try:
                size = await self._transport.measure_write_size(
                    MAX_REQUEST_SIZE, connection
                )
            except ConnectionLostError as err:
                raise FirmwareError(
                    FirmwareStep.SYNC, None, FirmwareFailure.CONNECTION_LOST
                ) from err
            if size < MAX_REQUEST_SIZE:
                raise FirmwareError(
                    FirmwareStep.SYNC, None, FirmwareFailure.PACKAGE_TOO_LARGE
                )

            async def exchange(request: bytes, length: int, max_wait: float) -> bytes:
                return await self._transport.send_once(
                    request,
                    ExpectedReply(FIRMWARE_FAMILY, request[1], length),
                    max_wait,
                    # After a new connection the battery may have restarted.
                    connection=connection,
                )

            await transfer(exchange, image, progress)
