"""A status reply decodes to what the battery meant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from itertools import pairwise
import struct
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from .samples import CELLS, frame, status, words
from custom_components.voltgo_vlrv.vlrv.faults import (
    Errors,
    OperatingState,
    Protections,
    Warnings,
)
from custom_components.voltgo_vlrv.vlrv.registers import (
    REGISTERS,
    STATUS_COUNTS,
    BatteryStatus,
    Grade,
    Register,
    decode_status,
    probe_count,
)
from simulator.battery import FAULT_BITS, OPERATING_STATES, ReportedState, status_reply

MIN_TEMPERATURE, MAX_TEMPERATURE = -39, 120
WORD = st.integers(0, 0xFFFF)
BYTE = st.integers(-128, 127)

# How the raw value of each line of the map shows in a `BatteryStatus`.
SHOWN: dict[str, Callable[[BatteryStatus], Any]] = {
    "voltage": lambda status: round(status.voltage * 100),
    "current": lambda status: round(status.current * 10),
    "cells": lambda status: status.cells,
    "pcb_temperature": lambda status: status.pcb_temperature,
    "ambient_temperature": lambda status: status.ambient_temperature,
    "max_temperature": lambda status: status.max_temperature,
    "remaining_capacity": lambda status: status.remaining_capacity,
    "max_charge_current": lambda status: status.max_charge_current,
    "state_of_health": lambda status: status.state_of_health,
    "state_of_charge": lambda status: status.state_of_charge,
    "warnings": lambda status: status.warnings,
    "protections": lambda status: status.protections,
    "errors": lambda status: status.errors,
    "full_capacity": lambda status: round((status.full_capacity or 0) * 3_600_000),
    "probes": lambda status: status.probes,
    "cell_count": lambda status: status.cell_count,
    "balancing": lambda status: status.balancing,
}
# Those without a value of their own: flags, two orders, a fallback, an unknown.
ELSEWHERE = {"status", "cycles", "design_capacity", "unknown_39", "switches"}


def raw(register: Register, values: list[int]) -> Any:
    """Return what the map reads from 41 registers."""
    packed = struct.pack(">41H", *values)
    found = struct.unpack_from(f">{register.type}", packed, 2 * register.number)
    return found if len(found) > 1 else found[0]


# The map


def test_the_map_covers_registers_0_to_40_without_a_gap() -> None:
    """Numbers rise, and each line ends where the next begins."""
    assert REGISTERS[0].number == 0
    for line, following in pairwise(REGISTERS):
        assert line.number + line.span == following.number
    assert REGISTERS[-1].number + REGISTERS[-1].span == 41
    assert sum(line.span for line in REGISTERS) == 41


def test_every_line_of_the_map_is_named_once_and_graded() -> None:
    """A field without its evidence is not in the map."""
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
def test_the_grades_are_those_of_the_protocol(field: str, grade: str) -> None:
    """Protocol 3; what is shown as certain has been recorded."""
    (line,) = [line for line in REGISTERS if line.field == field]
    assert line.grade == grade


def test_the_map_is_in_the_order_in_which_a_reply_is_decoded() -> None:
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
def test_each_register_changes_its_own_field_only(number: int) -> None:
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


# Length


@pytest.mark.parametrize("count", [1, 23, 38, 40, 42, 125])
def test_a_reply_of_another_length_is_not_decoded(count: int) -> None:
    """Only what was asked for: 39 or 41 registers."""
    with pytest.raises(ValueError, match="a status reply does not have"):
        decode_status(status_reply([1] * count))


def test_39_registers_leave_the_heater_permission_unknown() -> None:
    """None is not False: register 40 was not read."""
    assert status(count=39, heating_enabled=True).heating_enabled is None
    assert status(heating_enabled=True).heating_enabled is True
    assert status(heating_enabled=False).heating_enabled is False


def test_the_longer_reply_is_asked_for_first() -> None:
    """It is the only one that has register 40."""
    assert STATUS_COUNTS == (41, 39)


def test_both_lengths_say_the_same_otherwise() -> None:
    """All fields but the frame and register 40."""
    long, short = status(current=-3.1), status(count=39, current=-3.1)
    for field in fields(BatteryStatus):
        if field.name not in {"frame", "heating_enabled"}:
            assert getattr(long, field.name) == getattr(short, field.name), field.name
    assert long.registers[:39] == short.registers
    assert (len(long.registers), len(short.registers)) == (41, 39)


# Signs (F4)


@pytest.mark.parametrize(
    "current",
    [0.0, 0.1, 300.0, -0.1, -1.0, -10.0, -42.5, -100.0, -300.0, -3276.8, 3276.7],
)
def test_current_keeps_its_sign(current: float) -> None:
    """F4: sign, power and charging agree, up to both ends of the register."""
    decoded = status(current=current, voltage=26.4)
    assert decoded.current == current
    assert decoded.power == round(26.4 * current)
    assert (decoded.power < 0) == (round(26.4 * current) < 0)
    assert decoded.charging is (current > 0)


def test_the_scale_of_the_current_can_be_that_of_rs485() -> None:
    """Protocol C1: 10 mA per count there."""
    reply = frame(current=-123.4)
    assert decode_status(reply, current_scale=100).current == -12.34
    assert decode_status(reply).current == -123.4


@pytest.mark.parametrize("value", [-1, -10, -30, -39, 0, 1, 25, 120])
def test_temperature_words_keep_their_sign(value: int) -> None:
    """F4: in 16 bits."""
    decoded = status(
        pcb_temperature=value, ambient_temperature=value, max_cell_temperature=value
    )
    assert decoded.pcb_temperature == value
    assert decoded.ambient_temperature == value
    assert decoded.max_temperature == value


@pytest.mark.parametrize("value", [-1, -10, -30, -39, 0, 1, 25, 120])
def test_packed_temperatures_keep_their_sign(value: int) -> None:
    """F4: two in one register, of which one must not bend the other."""
    for slot in (0, 1):
        probes = [-7, -7]
        probes[slot] = value
        decoded = status(probe_temperatures=tuple(probes))
        assert decoded.probes == (*probes, None, None, None, None)
        assert decoded.temperatures == tuple(probes)


@pytest.mark.parametrize("number", [18, 19, 20])
def test_a_temperature_word_that_is_none_is_absent(number: int) -> None:
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


# Probes (F5)


@pytest.mark.parametrize("slot", range(6))
def test_a_missing_probe_is_no_temperature(slot: int) -> None:
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
def test_the_only_probe_that_is_there_is_found(slot: int) -> None:
    """F5: nothing is averaged in."""
    for absent in (0xAA, 0xC8, 0xD8, 0x7F):
        probes: list[int | None] = [None] * 6
        probes[slot] = -12
        decoded = status(probe_temperatures=tuple(probes), absent_byte=absent)
        assert decoded.probes == tuple(probes)
        assert decoded.temperatures == (-12,)


@pytest.mark.parametrize("cell_count", [4, 8, 16])
def test_no_probe_at_all_is_no_temperature(cell_count: int) -> None:
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
def test_ff_is_one_degree_of_frost(slot: int) -> None:
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
def test_zero_degrees_count_where_a_probe_is_wired(cell_count: int, wired: int) -> None:
    """F5: a real 0 survives there, and elsewhere it means that nothing is fitted."""
    assert probe_count(cell_count) == wired
    decoded = status(
        cell_voltages=(3.3,) * cell_count, probe_temperatures=(0, 0, 0, 0, 0, 0)
    )
    assert decoded.probes == (0,) * wired + (None,) * (6 - wired)
    assert decoded.temperatures == (0,) * wired


def test_zero_degrees_survive_beside_a_probe_in_the_frost() -> None:
    """F5: with other probes near 0."""
    decoded = status(probe_temperatures=(0, -1))
    assert decoded.temperatures == (0, -1)
    assert decoded.max_temperature == 0


def test_a_probe_beyond_the_wired_ones_counts_when_it_measures() -> None:
    """F5: only its zero is not believed."""
    assert status(probe_temperatures=(20, 21, 22)).temperatures == (20, 21, 22)
    assert status(probe_temperatures=(20, 21, 0)).temperatures == (20, 21)


# Capacity


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
def test_the_charge_left_is_in_the_scale_that_agrees_with_the_percentage(
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
def test_an_old_board_keeps_its_scale_while_it_runs_empty(
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
def test_more_than_fits_into_the_battery_is_no_charge(
    charge: int, raw: int, remaining: float | None
) -> None:
    """And no reason to read the charge limit in another scale."""
    decoded = status({21: raw, 22: 100}, full_capacity=100, state_of_charge=charge)
    assert decoded.remaining_capacity == remaining
    assert decoded.max_charge_current == (10 if raw == 1500 else 100)


def test_without_a_full_capacity_the_charge_left_is_taken_as_it_is() -> None:
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
def test_the_charge_limit_is_in_the_scale_of_the_board(
    full: int, remaining: int, raw_limit: int, limit: float
) -> None:
    """Protocol 3: 1 A, or 0.1 A on old boards."""
    decoded = status(
        {21: remaining, 22: raw_limit}, full_capacity=full, state_of_charge=60
    )
    assert decoded.max_charge_current == limit


def test_without_a_capacity_the_charge_limit_is_taken_as_it_is() -> None:
    """Nothing to compare with."""
    decoded = status({22: 750}, full_capacity=0, design_capacity=0)
    assert decoded.max_charge_current == 750


def test_the_design_capacity_is_a_fallback_only() -> None:
    """Boards say 0, or 100 Ah on a pack of 400 Ah."""
    assert status(full_capacity=400, design_capacity=100).full_capacity == 400
    assert status(full_capacity=400, design_capacity=0).full_capacity == 400
    assert status(full_capacity=0, design_capacity=99.5).full_capacity == 99.5


# Words of bits


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (0, OperatingState.STANDBY),
        (1, OperatingState.CHARGING),
        (2, OperatingState.DISCHARGING),
        (4, OperatingState.PROTECTION),
        (8, OperatingState.CHARGE_LIMIT),
        (3, None),
        (5, None),
        (0x10, None),
        (0xFF, None),
    ],
)
def test_an_unknown_operating_state_is_unknown(
    code: int, state: OperatingState | None
) -> None:
    """Protocol 6: nothing is guessed from bits."""
    assert status(operating_state=code).operating_state is state


def test_the_operating_states_are_those_of_the_simulator() -> None:
    """Two readings of the protocol."""
    assert {
        state.name.lower(): int(state) for state in OperatingState
    } == OPERATING_STATES


@pytest.mark.parametrize(
    ("word", "heating", "state"),
    [
        (0x8000, True, OperatingState.STANDBY),
        (0x8002, True, OperatingState.DISCHARGING),
        (0x8301, True, OperatingState.CHARGING),
        (0x0301, False, OperatingState.CHARGING),
        (0x7F00, False, OperatingState.STANDBY),
        (0x0001, False, OperatingState.CHARGING),
    ],
)
def test_the_heating_bit_is_tested_not_the_byte(
    word: int, heating: bool, state: OperatingState
) -> None:
    """0x03 in the high byte was seen, its meaning is unknown."""
    decoded = status({25: word})
    assert decoded.heating is heating
    assert decoded.operating_state is state


@pytest.mark.parametrize("bit", range(16))
def test_every_bit_of_the_fault_words_is_kept(bit: int) -> None:
    """Known or not: what is not named today may be tomorrow."""
    mask = 1 << bit
    decoded = status({26: mask})
    assert int(decoded.warnings) == mask
    assert not decoded.protections
    assert not decoded.errors
    decoded = status({27: mask})
    assert int(decoded.protections) == mask
    assert not decoded.warnings
    assert not decoded.errors
    decoded = status({28: mask})
    assert int(decoded.errors) == mask
    assert not decoded.warnings
    assert not decoded.protections


@given(WORD, WORD, WORD)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_fault_words_are_kept_whole(
    warnings: int, protections: int, errors: int
) -> None:
    """Any mixture of known and unknown bits, as flags of their own type."""
    decoded = status({26: warnings, 27: protections, 28: errors})
    assert decoded.warnings == Warnings(warnings)
    assert decoded.protections == Protections(protections)
    assert decoded.errors == Errors(errors)
    assert isinstance(decoded.warnings, Warnings)
    assert isinstance(decoded.protections, Protections)
    assert isinstance(decoded.errors, Errors)


@pytest.mark.parametrize(
    ("name", "member"),
    [
        ("pack_ov", "PACK_OVERVOLTAGE"),
        ("cell_ov", "CELL_OVERVOLTAGE"),
        ("pack_uv", "PACK_UNDERVOLTAGE"),
        ("cell_uv", "CELL_UNDERVOLTAGE"),
        ("charge_oc", "CHARGE_OVERCURRENT"),
        ("discharge_oc", "DISCHARGE_OVERCURRENT"),
        ("ambient_temperature", "AMBIENT_TEMPERATURE"),
        ("mos_ot", "MOS_OVERTEMPERATURE"),
        ("charge_ot", "CHARGE_OVERTEMPERATURE"),
        ("discharge_ot", "DISCHARGE_OVERTEMPERATURE"),
        ("charge_ut", "CHARGE_UNDERTEMPERATURE"),
        ("discharge_ut", "DISCHARGE_UNDERTEMPERATURE"),
        ("low_capacity", "LOW_CAPACITY"),
    ],
)
def test_fault_bits_have_the_names_of_the_table(name: str, member: str) -> None:
    """Protocol 6, columns of registers 26 and 27."""
    mask = FAULT_BITS[name]
    assert status({26: mask}).warnings is Warnings[member]
    assert status({27: mask}).protections is Protections[member]


def test_bits_that_the_two_words_do_not_share() -> None:
    """Bit 13 differs; bit 14 and 15 have no name."""
    assert status({26: 0x2000}).warnings is Warnings.FLOAT_STOPPED
    assert status({27: 0x2000}).protections is Protections.SHORT_CIRCUIT
    assert int(max(Warnings)) == int(max(Protections)) == 0x2000


def test_the_error_of_a_board_without_probes_keeps_its_unknown_bit() -> None:
    """0x0022: bit 1 is named, bit 5 is not."""
    errors = status({28: 0x0022}).errors
    assert errors & Errors.TEMPERATURE
    assert int(errors) == 0x0022
    assert list(errors) == [Errors.TEMPERATURE]


# Other fields


@pytest.mark.parametrize(
    ("first", "second", "cycles"),
    [(0, 0, 0), (0, 1, 1), (2, 0, 2), (0, 65535, 65535), (65535, 0, 65535)],
)
def test_cycles_are_read_in_either_order(first: int, second: int, cycles: int) -> None:
    """High word first, or low word first on the ZT with 8 cells."""
    assert status({29: first, 30: second}).cycles == cycles


@pytest.mark.parametrize("cell_count", [0, 1, 4, 8, 15, 16, 17, 500, 65535])
def test_as_many_cells_are_read_as_there_are(cell_count: int) -> None:
    """Never more than the 16 that a reply holds."""
    decoded = status({36: cell_count, **{2 + n: 3300 + n for n in range(16)}})
    assert decoded.cell_count == cell_count
    assert decoded.cells == tuple(3300 + n for n in range(min(cell_count, 16)))


@pytest.mark.parametrize(
    ("word", "cells"),
    [
        (0, ()),
        (0x0001, (1,)),
        (0x0080, (8,)),
        (0x00A5, (1, 3, 6, 8)),
        (0xFF00, ()),  # a pack of 8 has no cell 9
    ],
)
def test_balancing_cells_are_numbered_from_one(
    word: int, cells: tuple[int, ...]
) -> None:
    """Bit 0 is cell 1."""
    decoded = status(balancing=word)
    assert decoded.balancing_cells == cells
    assert decoded.balancing == word


def test_an_equal_reply_is_an_equal_status() -> None:
    """What does not change is not written anew."""
    assert status(current=1.0) == status(current=1.0)
    assert hash(status(current=1.0)) == hash(status(current=1.0))
    assert status(current=1.0) != status(current=1.1)


# Round trip


@st.composite
def states(draw: st.DrawFn) -> ReportedState:
    """Draw a state, plausible or not, of what a reply can say without ambiguity."""
    cell_count = draw(st.integers(1, 16))
    charge = draw(st.integers(0, 100))
    tenths = charge > 0 and draw(st.booleans())
    full = draw(st.integers(100, 1192)) + draw(st.sampled_from((0, 0.25, 0.5)))
    left = full * charge / 100
    scale = 0.1 if tenths else 1.0
    limit = draw(st.integers(0, 2000 if tenths else 200))
    temperature = st.none() | st.integers(-0x8000, 0x7FFF)
    return ReportedState(
        cell_voltages=tuple(
            draw(st.integers(0, 5000)) / 1000 for _ in range(cell_count)
        ),
        current=draw(st.integers(-0x8000, 0x7FFF)) / 10,
        voltage=draw(st.none() | WORD.map(lambda word: word / 100)),
        pcb_temperature=draw(st.integers(-0x8000, 0x7FFF) | st.integers(-45, 130)),
        ambient_temperature=draw(temperature | st.integers(-45, 130)),
        probe_temperatures=tuple(draw(st.lists(st.none() | BYTE, max_size=6))),
        max_cell_temperature=draw(temperature),
        # Rounded down, as recorded; or to the next tenth.
        remaining_capacity=round(left, 1) if tenths else float(int(left)),
        remaining_scale=scale,
        max_charge_current=limit * scale,
        max_charge_current_scale=scale,
        state_of_health=draw(WORD),
        state_of_charge=charge,
        operating_state=draw(st.integers(0, 0xFF)),
        heating=draw(st.booleans()),
        status_flags=draw(st.integers(0, 0x7F)) << 8,
        warning=draw(WORD),
        protection=draw(WORD),
        error=draw(WORD),
        cycles=draw(WORD),
        cycles_low_word_first=draw(st.booleans()),
        full_capacity=full,
        design_capacity=draw(st.none() | WORD.map(lambda word: word / 10)),
        balancing=draw(WORD),
        heating_enabled=draw(st.booleans()),
        switch_flags=draw(WORD) & ~0x0010,
        absent_byte=draw(st.sampled_from((0xAA, 0xC8, 0xD8, 0x7F, 0))),
        absent_word=draw(st.sampled_from((0x00AA, 0))),
    )


def believed(value: int | None) -> int | None:
    """Return a temperature, if it can be one."""
    return (
        value
        if value is not None and MIN_TEMPERATURE <= value <= MAX_TEMPERATURE
        else None
    )


def expected_probes(state: ReportedState) -> tuple[int | None, ...]:
    """Return what the six slots show."""
    absent = 0 if state.absent_byte == 0 else None
    given = [
        absent if value is None else value for value in state.probe_temperatures
    ] + [0] * (6 - len(state.probe_temperatures))
    wired = 2 if len(state.cell_voltages) <= 8 else 4
    return tuple(
        None if value == 0 and slot >= wired else believed(value)
        for slot, value in enumerate(given)
    )


def expected_word(state: ReportedState, value: int | None) -> int | None:
    """Return what a temperature register shows."""
    return believed(state.absent_word if value is None else value)


@given(states(), st.sampled_from(STATUS_COUNTS))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_what_the_battery_encodes_is_decoded(state: ReportedState, count: int) -> None:
    """Every field of any state, against an encoder written by somebody else."""
    reply = status_reply(state.to_registers()[:count])
    decoded = decode_status(reply)
    names = {code: name for name, code in OPERATING_STATES.items()}
    operating = decoded.operating_state
    assert decoded.voltage == state.pack_voltage
    assert decoded.current == state.current
    assert decoded.cells == tuple(state.millivolts)
    assert decoded.cell_count == len(state.cell_voltages)
    assert decoded.pcb_temperature == believed(state.pcb_temperature)
    assert decoded.ambient_temperature == expected_word(
        state, state.ambient_temperature
    )
    assert decoded.max_temperature == expected_word(state, state.hottest)
    assert decoded.probes == expected_probes(state)
    if state.remaining_capacity or state.state_of_charge <= 1:
        assert decoded.remaining_capacity == state.remaining_capacity
    else:
        assert decoded.remaining_capacity is None
    assert decoded.max_charge_current == pytest.approx(state.max_charge_current)
    assert decoded.full_capacity == state.full_capacity
    assert decoded.state_of_health == state.state_of_health
    assert decoded.state_of_charge == state.state_of_charge
    assert (operating and operating.name.lower()) == names.get(
        state.operating_state
    ) or (operating is OperatingState.STANDBY and state.operating_state == 0)
    assert decoded.heating is state.heating
    assert int(decoded.warnings) == state.warning
    assert int(decoded.protections) == state.protection
    assert int(decoded.errors) == state.error
    assert decoded.cycles == state.cycles
    assert decoded.balancing == state.balancing
    assert decoded.heating_enabled == (state.heating_enabled if count == 41 else None)
    assert decoded.registers == tuple(state.to_registers()[:count])
    assert decoded.frame == reply
    assert decoded.power == round(state.pack_voltage * state.current)
    assert decoded.charging is (state.current > 0)


@given(st.lists(WORD, min_size=41, max_size=41), st.sampled_from(STATUS_COUNTS))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_any_registers_decode_without_raising(values: list[int], count: int) -> None:
    """Whether they can be true is for the plausibility to say."""
    decoded = decode_status(status_reply(values[:count]))
    assert decoded.registers == tuple(values[:count])
    assert len(decoded.probes) == 6
    assert len(decoded.cells) == min(16, values[36])
    assert all(
        MIN_TEMPERATURE <= value <= MAX_TEMPERATURE for value in decoded.temperatures
    )
    assert set(decoded.balancing_cells) <= set(range(1, 17))


def test_the_sample_has_the_cells_it_was_made_of() -> None:
    """The default of these tests is a pack of 8 at rest."""
    decoded = status()
    assert decoded.cells == tuple(round(volts * 1000) for volts in CELLS)
    assert decoded.voltage == sum(decoded.cells) // 10 / 100
