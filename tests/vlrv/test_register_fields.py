"""Bit fields and other fields are decoded, and whatever is encoded is decoded."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings, strategies as st
import pytest

from .register_map import BYTE, MAX_TEMPERATURE, MIN_TEMPERATURE, WORD
from .samples import CELLS, status
from custom_components.voltgo_vlrv.vlrv.faults import (
    Errors,
    OperatingState,
    Protections,
    Warnings,
)
from custom_components.voltgo_vlrv.vlrv.registers import STATUS_COUNTS, decode_status
from simulator.battery import FAULT_BITS, OPERATING_STATES, ReportedState, status_reply

# --- Words of bits --------------------------------------------------------------------


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
def test_operating_state_with_an_unknown_code_is_unknown(
    code: int, state: OperatingState | None
) -> None:
    """Protocol 6: nothing is guessed from bits."""
    assert status(operating_state=code).operating_state is state


@pytest.mark.parametrize(
    ("state_of_charge", "bit", "state", "is_full", "is_discharged"),
    [
        (100, False, OperatingState.STANDBY, True, False),
        (100, False, OperatingState.CHARGING, True, False),
        (100, False, OperatingState.DISCHARGING, False, False),
        (99, False, OperatingState.CHARGING, False, False),
        (99, True, OperatingState.STANDBY, True, True),
        (99, True, OperatingState.CHARGING, True, True),
        (99, True, OperatingState.DISCHARGING, False, True),
        (1, False, OperatingState.DISCHARGING, False, False),
        (0, False, OperatingState.DISCHARGING, False, True),
        (0, False, OperatingState.STANDBY, False, True),
        (0, False, OperatingState.CHARGING, False, False),
    ],
)
def test_battery_is_full_or_discharged_by_charge_or_bit_and_direction(
    state_of_charge: int,
    bit: bool,
    state: OperatingState,
    is_full: bool,
    is_discharged: bool,
) -> None:
    """`bit` is that of each, in different registers."""
    sample = replace(
        status(),
        state_of_charge=state_of_charge,
        operating_state=state,
        warnings=Warnings.FLOAT_STOPPED if bit else Warnings(0),
        protections=Protections.LOW_CAPACITY if bit else Protections(0),
    )
    assert sample.is_full is is_full
    assert sample.is_discharged is is_discharged


def test_operating_states_equal_those_of_the_simulator() -> None:
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
def test_heating_is_decoded_from_its_bit(
    word: int, heating: bool, state: OperatingState
) -> None:
    """0x03 in the high byte was seen, its meaning is unknown."""
    decoded = status({25: word})
    assert decoded.heating is heating
    assert decoded.operating_state is state


@pytest.mark.parametrize("bit", range(16))
def test_fault_words_contain_every_bit(bit: int) -> None:
    """Known or not: a bit without a name today may get one."""
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
def test_fault_words_with_any_bits_are_complete(
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


def test_fault_bits_that_differ_between_the_words_have_their_names() -> None:
    """Bit 13 differs; bit 14 and 15 have no name."""
    assert status({26: 0x2000}).warnings is Warnings.FLOAT_STOPPED
    assert status({27: 0x2000}).protections is Protections.SHORT_CIRCUIT
    assert int(max(Warnings)) == int(max(Protections)) == 0x2000


def test_error_of_a_board_without_probes_contains_its_unknown_bit() -> None:
    """0x0022: bit 1 is named, bit 5 is not."""
    errors = status({28: 0x0022}).errors
    assert errors & Errors.TEMPERATURE
    assert int(errors) == 0x0022
    assert list(errors) == [Errors.TEMPERATURE]


# --- Other fields ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "cycles"),
    [(0, 0, 0), (0, 1, 1), (2, 0, 2), (0, 65535, 65535), (65535, 0, 65535)],
)
def test_cycles_are_read_in_either_order(first: int, second: int, cycles: int) -> None:
    """High word first, or low word first on the ZT with 8 cells."""
    assert status({29: first, 30: second}).cycles == cycles


@pytest.mark.parametrize("cell_count", [0, 1, 4, 8, 15, 16, 17, 500, 65535])
def test_cells_are_read_by_their_number(cell_count: int) -> None:
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


def test_status_of_an_equal_reply_is_equal() -> None:
    """What does not change is not written again."""
    assert status(current=1.0) == status(current=1.0)
    assert hash(status(current=1.0)) == hash(status(current=1.0))
    assert status(current=1.0) != status(current=1.1)


# --- Round trip -----------------------------------------------------------------------


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


def in_range(value: int | None) -> int | None:
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
        None if value == 0 and slot >= wired else in_range(value)
        for slot, value in enumerate(given)
    )


def expected_word(state: ReportedState, value: int | None) -> int | None:
    """Return what a temperature register shows."""
    return in_range(state.absent_word if value is None else value)


@given(states(), st.sampled_from(STATUS_COUNTS))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_status_of_any_state_is_decoded_as_encoded(
    state: ReportedState, count: int
) -> None:
    """Every field of any state, against an independent encoder."""
    reply = status_reply(state.to_registers()[:count])
    decoded = decode_status(reply)
    names = {code: name for name, code in OPERATING_STATES.items()}
    operating = decoded.operating_state
    assert decoded.voltage == state.pack_voltage
    assert decoded.current == state.current
    assert decoded.cells == tuple(state.millivolts)
    assert decoded.cell_count == len(state.cell_voltages)
    assert decoded.pcb_temperature == in_range(state.pcb_temperature)
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
def test_status_of_any_registers_is_decoded_without_raising(
    values: list[int], count: int
) -> None:
    """Validation decides later whether they can be true."""
    decoded = decode_status(status_reply(values[:count]))
    assert decoded.registers == tuple(values[:count])
    assert len(decoded.probes) == 6
    assert len(decoded.cells) == min(16, values[36])
    assert all(
        MIN_TEMPERATURE <= value <= MAX_TEMPERATURE for value in decoded.temperatures
    )
    assert set(decoded.balancing_cells) <= set(range(1, 17))


def test_status_of_the_default_sample_has_its_cells() -> None:
    """The default of these tests is a pack of 8 at rest."""
    decoded = status()
    assert decoded.cells == tuple(round(volts * 1000) for volts in CELLS)
    assert decoded.voltage == sum(decoded.cells) // 10 / 100
