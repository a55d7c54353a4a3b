"""The last advertisement of a battery that Home Assistant received."""

from __future__ import annotations

from bluetooth_data_tools import parse_advertisement_data_bytes

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant, callback

from ..connection.slots import adapter_name
from ..vlrv.text import clean_text


class LastAdvertisement:
    """Holds the last advertisement, as a connected battery does not advertise."""

    def __init__(self, hass: HomeAssistant, address: str) -> None:
        """Start without an advertisement."""
        self._hass = hass
        self._address = address
        self._info: bluetooth.BluetoothServiceInfoBleak | None = None
        self._rssi: int | None = None
        # The advertisement that was parsed last, and the name in it.
        self._parsed: bluetooth.BluetoothServiceInfoBleak | None = None
        self._name: str | None = None
        self.adapter_name: str | None = None
        """Name of the adapter that the battery was connected through last."""

    @callback
    def update(self, info: bluetooth.BluetoothServiceInfoBleak) -> None:
        """Store an advertisement that was just received."""
        self._info = info
        self._rssi = info.rssi

    @callback
    def refresh(self) -> None:
        """Store Home Assistant's last one, which it drops minutes after a connection."""
        info = bluetooth.async_last_service_info(self._hass, self._address, True)
        self._info = info or self._info
        if info is not None:
            self._rssi = info.rssi

    @callback
    def set_adapter(self, adapter: bluetooth.BaseHaScanner | None) -> None:
        """Store the signal strength at the adapter that has the connection.

        Other adapters may receive the battery much better or worse.
        """
        if adapter is None:
            return
        self.adapter_name = adapter_name(adapter)
        received = adapter.get_discovered_device_advertisement_data(self._address)
        if received is not None:
            self._rssi = received[1].rssi

    @property
    def signal_strength(self) -> int | None:
        """Return the strength in dBm, None before the first advertisement.

        While connected, as the adapter with the connection received it last.
        """
        return self._rssi

    @property
    def name(self) -> str | None:
        """Return the advertised name, None where there is none."""
        if self._parsed is not self._info:
            self._parsed = self._info
            self._name = self._advertised_name()
        return self._name

    def _advertised_name(self) -> str | None:
        info = self._info
        if info is None or info.name == self._address:
            return None
        if info.raw and (name := parse_advertisement_data_bytes(info.raw)[0]):
            # Home Assistant keeps a longer name of before, as if the new one were cut.
            return clean_text(name)
        return clean_text(info.name)
