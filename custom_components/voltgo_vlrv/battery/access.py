"""What each part receives that communicates with one battery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant

from ..connection import ConnectionManager
from ..vlrv.client import VlrvClient
from .identity_guard import IdentityGuard
from .operations import OperationLock


@dataclass(frozen=True, slots=True)
class BatteryAccess:
    """Entry, client, connection, operation lock and identity guard of one battery."""

    hass: HomeAssistant
    entry: ConfigEntry[Any]
    client: VlrvClient
    connection: ConnectionManager
    operations: OperationLock
    guard: IdentityGuard
