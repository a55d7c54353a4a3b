"""The simulated battery behaves as the protocol and the manual say."""

from collections.abc import Callable
from itertools import pairwise
import json
from pathlib import Path
import struct
from typing import Any

import pytest

from simulator.battery import (
    CAN_PROTOCOLS,
    PRESETS,
    THRESHOLDS,
    ZT_2024_CAN_PROTOCOLS,
    ZT_2024_RS485_PROTOCOLS,
    ReplayBattery,
    ReportedState,
    SimulatedBattery,
    build_reply,
    preset,
    read_request,
    settings_frame,
    status_reply,
)

CAPTURES = Path(__file__).parents[2] / "../shared/captures/frames.json"
STATUS_41 = bytes.fromhex("0103000000298414")
STATUS_39 = bytes.fromhex("01030000002705d0")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        """Start anywhere but at zero."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time, s."""
        return self.now


@pytest.fixture(name="battery")
def battery_fixture() -> SimulatedBattery:
    """Return a battery of 8 cells whose time only moves by `advance`."""
    return SimulatedBattery(clock=Clock())


@pytest.fixture(name="captures", scope="module")
def captures_fixture() -> list[dict[str, str]]:
    """Return the recorded frames."""
    if not CAPTURES.exists():
        pytest.skip("recorded frames are kept outside the project")
    captures: list[dict[str, str]] = json.loads(CAPTURES.read_text())
    return captures


def recorded(captures: list[dict[str, str]], kind: str, note: str = "") -> list[bytes]:
    """Return the recorded frames of a kind whose note begins with `note`."""
    return [
        bytes.fromhex(frame["hex"])
        for frame in captures
        if frame["kind"] == kind and frame["note"].startswith(note)
    ]


def words(reply: bytes | None) -> list[int]:
    """Return the registers of a read reply."""
    assert reply is not None
    return list(struct.unpack(f">{reply[2] // 2}H", reply[3:-2]))


def ask(battery: SimulatedBattery, function: int, data: bytes = b"") -> bytes | None:
    """Return the data of the reply to a settings frame."""
    reply = battery.handle(settings_frame(function, data))
    if reply is None:
        return None
    assert reply == settings_frame(function, reply[3:-2])
    return reply[3:-2]


def pick(battery: SimulatedBattery, *keys: str) -> list[Any]:
    """Return some of the truth."""
    expected_values = battery.expected_values()
    return [expected_values[key] for key in keys]


def advance_until(
    battery: SimulatedBattery,
    condition: Callable[[], bool],
    *,
    step: float = 60.0,
    limit: float = 48 * 3600.0,
) -> float:
    """Move the physics until the condition holds and return the seconds it took."""
    elapsed = 0.0
    while not condition():
        assert elapsed < limit, battery.expected_values()
        battery.advance(step)
        elapsed += step
    return elapsed


# --- frames -------------------------------------------------------------------


@pytest.mark.parametrize("count", [39, 41])
def test_status_request_is_answered_with_the_registers(
    battery: SimulatedBattery, count: int
) -> None:
    """A status reply has the size of its request and carries the truth."""
    reply = battery.handle({39: STATUS_39, 41: STATUS_41}[count])

    assert reply is not None
    assert len(reply) == 5 + 2 * count
    assert reply == status_reply(battery.registers(0, count))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(STATUS_41[:2], id="fragment"),
        pytest.param(STATUS_41[:-1] + b"\x15", id="bad CRC"),
        pytest.param(settings_frame(2)[:-1] + b"\x00", id="bad settings CRC"),
        pytest.param(read_request(0, 41, slave=2), id="another slave"),
        pytest.param(read_request(0, 41, slave=0x10), id="master as slave"),
        pytest.param(read_request(0, 41, function=1), id="function 01"),
        pytest.param(read_request(0, 41, function=6), id="function 06"),
        pytest.param(read_request(0, 0), id="no registers"),
        pytest.param(read_request(0, 126), id="too many registers"),
        pytest.param(build_reply(bytes.fromhex("01030000002900")), id="too long"),
        pytest.param(build_reply(bytes.fromhex("0103000029")), id="too short"),
        pytest.param(build_reply(bytes.fromhex("100701")), id="value missing"),
        pytest.param(build_reply(bytes.fromhex("10020101ff")), id="value too long"),
        pytest.param(build_reply(bytes.fromhex("1002")), id="length missing"),
        pytest.param(settings_frame(2, b"\x01"), id="get with a value"),
        pytest.param(settings_frame(7, b"\x01\x02"), id="set with two values"),
        pytest.param(settings_frame(8), id="08"),
        pytest.param(settings_frame(0x0B), id="0B"),
        pytest.param(settings_frame(0x0D), id="0D"),
    ],
)
def test_what_the_battery_does_not_understand_meets_silence(
    battery: SimulatedBattery, frame: bytes
) -> None:
    """No exception and no error reply for a frame the battery does not take."""
    assert battery.handle(frame) is None


