"""Find out whether a device is such a battery."""

from __future__ import annotations

from typing import NamedTuple

from .client import VlrvClient
from .errors import ImplausibleError, NoAnswerError, NotVlrvError, RefusedError
from .identity import Identity
from .registers import BatteryStatus


class ProbeResult(NamedTuple):
    """What a device reported that turned out to be a battery."""

    status: BatteryStatus
    identity: Identity | None
    """None when the battery does not answer that read."""


async def probe(client: VlrvClient) -> ProbeResult:
    """Connect, verify that the device is such a battery, read it once and disconnect.

    Raises NotVlrvError when it is something else, and the errors of `connect` and
    `read_status` when that could not be determined.
    """
    try:
        await client.connect()
        try:
            status = await client.read_status()
        except ImplausibleError:
            # A single bad sample proves nothing.
            status = await client.read_status()
        except RefusedError as err:
            raise NotVlrvError("it refuses the status request") from err
        try:
            identity = await client.read_identity()
        except (NoAnswerError, RefusedError):
            identity = None
        return ProbeResult(status, identity)
    finally:
        await client.disconnect()
