"""The GATT connection to one battery: connect, find the service, subscribe, disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
import logging
from typing import Final, NamedTuple, Protocol

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

# As a module: Home Assistant puts its own client class in there when its Bluetooth
# comes up, and a class imported earlier would bypass every adapter and proxy.
import bleak_retry_connector

from .const import GATT_PROFILES, GattProfile, Timing
from .errors import (
    ConnectionLostError,
    NoAnswerError,
    NoSlotError,
    NotReachableError,
    NotVlrvError,
    VlrvError,
)
from .trace import ConnectionCounters, ConnectionEvent, Trace

_LOGGER = logging.getLogger(__name__)

# bleak's own errors, and what a dying system service raises. TimeoutError is an OSError.
_STACK_ERRORS: Final = (BleakError, EOFError, OSError)

# Unexpected errors whose traceback was logged already.
_reported: Final[set[tuple[type[Exception], str]]] = set()


@contextmanager
def radio_call(
    operation: str,
    failure: type[VlrvError],
    *,
    timeout: type[VlrvError] | None = None,
) -> Iterator[None]:
    """Turn whatever the Bluetooth stack raises in `operation` into `failure`.

    A TimeoutError becomes `timeout` where given. Besides its own errors a stack lets
    AssertionError, AttributeError, KeyError, RuntimeError, TypeError and ValueError out
    (A: public reports). Those may also be a programming error, so each kind is logged
    once with its traceback. Cancellation passes.
    """
    try:
        yield
    except VlrvError:
        raise
    except _STACK_ERRORS as err:
        kind = (timeout or failure) if isinstance(err, TimeoutError) else failure
        raise kind(str(err) or type(err).__name__) from err
    except Exception as err:
        if (key := (type(err), operation)) not in _reported:
            _reported.add(key)
            _LOGGER.warning("Unexpected error while %s", operation, exc_info=True)
        raise failure(f"{type(err).__name__}: {err}") from err


async def close_stale_connections(address: str, max_wait: float = 8.0) -> None:
    """Close connections to `address` that an earlier process left behind.

    Only BlueZ keeps such connections; elsewhere this does nothing. Takes at most
    `max_wait` s and never raises.
    """
    with (
        suppress(VlrvError),
        radio_call("closing stale connections", ConnectionLostError),
    ):
        async with asyncio.timeout(max_wait):
            await bleak_retry_connector.close_stale_connections_by_address(address)


class ConnectionListener(Protocol):
    """What a `GattConnection` reports to."""

    def handle_connected(self, profile: GattProfile) -> None:
        """Handle a new, subscribed connection."""

    def handle_notification(self, data: bytearray) -> None:
        """Handle one notification of the current connection."""

    def handle_closed(self, error: ConnectionLostError, *, lost: bool) -> None:
        """Handle the end of the connection; `lost` unless `disconnect` was called."""


class _Service(NamedTuple):
    """The battery's service as found on a device."""

    profile: GattProfile
    write: BleakGATTCharacteristic
    notify: BleakGATTCharacteristic


