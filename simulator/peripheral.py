"""A battery's Bluetooth module: advertiser and GATT server on a virtual radio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
import logging
from typing import Any, Final, Protocol

from bumble import att, hci
from bumble.core import AdvertisingData
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service

from .faults import ARRIVAL, ConnectionFaults
from .phone import PhoneApp
from .profiles import COMMAND, PROFILES, Profile
from .radio import Radio, RadioHost, RadioMedium

_LOGGER = logging.getLogger(__name__)

# Writes that follow each other closer than this are lost (protocol 2.3, grade A).
WRITE_SPACING: Final = 0.010  # s
TRAFFIC_LIMIT: Final = 10_000  # entries kept of each direction
READ_BUFFER: Final = 200  # bytes; what reading the notify characteristic returns
MAX_LEGACY_ADVERTISEMENT: Final = 31  # bytes

# Disconnect reasons, as in the Bluetooth specification, volume 1, part F.
SUPERVISION_TIMEOUT: Final = 0x08
TERMINATED_BY_PEER: Final = 0x13


class Battery(Protocol):
    """What a peripheral needs of a battery.

    If it also has a method `power_cycle()`, `Peripheral.power_cycle` calls it. If it
    has `take_outage()`, that says after each written frame for how many seconds the
    battery is gone after its answer (0: only the connection is lost), or None.
    """

    @property
    def name(self) -> str:
        """The advertised name; read whenever the module is switched on."""

    @property
    def address(self) -> str:
        """The public address."""

    @property
    def generation(self) -> int:
        """1 (services 0x1000) or 2 (0x1006)."""

    def handle(self, frame: bytes, /) -> bytes | None:
        """Answer what was written; None stays silent."""


@dataclass(frozen=True, slots=True)
class Write:
    """A frame that arrived at the battery; `time` is the event loop's."""

    time: float
    data: bytes
    applied: bool


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification that left the battery; `time` is the event loop's."""

    time: float
    data: bytes


class Traffic:
    """Writes and notifications, newest last, and when the last write was applied."""

    def __init__(self) -> None:
        """Start with no traffic."""
        self.writes: deque[Write] = deque(maxlen=TRAFFIC_LIMIT)
        self.notifications: deque[Notification] = deque(maxlen=TRAFFIC_LIMIT)
        self.connections = 0
        self._last_write = float("-inf")

    def record_write(self, now: float, data: bytes) -> bool:
        """Record a write at a loop time, and return whether the battery applies it."""
        # Half a microsecond of grace: loop times are sums of floats.
        applied = now - self._last_write > WRITE_SPACING - 5e-7
        self._last_write = now
        self.writes.append(Write(now, data, applied))
        return applied


class Advertising:
    """What a battery advertises; `interval` is in seconds."""

    def __init__(self, interval: float, *, name_in_scan_response: bool) -> None:
        """Start in range."""
        self.interval = interval
        self.name_in_scan_response = name_in_scan_response
        self.is_in_range = True
        self._lock = asyncio.Lock()

    async def update(
        self,
        device: Callable[[], Device | None],
        is_connected: Callable[[], bool],
    ) -> None:
        """Advertise while in range and not connected."""
        async with self._lock:
            if (module := device()) is None:
                return
            if self.is_in_range and not is_connected():
                await module.start_advertising(
                    own_address_type=hci.OwnAddressType.PUBLIC
                )
            else:
                await module.stop_advertising()

    def payload(self, battery: Battery, profile: Profile) -> tuple[bytes, bytes]:
        """Return the advertising data and the scan response."""
        types = AdvertisingData.Type
        name = (types.COMPLETE_LOCAL_NAME, battery.name.encode())
        data = [
            (types.FLAGS, b"\x06"),
            (
                types.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
                profile.advertised.to_bytes(2, "little"),
            ),
        ]
        if profile.address_as_manufacturer_data:
            data.append(
                (
                    types.MANUFACTURER_SPECIFIC_DATA,
                    bytes.fromhex(battery.address.replace(":", "")),
                )
            )
        whole = bytes(AdvertisingData([*data, name]))
        if self.name_in_scan_response or len(whole) > MAX_LEGACY_ADVERTISEMENT:
            return bytes(AdvertisingData([*data])), bytes(AdvertisingData([name]))
        return whole, b""


