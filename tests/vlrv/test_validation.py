"""A sample that cannot be true is rejected for its reason; a true one never is."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from hypothesis import given, settings, strategies as st
import pytest

from .samples import CELLS, frame, status
from custom_components.voltgo_vlrv.vlrv.faults import Protections, Warnings
from custom_components.voltgo_vlrv.vlrv.registers import BatteryStatus, decode_status
from custom_components.voltgo_vlrv.vlrv.validation import (
    FIELD_CHECKS,
    SAMPLE_CHECKS,
    Implausible,
    decode_valid_status,
    drop_unknown_fields,
    implausibilities,
)
from simulator.battery import PRESETS, SimulatedBattery, preset, status_reply

RECORDED_PACK_VOLTAGE = 26.42  # V, of the eight cells of the sample


def reasons(
    registers: dict[int, int] | None = None, **changes: Any
) -> tuple[Implausible, ...]:
    """Return why a state of 100 Ah is rejected."""
    return implausibilities(status(registers, **changes))


@pytest.mark.parametrize("count", [41, 39])
def test_sample_with_normal_values_is_valid(count: int) -> None:
    """The baseline of all cases below."""
    assert implausibilities(decode_status(frame(count=count))) == ()


@pytest.mark.parametrize("count", [41, 39])
def test_sample_of_zeros_has_one_reason(count: int) -> None:
    """F3: undefined registers read zero, with a good checksum."""
    decoded = decode_status(status_reply([0] * count))
    assert implausibilities(decoded) == (Implausible.ALL_ZERO,)


def test_sample_of_zeros_but_one_is_rejected() -> None:
    """F3: one register that is not zero does not make it true."""
    values = [0] * 41
    values[24] = 50
    assert set(implausibilities(decode_status(status_reply(values)))) == {
        Implausible.CELL_COUNT,
        Implausible.CELL_VOLTAGE,
    }


@pytest.mark.parametrize(
    ("registers", "expected"),
    [
        ({24: 398}, {Implausible.STATE_OF_CHARGE}),
        ({24: 101}, {Implausible.STATE_OF_CHARGE}),
        ({24: 0xFFFF}, {Implausible.STATE_OF_CHARGE}),
        # Pack voltage, 26.42 V by its cells: 2 % are 0.52 V.
        ({0: 0}, {Implausible.PACK_VOLTAGE}),
        ({0: 2588}, {Implausible.PACK_VOLTAGE}),
        ({0: 2696}, {Implausible.PACK_VOLTAGE}),
        ({0: 1321}, {Implausible.PACK_VOLTAGE}),
        # Cell count
        (
            {36: 0},
            {
                Implausible.CELL_COUNT,
                Implausible.CELL_VOLTAGE,
                Implausible.PACK_VOLTAGE,
            },
        ),
        ({36: 17}, {Implausible.CELL_COUNT, Implausible.CELL_VOLTAGE}),
        ({36: 0xFFFF}, {Implausible.CELL_COUNT, Implausible.CELL_VOLTAGE}),
        # A count that does not fit the cells
        ({36: 16}, {Implausible.CELL_VOLTAGE}),
        ({36: 4}, {Implausible.PACK_VOLTAGE}),
        # Current of a pack of 100 Ah
        ({1: 5_010}, {Implausible.CURRENT}),
        ({1: 0x10000 - 5_010}, {Implausible.CURRENT}),
        ({1: 0x7FFF}, {Implausible.CURRENT}),
        ({1: 0x8000}, {Implausible.CURRENT}),
        # Several at once
        (
            {24: 398, 1: 0x7FFF},
            {Implausible.STATE_OF_CHARGE, Implausible.CURRENT},
        ),
    ],
)
def test_sample_with_an_impossible_value_has_its_reason(
    registers: dict[int, int], expected: set[Implausible]
) -> None:
    """F3: valid checksum, wrong content."""
    assert set(reasons(registers)) == expected
    assert len(reasons(registers)) == len(expected)


@pytest.mark.parametrize("millivolts", [0, 4501, 0xFFFF])
def test_sample_with_an_impossible_cell_is_rejected(millivolts: int) -> None:
    """F3: a 0 mV cell in a pack that reports eight."""
    for cell in range(8):
        cells = [round(volts * 1000) for volts in CELLS]
        cells[cell] = millivolts
        # The pack voltage agrees, so that the cell is the only reason.
        registers = {2 + cell: millivolts, 0: min(0xFFFF, sum(cells) // 10)}
        assert reasons(registers) == (Implausible.CELL_VOLTAGE,)


@pytest.mark.parametrize(
    "undervoltage",
    [
        {"protection": Protections.CELL_UNDERVOLTAGE},
        {"warning": Warnings.CELL_UNDERVOLTAGE},
    ],
)
def test_dead_cell_with_undervoltage_reported_is_valid(
    undervoltage: dict[str, int],
) -> None:
    """The pack is the sum of the other cells, and the bit is set."""
    for cell in range(8):
        cells = tuple(0.0 if n == cell else volts for n, volts in enumerate(CELLS))
        decoded = status(cell_voltages=cells, **undervoltage)
        assert implausibilities(decoded) == ()
        assert decoded.cells[cell] == 0
        assert drop_unknown_fields(decoded) == (decoded, ())


@pytest.mark.parametrize(
    ("registers", "changes", "reason"),
    [
        ({}, {}, Implausible.CELL_VOLTAGE),
        # Another fault says nothing about the cell.
        (
            {},
            {"protection": Protections.PACK_UNDERVOLTAGE, "error": 0x0001},
            Implausible.CELL_VOLTAGE,
        ),
        # The pack voltage includes the cell: its register was not filled.
        (
            {0: 2642},
            {"protection": Protections.CELL_UNDERVOLTAGE},
            Implausible.PACK_VOLTAGE,
        ),
        # Not one cell is measured.
        (
            dict.fromkeys((0, *range(2, 10)), 0),
            {"protection": Protections.CELL_UNDERVOLTAGE},
            Implausible.CELL_VOLTAGE,
        ),
    ],
)
def test_dead_cell_without_undervoltage_reported_is_rejected(
    registers: dict[int, int], changes: dict[str, int], reason: Implausible
) -> None:
    """A register that was not filled reads 0 as well."""
    cells = (0.0, *CELLS[1:])
    assert reasons(registers, cell_voltages=cells, **changes) == (reason,)


@pytest.mark.parametrize("hundredths", [2590, 2630, 2642, 2650, 2694])
def test_pack_voltage_within_two_percent_is_valid(hundredths: int) -> None:
    """Cells and pack are not measured at the same instant."""
    assert status().voltage == RECORDED_PACK_VOLTAGE
    assert reasons({0: hundredths}) == ()


@pytest.mark.parametrize(
    ("full", "current", "valid"),
    [
        (200, 1000.0, True),
        (200, -1000.0, True),
        (200, 1000.1, False),
        (200, -1000.1, False),
        (20, 500.0, True),  # a starter battery
        (20, 500.1, False),
        (400, -2000.0, True),
        (1000, -2000.1, False),  # no pack of any size
        (0, 2000.0, True),  # capacity unknown
        (0, -2000.1, False),
    ],
)
def test_current_limit_of_a_valid_sample_depends_on_the_capacity(
    full: int, current: float, valid: bool
) -> None:
    """Five times the capacity in an hour, at least 500 A, at most 2000 A."""
    expected = () if valid else (Implausible.CURRENT,)
    assert reasons(current=current, full_capacity=full, design_capacity=0) == expected


def test_sample_of_another_block_with_80_volts_is_rejected() -> None:
    """16 cells of 5 V and 3276 A were once taken over from an impostor."""
    assert reasons({1: 0x7FFF}, cell_voltages=(5.0,) * 16, full_capacity=1000) == (
        Implausible.CELL_VOLTAGE,
        Implausible.CURRENT,
    )


NO_CAPACITY = {"full_capacity", "remaining_capacity", "max_charge_current"}


@pytest.mark.parametrize(
    ("registers", "field", "dropped"),
    [
        ({23: 101}, "state_of_health", {"state_of_health"}),
        ({23: 104}, "state_of_health", {"state_of_health"}),
        ({23: 0xFFFF}, "state_of_health", {"state_of_health"}),
        ({22: 0xFFFF}, "max_charge_current", {"max_charge_current"}),
        ({18: 0x8000}, "pcb_temperature", {"pcb_temperature"}),
        ({18: 0x0D16}, "pcb_temperature", {"pcb_temperature"}),
        ({19: 121}, "ambient_temperature", {"ambient_temperature"}),
        ({20: 0x1234}, "max_temperature", {"max_temperature"}),
        ({31: 0, 32: 0, 37: 20_001}, "full_capacity", NO_CAPACITY),
        ({31: 0, 32: 0, 37: 9}, "full_capacity", NO_CAPACITY),
    ],
)
def test_secondary_field_out_of_range_is_unknown(
    registers: dict[int, int], field: str, dropped: set[str]
) -> None:
    """It is named; everything else stays what it was."""
    decoded = status(registers)
    assert implausibilities(decoded) == ()
    shown, unknown = drop_unknown_fields(decoded)
    assert unknown == (field,)
    for known in fields(BatteryStatus):
        expected = None if known.name in dropped else getattr(decoded, known.name)
        assert getattr(shown, known.name) == expected, known.name
    assert drop_unknown_fields(shown)[0] == shown


@pytest.mark.parametrize(
    ("number", "word"),
    [
        *((18, word & 0xFFFF) for word in (-60, -41, 120, 0x00AA, 0x7FFF)),
        (22, 2000),
        (23, 100),
        (23, 0),
    ],
)
def test_secondary_field_at_the_end_of_its_range_is_no_fault(
    number: int, word: int
) -> None:
    """Sensors that are missing read words of their own, which are not counted."""
    assert drop_unknown_fields(status({number: word}))[1] == ()


def test_secondary_fields_out_of_range_are_all_named() -> None:
    """In the order of the table."""
    decoded = status({23: 103, 18: 0x0D16, 20: 0x0D16})
    shown, unknown = drop_unknown_fields(decoded)
    assert unknown == ("state_of_health", "pcb_temperature", "max_temperature")
    assert shown.state_of_health is shown.pcb_temperature is None


def test_check_of_each_field_has_one_reason() -> None:
    """The tables decide each field, and each reason of a rejection has one check."""
    assert all(check.why for check in (*SAMPLE_CHECKS, *FIELD_CHECKS))
    assert {check.reason for check in SAMPLE_CHECKS} == (
        set(Implausible) - {Implausible.ALL_ZERO}
    )
    assert len(SAMPLE_CHECKS) == len(Implausible) - 1
    names = {field.name for field in fields(BatteryStatus)}
    for check in FIELD_CHECKS:
        assert {check.field, *check.dependents} <= names


def test_stored_sample_is_decoded_as_a_new_one() -> None:
    """Damaged, foreign and impossible ones are none."""
    stored = decode_valid_status(frame({23: 102}), 10)
    assert stored is not None
    assert stored.state_of_health is None
    assert stored.current == status().current
    assert decode_valid_status(frame({24: 398}), 10) is None
    assert decode_valid_status(frame()[:-1], 10) is None
    assert decode_valid_status(status_reply([1] * 3), 10) is None


@pytest.mark.parametrize("value", [-39, -30, -10, -1, 0, 45, 100, 120])
def test_temperature_within_the_limits_is_valid(value: int) -> None:
    """Winter and a hot board included."""
    decoded = status(
        pcb_temperature=value,
        ambient_temperature=value,
        probe_temperatures=(value, value),
    )
    assert implausibilities(decoded) == ()
    assert drop_unknown_fields(decoded) == (decoded, ())
    assert decoded.pcb_temperature == decoded.max_temperature == value


@pytest.mark.parametrize("word", [0x00AA, 0x7FFF, 0xFFC8, 0xFFD8, 0])
def test_sample_with_a_missing_sensor_is_valid(word: int) -> None:
    """F5: the rest of the sample is true."""
    for number in (18, 19, 20):
        assert reasons({number: word}) == ()
        assert drop_unknown_fields(status({number: word}))[1] == ()


@pytest.mark.parametrize("absent", [0xAA, 0xC8, 0xD8, 0x7F, 0])
def test_sample_without_probes_is_valid(absent: int) -> None:
    """F5: with no probe at all, and the error word that goes with it."""
    assert (
        reasons(
            probe_temperatures=(None,) * 6,
            absent_byte=absent,
            ambient_temperature=None,
            error=0x0022,
            operating_state=4,
        )
        == ()
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"state_of_charge": 0, "remaining_capacity": 0},
        {"state_of_charge": 100, "remaining_capacity": 100},
        {"state_of_health": 0},  # an old mock of the vendor's
        {"cycles": 65535},
        {"operating_state": 0x77, "status_flags": 0x7F00},
        {"warning": 0xFFFF, "protection": 0xFFFF, "error": 0xFFFF},
        {"balancing": 0xFFFF, "switch_flags": 0xFFEF},
        {"cell_voltages": (2.0,) * 4},
        {"cell_voltages": (3.9,) * 16},
        {"cell_voltages": (4.5,) * 4},
        {"cell_voltages": (0.001, *CELLS[1:])},  # a dead cell is worth knowing
        {"full_capacity": 0, "design_capacity": 0},
        {"remaining_capacity": 0},
    ],
)
def test_sample_that_is_odd_but_possible_is_valid(changes: dict[str, Any]) -> None:
    """Values of a battery in trouble must be shown."""
    assert reasons(**changes) == ()


@given(
    st.sampled_from(sorted(PRESETS)),
    st.integers(0, 100),
    st.floats(-600, 600),
    st.floats(-35, 60),
    st.lists(st.integers(1, 3600), min_size=1, max_size=4),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_samples_of_simulated_batteries_are_valid(
    name: str, charge: int, demand: float, ambient: float, steps: list[int]
) -> None:
    """Every preset under any load, charger and weather, through its protections."""
    options = {**PRESETS[name].options, "state_of_charge": float(charge)}
    battery = SimulatedBattery(**{**options, "clock": float})
    battery.demand_current = demand
    battery.ambient = ambient
    battery.heating_enabled = True
    for seconds in (0, *steps):
        battery.advance(seconds)
        decoded = decode_status(status_reply(battery.reported().to_registers()))
        assert implausibilities(decoded) == ()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_samples_of_presets_in_their_first_hours_are_valid(name: str) -> None:
    """As shown, then every ten minutes; the decoded values are the true ones."""
    battery = preset(name, clock=float)
    for _ in range(24):
        decoded = decode_status(status_reply(battery.registers(0, 41)))
        assert implausibilities(decoded) == ()
        expected_values = battery.expected_values()
        for field in (
            "state_of_charge",
            "voltage",
            "current",
            "power",
            "remaining_capacity",
            "full_capacity",
            "state_of_health",
            "cycles",
            "max_charge_current",
            "pcb_temperature",
            "ambient_temperature",
            "charging",
            "heating",
            "heating_enabled",
            "balancing_cells",
        ):
            assert getattr(decoded, field) == expected_values[field], field
        battery.advance(600)


@given(st.lists(st.integers(0, 0xFFFF), min_size=41, max_size=41))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_samples_of_any_registers_are_rejected_or_within_ranges(
    values: list[int],
) -> None:
    """Random registers: named reasons, each once, or values within their ranges."""
    values[36] %= 18
    decoded = decode_status(status_reply(values))
    found = implausibilities(decoded)
    assert len(set(found)) == len(found)
    assert set(found) <= set(Implausible)
    if not found:
        shown, _ = drop_unknown_fields(decoded)
        assert 1 <= shown.cell_count <= 16
        assert 0 <= shown.state_of_charge <= 100
        assert shown.state_of_health is None or 0 <= shown.state_of_health <= 100
        assert shown.full_capacity is None or 1 <= shown.full_capacity <= 2000
        assert abs(shown.current) <= 2000
        assert all(0 <= millivolts <= 4500 for millivolts in shown.cells)
