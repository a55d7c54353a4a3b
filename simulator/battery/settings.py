"""Settings of a battery, as their frames read and write them.

Letters in brackets are evidence grades: A seen in real captures, B a vendor document or
another driver, C inferred.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

NAME_LENGTH = 22
PROTOCOL_NAME_LENGTH = 10
MAX_MODULE_ID = 16

SUCCESS = 0x00
REFUSED = 0x01

RS485_PROTOCOLS = ("P01-GRW", "P02-LUX", "P03-SCH", "P04-INH", "P05-VOL")
CAN_PROTOCOLS = (
    "P01-GRW",
    "P02-SLK",
    "P03-DY",
    "P04-MGR",
    "P05-VCT",
    "P06-LUX",
    "P07-SMA",
    "P08-INH",
    "P09-SOL",
    "P10-AFO",
    "P11-STU",
)
# A ZT with 8 cells of 2024 lists none and one; the one name was not recorded (C).
ZT_2024_RS485_PROTOCOLS: tuple[str, ...] = ()
ZT_2024_CAN_PROTOCOLS = ("P01-GRW",)

type HeaterAnswer = Literal["obey", "silent", "refuse", "ignore"]


class Settings:
    """Module ID, protocols and what takes effect at the next power cycle.

    `heater_answer` chooses what becomes of a heater command.
    """

    def __init__(
        self,
        *,
        module_id: int,
        rs485_protocols: Sequence[str],
        can_protocols: Sequence[str],
        rs485_index: int,
        can_index: int,
    ) -> None:
        """Start with nothing pending."""
        self.module_id = module_id
        self.rs485_protocols = tuple(rs485_protocols)
        self.can_protocols = tuple(can_protocols)
        self.rs485_index = rs485_index
        self.can_index = can_index
        self.heater_answer: HeaterAnswer = "obey"
        self.pending: dict[str, str | int] = {}

    def expected_values(self) -> dict[str, str | int | None]:
        """Return the settings that are in effect."""
        return {
            "module_id": self.module_id,
            "rs485_protocol": _listed(self.rs485_protocols, self.rs485_index),
            "can_protocol": _listed(self.can_protocols, self.can_index),
        }

    def apply_pending(self, name: str) -> str:
        """Let what was written take effect, and return the name from now on."""
        new_name = str(self.pending.pop("name", name))
        for attribute, value in self.pending.items():
            setattr(self, attribute, value)
        self.pending.clear()
        return new_name

    def answer(self, function: int, data: bytes) -> bytes | None:
        """Return the data of a setting's reply, None for silence (A; 09: C)."""
        match function, len(data):
            case 0x02, 0:
                return bytes((self.module_id,))
            case 0x03, 0:
                return _protocol_list(self.rs485_index, self.rs485_protocols)
            case 0x04, 0:
                return _protocol_list(self.can_index, self.can_protocols)
            case 0x05, 1:
                return self._select("rs485_index", data[0], self.rs485_protocols)
            case 0x06, 1:
                return self._select("can_index", data[0], self.can_protocols)
            case 0x07, 1:
                allowed = 1 <= data[0] <= MAX_MODULE_ID
                return self._accept("module_id", data[0], allowed=allowed)
            case 0x09, _:
                name = data.decode("ascii", "replace")
                allowed = (
                    0 < len(data) <= NAME_LENGTH
                    and data.isascii()
                    and name.isprintable()
                )
                return self._accept("name", name, allowed=allowed)
        return None

    def _accept(self, attribute: str, value: str | int, *, allowed: bool) -> bytes:
        """Store a value until the next power cycle (A)."""
        if not allowed:
            return bytes((REFUSED,))
        self.pending[attribute] = value
        return bytes((SUCCESS,))

    def _select(self, attribute: str, index: int, protocols: Sequence[str]) -> bytes:
        # Protocols can be set only while the module ID in effect is 1 (C).
        allowed = self.module_id == 1 and index < len(protocols)
        return self._accept(attribute, index, allowed=allowed)


def _listed(protocols: Sequence[str], index: int) -> str | None:
    return protocols[index] if index < len(protocols) else None


def _protocol_list(index: int, protocols: Sequence[str]) -> bytes:
    """Return selected index, count and the names padded to 10 bytes (A)."""
    names = b"".join(
        name.encode("ascii").ljust(PROTOCOL_NAME_LENGTH, b"\0") for name in protocols
    )
    return bytes((index, len(protocols))) + names