class Peripheral:
    """A battery on the air.

    It takes one connection and does not advertise while that lasts. `writes` and
    `notifications` hold the traffic, `connections` counts the connections so far.

    `advertising_interval` and `reply_latency` are in seconds. `max_mtu` and `profile`
    (a key of `PROFILES`) follow the battery's generation unless given.
    """

    def __init__(
        self,
        medium: RadioMedium,
        battery: Battery,
        *,
        advertising_interval: float = 0.5,
        max_mtu: int | None = None,
        name_in_scan_response: bool = False,
        reply_latency: float = 0.0,
        profile: str | None = None,
        faults: ConnectionFaults | None = None,
    ) -> None:
        """Prepare a battery that is still switched off."""
        self.medium = medium
        self.battery = battery
        self.profile = PROFILES[profile or f"v{battery.generation}"]
        self.max_mtu = max_mtu or self.profile.max_mtu
        self.reply_latency = reply_latency
        self.faults = faults or ConnectionFaults()
        self.traffic = Traffic()
        self._advertising = Advertising(
            advertising_interval, name_in_scan_response=name_in_scan_response
        )
        self._radio: Radio | None = None
        self._device: Device | None = None
        self._connection: Connection | None = None
        self._notify: Characteristic[bytes] | None = None
        self._phone: PhoneApp | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._restart: asyncio.Task[None] | None = None

    @property
    def writes(self) -> deque[Write]:
        """Return the frames that arrived at the battery, newest last."""
        return self.traffic.writes

    @property
    def notifications(self) -> deque[Notification]:
        """Return the notifications that left the battery, newest last."""
        return self.traffic.notifications

    @property
    def connections(self) -> int:
        """Return how many connections were made so far."""
        return self.traffic.connections

    @property
    def name(self) -> str:
        """Return the battery's name."""
        return self.battery.name

    @property
    def address(self) -> str:
        """Return the battery's address."""
        return self.battery.address

    @property
    def is_on(self) -> bool:
        """Return whether the module has power."""
        return self._device is not None

    @property
    def is_connected(self) -> bool:
        """Return whether a central is connected."""
        return self._connection is not None

    @property
    def is_advertising(self) -> bool:
        """Return whether the battery can be found."""
        return self._device is not None and self._device.is_advertising

    # Power and presence

    async def start(self) -> None:
        """Switch the module on."""
        self._radio = Radio(f"battery {self.name}", self.medium, self.address)
        self._radio.refuse = lambda: self.faults.take("refuse_connection")
        self._device = self._build(self._radio)
        await self._device.power_on()
        await self._update_advertising()

    async def stop(self) -> None:
        """Switch the module off; a connection is lost."""
        if self._restart is not None and self._restart is not asyncio.current_task():
            self._restart.cancel()
            self._restart = None
        if self._device is None or self._radio is None:
            return
        device, self._device = self._device, None
        radio, self._radio = self._radio, None
        self.medium.drop_connection(radio, SUPERVISION_TIMEOUT)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # The hosts are told of the lost connection in the next turn of the event loop.
        await asyncio.sleep(0)
        self._on_disconnected(SUPERVISION_TIMEOUT)
        radio.leave()
        await device.power_off()
        await self.vacate()

    async def power_cycle(self, off_for: float = 5.0) -> None:
        """Switch the battery off and, after `off_for` seconds, on again."""
        await self.stop()
        if (power_cycle := getattr(self.battery, "power_cycle", None)) is not None:
            power_cycle()
        await asyncio.sleep(off_for)
        await self.start()

    async def silence(self) -> None:
        """Stop advertising, as out of range; an existing connection stays."""
        self._advertising.is_in_range = False
        await self._update_advertising()

    async def advertise(self) -> None:
        """Advertise again; while connected, after disconnecting."""
        self._advertising.is_in_range = True
        await self._update_advertising()

    def drop_connection(self, reason: int = SUPERVISION_TIMEOUT) -> None:
        """Lose the connection, if there is one, for an HCI reason."""
        if self._radio is not None:
            self.medium.drop_connection(self._radio, reason)

    async def occupy(self) -> None:
        """Let a phone app connect and keep the connection."""
        if not self.is_advertising:
            raise RuntimeError(f"{self.name} cannot be connected to now")
        self._phone = PhoneApp(self.medium)
        await self._phone.connect(self.address)

    async def vacate(self) -> None:
        """Let the phone app disconnect."""
        phone, self._phone = self._phone, None
        if phone is not None:
            await phone.disconnect()

    async def _update_advertising(self) -> None:
        await self._advertising.update(
            lambda: self._device, lambda: self._connection is not None
        )

    # GATT

    def _build(self, radio: Radio) -> Device:
        advertising_data, scan_response_data = self._advertising.payload(
            self.battery, self.profile
        )
        interval = self._advertising.interval * 1000  # ms
        device = Device(
            config=DeviceConfiguration(
                name=self.name,
                # Not used on the air, but Bumble wants a random address, too.
                address=hci.Address(f"F0{self.address[2:]}"),
                advertising_data=advertising_data,
                scan_response_data=scan_response_data,
                advertising_interval_min=interval,
                advertising_interval_max=interval,
            ),
            host=RadioHost(radio, radio),
        )
        device.gatt_server.max_mtu = self.max_mtu
        device.on(Device.EVENT_CONNECTION, self._on_connected)
        profile = self.profile
        self._notify = _notify_characteristic(profile.notify)
        self._notify.on(Characteristic.EVENT_SUBSCRIPTION, self._on_subscription)
        write: Characteristic[bytes] = Characteristic(
            f"{profile.write:04X}",
            Characteristic.Properties.READ | profile.write_properties,
            Characteristic.READABLE | Characteristic.WRITEABLE,
            CharacteristicValue(read=self._on_read, write=self._on_write),
        )
        device.add_service(Service(f"{profile.service:04X}", [self._notify, write]))
        if (silent := profile.silent_service) is not None:
            device.add_service(
                Service(
                    f"{silent:04X}",
                    [
                        _notify_characteristic(silent + 1),
                        Characteristic(
                            f"{silent + 2:04X}",
                            COMMAND,
                            Characteristic.WRITEABLE,
                            CharacteristicValue(write=lambda _connection, _value: None),
                        ),
                    ],
                )
            )
        return device

    def _on_connected(self, connection: Connection) -> None:
        self._connection = connection
        self.traffic.connections += 1
        connection.on(Connection.EVENT_DISCONNECTION, self._on_disconnected)
        if self.faults.take("disconnect_on_connect"):
            self.drop_connection(TERMINATED_BY_PEER)

    def _on_disconnected(self, reason: int) -> None:
        if self._connection is None:
            return
        _LOGGER.debug("%s: disconnected, reason 0x%02X", self.name, reason)
        self._connection = None
        self.faults.held = b""
        if self._device is not None:
            self._create_task(self._update_advertising())

    def _on_subscription(
        self, connection: Connection, notify: bool, _indicate: bool
    ) -> None:
        if not notify:
            return
        if self.faults.take("refuse_subscription"):
            connection.device.gatt_server.subscribers.pop(connection, None)
            raise att.ATT_Error(att.ATT_INSUFFICIENT_RESOURCES_ERROR)
        if self.faults.take("disconnect_on_subscribe"):
            self.drop_connection()

    def _on_read(self, _connection: Connection) -> bytes:
        return self.writes[-1].data if self.writes else b""

    def _on_write(self, connection: Connection, value: bytes) -> None:
        now = asyncio.get_running_loop().time()
        applied = self.traffic.record_write(now, bytes(value))
        if not applied or not self.profile.answers:
            return
        reply = self.battery.handle(bytes(value))
        take_outage = getattr(self.battery, "take_outage", None)
        outage = None if take_outage is None else take_outage()
        if reply is not None or outage is not None:
            self._create_task(self._respond(connection, reply, outage))

    async def _respond(
        self, connection: Connection, reply: bytes | None, outage: float | None
    ) -> None:
        """Send the reply, if any, and then be off for the battery's outage."""
        if reply is not None:
            await self._reply(connection, reply)
        if outage is None:
            return
        await asyncio.sleep(ARRIVAL)
        if outage:
            # No task of the module's own: those end when it is switched off.
            self._restart = asyncio.get_running_loop().create_task(
                self.power_cycle(outage)
            )
        else:
            self.drop_connection()

    async def _reply(self, connection: Connection, reply: bytes) -> None:
        size = connection.att_mtu - 3
        for part in self.faults.send(reply, size, self.reply_latency):
            if part.delay:
                await asyncio.sleep(part.delay)
            if self._connection is not connection or self._notify is None:
                return
            if part.data is None:
                self.drop_connection()
                return
            await connection.device.notify_subscriber(
                connection, self._notify, part.data
            )
            self.notifications.append(
                Notification(asyncio.get_running_loop().time(), part.data)
            )

    def _create_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _notify_characteristic(uuid: int) -> Characteristic[bytes]:
    return Characteristic(
        f"{uuid:04X}",
        Characteristic.Properties.NOTIFY | Characteristic.Properties.READ,
        Characteristic.READABLE,
        bytes(READ_BUFFER),
    )
