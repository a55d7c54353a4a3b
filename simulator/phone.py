"""The vendor's app, which competes for a battery's only connection."""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from bumble import hci
from bumble.core import BaseBumbleError
from bumble.device import Connection, Device, DeviceConfiguration

from .radio import Radio, RadioHost, RadioMedium

PHONE_ADDRESS: Final = "5C:17:CF:00:00:01"


class PhoneApp:
    """The vendor's app on a phone: a second central that keeps the connection."""

    def __init__(self, medium: RadioMedium) -> None:
        """Start in range."""
        self._radio = Radio("phone", medium, PHONE_ADDRESS)
        self._device = Device(
            config=DeviceConfiguration(
                name="phone", address=hci.Address(f"F2{PHONE_ADDRESS[2:]}")
            ),
            host=RadioHost(self._radio, self._radio),
        )
        self._connection: Connection | None = None

    async def connect(self, address: str) -> None:
        """Connect at the next advertisement."""
        await self._device.power_on()
        self._connection = await self._device.connect(
            hci.Address(address, hci.AddressType.PUBLIC_DEVICE), timeout=None
        )

    async def disconnect(self) -> None:
        """Disconnect and leave."""
        if self._connection is not None:
            with suppress(BaseBumbleError, hci.HCI_Error):
                await self._connection.disconnect()
        self._radio.leave()
        await self._device.power_off()
