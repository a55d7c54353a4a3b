"""Thresholds of registers 45-104 are those of the battery, in its units."""

from __future__ import annotations

from itertools import pairwise
import struct

import pytest

from custom_components.voltgo_vlrv.vlrv.frames import STATUS_FAMILY, read_request
from custom_components.voltgo_vlrv.vlrv.identity import IDENTITY_COUNT
from custom_components.voltgo_vlrv.vlrv.registers import STATUS_COUNTS
from custom_components.voltgo_vlrv.vlrv.thresholds import (
    CHARGE_UNDERTEMPERATURE,
    THRESHOLD_READS,
    THRESHOLDS,
    THRESHOLDS_START,
    Threshold,
    decode_thresholds,
)
from simulator.battery import THRESHOLDS as SIMULATED, SimulatedBattery, status_reply

# Protocol chapter 4, register by register: an EG4 of 12.8 V and 400 Ah.
TABLE = {
    56: 3.400, 57: 0.040, 58: 5,
    61: 2.500, 62: 2.000, 63: 3.100,
    64: 10.5, 65: 9.6, 66: 12.0,
    67: 3.600, 68: 3.900, 69: 3.450,
    70: 14.8, 71: 15.2, 72: 14.4,
    78: 60, 79: 60,
    80: 220, 81: 220, 82: 350, 83: 250, 84: 250,
    85: 10, 86: 2, 87: 10, 88: 2,
    90: 2, 91: 0, 92: 5,
    93: 70, 94: 75, 95: 65,
    96: -15, 97: -20, 98: -10,
    99: 70, 100: 75, 101: 65,
    102: 95, 103: 100, 104: 80,
}  # fmt: skip
# What the keys of the map and of the simulator call the same value.
WORDS = {
    "cell_uv": "cell_undervoltage",
    "cell_ov": "cell_overvoltage",
    "pack_uv": "pack_undervoltage",
    "pack_ov": "pack_overvoltage",
    "charge_oc": "charge_overcurrent_",
    "discharge_oc": "discharge_overcurrent_",
    "charge_ut": "charge_undertemperature",
    "charge_ot": "charge_overtemperature",
    "discharge_ut": "discharge_undertemperature",
    "discharge_ot": "discharge_overtemperature",
    "mos_ot": "pcb_overtemperature",
}
SMALLEST_PACKET = 75  # bytes; MTU 78 of the oldest boards


def pack(*, cells: int = 4, thresholds: bool = True) -> SimulatedBattery:
    """Return a battery like the one of the table, or one with more cells."""
    return SimulatedBattery(
        cell_count=cells, capacity=400, reports_thresholds=thresholds
    )


def replies(battery: SimulatedBattery) -> list[bytes]:
    """Return what a battery answers to the reads."""
    frames = [battery.handle(read_request(*read)) for read in THRESHOLD_READS]
    return [frame for frame in frames if frame is not None]


def key_of(name: str) -> str:
    """Return the key of the map for a name of the simulator."""
    if name == "load_short":
        return "short_circuit"
    for short, long in sorted(WORDS.items(), key=lambda item: -len(item[0])):
        if name.startswith(short):
            return (long + name.removeprefix(short)).replace("__", "_")
    return name


def test_threshold_of_each_row_is_decoded() -> None:
    """By its register."""
    limits = decode_thresholds(replies(pack()))
    assert {limit.number: limits[limit.key] for limit in THRESHOLDS} == pytest.approx(
        TABLE
    )


def test_threshold_of_each_row_has_the_name_of_its_register() -> None:
    """The simulator names them by themselves."""
    assert {limit.number: limit.key for limit in THRESHOLDS} == {
        threshold.register: key_of(name) for name, threshold in SIMULATED.items()
    }


def test_threshold_of_each_row_has_the_unit_of_its_register() -> None:
    """V, A, s, % and °C."""
    units = {
        "cell": "V", "pack": "V", "current": "A", "second": "s", "percent": "%",
        "temperature": "°C",
    }  # fmt: skip
    assert {limit.number: limit.unit for limit in THRESHOLDS} == {
        threshold.register: units[threshold.unit] for threshold in SIMULATED.values()
    }


@pytest.mark.parametrize("cells", [4, 8, 16])
def test_thresholds_of_any_pack_are_decoded(cells: int) -> None:
    """Also those of 51.2 V, which need more of the register."""
    battery = pack(cells=cells)
    limits = decode_thresholds(replies(battery))
    assert limits == pytest.approx(
        {key_of(name): value for name, value in battery.thresholds.items()}, abs=0.005
    )


def test_threshold_map_rises_and_lies_within_the_reads() -> None:
    """Each register once."""
    assert all(one.number < other.number for one, other in pairwise(THRESHOLDS))
    assert len({limit.key for limit in THRESHOLDS}) == len(THRESHOLDS) == len(TABLE)
    (first, count), (second, rest) = THRESHOLD_READS
    assert first == THRESHOLDS_START == 45
    assert first + count == second
    assert second + rest == 105
    assert {limit.number for limit in THRESHOLDS} <= set(range(first, second + rest))


