"""The scanner of a proxy: which advertisements it receives, and how it reports them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aioesphomeapi.model import BluetoothProxyFeature

from .api import ApiServer, ApiSession, Handlers
from .const import ADVERTISEMENT_BATCH, FLUSH_INTERVAL
from .messages import Message, address_to_int, pb, scanner_mode
from simulator.gatt.connection import DEFAULT_RSSI
from simulator.gatt.peripheral import GattPeripheral


class Scanner:
    """Reports advertisements in batches [on_raw_advertisement_].

    `rssi` maps an address to its signal strength in dBm; None is out of range.
    `is_paused` tells that a connection is being made: nothing is received meanwhile.
    """

    def __init__(
        self,
        api: ApiServer,
        features: int,
        *,
        active: bool,
        is_paused: Callable[[], bool],
    ) -> None:
        """Prepare; `active` is the mode of the firmware's configuration."""
        self.rssi: dict[str, int | None] = {}
        self.is_active = active
        self._api = api
        self._features = features
        self._configured_active = active
        self._is_paused = is_paused
        self._batch: list[Any] = []
        self._timer: asyncio.TimerHandle | None = None

    @property
    def handlers(self) -> Handlers:
        """Return what handles which message."""
        return {
            "SubscribeBluetoothLEAdvertisementsRequest": self._handle_subscribe,
            "UnsubscribeBluetoothLEAdvertisementsRequest": self._handle_unsubscribe,
            "BluetoothScannerSetModeRequest": self._handle_set_mode,
        }

    @property
    def is_scanning(self) -> bool:
        """Return whether advertisements are received."""
        return self._api.is_on and not self._is_paused()

    def signal_strength(self, peripheral: GattPeripheral) -> int | None:
        """Return the signal strength of a battery in dBm, None if out of range."""
        return self.rssi.get(peripheral.address, DEFAULT_RSSI)

    def start(self) -> None:
        """Scan as the firmware is configured."""
        self.is_active = self._configured_active

    def stop(self) -> None:
        """Discard what was not reported yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._batch.clear()

    def receive(self, peripheral: GattPeripheral) -> None:
        """Queue an advertisement for the subscriber."""
        rssi = self.signal_strength(peripheral)
        if rssi is None or self._api.subscriber is None or not self.is_scanning:
            return
        data, scan_response = peripheral.advertisement()
        # The stack reports both in one.
        self._batch.append(
            pb.BluetoothLERawAdvertisement(
                address=address_to_int(peripheral.address),
                rssi=rssi,
                address_type=0,
                data=data + scan_response if self.is_active else data,
            )
        )
        if len(self._batch) >= ADVERTISEMENT_BATCH:
            self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(
                FLUSH_INTERVAL, self._flush
            )

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._batch = self._batch, []
        if batch:
            self._api.send(
                pb.BluetoothLERawAdvertisementsResponse(advertisements=batch)
            )

    def _send_state(self, state: int = pb.BLUETOOTH_SCANNER_STATE_RUNNING) -> None:
        self._api.send(
            pb.BluetoothScannerStateResponse(
                state=state,
                mode=scanner_mode(self.is_active),
                configured_mode=scanner_mode(self._configured_active),
            )
        )

    def _handle_subscribe(self, session: ApiSession, _message: Message) -> None:
        """[subscribe_api_connection]: the newest subscriber wins."""
        self._api.subscriber = session
        if self._features & BluetoothProxyFeature.FEATURE_STATE_AND_MODE:
            self._send_state()

    def _handle_unsubscribe(self, session: ApiSession, _message: Message) -> None:
        if self._api.subscriber is session:
            self._api.subscriber = None

    def _handle_set_mode(self, _session: ApiSession, message: Message) -> None:
        active = message.mode == pb.BLUETOOTH_SCANNER_MODE_ACTIVE
        if active != self.is_active:
            # The scanner stops and starts again.
            self._send_state(pb.BLUETOOTH_SCANNER_STATE_STOPPING)
            self.is_active = active
            self._send_state()
