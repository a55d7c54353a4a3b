"""A battery's Bluetooth module: advertiser and GATT server on a virtual radio."""

from __future__ import annotations

import asyncio
import logging

from bumble import att, hci
from bumble.device import Connection, Device, DeviceConfiguration
from bumble.gatt import Characteristic, CharacteristicValue, Service

from .faults import ARRIVAL, ConnectionFaults
from .module import (
    READ_BUFFER,
    SUPERVISION_TIMEOUT,
    TERMINATED_BY_PEER,
    Battery,
    BatteryModule,
)
from .phone import PhoneApp
from .profiles import COMMAND
from .radio import Radio, RadioHost, RadioMedium

_LOGGER = logging.getLogger(__name__)


class Peripheral(BatteryModule):
    """A battery on the air.

    It takes one connection and does not advertise while that lasts.
    `advertising_interval` is in seconds; the other options are those of
    `BatteryModule`.
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
        super().__init__(
            battery,
            advertising_interval=advertising_interval,
            max_mtu=max_mtu,
            name_in_scan_response=name_in_scan_response,
            reply_latency=reply_latency,
            profile=profile,
            faults=faults,
        )
        self.medium = medium
        self._radio: Radio | None = None
        self._device: Device | None = None
        self._connection: Connection | None = None
        self._notify: Characteristic[bytes] | None = None
        self._phone: PhoneApp | None = None
        self._restart: asyncio.Task[None] | None = None

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
        reply, outage = self._handle_write(bytes(value))
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
            self._record_notification(part.data)


def _notify_characteristic(uuid: int) -> Characteristic[bytes]:
    return Characteristic(
        f"{uuid:04X}",
        Characteristic.Properties.NOTIFY | Characteristic.Properties.READ,
        Characteristic.READABLE,
        bytes(READ_BUFFER),
    )