@pytest.mark.parametrize("register", [45, 59, 60, 73, 77, 89])
def test_threshold_of_a_register_without_a_meaning_is_not_shown(register: int) -> None:
    """Nor does it make limits of the zeros that are read with it."""
    words = [0] * 60
    words[register - THRESHOLDS_START] = 0xFFFF
    assert decode_thresholds([status_reply(words[:31]), status_reply(words[31:])]) == {}


@pytest.mark.parametrize("missing", [limit.number for limit in THRESHOLDS])
def test_threshold_that_reads_zero_is_none(missing: int) -> None:
    """Also if the board has other thresholds: no battery protects itself at -50 °C or 0 V."""
    words = [100] * 60
    words[missing - THRESHOLDS_START] = 0
    limits = decode_thresholds([status_reply(words[:31]), status_reply(words[31:])])
    assert set(limits) == {limit.key for limit in THRESHOLDS if limit.number != missing}


def test_thresholds_that_are_all_zero_are_not_reported() -> None:
    """What undefined registers read."""
    assert decode_thresholds(replies(pack(thresholds=False))) == {}
    assert decode_thresholds([status_reply([0] * 31), status_reply([0] * 29)]) == {}


def test_thresholds_of_a_half_that_is_all_zero_are_not_reported() -> None:
    """Raw zero is no temperature of -50 °C that a battery would protect itself at."""
    limits = decode_thresholds([replies(pack())[0], status_reply([0] * 29)])
    assert limits.get(CHARGE_UNDERTEMPERATURE, 0) > -50


def words_of(limit: Threshold, raw: int) -> list[bytes]:
    """Return replies that hold one threshold."""
    words = [0] * 60
    words[limit.number - THRESHOLDS_START] = raw
    return [status_reply(words[:31]), status_reply(words[31:])]


def test_threshold_that_is_impossible_is_none() -> None:
    """What erased memory reads, in every row."""
    replies = [status_reply([0xFFFF] * 31), status_reply([0xFFFF] * 29)]
    assert decode_thresholds(replies) == {}


@pytest.mark.parametrize("limit", THRESHOLDS, ids=lambda limit: limit.key)
def test_threshold_of_each_row_has_the_range_of_its_unit(limit: Threshold) -> None:
    """The ends are in it, the next value beyond is not, and its neighbours stay."""
    least, most = {
        "cell": (0.001, 5), "pack": (0.01, 80), "A": (0.01, 600), "s": (1, 3600),
        "%": (1, 100), "°C": (-49, 150),
    }["cell" if limit.divisor == 1000 else "pack" if limit.unit == "V" else limit.unit]  # fmt: skip
    if "undertemperature" in limit.key:
        least = -20
    for value in (least, most):
        raw = round(value * limit.divisor) - limit.offset
        assert decode_thresholds(words_of(limit, raw)) == {
            limit.key: pytest.approx(value)
        }
    beyond = round(most * limit.divisor) - limit.offset + 1
    assert decode_thresholds(words_of(limit, beyond)) == {}
    replies = decode_thresholds(
        [
            status_reply([beyond if n == limit.number else 100 for n in numbers])
            for numbers in (range(45, 76), range(76, 105))
        ]
    )
    assert set(replies) == {other.key for other in THRESHOLDS} - {limit.key}


def test_release_times_have_the_registers_of_the_vendor() -> None:
    """78 for charging, 79 for discharging; equal values could not tell them apart."""
    words = [0] * 60
    words[78 - 45], words[79 - 45] = 180, 60
    assert decode_thresholds([status_reply(words[:31]), status_reply(words[31:])]) == {
        "charge_overcurrent_recovery": 180,
        "discharge_overcurrent_recovery": 60,
    }


@pytest.mark.parametrize("register", [90, 91, 92, 96, 97, 98])
def test_undertemperature_below_twenty_degrees_is_no_threshold(register: int) -> None:
    """An older board without the offset of 50: 2 °C reads as -48 °C."""
    (limit,) = [limit for limit in THRESHOLDS if limit.number == register]
    assert decode_thresholds(words_of(limit, 2)) == {}
    assert decode_thresholds(words_of(limit, 29)) == {}
    assert decode_thresholds(words_of(limit, 30)) == {limit.key: -20}


def test_threshold_for_charging_of_zero_degrees_is_valid() -> None:
    """Zero is a temperature here, not a missing threshold."""
    assert CHARGE_UNDERTEMPERATURE in {limit.key for limit in THRESHOLDS}
    assert decode_thresholds(replies(pack()))[CHARGE_UNDERTEMPERATURE] == 0


def test_threshold_reply_has_a_length_of_its_own() -> None:
    """A reply says neither register nor request, only how long it is."""
    counts = [count for _, count in THRESHOLD_READS]
    others = [*STATUS_COUNTS, 39, 41, IDENTITY_COUNT]
    assert len(set(counts)) == len(counts)
    assert not set(counts) & set(others)


def test_threshold_reply_fits_one_packet_of_the_smallest_mtu() -> None:
    """So it arrives in one piece or not at all."""
    for frame in replies(pack()):
        assert len(frame) <= SMALLEST_PACKET
        assert frame[0] == STATUS_FAMILY
        assert struct.unpack_from("B", frame, 2)[0] == len(frame) - 5
