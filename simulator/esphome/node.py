"""An ESP32 with ESPHome's `bluetooth_proxy`, as its clients see it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from .api import ApiServer, ApiSession
from .const import ACTIVE, API_VERSION, CONNECTION_TIMEOUT, VERSION
from .faults import NodeFaults
from .gatt import GattClient
from .messages import Message, pb
from .noise import NoiseFraming
from .scanning import Scanner
from .slots import ConnectionOptions, Slot, SlotPool
from .wire import Framing, PlainFraming
from simulator.gatt.peripheral import GattMedium, GattPeripheral
from simulator.gatt.services import ServiceTable


class EsphomeNode:
    """A proxy that listens on 127.0.0.1.

    `mac` is its address on Wi-Fi, `source` the one on Bluetooth. `port` is where it
    listens once it was started. `ble_scanner.rssi` sets how well it receives which battery.
    """

    def __init__(
        self,
        medium: GattMedium,
        name: str = "proxy-1",
        mac: str = "02:E5:00:00:00:01",
        *,
        source: str | None = None,
        slots: int = 3,
        features: int = ACTIVE,
        scan_active: bool = True,
        latency: float = 0.01,
        encryption_key: str | None = None,
        **options: Any,
    ) -> None:
        """Prepare a proxy that is still switched off.

        `latency` is that of the network, in seconds; `encryption_key` has 32 bytes in
        Base64. The other keywords are those of `ConnectionOptions`.
        """
        self.medium = medium
        self.name = name
        self.mac = mac
        # The ESP32 derives its address on Bluetooth: the one on Wi-Fi plus two.
        self.source = source or f"{mac[:-2]}{int(mac[-2:], 16) + 2:02X}"
        self.features = features
        self.encryption_key = encryption_key
        self.api = ApiServer(
            name, latency, self._create_framing, self._handle_subscriber_lost
        )
        self.faults = NodeFaults(self.publish_slots)
        self.ble_scanner = Scanner(
            self.api,
            features,
            active=scan_active,
            is_paused=lambda: self.pool.is_connecting,
        )
        self.pool = SlotPool(
            self.api,
            medium,
            self.ble_scanner,
            self.faults,
            ConnectionOptions(**options),
            slots=slots,
        )
        self.api.handlers.update(
            {
                "HelloRequest": self._handle_hello,
                "DisconnectRequest": self._handle_disconnect,
                "PingRequest": self._handle_ping,
                "DeviceInfoRequest": self._handle_device_info,
                "DeviceCapabilitiesRequest": self._handle_device_capabilities,
                "ListEntitiesRequest": self._handle_list_entities,
                **self.ble_scanner.handlers,
                **self.pool.handlers,
                **GattClient(self.api, self.pool, self.faults).handlers,
            }
        )

    def _create_framing(self) -> Framing:
        if self.encryption_key is None:
            return PlainFraming()
        mac = self.mac.replace(":", "").lower()
        return NoiseFraming(self.encryption_key, self.name, mac)

    def _handle_subscriber_lost(self) -> None:
        self.pool.disconnect_all()

    # What tests look at

    @property
    def port(self) -> int:
        """Return the TCP port, 0 before the first start."""
        return self.api.port

    @property
    def requests(self) -> Counter[str]:
        """Return how many messages were received, by type; connects also by kind."""
        return self.api.requests

    @property
    def flash(self) -> dict[str, ServiceTable]:
        """Return the services that the stack has cached."""
        return self.pool.flash

    @property
    def connections(self) -> dict[str, Slot]:
        """Return the connections in use, by the address that holds them."""
        return self.pool.used

    @property
    def slots(self) -> int:
        """Return the number of slots; setting it removes none that is in use."""
        return self.pool.size

    @slots.setter
    def slots(self, wanted: int) -> None:
        self.pool.size = wanted

    @property
    def free_slots(self) -> int:
        """Return the number of free slots."""
        return self.pool.free

    @property
    def is_on(self) -> bool:
        """Return whether the proxy has power."""
        return self.api.is_on

    @property
    def is_hung(self) -> bool:
        """Return whether the network is lost."""
        return self.api.is_hung

    @property
    def is_subscribed(self) -> bool:
        """Return whether a client gets the advertisements."""
        return self.api.subscriber is not None

    def publish_slots(self) -> None:
        """Report how many slots are free."""
        self.pool.publish()

    # Power, network and connections

    async def start(self) -> None:
        """Switch on."""
        await self.api.start()
        self.ble_scanner.start()
        self.medium.receivers.append(self.ble_scanner)

    async def stop(self) -> None:
        """Switch off: TCP connections are reset, Bluetooth connections are lost."""
        if not self.is_on:
            return
        self.medium.receivers.remove(self.ble_scanner)
        self.ble_scanner.stop()
        self.api.subscriber = None
        self.pool.release_all()
        await self.api.stop()

    async def reboot(self, off_for: float = 8.0) -> None:
        """Restart, as after an update or a brownout; `off_for` is in seconds."""
        await self.stop()
        await asyncio.sleep(off_for)
        await self.start()

    def hang(self) -> None:
        """Lose the network: nothing arrives or leaves, and no end is told of it.

        After 150 s the proxy gives its clients up.
        """
        self.api.hang()

    def resume(self) -> None:
        """Restore the network before either end gave up: what was sent arrives."""
        self.api.resume()

    def forget_network(self) -> None:
        """Restore the network after the clients gave up; the proxy has not noticed."""
        self.api.lose_sessions()

    def drop_api(self) -> None:
        """Reset the TCP connections; the proxy then ends all its connections."""
        self.api.drop_sessions()

    def drop_connection(self, address: str, reason: int = CONNECTION_TIMEOUT) -> None:
        """Lose the connection to a battery."""
        self.medium.peripherals[address].drop_connection(reason)

    def signal_strength(self, peripheral: GattPeripheral) -> int | None:
        """Return the signal strength of a battery in dBm, None if out of range."""
        return self.ble_scanner.signal_strength(peripheral)

    # Messages

    def _handle_hello(self, session: ApiSession, message: Message) -> None:
        session.api_minor = message.api_version_minor
        session.send(
            pb.HelloResponse(
                api_version_major=API_VERSION[0],
                api_version_minor=API_VERSION[1],
                server_info=VERSION,
                name=self.name,
            )
        )

    def _handle_disconnect(self, session: ApiSession, _message: Message) -> None:
        session.is_leaving = True
        session.send(pb.DisconnectResponse())

    def _handle_ping(self, session: ApiSession, _message: Message) -> None:
        session.send(pb.PingResponse())

    def _handle_device_info(self, session: ApiSession, _message: Message) -> None:
        session.send(
            pb.DeviceInfoResponse(
                name=self.name,
                friendly_name=self.name,
                mac_address=self.mac,
                bluetooth_mac_address=self.source,
                esphome_version=VERSION,
                compilation_time="Oct  1 2026, 12:00:00",
                manufacturer="Espressif",
                model="esp32dev",
                project_name="esphome.bluetooth-proxy",
                project_version=VERSION,
                bluetooth_proxy_feature_flags=self.features,
                api_encryption_supported=self.encryption_key is not None,
            )
        )

    def _handle_device_capabilities(
        self, session: ApiSession, _message: Message
    ) -> None:
        session.send(
            pb.DeviceCapabilitiesResponse(
                bluetooth_proxy={
                    "feature_flags": self.features,
                    "mac_address": self.source,
                }
            )
        )

    def _handle_list_entities(self, session: ApiSession, _message: Message) -> None:
        session.send(pb.ListEntitiesDoneResponse())
