"""The one Bluetooth connection of a battery."""

from .errors import ReleasedError
from .manager import ConnectionDelegate, ConnectionManager
from .state import ConnectionMode, ConnectionState, ConnectionStatus

__all__ = [
    "ConnectionDelegate",
    "ConnectionManager",
    "ConnectionMode",
    "ConnectionState",
    "ConnectionStatus",
    "ReleasedError",
]
