"""An adapter's end of a connection, and what adapters and batteries agree on."""

from __future__ import annotations

from typing import Final, Protocol

DEFAULT_MTU: Final = 23
LOCAL_MTU: Final = 517  # of the adapter, in the exchange of the MTU
ATT_HEADER: Final = 3  # bytes
DEFAULT_RSSI: Final = -60  # dBm


class Connection(Protocol):
    """An adapter's end of a connection."""

    mtu: int

    def deliver(self, handle: int, data: bytes) -> None:
        """Handle a notification."""

    def lose(self, reason: int) -> None:
        """Handle the loss of the connection, for an HCI reason."""
