"""The first reading of a battery, handed from the config flow to the entry it makes.

So its values show the moment it is added, without a second connection.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN, MAX_AGE
from ..vlrv.identity import Identity
from ..vlrv.probe import ProbeResult
from ..vlrv.registers import BatteryStatus


class DatedProof(NamedTuple):
    """What a battery showed, and when."""

    status: BatteryStatus
    identity: Identity | None
    when: datetime
    time: float  # on the event loop's clock


_PROOFS: HassKey[dict[str, DatedProof]] = HassKey(f"{DOMAIN}_proofs")


def _is_fresh(hass: HomeAssistant, proof: DatedProof) -> bool:
    return hass.loop.time() - proof.time <= MAX_AGE.total_seconds()


@callback
def store_initial_reading(
    hass: HomeAssistant, address: str, proof: ProbeResult
) -> None:
    """Keep the reading for a minute."""
    proofs = hass.data.setdefault(_PROOFS, {})
    for other in [key for key, value in proofs.items() if not _is_fresh(hass, value)]:
        del proofs[other]
    proofs[address] = DatedProof(
        proof.status, proof.identity, dt_util.utcnow(), hass.loop.time()
    )


@callback
def take_initial_reading(hass: HomeAssistant, address: str) -> DatedProof | None:
    """Return the reading and forget it; None when there is none or it is too old."""
    proof = hass.data.get(_PROOFS, {}).pop(address, None)
    return proof if proof is not None and _is_fresh(hass, proof) else None
