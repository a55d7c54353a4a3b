"""Everything that a battery answers to, for a report."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeIs

from vlrv_ble import ImplausibleError, NoAnswerError, RefusedError, VlrvClient
from vlrv_ble.const import ADVERTISED_NAMES
from vlrv_ble.identity import TEXT_FIELDS
from vlrv_ble.settings import GET_CAN, GET_RS485

FORMAT: Final = "vlrv-dump"
VERSION: Final = 1

BLOCKS: Final = ((0, 41), (45, 31), (76, 29), (105, 23), (128, 23))
"""Start and number of registers of each read; none was seen beyond 150 (protocol 5)."""
_LEGACY_STATUS: Final = (0, 39)


def _serial_registers() -> range:
    (serial,) = [text for text in TEXT_FIELDS if text.field == "serial"]
    return range(serial.number, serial.number + serial.length // 2)


async def read_everything(
    client: VlrvClient, address: str, progress: Callable[[str], None]
) -> dict[str, Any]:
    """Return all registers, settings and advertised properties of a connected battery.

    Without the serial number and the address but its range, which tells the radio module.
    `progress` gets what is being read. Raises ConnectionLostError.
    """
    registers: dict[str, int | None] = {}
    unanswered: list[str] = []
    for start, count in BLOCKS:
        progress(f"registers {start}-{start + count - 1}")
        words = await _block(client, start, count)
        if words is None and start == 0:
            words = await _block(client, *_LEGACY_STATUS)
        if words is None:
            unanswered.append(f"registers {start}-{start + count - 1}")
            continue
        registers |= {
            str(number): None if number in _serial_registers() else word
            for number, word in enumerate(words, start)
        }
    settings: dict[str, Any] = {}
    for key, function in (("can", GET_CAN), ("rs485", GET_RS485)):
        progress(f"{key} protocols")
        try:
            protocols = await client.read_protocols(function)
            settings[key] = {
                "selected": protocols.selected,
                "names": list(protocols.names),
            }
        except (NoAnswerError, RefusedError, ImplausibleError) as err:
            unanswered.append(f"{key} protocols: {err}")
    progress("the module ID")
    try:
        settings["module_id"] = await client.read_module_id()
    except (NoAnswerError, RefusedError, ImplausibleError) as err:
        unanswered.append(f"module ID: {err}")
    return {
        "format": FORMAT,
        "version": VERSION,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "name_begins_with": next(
            (
                known.prefix
                for known in ADVERTISED_NAMES
                if client.name.startswith(known.prefix)
            ),
            None,
        ),
        "address_range": address[:8].upper() if address[2:3] == ":" else None,
        "max_notification_size": client.max_notification_size,
        "registers": registers,
        "settings": settings,
        "unanswered": unanswered,
    }


async def _block(client: VlrvClient, start: int, count: int) -> tuple[int, ...] | None:
    try:
        return await client.read_registers(start, count)
    except (NoAnswerError, RefusedError):
        return None


def has_dump_format(content: object) -> TypeIs[dict[str, Any]]:
    """Return whether JSON content is a dump of a version that is known."""
    return (
        isinstance(content, dict)
        and content.get("format") == FORMAT
        and content.get("version") == VERSION
    )
