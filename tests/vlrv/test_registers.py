"""The register map, lengths, signs, probes and capacities are decoded."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise
import struct

import pytest

from .register_map import ELSEWHERE, SHOWN, raw
from .samples import frame, status, words
from custom_components.voltgo_vlrv.vlrv.registers import (
    REGISTERS,
    STATUS_COUNTS,
    BatteryStatus,
    Grade,
    decode_status,
    probe_count,
)
from simulator.battery import status_reply

# --- The map --------------------------------------------------------------------------


def test_register_map_covers_0_to_40_without_a_gap() -> None:
    """Numbers rise, and each line ends where the next begins."""
    assert REGISTERS[0].number == 0
    for line, following in pairwise(REGISTERS):
        assert line.number + line.span == following.number
    assert REGISTERS[-1].number + REGISTERS[-1].span == 41
    assert sum(line.span for line in REGISTERS) == 41


def test_register_map_lines_are_named_once_and_graded() -> None:
    """A field without its evidence grade is not in the map."""
    assert len({line.field for line in REGISTERS}) == len(REGISTERS)
    for line in REGISTERS:
        assert line.grade in Grade
        assert line.divisor > 0
    assert {line.field for line in REGISTERS} == SHOWN.keys() | ELSEWHERE


@pytest.mark.parametrize(
    ("field", "grade"),
    [
        ("voltage", "A"),
        ("current", "A"),
        ("ambient_temperature", "C"),
        ("max_charge_current", "B"),
        ("state_of_charge", "A"),
        ("warnings", "B"),
        ("protections", "B"),
        ("errors", "B"),
        ("balancing", "B"),
        ("switches", "C"),
    ],
)
def test_register_map_grades_are_those_of_the_protocol(field: str, grade: str) -> None:
    """Protocol 3; what is shown as certain has been recorded."""
    (line,) = [line for line in REGISTERS if line.field == field]
    assert line.grade == grade


def test_register_map_is_in_the_order_of_decoding() -> None:
    """A value of its own in every register arrives in the field that the map names."""
    values = [number + 1 for number in range(41)]
    values[31:33] = 0x1575, 0x2A00  # 100 Ah, so that the 22 of register 21 are Ah
    values[33:36] = 0x2122, 0x2324, 0x2526
    values[36] = 16  # or not all cells are read
    decoded = decode_status(status_reply(values))
    for line in REGISTERS:
        if line.field in SHOWN:
            assert SHOWN[line.field](decoded) == raw(line, values), line.field
    assert decoded.registers == tuple(values)


@pytest.mark.parametrize("number", range(41))
def test_register_that_changes_affects_its_own_field_only(number: int) -> None:
    """One bit in one register, and what depends on it."""
    values = words(cell_voltages=(3.3,) * 16, probe_temperatures=(20,) * 6)
    before = decode_status(status_reply(values))
    # 8 instead of 16 cells, the bit that is known, or any.
    values[number] ^= {36: 0x18, 40: 0x10}.get(number, 1)
    after = decode_status(status_reply(values))
    changed = {
        field.name
        for field in fields(BatteryStatus)
        if getattr(before, field.name) != getattr(after, field.name)
    }
    (line,) = [
        line for line in REGISTERS if line.number <= number < line.number + line.span
    ]
    dependents = {
        "status": {"operating_state"},
        "cell_count": {"cell_count", "cells"},
        "design_capacity": set(),  # not needed, as registers 31-32 say it
        "unknown_39": set(),
        "switches": {"heating_enabled"},
    }
    assert changed == dependents.get(line.field, {line.field}) | {"frame"}
    is_slow = line.field not in {"voltage", "current", "cells"}
    assert (before.slow_registers != after.slow_registers) is is_slow


# --- Length ---------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 23, 38, 40, 42, 125])
def test_status_reply_of_another_length_is_not_decoded(count: int) -> None:
    """Only what was asked for: 39 or 41 registers."""
    with pytest.raises(ValueError, match="a status reply does not have"):
        decode_status(status_reply([1] * count))


def test_heater_permission_with_39_registers_is_unknown() -> None:
    """None is not False: register 40 was not read."""
    assert status(count=39, heating_enabled=True).heating_enabled is None
    assert status(heating_enabled=True).heating_enabled is True
    assert status(heating_enabled=False).heating_enabled is False


def test_status_request_asks_for_the_longer_reply_first() -> None:
    """It is the only one that has register 40."""
    assert STATUS_COUNTS == (41, 39)


def test_status_of_both_lengths_is_otherwise_equal() -> None:
    """All fields but the frame and register 40."""
    long, short = status(current=-3.1), status(count=39, current=-3.1)
    for field in fields(BatteryStatus):
        if field.name not in {"frame", "heating_enabled"}:
            assert getattr(long, field.name) == getattr(short, field.name), field.name
    assert long.registers[:39] == short.registers
    assert (len(long.registers), len(short.registers)) == (41, 39)


# --- Signs (F4) -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "current",
    [0.0, 0.1, 300.0, -0.1, -1.0, -10.0, -42.5, -100.0, -300.0, -3276.8, 3276.7],
)
def test_current_has_its_sign(current: float) -> None:
    """F4: sign, power and charging agree, up to both ends of the register."""
    decoded = status(current=current, voltage=26.4)
    assert decoded.current == current
    assert decoded.power == round(26.4 * current)
    assert (decoded.power < 0) == (round(26.4 * current) < 0)
    assert decoded.charging is (current > 0)


def test_current_with_the_scale_of_rs485_is_decoded() -> None:
    """Protocol C1: 10 mA per count there."""
    reply = frame(current=-123.4)
    assert decode_status(reply, current_scale=100).current == -12.34
    assert decode_status(reply).current == -123.4


@pytest.mark.parametrize("value", [-1, -10, -30, -39, 0, 1, 25, 120])
def test_temperature_words_have_their_sign(value: int) -> None:
    """F4: in 16 bits."""
    decoded = status(
        pcb_temperature=value, ambient_temperature=value, max_cell_temperature=value
    )
    assert decoded.pcb_temperature == value
    assert decoded.ambient_temperature == value
    assert decoded.max_temperature == value


@pytest.mark.parametrize("value", [-1, -10, -30, -39, 0, 1, 25, 120])
def test_temperatures_in_one_word_have_their_sign(value: int) -> None:
    """F4: two in one register, of which one must not bend the other."""
    for slot in (0, 1):
        probes = [-7, -7]
        probes[slot] = value
        decoded = status(probe_temperatures=tuple(probes))
        assert decoded.probes == (*probes, None, None, None, None)
        assert decoded.temperatures == tuple(probes)


@pytest.mark.parametrize("number", [18, 19, 20])
def test_temperature_word_without_a_sensor_is_absent(number: int) -> None:
    """F4, F5: both ends of the register, the words of missing sensors."""
    for word in (0x8000, 0x7FFF, 0x00AA, 0xFFC8, 0xFFD8, 121):
        decoded = status({number: word})
        shown = {
            18: decoded.pcb_temperature,
            19: decoded.ambient_temperature,
            20: decoded.max_temperature,
        }
        assert shown.pop(number) is None
        assert set(shown.values()) == {20}


# --- Probes (F5) ----------------------------------------------------------------------


@pytest.mark.parametrize("slot", range(6))
def test_probe_that_is_missing_has_no_temperature(slot: int) -> None:
    """F5: in whichever slot; the others stay what they are."""
    for absent in (0xAA, 0xC8, 0xD8, 0x7F, 0x80):
        probes: list[int | None] = [21, 22, 23, 24, 25, 26]
        probes[slot] = None
        decoded = status(probe_temperatures=tuple(probes), absent_byte=absent)
        assert decoded.probes == tuple(probes)
        assert decoded.temperatures == tuple(
            value for value in probes if value is not None
        )


@pytest.mark.parametrize("slot", range(6))
def test_probe_that_is_the_only_one_decides(slot: int) -> None:
    """F5: nothing is averaged in."""
    for absent in (0xAA, 0xC8, 0xD8, 0x7F):
        probes: list[int | None] = [None] * 6
        probes[slot] = -12
        decoded = status(probe_temperatures=tuple(probes), absent_byte=absent)
        assert decoded.probes == tuple(probes)
        assert decoded.temperatures == (-12,)


@pytest.mark.parametrize("cell_count", [4, 8, 16])
def test_probes_that_are_all_missing_give_no_temperature(cell_count: int) -> None:
    """F5: nor is any made up."""
    for absent in (0xAA, 0xC8, 0xD8, 0x7F):
        decoded = status(
            cell_voltages=(3.3,) * cell_count,
            probe_temperatures=(None,) * 6,
            absent_byte=absent,
            ambient_temperature=None,
        )
        assert decoded.temperatures == ()
        assert decoded.probes == (None,) * 6
        assert decoded.max_temperature is None
        assert decoded.ambient_temperature is None


@pytest.mark.parametrize("slot", range(6))
def test_probe_with_ff_is_one_degree_below_zero(slot: int) -> None:
    """F5: 0xFF is no sentinel in a byte, nor is 0xFFFF in a word."""
    packed = bytearray(6)
    packed[slot] = 0xFF
    decoded = status(
        dict(enumerate(struct.unpack(">3H", packed), 33)) | {20: 0xFFFF, 19: 0xFFFF}
    )
    assert decoded.probes[slot] == -1
    assert decoded.max_temperature == decoded.ambient_temperature == -1


@pytest.mark.parametrize(
    ("cell_count", "wired"), [(1, 2), (4, 2), (8, 2), (9, 4), (16, 4)]
)
def test_probe_with_zero_counts_where_one_is_wired(cell_count: int, wired: int) -> None:
    """F5: a real 0 survives there, and elsewhere it means that nothing is fitted."""
    assert probe_count(cell_count) == wired
    decoded = status(
        cell_voltages=(3.3,) * cell_count, probe_temperatures=(0, 0, 0, 0, 0, 0)
    )
    assert decoded.probes == (0,) * wired + (None,) * (6 - wired)
    assert decoded.temperatures == (0,) * wired


def test_probe_with_zero_beside_a_cold_one_counts() -> None:
    """F5: with other probes near 0."""
    decoded = status(probe_temperatures=(0, -1))
    assert decoded.temperatures == (0, -1)
    assert decoded.max_temperature == 0


def test_probe_beyond_the_wired_ones_counts_if_not_zero() -> None:
    """F5: only its zero is not valid."""
    assert status(probe_temperatures=(20, 21, 22)).temperatures == (20, 21, 22)
    assert status(probe_temperatures=(20, 21, 0)).temperatures == (20, 21)


# --- Capacity -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("full", "charge", "raw_remaining", "remaining"),
    [
        # 1 Ah: seen with 400 Ah at 22, 66 and 42 %, with 100 Ah at 80 and 99 %.
        (400, 22, 88, 88.0),
        (400, 66, 264, 264.0),
        (400, 42, 168, 168.0),
        (100, 80, 79, 79.0),
        (100, 99, 99, 99.0),
        (100, 100, 100, 100.0),
        # 0.1 Ah: seen with 400 Ah at 92 and 100 %.
        (400, 92, 3698, 369.8),
        (400, 100, 4000, 400.0),
        (100, 50, 503, 50.3),
        (100, 1, 12, 1.2),
        # Empty, or not measured at all: the Z121 reports 0.
        (100, 0, 0, 0.0),
        (100, 1, 0, 0.0),
        (100, 2, 0, None),
        (100, 48, 0, None),
        (100, 100, 0, None),
        # A counter that is a little off keeps its scale.
        (100, 0, 1, 1.0),
        (100, 60, 63, 63.0),
        (100, 60, 55, 55.0),
        (200, 50, 90, 90.0),
    ],
)
def test_remaining_charge_has_the_scale_that_fits_the_percentage(
    full: int, charge: int, raw_remaining: int, remaining: float | None
) -> None:
    """Protocol C5."""
    decoded = status({21: raw_remaining}, full_capacity=full, state_of_charge=charge)
    assert decoded.remaining_capacity == remaining
    assert decoded.full_capacity == full


@pytest.mark.parametrize(
    ("full", "charge", "raw_remaining", "raw_limit", "remaining"),
    [
        (100, 1, 10, 750, 1.0),
        (100, 1, 9, 750, 0.9),
        (100, 0, 1, 750, 0.1),
        (400, 1, 37, 2200, 3.7),
        (400, 0, 15, 2200, 1.5),
        # Where the percentage tells, and on a board that counts in 1 A.
        (100, 60, 60, 750, 60.0),
        (100, 1, 9, 100, 9.0),
    ],
)
def test_remaining_charge_of_an_empty_old_board_has_its_scale(
    full: int, charge: int, raw_remaining: int, raw_limit: int, remaining: float
) -> None:
    """Its charge limit, of more than twice the capacity in 1 A, tells the scale."""
    decoded = status(
        {21: raw_remaining, 22: raw_limit}, full_capacity=full, state_of_charge=charge
    )
    assert decoded.remaining_capacity == remaining


@pytest.mark.parametrize(
    ("charge", "raw", "remaining"),
    [
        (50, 0xFFFF, None),
        (0, 0xFFFF, None),
        (100, 300, None),
        (100, 151, None),
        (100, 150, 150.0),  # a capacity that was learned too small
        (100, 1500, 150.0),
        (100, 1501, None),
    ],
)
def test_remaining_charge_above_the_capacity_is_unknown(
    charge: int, raw: int, remaining: float | None
) -> None:
    """And no reason to read the charge limit in another scale."""
    decoded = status({21: raw, 22: 100}, full_capacity=100, state_of_charge=charge)
    assert decoded.remaining_capacity == remaining
    assert decoded.max_charge_current == (10 if raw == 1500 else 100)


@pytest.mark.parametrize(
    ("charge", "limit", "remaining"),
    [
        (2, 750, 0.5),  # the charge limit says tenths
        (3, 750, 5.0),  # not needed: what it counts agrees with the state of charge
        (2, 75, 5.0),
    ],
)
def test_remaining_charge_near_empty_has_the_scale_of_the_charge_limit(
    charge: int, limit: int, remaining: float
) -> None:
    """A state of charge near 0 tells nothing."""
    decoded = status({21: 5, 22: limit}, full_capacity=100, state_of_charge=charge)
    assert decoded.remaining_capacity == remaining


def test_remaining_step_is_a_tenth_on_a_board_that_counts_so() -> None:
    """1 Ah on all others, also where the charge is not known."""
    half = {"full_capacity": 100.0, "state_of_charge": 50}
    assert status({21: 50}, **half).remaining_step == 1.0
    assert status({21: 500}, **half).remaining_step == 0.1
    assert status({21: 0}, **half).remaining_step == 1.0


def test_remaining_charge_without_a_full_capacity_is_unscaled() -> None:
    """Nothing to compare with; 0 still says nothing."""
    unknown = {"full_capacity": 0, "design_capacity": 0}
    assert status({21: 60}, **unknown).remaining_capacity == 60
    assert status({21: 0}, **unknown).remaining_capacity is None
    assert status({21: 60}, **unknown).full_capacity is None


@pytest.mark.parametrize(
    ("full", "remaining", "raw_limit", "limit"),
    [
        (100, 60, 100, 100.0),  # ZT and BB
        (100, 60, 50, 50.0),
        (100, 60, 200, 200.0),
        (400, 2400, 2200, 220.0),  # an old board: both in tenths
        (100, 600, 750, 75.0),
        (100, 0, 750, 75.0),  # Z121: remaining capacity is not reported
        (100, 60, 0, 0.0),
    ],
)
def test_charge_limit_has_the_scale_of_the_board(
    full: int, remaining: int, raw_limit: int, limit: float
) -> None:
    """Protocol 3: 1 A, or 0.1 A on old boards."""
    decoded = status(
        {21: remaining, 22: raw_limit}, full_capacity=full, state_of_charge=60
    )
    assert decoded.max_charge_current == limit


def test_charge_limit_without_a_capacity_is_unscaled() -> None:
    """Nothing to compare with."""
    decoded = status({22: 750}, full_capacity=0, design_capacity=0)
    assert decoded.max_charge_current == 750


def test_design_capacity_is_a_fallback_only() -> None:
    """Boards say 0, or 100 Ah on a pack of 400 Ah."""
    assert status(full_capacity=400, design_capacity=100).full_capacity == 400
    assert status(full_capacity=400, design_capacity=0).full_capacity == 400
    assert status(full_capacity=0, design_capacity=99.5).full_capacity == 99.5