def test_function_04_is_answered_as_03(battery: SimulatedBattery) -> None:
    """Both read functions give the same bytes."""
    reply = battery.handle(read_request(0, 41, function=4))

    assert reply == battery.handle(STATUS_41)
    assert reply is not None
    assert reply[1] == 3


def test_undefined_registers_read_zero(battery: SimulatedBattery) -> None:
    """Gaps, absent thresholds and the end of the address space hold zeros."""
    assert words(battery.handle(read_request(41, 64))) == [0] * 64
    assert words(battery.handle(read_request(128, 125))) == [0] * 125
    assert words(battery.handle(read_request(0xFFFF, 2))) == [0, 0]


def test_reads_may_start_anywhere(battery: SimulatedBattery) -> None:
    """Single registers and reads across regions are answered."""
    everything = battery.registers(0, 125)

    assert words(battery.handle(read_request(0, 125))) == everything
    assert words(battery.handle(read_request(24, 1))) == [60]


# --- recorded frames ----------------------------------------------------------


def state_of(frame: bytes) -> ReportedState:
    """Read a recorded status frame, knowing only the register table."""
    data = words(frame)
    cell_count = data[36]
    probes = struct.pack(">3H", *data[33:36])[: 4 if cell_count == 16 else 2]
    low_first = cell_count == 8
    full = (data[31] << 16 | data[32]) / 3_600_000
    scale = 1.0 if abs(data[21] - full * data[24] / 100) < 2 else 0.1
    switches = data[40] if len(data) > 40 else 0
    return ReportedState(
        voltage=data[0] / 100 if data[28] else None,
        current=struct.unpack(">h", frame[5:7])[0] / 10,
        cell_voltages=tuple(word / 1000 for word in data[2 : 2 + cell_count]),
        pcb_temperature=data[18],
        ambient_temperature=None if data[19] == 0xAA else data[19],
        probe_temperatures=tuple(None if p == 0xAA else p for p in probes),
        remaining_capacity=data[21] * scale,
        remaining_scale=scale,
        max_charge_current=data[22],
        state_of_health=data[23],
        state_of_charge=data[24],
        operating_state=data[25] & 0xFF,
        heating=bool(data[25] & 0x8000),
        warning=data[26],
        protection=data[27],
        error=data[28],
        cycles=data[29] if low_first else data[30],
        cycles_low_word_first=low_first,
        full_capacity=full,
        design_capacity=data[37] / 10,
        balancing=data[38],
        heating_enabled=bool(switches & 0x10),
    )


