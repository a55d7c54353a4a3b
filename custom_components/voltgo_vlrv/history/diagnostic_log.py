"""Trace and observations of a battery; they outlive a reload of its entry.

Diagnostics of an entry that is not set up still show what happened before.
"""

from __future__ import annotations

from typing import NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..vlrv.trace import Trace
from .observations import RegisterObservations


class DiagnosticLog(NamedTuple):
    """Trace and register observations of one battery."""

    trace: Trace
    observations: RegisterObservations


_LOGS: HassKey[dict[str, DiagnosticLog]] = HassKey(f"{DOMAIN}_logs")


@callback
def async_diagnostic_log(hass: HomeAssistant, entry_id: str) -> DiagnosticLog:
    """Return the log of an entry; its observations may not be loaded yet."""
    logs = hass.data.setdefault(_LOGS, {})
    if entry_id not in logs:
        logs[entry_id] = DiagnosticLog(Trace(), RegisterObservations(hass, entry_id))
    return logs[entry_id]


async def async_remove_diagnostic_log(hass: HomeAssistant, entry_id: str) -> None:
    """Delete the log of an entry."""
    logs = async_diagnostic_log(hass, entry_id)
    del hass.data[_LOGS][entry_id]
    await logs.observations.file.async_remove()
