"""Frames recorded from real batteries, and their values.

Decoded a second time in here, by the register map and nothing else, so that what the
integration shows is compared with the bytes and not with the integration's own decoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import json
import struct
from typing import Any, Final

from .folder import ROOT
from simulator.battery import FAULT_BITS, HEATING_ENABLED, HEATING_FILM

RECORDINGS: Final = ROOT.parent / "shared" / "captures" / "frames.json"

STATUS_LENGTHS: Final = (5 + 2 * 39, 5 + 2 * 41)
OPERATING_STATES: Final = {
    0: "standby",
    1: "charging",
    2: "discharging",
    4: "protection",
    8: "charge_limit",
}
# A board that was recorded without a name still needs one that is discovered.
NAMELESS: Final = "ZT-recorded-{cells}S"
CELL_COUNT: Final = 36  # register
SWITCHES: Final = 40  # register


@dataclass(frozen=True)
class Recording:
    """The status frames of one real battery, and its identity where it is known."""

    name: str
    frames: tuple[bytes, ...]
    identity: bytes | None


def load() -> list[Recording]:
    """Return the recordings, battery by battery; none where they are not present."""
    if not RECORDINGS.exists():
        return []
    frames: list[dict[str, str]] = json.loads(RECORDINGS.read_text(encoding="utf-8"))
    status: dict[str, list[bytes]] = {}
    identities: dict[str, bytes] = {}
    for frame in frames:
        data = bytes.fromhex(frame["hex"])
        if frame["kind"] == "identity":
            identities[frame["battery"]] = data
        elif frame["kind"] == "status" and len(data) in STATUS_LENGTHS:
            cells = data[3 + 2 * CELL_COUNT + 1]
            name = frame["battery"] or NAMELESS.format(cells=cells)
            status.setdefault(name, []).append(data)
    return [
        Recording(name, tuple(data), identities.get(name))
        for name, data in status.items()
    ]


def _word(words: Sequence[int], number: int) -> int:
    """Return a register as a signed number."""
    return words[number] - 0x10000 if words[number] & 0x8000 else words[number]


def _temperature(value: int) -> int | None:
    """Return a temperature in degrees Celsius, None for what means "no sensor"."""
    return value if -39 <= value <= 120 else None


def decode(frame: bytes) -> dict[str, Any]:
    """Return what a recorded status frame says, by the keys of the entities."""
    count = frame[2] // 2
    words = struct.unpack_from(f">{count}H", frame, 3)
    cells = words[2 : 2 + words[CELL_COUNT]]
    voltage, current = words[0] / 100, _word(words, 1) / 10
    full = (words[31] << 16 | words[32]) / 3_600_000
    # Old boards count the remaining charge in tenths: the state of charge tells.
    remaining = min(
        (words[21], words[21] / 10), key=lambda left: abs(left - full * words[24] / 100)
    )
    values: dict[str, Any] = {
        "voltage": voltage,
        "current": current,
        "power": round(voltage * current),
        "pcb_temperature": _temperature(_word(words, 18)),
        "ambient_temperature": _temperature(_word(words, 19)),
        "max_cell_temperature": _temperature(_word(words, 20)),
        "remaining_capacity": remaining,
        "full_capacity": round(full, 1),
        "state_of_health": words[23],
        "state_of_charge": words[24],
        "operating_state": OPERATING_STATES[words[25] & 0xFF],
        "charging": current > 0,
        "heating": bool(words[25] & HEATING_FILM),
        "protections": [name for name, mask in FAULT_BITS.items() if words[27] & mask],
        "warning_code": words[26],
        "protection_code": words[27],
        "error_code": words[28],
        "cycles": words[29] if words[30] == 0 else words[30],
        "highest_cell_voltage": max(cells) / 1000,
        "lowest_cell_voltage": min(cells) / 1000,
        "average_cell_voltage": sum(cells) / len(cells) / 1000,
        "cell_voltage_delta": max(cells) - min(cells),
        "highest_cell": cells.index(max(cells)) + 1,
        "lowest_cell": cells.index(min(cells)) + 1,
    }
    if count > SWITCHES:
        values["heating_enabled"] = bool(words[SWITCHES] & HEATING_ENABLED)
    values |= {f"cell_{number}": mv / 1000 for number, mv in enumerate(cells, 1)}
    probes = struct.unpack_from(">6b", frame, 3 + 2 * 33)
    fitted = 2 if len(cells) <= 8 else 4
    for number, value in enumerate(probes, 1):
        # Zero in a slot that is not wired means that it is not wired.
        if number <= fitted or value:
            values[f"probe_{number}"] = _temperature(value)
    return values