def test_recorded_states_encode_to_the_recorded_bytes(
    captures: list[dict[str, str]],
) -> None:
    """Every recorded status frame can be said again, byte for byte."""
    frames = [frame for frame in recorded(captures, "status") if frame[2] > 2]

    assert frames
    for frame in frames:
        registers = state_of(frame).to_registers()
        assert status_reply(registers[: frame[2] // 2]).hex() == frame.hex()


def test_settings_are_answered_as_recorded(captures: list[dict[str, str]]) -> None:
    """The conversation of a 16-cell pack, in its recorded bytes."""
    battery = SimulatedBattery(cell_count=16, clock=Clock())

    def answers(request: str, reply: str) -> None:
        frame = recorded(captures, "settings-request", request)[0]
        expected = recorded(captures, "settings-response", reply)[0]
        assert battery.handle(frame) == expected

    answers("get module id", "module id = 1")
    answers("get RS485", "get RS485 protocol: selected index 0")
    answers("get CAN", "get CAN protocol: selected index 0")
    answers("set CAN protocol -> 5", "set CAN protocol: OK")
    answers("set RS485 protocol -> 0", "set RS485 protocol: OK")
    battery.power_cycle()
    answers("get CAN", "get CAN protocol: selected index 5")
    answers("set module id -> 2", "set module id: OK")
    battery.power_cycle()
    answers("get module id", "module id = 2")
    answers("set RS485 protocol -> 1", "set RS485 protocol: FAILED")
    answers("set module id -> 1", "set module id: OK")
    battery.power_cycle()
    battery.handle(recorded(captures, "settings-request", "set RS485 protocol -> 1")[0])
    battery.power_cycle()
    answers("get RS485", "get RS485 protocol: selected index 1")


def test_identity_of_the_default_battery_is_the_recorded_one(
    captures: list[dict[str, str]],
) -> None:
    """Model with NULs inside, firmware and serial stand where they were seen."""
    frame = recorded(captures, "identity")[0]
    battery = SimulatedBattery(clock=Clock())

    assert battery.handle(read_request(105, frame[2] // 2)) == frame
    assert pick(battery, "model", "firmware", "serial") == [
        "TC-8S100-V1.0",
        "Z01T20",
        "2024-01-11",
    ]


def test_recorded_reads_are_understood(captures: list[dict[str, str]]) -> None:
    """Every read other programs send gets a reply of its size."""
    battery = SimulatedBattery(clock=Clock())

    for frame in recorded(captures, "read-request"):
        assert len(words(battery.handle(frame))) == frame[5]


# --- registers ----------------------------------------------------------------


@pytest.mark.parametrize("cell_count", [4, 8, 16])
def test_pack_voltage_is_the_cell_sum_rounded_down(cell_count: int) -> None:
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
def test_a_value_no_register_holds_is_refused(wrong: dict[str, Any]) -> None:
    """Nothing is cut off or wrapped in silence."""
    with pytest.raises(ValueError):
        ReportedState(**{"cell_voltages": (3.3,) * 4} | wrong).to_registers()


@pytest.mark.parametrize("absent", [0xAA, 0xC8, 0xD8, 0x00])
def test_a_missing_probe_reports_its_raw_byte(absent: int) -> None:
    """The maximum comes from the probe that is left."""
    battery = SimulatedBattery(
        temperature=31, missing_probes=[2], absent_byte=absent, clock=Clock()
    )

    registers = battery.registers(0, 41)
    assert registers[33] == 31 << 8 | absent
    assert registers[20] == 31
    assert pick(battery, "probe_1", "probe_2", "max_cell_temperature") == [31, None, 31]


def test_without_any_probe_the_battery_protects_itself() -> None:
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
def test_cycle_words_stand_in_the_order_of_the_model(
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


def test_thresholds_are_reported_where_the_model_has_them() -> None:
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


def test_a_state_can_be_forced() -> None:
    """Any state is reported in place of the physics, and is then the truth."""
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


def test_small_currents_vanish_in_the_dead_zone() -> None:
    """Old boards report no current below a limit, although it flows."""
    battery = SimulatedBattery(
        demand_current=-0.9, current_dead_zone=1.0, clock=Clock()
    )

    battery.advance(3600)

    assert pick(battery, "current", "operating_state") == [0.0, "standby"]
    assert battery.charge == pytest.approx(59.1 * 3600)


# --- physics ------------------------------------------------------------------


def test_charge_is_counted_in_ampere_seconds(battery: SimulatedBattery) -> None:
    """One hour at 10 A moves 10 Ah, and back."""
    battery.demand_current = -10
    battery.advance(3600)
    assert pick(battery, "state_of_charge", "remaining_capacity") == [50, 50.0]
    assert pick(battery, "operating_state", "charging") == ["discharging", False]

    battery.demand_current = 20
    battery.advance(1800)
    assert pick(battery, "state_of_charge", "remaining_capacity") == [60, 60.0]
    assert pick(battery, "operating_state", "charging") == ["charging", True]


def test_energy_is_metered_each_way(battery: SimulatedBattery) -> None:
    """The meters agree with voltage times current."""
    battery.demand_current = -10
    battery.advance(1800)
    discharged = battery.expected_values()["discharge_energy_kwh"]
    assert discharged == pytest.approx(26.2 * 10 * 0.5 / 1000, rel=0.01)

    battery.demand_current = 10
    battery.advance(1800)
    assert battery.expected_values()["discharge_energy_kwh"] == discharged
    assert battery.charge_energy_kwh > battery.discharge_energy_kwh


def test_load_pulls_the_voltage_down_and_a_charger_up(
    battery: SimulatedBattery,
) -> None:
    """Cells have an inner resistance."""
    rest = battery.cell_voltages
    battery.demand_current = -50
    low = battery.cell_voltages
    battery.demand_current = 50
    high = battery.cell_voltages

    assert all(a < b < c for a, b, c in zip(low, rest, high, strict=True))


def test_a_full_discharge_is_one_cycle() -> None:
    """Cycles count what went out."""
    battery = SimulatedBattery(
        state_of_charge=95, cycles=9.2, demand_current=-30, clock=Clock()
    )

    battery.advance(3 * 3600)

    assert battery.expected_values()["cycles"] == 10


def test_the_clock_drives_the_battery_and_hold_stops_it() -> None:
    """Time on hold is not made up for."""
    clock = Clock()
    battery = SimulatedBattery(demand_current=-36, clock=clock)

    clock.now += 1000
    battery.handle(STATUS_41)
    assert battery.expected_values()["state_of_charge"] == 50

    battery.hold = True
    clock.now += 1000
    battery.handle(STATUS_41)
    battery.hold = False
    battery.handle(STATUS_41)
    assert battery.expected_values()["state_of_charge"] == 50

    clock.now += 1000
    battery.update()
    assert battery.expected_values()["state_of_charge"] == 40


def test_temperatures_follow_the_ambient(battery: SimulatedBattery) -> None:
    """Cells take hours, and load warms them."""
    battery.ambient = 30
    battery.advance(3600)
    assert 21 < battery.cell_temperatures[0] < 25
    battery.advance(48 * 3600)
    assert (
        pick(battery, "probe_1", "pcb_temperature", "ambient_temperature") == [30] * 3
    )

    battery.demand_current = -60
    battery.advance(1800)
    assert battery.cell_temperatures[0] > 31
    assert battery.pcb_temperature > battery.cell_temperatures[0]


# --- protections --------------------------------------------------------------


def test_charging_stops_by_cooling_and_resumes_by_warming() -> None:
    """Charge UT warns at 2, trips at 0 and releases at 5 degrees Celsius."""
    battery = SimulatedBattery(
        temperature=4, ambient=-10, demand_current=5, clock=Clock()
    )

    advance_until(battery, lambda: bool(battery.expected_values()["warnings"]))
    assert pick(battery, "warnings", "protections") == [("charge_ut",), ()]
    assert 1.5 < battery.cell_temperatures[0] <= 2

    advance_until(battery, lambda: bool(battery.expected_values()["protections"]))
    assert -0.5 < min(battery.cell_temperatures) <= 0
    assert pick(battery, "protections", "operating_state", "current", "probe_1") == [
        *(("charge_ut",), "protection", 0.0, 0)
    ]
    assert battery.registers(25, 3) == [4, 0x0400, 0x0400]

    battery.demand_current = -5
    assert battery.expected_values()["current"] == -5.0

    battery.demand_current = 5
    battery.ambient = 25
    advance_until(battery, lambda: battery.cell_temperatures[0] > 3)
    assert battery.expected_values()["protections"] == ("charge_ut",)
    advance_until(battery, lambda: not battery.expected_values()["protections"])
    assert 5 <= battery.cell_temperatures[0] < 5.5
    assert pick(battery, "operating_state", "current") == ["charging", 5.0]


@pytest.mark.parametrize(
    ("temperature", "protections"),
    [
        (-20, ("charge_ut", "discharge_ut")),
        (-19, ("charge_ut",)),
        (74, ()),
        (75, ("charge_ot", "discharge_ot")),
    ],
)
def test_temperature_limits_block_both_ways(
    temperature: float, protections: tuple[str, ...]
) -> None:
    """Protections trip exactly at their thresholds."""
    battery = SimulatedBattery(temperature=temperature, clock=Clock())

    assert battery.expected_values()["protections"] == protections
    battery.demand_current = -10
    assert (battery.current == 0) == (len(protections) == 2)


def test_a_hot_board_blocks_and_cools(battery: SimulatedBattery) -> None:
    """PCB OT trips at 100 and releases at 80 degrees Celsius."""
    battery.pcb_temperature = 100
    battery.demand_current = -10
    battery.advance(0)
    assert pick(battery, "protections", "current") == [("mos_ot",), 0.0]

    advance_until(battery, lambda: not battery.expected_values()["protections"], step=1)
    assert 78 < battery.pcb_temperature <= 80


@pytest.mark.parametrize("cell_count", [4, 8, 16])
def test_a_drained_pack_stops_discharging_until_charged(cell_count: int) -> None:
    """Pack UV trips at 2.4 V and releases at 3.0 V per cell."""
    battery = SimulatedBattery(
        cell_count=cell_count, state_of_charge=5, demand_current=-20, clock=Clock()
    )

    advance_until(
        battery, lambda: bool(battery.expected_values()["protections"]), step=10
    )
    assert pick(battery, "protections", "state_of_charge", "current") == [
        *(("pack_uv",), 0, 0.0)
    ]
    assert "low_capacity" in pick(battery, "warnings")[0]

    battery.advance(600)
    assert battery.expected_values()["protections"] == ("pack_uv",)

    battery.demand_current = 20
    advance_until(
        battery, lambda: not battery.expected_values()["protections"], step=10
    )
    assert pick(battery, "voltage")[0] >= 3.0 * cell_count
    assert battery.expected_values()["operating_state"] == "charging"


def test_an_excessive_charger_trips_the_overvoltage_protection() -> None:
    """Pack OV trips at 3.8 V and releases at 3.6 V per cell."""
    battery = SimulatedBattery(state_of_charge=98, demand_current=20, clock=Clock())
    battery.charger_voltage = 34

    advance_until(
        battery, lambda: bool(battery.expected_values()["protections"]), step=10
    )
    assert battery.expected_values()["protections"] == ("pack_ov",)
    assert pick(battery, "state_of_charge", "current") == [100, 0.0]

    battery.demand_current = -20
    advance_until(
        battery, lambda: not battery.expected_values()["protections"], step=10
    )
    assert pick(battery, "voltage", "current")[0] <= 28.8


def test_one_bad_cell_trips_the_cell_protections() -> None:
    """A weak cell is empty long before, and full before, the others."""
    drained = SimulatedBattery(
        state_of_charge=25,
        capacity_factors={3: 0.8},
        demand_current=-20,
        clock=Clock(),
    )
    advance_until(drained, lambda: bool(drained.expected_values()["protections"]))
    assert pick(drained, "protections", "lowest_cell") == [("cell_uv",), 3]
    assert pick(drained, "state_of_charge")[0] > 15

    charged = SimulatedBattery(
        state_of_charge=90,
        resistance_factors={5: 20.0},
        demand_current=30,
        clock=Clock(),
    )
    charged.charger_voltage = 30
    advance_until(charged, lambda: bool(charged.expected_values()["protections"]))
    assert charged.expected_values()["protections"] == ("cell_ov",)


@pytest.mark.parametrize(
    ("demand", "name", "delay"),
    [
        (-115.0, "discharge_oc", 10),
        (-130.0, "discharge_oc", 2),
        (115.0, "charge_oc", 10),
        (130.0, "charge_oc", 2),
    ],
)
def test_overcurrent_trips_after_its_delay_and_tries_again(
    battery: SimulatedBattery, demand: float, name: str, delay: float
) -> None:
    """A rated 100 A may be exceeded by 10 % for 10 s, by 25 % for 2 s."""
    battery.charger_voltage = 30
    battery.demand_current = demand

    battery.advance(delay - 0.5)
    assert pick(battery, "protections", "warnings") == [(), (name,)]
    assert battery.expected_values()["current"] == demand
    battery.advance(0.5)
    assert pick(battery, "protections", "current") == [(name,), 0.0]

    battery.advance(59)
    assert battery.expected_values()["protections"] == (name,)
    battery.advance(1)
    assert battery.expected_values()["current"] == demand
    battery.advance(3600)
    assert pick(battery, "state_of_charge")[0] == pytest.approx(60, abs=20)


def test_a_short_overload_is_forgotten(battery: SimulatedBattery) -> None:
    """The delay begins anew after the current was allowed."""
    for _ in range(3):
        battery.demand_current = -115
        battery.advance(9)
        battery.demand_current = -50
        battery.advance(1)

    assert battery.expected_values()["protections"] == ()


def test_a_short_circuit_is_cut_at_once(battery: SimulatedBattery) -> None:
    """No charge is lost, and the pack recovers with the load gone."""
    battery.demand_current = -1000
    battery.advance(60)
    assert battery.expected_values()["protections"] == ("short_circuit",)
    assert battery.charge == 60 * 3600
    assert battery.registers(26, 2) == [0, 0x2000]

    battery.demand_current = -10
    battery.advance(1)
    assert battery.expected_values()["protections"] == ()


def test_a_full_battery_ends_the_charge_and_takes_it_up_later() -> None:
    """The current tapers, then the battery reports its charging limit."""
    battery = SimulatedBattery(state_of_charge=97, demand_current=30, clock=Clock())
    currents = []

    def full() -> bool:
        currents.append(battery.current)
        return battery.expected_values()["operating_state"] == "charge_limit"

    advance_until(battery, full, step=10)
    taper = [current for current in currents[:-1] if current < 30]
    assert len(taper) > 3
    assert all(later < earlier for earlier, later in pairwise(taper))
    assert pick(battery, "state_of_charge", "current", "protections") == [100, 0.0, ()]
    assert battery.registers(25, 1) == [8]

    battery.demand_current = -20
    battery.advance(300)
    assert battery.expected_values()["operating_state"] == "discharging"
    battery.advance(600)
    battery.demand_current = 20
    battery.advance(1)
    assert battery.expected_values()["operating_state"] == "charging"


def test_high_cells_are_balanced_while_charging() -> None:
    """The bitmap names cells over 3.4 V that are 40 mV above the lowest."""
    battery = SimulatedBattery(state_of_charge=98, demand_current=8, clock=Clock())
    battery.cell_charge[2] += 0.015 * battery.cell_capacity[2]
    before = battery.cell_charge[2] - battery.cell_charge[0]

    advance_until(battery, lambda: bool(battery.registers(38, 1)[0]), step=10)
    assert battery.registers(38, 1) == [0b100]
    assert battery.expected_values()["balancing_cells"] == (3,)
    battery.advance(60)
    assert battery.cell_charge[2] - battery.cell_charge[0] < before

    battery.demand_current = 0
    assert battery.registers(38, 1) == [0]


# --- heater -------------------------------------------------------------------


def test_the_film_warms_a_cold_battery_until_it_may_charge() -> None:
    """The film runs from 5 to 10 degrees Celsius, fed by the charger."""
    battery = SimulatedBattery(temperature=-8, demand_current=20, clock=Clock())
    assert pick(battery, "heating", "heating_enabled") == [False, False]
    assert battery.registers(40, 1) == [0]

    assert ask(battery, 0x0A, b"\x01") == b"\x00"
    assert pick(battery, "heating", "heating_enabled") == [True, True]
    assert battery.registers(40, 1) == [0x0010]
    assert battery.registers(25, 1) == [0x8004]
    assert battery.expected_values()["current"] == 0.0

    advance_until(
        battery, lambda: battery.expected_values()["operating_state"] == "charging"
    )
    assert battery.expected_values()["heating"]
    assert 10 < pick(battery, "current")[0] < 19
    advance_until(battery, lambda: not battery.expected_values()["heating"])
    assert battery.cell_temperatures[0] >= 9.5
    assert pick(battery, "current", "heating_enabled") == [20.0, True]


def test_the_film_stops_at_once_when_switched_off() -> None:
    """Without a charger the battery feeds its own film."""
    battery = SimulatedBattery(temperature=3, heating_enabled=True, clock=Clock())
    assert pick(battery, "operating_state", "heating") == ["discharging", True]

    assert ask(battery, 0x0A, b"\x00") == b"\x00"
    assert pick(battery, "operating_state", "heating") == ["standby", False]


def test_a_warm_or_empty_battery_does_not_heat() -> None:
    """The film needs cold and something that feeds it."""
    warm = SimulatedBattery(temperature=6, heating_enabled=True, clock=Clock())
    assert not warm.expected_values()["heating"]

    empty = preset("empty", temperature=3.0, heating_enabled=True, clock=Clock())
    assert pick(empty, "heating", "protections") == [False, ("pack_uv",)]


def test_a_heater_command_can_go_wrong_in_every_way() -> None:
    """Without a heater, silent, refused, or accepted without effect."""
    assert ask(SimulatedBattery(heater=False, clock=Clock()), 0x0A, b"\x01") is None
    assert SimulatedBattery(heater=False).expected_values()["heating_enabled"] is None

    battery = SimulatedBattery(clock=Clock())
    assert ask(battery, 0x0A, b"\x02") == b"\x01"
    battery.heater_answer = "silent"
    assert ask(battery, 0x0A, b"\x01") is None
    battery.heater_answer = "refuse"
    assert ask(battery, 0x0A, b"\x01") == b"\x01"
    battery.heater_answer = "ignore"
    assert ask(battery, 0x0A, b"\x01") == b"\x00"
    assert battery.expected_values()["heating_enabled"] is False


# --- settings -----------------------------------------------------------------


def test_settings_are_reported_after_a_power_cycle(battery: SimulatedBattery) -> None:
    """Module ID, protocols and name wait for the switch."""
    assert ask(battery, 0x06, b"\x04") == b"\x00"
    assert ask(battery, 0x05, b"\x02") == b"\x00"
    assert ask(battery, 0x07, b"\x03") == b"\x00"
    assert ask(battery, 0x09, b"House 2") == b"\x00"
    keys = ("module_id", "rs485_protocol", "can_protocol")
    assert pick(battery, *keys) == [1, "P01-GRW", "P01-GRW"]
    assert battery.name == "ZT-25.6V100Ah-1238"

    battery.power_cycle()

    assert pick(battery, *keys) == [3, "P03-SCH", "P05-VCT"]
    assert ask(battery, 0x02) == b"\x03"
    assert battery.name == "House 2"


def test_protocols_are_refused_while_the_module_id_is_not_1() -> None:
    """What counts is the module ID in effect, not the one that waits."""
    battery = SimulatedBattery(module_id=2, clock=Clock())

    assert ask(battery, 0x07, b"\x01") == b"\x00"
    assert ask(battery, 0x05, b"\x01") == b"\x01"
    assert ask(battery, 0x06, b"\x00") == b"\x01"
    battery.power_cycle()
    assert ask(battery, 0x05, b"\x01") == b"\x00"


@pytest.mark.parametrize(
    ("function", "data"),
    [
        (0x05, b"\x05"),
        (0x06, b"\x0b"),
        (0x07, b"\x00"),
        (0x07, b"\x11"),
        (0x09, b""),
        (0x09, b"n" * 23),
        (0x09, b"M\xc3\xbc"),
        (0x09, b"a\nb"),
    ],
)
def test_values_out_of_range_are_refused(
    battery: SimulatedBattery, function: int, data: bytes
) -> None:
    """A refused value never takes effect."""
    before = battery.expected_values(), battery.name

    assert ask(battery, function, data) == b"\x01"
    battery.power_cycle()
    assert (battery.expected_values(), battery.name) == before


def test_a_battery_may_offer_other_protocols() -> None:
    """The ZT of 2024 has an empty list and one of a single name."""
    battery = SimulatedBattery(
        rs485_protocols=ZT_2024_RS485_PROTOCOLS,
        can_protocols=ZT_2024_CAN_PROTOCOLS,
        clock=Clock(),
    )

    assert ask(battery, 0x03) == b"\x00\x00"
    assert ask(battery, 0x04) == b"\x00\x01P01-GRW\0\0\0"
    assert ask(battery, 0x05, b"\x00") == b"\x01"
    assert battery.expected_values()["rs485_protocol"] is None

    noark = SimulatedBattery(can_protocols=(*CAN_PROTOCOLS, "P12-NOA"), clock=Clock())
    assert len(ask(noark, 0x04) or b"") == 2 + 12 * 10


# --- replay -------------------------------------------------------------------


def test_a_replay_gives_the_recorded_frames_in_turn() -> None:
    """Only what was recorded is answered."""
    first = status_reply(SimulatedBattery(clock=Clock()).registers(0, 39))
    second = status_reply(
        SimulatedBattery(state_of_charge=30, clock=Clock()).registers(0, 39)
    )
    identity = status_reply(SimulatedBattery(clock=Clock()).registers(105, 32))
    battery = ReplayBattery([first, second], identity=identity)

    assert battery.handle(STATUS_39) == first
    assert battery.handle(STATUS_41) is None
    assert battery.handle(STATUS_39[:-1] + b"\0") is None
    assert battery.handle(settings_frame(2)) is None
    assert battery.handle(read_request(105, 32)) == identity
    assert words(battery.handle(read_request(105, 23))) == words(identity)[:23]
    assert battery.handle(read_request(105, 33)) is None
    assert battery.next()
    assert battery.handle(STATUS_39) == second
    assert not battery.next()
    assert battery.handle(STATUS_39) == second
    assert ReplayBattery([first]).handle(read_request(105, 23)) is None


# --- presets ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "state", "protections", "charge"),
    [
        ("idle", "standby", (), (80, 90)),
        ("solar_charging", "charging", (), (60, 80)),
        ("driving_load", "discharging", (), (60, 80)),
        ("winter", "protection", ("charge_ut",), (40, 60)),
        ("full", "charge_limit", (), (100, 100)),
        ("empty", "protection", ("pack_uv",), (0, 0)),
        ("failing_cell", "discharging", (), (30, 50)),
    ],
)
def test_presets_are_what_they_are_called(
    name: str, state: str, protections: tuple[str, ...], charge: tuple[int, int]
) -> None:
    """Each shows its case by physics, with plausible values and fresh meters."""
    battery = preset(name, clock=Clock())
    expected_values = battery.expected_values()

    assert expected_values["operating_state"] == state
    assert expected_values["protections"] == protections
    assert charge[0] <= pick(battery, "state_of_charge")[0] <= charge[1]
    assert 2.3 < pick(battery, "lowest_cell_voltage")[0] < 3.6
    assert (
        expected_values["charge_energy_kwh"]
        == expected_values["discharge_energy_kwh"]
        == 0
    )
    assert battery.registers(36, 1) == [battery.cell_count]
    nominal = f"{3.2 * battery.cell_count:.1f}V{battery.capacity:.0f}Ah"
    assert battery.name.startswith(f"ZT-{nominal}-")


def test_presets_differ_in_name_and_address() -> None:
    """All of them can be on the air together."""
    batteries = [preset(name, clock=Clock()) for name in PRESETS]

    assert len({battery.name for battery in batteries}) == len(PRESETS)
    assert len({battery.address for battery in batteries}) == len(PRESETS)


def test_winter_is_minus_eight_and_the_charger_waits() -> None:
    """Charging is wanted and blocked."""
    battery = preset("winter", clock=Clock())

    assert pick(battery, "probe_1", "probe_2", "ambient_temperature") == [-8] * 3
    assert battery.demand_current > 0
    assert battery.expected_values()["current"] == 0.0


def test_the_failing_cell_stands_out() -> None:
    """One of 16 cells sags under load."""
    battery = preset("failing_cell", clock=Clock())

    assert pick(battery, "lowest_cell")[0] == 11
    assert pick(battery, "cell_voltage_delta")[0] > 100


def test_a_preset_can_be_changed() -> None:
    """Options given win over those of the preset."""
    battery = preset("idle", name="Bow", seed=3, state_of_charge=50.0, clock=Clock())

    assert battery.name == "Bow"
    assert battery.expected_values()["state_of_charge"] == 50


def test_the_seed_decides_the_cells() -> None:
    """The same seed gives the same battery."""
    one, same, other = (SimulatedBattery(seed=n, clock=Clock()) for n in (1, 1, 2))

    assert one.expected_values() == same.expected_values()
    assert one.cell_voltages != other.cell_voltages


def test_only_packs_that_exist_can_be_built() -> None:
    """VLRV packs have 4, 8 or 16 cells in series."""
    with pytest.raises(ValueError):
        SimulatedBattery(cell_count=7)
