"""What is written down about a battery, and outlives a reload of its entry.

So an entry that is not set up, or cannot be, still tells what happened before.
"""

from __future__ import annotations

from typing import NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN
from ..vlrv.trace import Trace
from .observations import Evidence


class Records(NamedTuple):
    """The records of one battery."""

    trace: Trace
    evidence: Evidence


_RECORDS: HassKey[dict[str, Records]] = HassKey(f"{DOMAIN}_records")


@callback
def async_diagnostic_log(hass: HomeAssistant, entry_id: str) -> Records:
    """Return the records of an entry; its evidence may still have to be loaded."""
    records = hass.data.setdefault(_RECORDS, {})
    if entry_id not in records:
        records[entry_id] = Records(Trace(), Evidence(hass, entry_id))
    return records[entry_id]


async def async_remove_diagnostic_log(hass: HomeAssistant, entry_id: str) -> None:
    """Forget an entry for good."""
    records = async_diagnostic_log(hass, entry_id)
    del hass.data[_RECORDS][entry_id]
    await records.evidence.file.async_remove()
