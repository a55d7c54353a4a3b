"""Registers 105-127: model, firmware, serial number."""

from __future__ import annotations

from dataclasses import dataclass
import struct

IDENTITY_START = 105


@dataclass
class Identity:
    """What a battery calls itself; NUL bytes are part of a recorded model."""

    model: str
    firmware: str
    serial: str

    def words(self) -> dict[int, int]:
        """Encode as words by register."""
        data = (
            self.model.encode("ascii").ljust(24, b"\0")
            + self.firmware.encode("ascii").ljust(6, b"\0")
            + self.serial.encode("ascii").ljust(16, b"\0")
        )
        return dict(enumerate(struct.unpack(">23H", data), IDENTITY_START))

    def expected_values(self) -> dict[str, str]:
        """Return the texts without their NUL bytes."""
        return {
            "model": self.model.replace("\0", ""),
            "firmware": self.firmware.replace("\0", ""),
            "serial": self.serial.replace("\0", ""),
        }
