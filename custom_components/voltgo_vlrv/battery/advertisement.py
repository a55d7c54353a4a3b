"""The last advertisement of a battery that Home Assistant received."""

from __future__ import annotations

from bluetooth_data_tools import parse_advertisement_data_bytes

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant, callback


class LastAdvertisement:
    """Keep the last advertisement: a connected battery does not advertise.

    What it holds is from before the connection.
    """

    def __init__(self, hass: HomeAssistant, address: str) -> None:
        """Start without an advertisement."""
        self._hass = hass
        self._address = address
        self._info: bluetooth.BluetoothServiceInfoBleak | None = None

    @callback
    def update(self, info: bluetooth.BluetoothServiceInfoBleak) -> None:
        """Take an advertisement that was just received."""
        self._info = info

    @callback
    def refresh(self) -> None:
        """Take what Home Assistant has; it drops it some minutes after connecting."""
        info = bluetooth.async_last_service_info(self._hass, self._address, True)
        self._info = info or self._info

    @property
    def signal_strength(self) -> int | None:
        """Return the strength in dBm, None before the first advertisement."""
        return None if self._info is None else self._info.rssi

    @property
    def name(self) -> str | None:
        """Return the advertised name, None where there is none."""
        info = self._info
        if info is None or info.name == self._address:
            return None
        if info.raw and (name := parse_advertisement_data_bytes(info.raw)[0]):
            # Home Assistant takes a shorter name for a cut one, and keeps the longer.
            return name
        return info.name
