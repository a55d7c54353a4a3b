"""The medium between batteries and adapters: advertisements and connections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from .peripheral import GattPeripheral

DEFAULT_MTU: Final = 23
LOCAL_MTU: Final = 517  # what an adapter offers in the exchange of the MTU
ATT_HEADER: Final = 3  # bytes
DEFAULT_RSSI: Final = -60  # dBm


class Receiver(Protocol):
    """An adapter that scans."""

    def receive(self, peripheral: GattPeripheral) -> None:
        """Handle one advertisement."""


class Connection(Protocol):
    """An adapter's end of a connection."""

    mtu: int

    def deliver(self, handle: int, data: bytes) -> None:
        """Handle a notification."""

    def lose(self, reason: int) -> None:
        """Handle the loss of the connection, for an HCI reason."""


class GattMedium:
    """All adapters and batteries; each adapter knows how well it receives a battery."""

    def __init__(self) -> None:
        """Start without batteries and adapters."""
        self.receivers: list[Receiver] = []
        self.peripherals: dict[str, GattPeripheral] = {}