class _Disconnection:
    """Disconnects one client, again and again until the stack reports that it is gone.

    A connection that stays open keeps the battery from every other device, so one failed
    attempt must not end the matter. A task of its own: cancelling the caller leaves no
    orphaned connection.
    """

    def __init__(self, client: BleakClient, name: str, timing: Timing) -> None:
        """Start the first attempt."""
        self.client = client
        self._name = name
        self._timing = timing
        self._gone = False
        self._attempted = asyncio.Event()
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def is_gone(self) -> bool:
        """Return whether the stack reports no connection any more."""
        if not self._gone:
            try:
                with radio_call("asking for the connection", ConnectionLostError):
                    self._gone = not self.client.is_connected
            except ConnectionLostError:
                self._gone = True
        return self._gone

    def handle_disconnected(self) -> None:
        """Handle the stack's report that the connection is gone."""
        self._gone = True
        self._wake.set()

    def retry(self) -> None:
        """Start the next attempt now."""
        self._attempted.clear()
        self._wake.set()

    def abandon(self) -> None:
        """Stop: the device is connected again, by another client."""
        self._task.cancel()

    async def wait_attempt(self) -> None:
        """Wait until the current attempt has ended, whether it worked or not."""
        attempted = asyncio.ensure_future(self._attempted.wait())
        try:
            await asyncio.wait(
                {attempted, self._task}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            attempted.cancel()

    async def _run(self) -> None:
        delay = self._timing.disconnect_retry
        while True:
            await self._attempt()
            if self.is_gone():
                return
            self._attempted.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._wake.wait()
            if self.is_gone():
                return
            self._wake.clear()
            delay = min(2 * delay, self._timing.max_disconnect_retry)

    async def _attempt(self) -> None:
        try:
            with radio_call("disconnecting", ConnectionLostError):
                async with asyncio.timeout(self._timing.disconnect):
                    await self.client.disconnect()
        except ConnectionLostError as err:
            _LOGGER.debug("%s: while disconnecting: %s", self._name, err)


class GattConnection:
    """Connects to one battery and keeps track of that connection.

    After any failure there is either a subscribed connection or none.
    """

    def __init__(
        self,
        name: str,
        find_device: Callable[[], BLEDevice | None],
        listener: ConnectionListener,
        *,
        timing: Timing,
        counters: ConnectionCounters,
        trace: Trace,
    ) -> None:
        """Prepare; `find_device` is asked for the device at each attempt."""
        self.name = name
        self.find_device = find_device
        self.max_notification_size = 0
        """Size in bytes of the largest notification of this connection."""
        self._listener = listener
        self._timing = timing
        self._counters = counters
        self._trace = trace
        self._client: BleakClient | None = None
        self._service: _Service | None = None
        # Keeps connecting and disconnecting apart, also for users without any other lock;
        # a disconnect must not wait for requests, so they have a lock of their own.
        self._lock = asyncio.Lock()
        self._attempt: asyncio.Timeout | None = None
        self._disconnection: _Disconnection | None = None
        # Counts calls of `disconnect`, so that waiting callers of `connect` see one.
        self._disconnect_requests = 0

    @property
    def is_connected(self) -> bool:
        """Return whether there is a subscribed connection."""
        return self._service is not None

    @property
    def is_disconnecting(self) -> bool:
        """Return whether the stack still holds a connection that is to end."""
        return self._disconnection is not None and not self._disconnection.is_gone()

    async def connect(self) -> None:
        """Connect and subscribe; do nothing while connected.

        Raises NotReachableError, NoSlotError, ConnectionLostError, or NotVlrvError when
        the device lacks the battery's service.
        """
        requests = self._disconnect_requests
        async with self._lock:
            if self.is_connected:
                return
            if requests != self._disconnect_requests:
                # The call that disconnects means this one too, though it only waited.
                raise NotReachableError("cancelled by a disconnect")
            try:
                async with asyncio.timeout(None) as self._attempt:
                    try:
                        await self._subscribe(*await self._connect_to_service())
                    finally:
                        self._attempt = None  # from here on it cannot be cancelled
            except BaseException as err:  # also a cancelled call leaves no connection
                self._trace.record_event(
                    ConnectionEvent.NOT_CONNECTED, f"{type(err).__name__}: {err}"
                )
                await self._disconnect()
                if isinstance(err, TimeoutError):
                    raise NotReachableError("cancelled by a disconnect") from err
                raise

    async def disconnect(self, *, clear_service_cache: bool = False) -> None:
        """Disconnect; never raises, does nothing without a connection.

        A connection attempt is cancelled. Returns when the stack has confirmed or after
        one failed attempt of `Timing.disconnect`: `is_disconnecting` then stays true
        while further attempts are made. `clear_service_cache` has the adapter discover
        the services again next time.
        """
        if clear_service_cache and self._client is not None:
            await self._clear_service_cache(self._client)
        self._disconnect_requests += 1
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.reschedule(asyncio.get_running_loop().time())
        async with self._lock:
            await self._disconnect()

    async def write(self, frame: bytes) -> None:
        """Write one frame without response.

        Raises ConnectionLostError, or NoAnswerError when the stack reports a timeout.
        """
        if self._client is None or self._service is None:
            raise ConnectionLostError("not connected")
        with radio_call("writing", ConnectionLostError, timeout=NoAnswerError):
            await self._client.write_gatt_char(
                self._service.write, frame, response=False
            )

    def abort(self, error: ConnectionLostError) -> None:
        """Close the connection at once because of `error`."""
        client = self._client
        self._handle_lost(error, str(error))
        if client is not None:
            self._start_disconnection(client)

    async def _connect_to_service(self) -> tuple[BleakClient, _Service]:
        """Connect to a device that has the battery's service."""
        client = await self._establish()
        if (service := _find_service(client)) is None:
            # The adapter may have cached services from before a firmware update.
            await self._clear_service_cache(client)
            await self._disconnect()
            client = await self._establish()
            if (service := _find_service(client)) is None:
                raise NotVlrvError("the battery's GATT service is not there")
        return client, service

    async def _establish(self) -> BleakClient:
        await self._wait_disconnected()
        with radio_call("looking for the battery", NotReachableError):
            device = self.find_device()
        if device is None:
            raise NotReachableError("no adapter receives the battery")
        with radio_call("connecting", NotReachableError):
            try:
                async with asyncio.timeout(self._timing.connect):
                    self._client = await bleak_retry_connector.establish_connection(
                        bleak_retry_connector.BleakClientWithServiceCache,
                        device,
                        self.name,
                        disconnected_callback=self._handle_disconnected,
                        max_attempts=2,
                        ble_device_callback=lambda: self.find_device() or device,
                    )
            except bleak_retry_connector.BleakOutOfConnectionSlotsError as err:
                raise NoSlotError(str(err)) from err
        if self._disconnection is not None:
            self._disconnection.abandon()
            self._disconnection = None
        return self._client

    async def _subscribe(self, client: BleakClient, service: _Service) -> None:
        self.max_notification_size = 0
        try:
            with radio_call("subscribing", ConnectionLostError):
                async with asyncio.timeout(self._timing.subscribe):
                    # ESPHome's client library keeps the callback of a cancelled
                    # subscription (A), so each of its two requests ends before that.
                    await client.start_notify(
                        service.notify,
                        partial(self._handle_notification, client),
                        timeout=self._timing.subscribe / 2,
                    )
        except ConnectionLostError as err:
            # The characteristics may have moved since the adapter cached them.
            await self._clear_service_cache(client)
            raise ConnectionLostError("no notifications from the battery") from err
        with radio_call("asking for the connection", ConnectionLostError):
            if self._client is not client or not client.is_connected:
                raise ConnectionLostError("the connection was lost at once")
        self._service = service
        self._counters.connects += 1
        self._listener.handle_connected(service.profile)
        self._trace.record_event(
            ConnectionEvent.CONNECTED, f"service 0x{service.profile.service[4:8]}"
        )

    async def _clear_service_cache(self, client: BleakClient) -> None:
        """Clear the adapter's cache of the services, where it has one."""
        with suppress(VlrvError), radio_call("clearing the cache", ConnectionLostError):
            async with asyncio.timeout(self._timing.clear_cache_timeout):
                await client.clear_cache()  # type: ignore[attr-defined]

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if self.is_connected:
            self._trace.record_event(ConnectionEvent.DISCONNECTED)
        self._close(ConnectionLostError("disconnected"), lost=False)
        if client is not None:
            self._start_disconnection(client)
        if self._disconnection is not None:
            await self._disconnection.wait_attempt()

    def _start_disconnection(self, client: BleakClient) -> None:
        self._disconnection = _Disconnection(client, self.name, self._timing)

    async def _wait_disconnected(self) -> None:
        """Wait for a disconnection, with one more attempt where it has failed before.

        If that fails too, connecting is tried nevertheless: the stack may hand over the
        connection that it holds.
        """
        if self._disconnection is not None:
            await self._disconnection.wait_attempt()
            if self.is_disconnecting:
                self._disconnection.retry()
                await self._disconnection.wait_attempt()

    def _handle_notification(
        self, client: BleakClient, _char: BleakGATTCharacteristic, data: bytearray
    ) -> None:
        if client is self._client:
            self.max_notification_size = max(self.max_notification_size, len(data))
            self._listener.handle_notification(data)

    def _handle_disconnected(self, client: BleakClient) -> None:
        if self._disconnection is not None and client is self._disconnection.client:
            self._disconnection.handle_disconnected()
        elif client is self._client:  # else an attempt that was cancelled
            self._handle_lost(ConnectionLostError("the connection was lost"))

    def _handle_lost(self, error: ConnectionLostError, detail: str = "") -> None:
        self._client = None
        if self.is_connected:
            self._trace.record_event(ConnectionEvent.LOST, detail)
            self._close(error, lost=True)

    def _close(self, error: ConnectionLostError, *, lost: bool) -> None:
        self._service = None
        self._listener.handle_closed(error, lost=lost)


def _find_service(client: BleakClient) -> _Service | None:
    with radio_call("reading the services", ConnectionLostError):
        services = client.services
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
