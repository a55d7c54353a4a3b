"""The one Bluetooth connection of a battery."""

from .errors import ReleasedError
from .manager import ConnectionManager, ConnectionOwner
from .state import ConnectionMode, ConnectionState, ConnectionStatus

__all__ = [
    "ConnectionManager",
    "ConnectionMode",
    "ConnectionOwner",
    "ConnectionState",
    "ConnectionStatus",
    "ReleasedError",
]
