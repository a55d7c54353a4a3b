"""The simulated battery encodes its state as registers."""

from typing import Any

import pytest

from .helpers import STATUS_41, Clock, pick, words
from simulator.battery import THRESHOLDS, ReportedState, SimulatedBattery


@pytest.mark.parametrize("cell_count", [4, 8, 16])
def test_pack_voltage_is_cell_sum_rounded_down(cell_count: int) -> None:
    """Register 0 follows from registers 2-17, whatever the current."""
    battery = SimulatedBattery(cell_count=cell_count, clock=Clock())

    for demand in (-90.0, -1.0, 0.0, 3.3, 60.0):
        battery.demand_current = demand
        battery.advance(30)
        registers = battery.registers(0, 41)
        assert registers[0] == sum(registers[2:18]) // 10
        assert registers[2 + cell_count : 18] == [0] * (16 - cell_count)
        assert registers[36] == cell_count
        assert battery.expected_values()["voltage"] == registers[0] / 100


def test_negative_values_are_twos_complement() -> None:
    """Currents are signed words, probes signed bytes."""
    registers = ReportedState(
        cell_voltages=(3.3,) * 4,
        current=-42.5,
        pcb_temperature=-5,
        ambient_temperature=-12,
        probe_temperatures=(-39, -1),
    ).to_registers()

    assert registers[1] == 0x10000 - 425
    assert registers[18:21] == [0xFFFB, 0xFFF4, 0xFFFF]
    assert registers[33:36] == [0xD9FF, 0, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"current": 3276.8},
        {"current": -3276.9},
        {"probe_temperatures": (128,)},
        {"cell_voltages": (-0.001,)},
        {"cell_voltages": (0.2,) * 17},
        {"probe_temperatures": (20,) * 7},
        {"warning": 0x10000},
    ],
)
def test_value_no_register_holds_is_refused(wrong: dict[str, Any]) -> None:
    """Nothing is cut off or wrapped in silence."""
    with pytest.raises(ValueError):
        ReportedState(**{"cell_voltages": (3.3,) * 4} | wrong).to_registers()


@pytest.mark.parametrize("absent", [0xAA, 0xC8, 0xD8, 0x00])
def test_missing_probe_reports_its_raw_byte(absent: int) -> None:
    """The maximum comes from the probe that is left."""
    battery = SimulatedBattery(
        temperature=31, missing_probes=[2], absent_byte=absent, clock=Clock()
    )

    registers = battery.registers(0, 41)
    assert registers[33] == 31 << 8 | absent
    assert registers[20] == 31
    assert pick(battery, "probe_1", "probe_2", "max_cell_temperature") == [31, None, 31]


def test_without_any_probe_battery_protects_itself() -> None:
    """A board without sensors reports an error and lets no current pass."""
    battery = SimulatedBattery(
        missing_probes=[1, 2], ambient_sensor=False, demand_current=10, clock=Clock()
    )

    registers = battery.registers(0, 41)
    assert registers[19:21] == [0x00AA, 0x00AA]
    assert (registers[25], registers[28], registers[33]) == (4, 0x0022, 0xAAAA)
    assert pick(battery, "current", "ambient_temperature", "max_cell_temperature") == [
        0.0,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("cell_count", "low_first", "expected"),
    [(4, None, [0, 7]), (8, None, [7, 0]), (16, None, [0, 7]), (8, False, [0, 7])],
)
def test_cycle_words_stand_in_order_of_model(
    cell_count: int, low_first: bool | None, expected: list[int]
) -> None:
    """Only the ZT of 8 cells puts the low word first, unless told otherwise."""
    battery = SimulatedBattery(
        cell_count=cell_count, cycles=7, cycles_low_word_first=low_first, clock=Clock()
    )

    assert battery.registers(29, 2) == expected
    assert battery.expected_values()["cycles"] == 7


def test_capacities_have_their_scales() -> None:
    """Full capacity in mA*s, remaining capacity in Ah or tenths, rounded down."""
    new = SimulatedBattery(state_of_charge=79.6, clock=Clock())
    old = SimulatedBattery(state_of_charge=79.6, remaining_scale=0.1, clock=Clock())

    assert new.registers(31, 2) == [0x1575, 0x2A00]
    assert new.registers(37, 1) == [1000]
    assert new.registers(21, 4) == [79, 100, 100, 80]
    assert old.registers(21, 1) == [796]
    assert pick(old, "remaining_capacity", "full_capacity") == [79.6, 100.0]


def test_thresholds_are_reported_where_model_has_them() -> None:
    """Pack values follow the cells, currents the pack's rated current."""
    small = SimulatedBattery(
        cell_count=4, capacity=400, reports_thresholds=True, clock=Clock()
    )
    large = SimulatedBattery(cell_count=16, reports_thresholds=True, clock=Clock())

    assert small.registers(56, 17) == [
        *(3400, 40, 5, 0, 0),
        *(2500, 2000, 3100),
        *(1050, 960, 1200),
        *(3600, 3900, 3450),
        *(1480, 1520, 1440),
    ]
    assert small.registers(78, 7) == [60, 60, 22000, 22000, 35000, 25000, 25000]
    assert small.registers(85, 5) == [10, 2, 10, 2, 0]
    assert [word - 50 for word in small.registers(90, 15)] == [
        *(2, 0, 5),
        *(70, 75, 65),
        *(-15, -20, -10),
        *(70, 75, 65),
        *(95, 100, 80),
    ]
    assert large.registers(70, 1) == [5920]
    assert large.registers(80, 1) == [11000]
    assert len({entry.register for entry in THRESHOLDS.values()}) == len(THRESHOLDS)


def test_state_can_be_forced() -> None:
    """Any state is reported in place of the physics, and the expected values follow from it."""
    battery = SimulatedBattery(cell_count=4, clock=Clock())
    battery.override = ReportedState(
        cell_voltages=(3.301, 3.299, 3.301, 3.299),
        current=-3276.8,
        operating_state=4,
        status_flags=0x0300,
        protection=0x2004,
        heating=True,
    )

    assert words(battery.handle(STATUS_41)) == battery.override.to_registers()
    assert battery.registers(25, 3) == [0x8304, 0, 0x2004]
    assert pick(
        battery,
        *("voltage", "power", "operating_state", "protections", "heating"),
        *("highest_cell", "lowest_cell", "cell_voltage_delta", "cell_4"),
    ) == [
        *(13.2, -43254, "protection", ("pack_uv", "short_circuit"), True),
        *(1, 2, 2, 3.299),
    ]


def test_small_currents_vanish_in_dead_zone() -> None:
    """Old boards report no current below a limit, although it flows."""
    battery = SimulatedBattery(
        demand_current=-0.9, current_dead_zone=1.0, clock=Clock()
    )

    battery.advance(3600)

    assert pick(battery, "current", "operating_state") == [0.0, "standby"]
    assert battery.charge == pytest.approx(59.1 * 3600)
