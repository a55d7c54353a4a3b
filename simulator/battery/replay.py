"""A battery that gives recorded replies."""

from __future__ import annotations

from collections.abc import Sequence
import struct

from .frames import read_range, status_reply, without_crc
from .identity import IDENTITY_START


class ReplayBattery:
    """A battery that gives the recorded replies of a real one.

    A status request is answered with the current recorded frame when it asks for
    exactly as many registers, an identity request when the recorded frame holds them
    all. All else is silence.
    """

    def __init__(
        self,
        status: Sequence[bytes],
        *,
        identity: bytes | None = None,
        name: str = "ZT-25.6V100Ah-1238",
        address: str = "A4:C1:37:00:00:01",
        generation: int = 2,
    ) -> None:
        """Take recorded replies; `identity` is one of a read from register 105 on."""
        self.name = name
        self.address = address
        self.generation = generation
        self._status = tuple(status)
        self._identity = identity
        self._index = 0

    @property
    def current(self) -> bytes:
        """Recorded frame that answers a status request now."""
        return self._status[self._index]

    def next(self) -> bool:
        """Move on to the next recorded frame; False, and no move, at the last one."""
        if self._index + 1 == len(self._status):
            return False
        self._index += 1
        return True

    def handle(self, frame: bytes) -> bytes | None:
        """Answer one written frame, None for silence."""
        body = without_crc(frame)
        wanted = None if body is None else read_range(body)
        if wanted is None:
            return None
        start, count = wanted
        if start == 0 and 2 * count == self.current[2]:
            return self.current
        if (
            start == IDENTITY_START
            and self._identity
            and 2 * count <= self._identity[2]
        ):
            return status_reply(struct.unpack_from(f">{count}H", self._identity, 3))
        return None
