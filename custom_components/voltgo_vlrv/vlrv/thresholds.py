"""Registers 45-104: where the battery warns, protects and recovers.

Grade B: decoded by another driver on two live EG4-LL packs, and read over Bluetooth from
the older generation (A-). Not known to exist on the ZT generation, whose undefined
registers read 0: all zero means "not reported". What such a register may hold instead is
not known either, so a value outside of its range is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

THRESHOLDS_START: Final = 45

# Register and count of each read. Both replies fit a packet of the smallest MTU seen
# (78), and no other read has their length: a late reply does not say what it holds.
THRESHOLD_READS: Final = ((THRESHOLDS_START, 31), (76, 29))


class Threshold(NamedTuple):
    """One line of the map; the value is (raw + offset) / divisor in `unit`."""

    number: int
    key: str
    divisor: int
    unit: str
    offset: int = 0
    minimum: float | None = None
    """Least value that is a threshold, where the range of the unit is too wide."""


_CELL: Final = (1000, "V")
_PACK: Final = (100, "V")
_AMPERE: Final = (100, "A")
_SECONDS: Final = (1, "s")
_CELSIUS: Final = (1, "°C", -50)
# Some older boards have no offset here (protocol 12.4): 2 would then read as -48 °C.
_UNDERTEMPERATURE: Final = (*_CELSIUS, -20)

THRESHOLDS: Final = (
    Threshold(56, "balance_start", *_CELL),
    Threshold(57, "balance_delta", *_CELL),
    Threshold(58, "low_capacity_warning", 1, "%"),
    Threshold(61, "cell_undervoltage_warning", *_CELL),
    Threshold(62, "cell_undervoltage_protection", *_CELL),
    Threshold(63, "cell_undervoltage_recovery", *_CELL),
    Threshold(64, "pack_undervoltage_warning", *_PACK),
    Threshold(65, "pack_undervoltage_protection", *_PACK),
    Threshold(66, "pack_undervoltage_recovery", *_PACK),
    Threshold(67, "cell_overvoltage_warning", *_CELL),
    Threshold(68, "cell_overvoltage_protection", *_CELL),
    Threshold(69, "cell_overvoltage_recovery", *_CELL),
    Threshold(70, "pack_overvoltage_warning", *_PACK),
    Threshold(71, "pack_overvoltage_protection", *_PACK),
    Threshold(72, "pack_overvoltage_recovery", *_PACK),
    # B+: compared with the vendor's own program (protocol 12.3).
    Threshold(78, "charge_overcurrent_recovery", *_SECONDS),
    Threshold(79, "discharge_overcurrent_recovery", *_SECONDS),
    Threshold(80, "charge_overcurrent_1", *_AMPERE),
    Threshold(81, "discharge_overcurrent_1", *_AMPERE),
    Threshold(82, "short_circuit", *_AMPERE),
    Threshold(83, "charge_overcurrent_2", *_AMPERE),
    Threshold(84, "discharge_overcurrent_2", *_AMPERE),
    Threshold(85, "charge_overcurrent_1_delay", *_SECONDS),
    Threshold(86, "charge_overcurrent_2_delay", *_SECONDS),
    Threshold(87, "discharge_overcurrent_1_delay", *_SECONDS),
    Threshold(88, "discharge_overcurrent_2_delay", *_SECONDS),
    Threshold(90, "charge_undertemperature_warning", *_UNDERTEMPERATURE),
    Threshold(91, "charge_undertemperature_protection", *_UNDERTEMPERATURE),
    Threshold(92, "charge_undertemperature_recovery", *_UNDERTEMPERATURE),
    Threshold(93, "charge_overtemperature_warning", *_CELSIUS),
    Threshold(94, "charge_overtemperature_protection", *_CELSIUS),
    Threshold(95, "charge_overtemperature_recovery", *_CELSIUS),
    Threshold(96, "discharge_undertemperature_warning", *_UNDERTEMPERATURE),
    Threshold(97, "discharge_undertemperature_protection", *_UNDERTEMPERATURE),
    Threshold(98, "discharge_undertemperature_recovery", *_UNDERTEMPERATURE),
    Threshold(99, "discharge_overtemperature_warning", *_CELSIUS),
    Threshold(100, "discharge_overtemperature_protection", *_CELSIUS),
    Threshold(101, "discharge_overtemperature_recovery", *_CELSIUS),
    Threshold(102, "pcb_overtemperature_warning", *_CELSIUS),
    Threshold(103, "pcb_overtemperature_protection", *_CELSIUS),
    Threshold(104, "pcb_overtemperature_recovery", *_CELSIUS),
)

# By divisor and unit, both ends included. Grade C: no document has them. Wide enough for
# 16 cells of 5 V, and for what the EG4-LL reports (B: up to 350 A, 60 s, 100 °C).
VALID_RANGES: Final[Mapping[tuple[int, str], tuple[float, float]]] = {
    _CELL[:2]: (0, 5),
    _PACK[:2]: (0, 80),
    _AMPERE[:2]: (0, 600),
    _SECONDS[:2]: (0, 3600),
    (1, "%"): (0, 100),
    _CELSIUS[:2]: (-50, 150),
}

CHARGE_UNDERTEMPERATURE: Final = "charge_undertemperature_protection"


def decode_thresholds(frames: Sequence[bytes]) -> Mapping[str, float]:
    """Decode the replies to `THRESHOLD_READS`, in that order.

    Returns the thresholds by key in the units of `THRESHOLDS` as far as they can be true,
    empty when the battery reports none.
    """
    thresholds: dict[str, float] = {}
    for (start, count), frame in zip(THRESHOLD_READS, frames, strict=True):
        thresholds |= decode_threshold_block(frame[3 : 3 + 2 * count], start)
    return thresholds


def decode_threshold_block(data: bytes, start: int) -> dict[str, float]:
    """Decode the thresholds among consecutive registers from `start`, by key.

    `data` has two bytes for each register, high byte first.
    """
    thresholds = {}
    for threshold in THRESHOLDS:
        at = 2 * (threshold.number - start)
        # A register that this battery does not have reads 0 (A), and no threshold is
        # 0 V, 0 A, 0 s or -50 °C.
        if at >= 0 and (raw := int.from_bytes(data[at : at + 2], "big")):
            value = (raw + threshold.offset) / threshold.divisor
            least, most = VALID_RANGES[threshold.divisor, threshold.unit]
            if threshold.minimum is not None:
                least = threshold.minimum
            if least <= value <= most:
                thresholds[threshold.key] = value
    return thresholds
