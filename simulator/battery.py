"""A battery as state and physics that answers request frames byte for byte.

It knows nothing of Bluetooth, of Home Assistant or of the integration, so that a
decoder tested against it is tested against the protocol and not against itself. Letters
in brackets are evidence grades: A seen in real captures, B a vendor document or another
driver, C inferred.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import exp, floor
from random import Random
import struct
import time
from typing import Any, Literal, Protocol

from .firmware import FIRMWARE, FirmwareReceiver

SLAVE = 0x01
SETTINGS = 0x10
READ_FUNCTIONS = (0x03, 0x04)
MAX_READ = 125

STATUS_REGISTERS = 41
CELL_SLOTS = 16
PROBE_SLOTS = 6
THRESHOLDS_START = 45
IDENTITY_START = 105

NAME_LENGTH = 22
PROTOCOL_NAME_LENGTH = 10
MAX_MODULE_ID = 16

SUCCESS = 0x00
REFUSED = 0x01

# Low byte of register 25 (A for 0, 1, 2 and 4; B for 8).
OPERATING_STATES: Mapping[str, int] = {
    "standby": 0,
    "charging": 1,
    "discharging": 2,
    "protection": 4,
    "charge_limit": 8,
}
HEATING_FILM = 0x8000  # Register 25 (B).
HEATING_ENABLED = 0x0010  # Register 40 (C).

# Registers 26 and 27 (B): the vendor's RS485 document, never captured set.
FAULT_BITS: Mapping[str, int] = {
    "pack_ov": 0x0001,
    "cell_ov": 0x0002,
    "pack_uv": 0x0004,
    "cell_uv": 0x0008,
    "charge_oc": 0x0010,
    "discharge_oc": 0x0020,
    "ambient_temperature": 0x0040,
    "mos_ot": 0x0080,
    "charge_ot": 0x0100,
    "discharge_ot": 0x0200,
    "charge_ut": 0x0400,
    "discharge_ut": 0x0800,
    "low_capacity": 0x1000,
    "short_circuit": 0x2000,
}
# Register 28 of a board without temperature probes (A).
NO_PROBES_ERROR = 0x0022

RS485_PROTOCOLS = ("P01-GRW", "P02-LUX", "P03-SCH", "P04-INH", "P05-VOL")
CAN_PROTOCOLS = (
    "P01-GRW",
    "P02-SLK",
    "P03-DY",
    "P04-MGR",
    "P05-VCT",
    "P06-LUX",
    "P07-SMA",
    "P08-INH",
    "P09-SOL",
    "P10-AFO",
    "P11-STU",
)
# A ZT with 8 cells of 2024 lists none and one; the one name was not recorded (C).
ZT_2024_RS485_PROTOCOLS: tuple[str, ...] = ()
ZT_2024_CAN_PROTOCOLS = ("P01-GRW",)

type ExpectedValue = float | int | str | tuple[str, ...] | tuple[int, ...] | None
type Measure = Literal[
    "pack", "highest_cell", "lowest_cell", "hottest", "coldest", "pcb"
]
type HeaterAnswer = Literal["obey", "silent", "refuse", "ignore"]


# --- frames ---------------------------------------------------------------------------


def crc16(data: bytes) -> bytes:
    """CRC-16/MODBUS of data as the two bytes that follow it, low byte first (A)."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def build_reply(body: bytes) -> bytes:
    """Body followed by its CRC."""
    return body + crc16(body)


def status_reply(words: Sequence[int]) -> bytes:
    """Reply of a register read, `01 03 N data crc`, with at most 125 words."""
    return build_reply(
        struct.pack(f">BBB{len(words)}H", SLAVE, 0x03, 2 * len(words), *words)
    )


def settings_frame(function: int, data: bytes = b"") -> bytes:
    """Build a settings frame of either direction, `10 func len data crc` (A)."""
    return build_reply(bytes((SETTINGS, function, len(data))) + data)


def read_request(
    start: int, count: int, *, function: int = 0x03, slave: int = SLAVE
) -> bytes:
    """Request for count registers from start."""
    return build_reply(struct.pack(">BBHH", slave, function, start, count))


def _checked(frame: bytes) -> bytes | None:
    """Return a frame without its CRC, or None where the CRC is wrong."""
    body = frame[:-2]
    return body if len(frame) > 2 and crc16(body) == frame[-2:] else None


def _read_range(body: bytes) -> tuple[int, int] | None:
    """Start and count of a read request, or None where it is no such request."""
    if len(body) != 6 or body[0] != SLAVE or body[1] not in READ_FUNCTIONS:
        return None
    start, count = struct.unpack_from(">HH", body, 2)
    return (start, count) if 0 < count <= MAX_READ else None


# --- what the status registers say ----------------------------------------------------


def _unsigned(value: float, bits: int = 16) -> int:
    """Return the nearest whole number, refused where the register cannot hold it."""
    number = round(value)
    if not 0 <= number < 1 << bits:
        raise ValueError(f"{value} does not fit an unsigned register of {bits} bits")
    return number


def _signed(value: float, bits: int = 16) -> int:
    """Return the nearest whole number in two's complement."""
    number = round(value)
    if not -(1 << bits - 1) <= number < 1 << bits - 1:
        raise ValueError(f"{value} does not fit a signed register of {bits} bits")
    return number & (1 << bits) - 1


@dataclass(frozen=True, kw_only=True)
class ReportedState:
    """Exactly what registers 0-40 say, in engineering units.

    A value that its register cannot hold raises ValueError in `to_registers`. The
    fields that default to None follow from others on a real battery; set them to build
    what it never says.
    """

    cell_voltages: tuple[float, ...]
    """V, resolution 0.001, at most 16 cells (A)."""
    current: float = 0.0
    """A, -3276.8 to 3276.7, resolution 0.1, positive while charging (A)."""
    voltage: float | None = None
    """V, resolution 0.01; None: the cell sum rounded down (A)."""
    pcb_temperature: int = 20
    """Degrees Celsius (A as a value, B by name)."""
    ambient_temperature: int | None = 20
    """Degrees Celsius, None: no such sensor (C by name)."""
    probe_temperatures: tuple[int | None, ...] = (20, 20)
    """Degrees Celsius of at most 6 fitted probes, None: absent (A)."""
    max_cell_temperature: int | None = None
    """Degrees Celsius; None: the highest probe (A)."""
    remaining_capacity: float = 60.0
    """Ah, resolution `remaining_scale` (A)."""
    remaining_scale: float = 1.0
    """Ah per step, 0.1 on old boards (A)."""
    max_charge_current: float = 100.0
    """A, resolution `max_charge_current_scale` (A as a value, B by name)."""
    max_charge_current_scale: float = 1.0
    """A per step, 0.1 on old boards (A)."""
    state_of_health: int = 100
    """% (A)."""
    state_of_charge: int = 60
    """% (A)."""
    operating_state: int = 0
    """Low byte of the status word, see `OPERATING_STATES`."""
    heating: bool = False
    """Heating film energised (B)."""
    status_flags: int = 0
    """Other bits of the status word's high byte, as a mask of the word (C)."""
    warning: int = 0
    """Word of register 26, see `FAULT_BITS` (B)."""
    protection: int = 0
    """Word of register 27, see `FAULT_BITS` (B)."""
    error: int = 0
    """Word of register 28 (B)."""
    cycles: int = 0
    """Charge cycles (A)."""
    cycles_low_word_first: bool = False
    """Order of registers 29 and 30: high first (A), low first on a ZT 8S (C)."""
    full_capacity: float = 100.0
    """Ah, up to 1193 (A)."""
    design_capacity: float | None = None
    """Ah, resolution 0.1; None: the full capacity (A)."""
    cell_count: int | None = None
    """Cells in series; None: as many as there are voltages (A)."""
    balancing: int = 0
    """Bitmap, bit 0 = cell 1 (B)."""
    heating_enabled: bool = False
    """Heating allowed (C)."""
    switch_flags: int = 0
    """Other bits of register 40."""
    absent_byte: int = 0xAA
    """Raw byte of an absent probe: 0xAA, 0xC8 or 0 (A), 0xD8 (B)."""
    absent_word: int = 0x00AA
    """Raw word of an absent ambient or maximum temperature: 0x00AA or 0 (A)."""

    @property
    def millivolts(self) -> list[int]:
        """Cell voltages as reported, mV."""
        return [_unsigned(volts * 1000) for volts in self.cell_voltages]

    @property
    def pack_voltage(self) -> float:
        """Pack voltage as reported, V."""
        return (
            sum(self.millivolts) // 10 / 100 if self.voltage is None else self.voltage
        )

    @property
    def hottest(self) -> int | None:
        """Maximum cell temperature as reported, degrees Celsius, None when absent."""
        present = [value for value in self.probe_temperatures if value is not None]
        if self.max_cell_temperature is not None or not present:
            return self.max_cell_temperature
        return max(present)

    def to_registers(self) -> list[int]:
        """Encode as the 41 words of registers 0-40."""
        cells = self.millivolts
        probes = bytes(
            self.absent_byte if value is None else _signed(value, 8)
            for value in self.probe_temperatures
        )
        if len(cells) > CELL_SLOTS or len(probes) > PROBE_SLOTS:
            raise ValueError(f"At most {CELL_SLOTS} cells and {PROBE_SLOTS} probes fit")
        design = (
            self.full_capacity if self.design_capacity is None else self.design_capacity
        )
        cycles = divmod(_unsigned(self.cycles, 32), 0x10000)
        return [
            _unsigned(self.pack_voltage * 100),
            _signed(self.current * 10),
            *cells,
            *[0] * (CELL_SLOTS - len(cells)),
            _signed(self.pcb_temperature),
            self._temperature(self.ambient_temperature),
            self._temperature(self.hottest),
            _unsigned(self.remaining_capacity / self.remaining_scale),
            _unsigned(self.max_charge_current / self.max_charge_current_scale),
            _unsigned(self.state_of_health),
            _unsigned(self.state_of_charge),
            _unsigned(self.operating_state, 8)
            | self.status_flags
            | HEATING_FILM * self.heating,
            _unsigned(self.warning),
            _unsigned(self.protection),
            _unsigned(self.error),
            *(reversed(cycles) if self.cycles_low_word_first else cycles),
            *divmod(_unsigned(self.full_capacity * 3_600_000, 32), 0x10000),
            *struct.unpack(">3H", probes.ljust(PROBE_SLOTS, b"\0")),
            _unsigned(len(cells) if self.cell_count is None else self.cell_count),
            _unsigned(design * 10),
            _unsigned(self.balancing),
            0,
            self.switch_flags | HEATING_ENABLED * self.heating_enabled,
        ]

    def _temperature(self, value: int | None) -> int:
        return self.absent_word if value is None else _signed(value)


# --- thresholds -----------------------------------------------------------------------


@dataclass(frozen=True)
class Threshold:
    """One register of 45-104 with its value on a 12.8 V 400 Ah pack (B)."""

    register: int
    unit: Literal["cell", "pack", "current", "second", "percent", "temperature"]
    value: float


# Steps per unit and the offset added to the register.
_THRESHOLD_CODING: Mapping[str, tuple[float, int]] = {
    "cell": (1000, 0),
    "pack": (100, 0),
    "current": (100, 0),
    "second": (1, 0),
    "percent": (1, 0),
    "temperature": (1, 50),
}
# The pack the values come from.
_REFERENCE_CELLS = 4
_REFERENCE_CURRENT = 200.0

THRESHOLDS: Mapping[str, Threshold] = {
    "balance_start": Threshold(56, "cell", 3.4),
    "balance_delta": Threshold(57, "cell", 0.04),
    "low_capacity_warning": Threshold(58, "percent", 5),
    "cell_uv_warning": Threshold(61, "cell", 2.5),
    "cell_uv_protection": Threshold(62, "cell", 2.0),
    "cell_uv_release": Threshold(63, "cell", 3.1),
    "pack_uv_warning": Threshold(64, "pack", 10.5),
    "pack_uv_protection": Threshold(65, "pack", 9.6),
    "pack_uv_release": Threshold(66, "pack", 12.0),
    "cell_ov_warning": Threshold(67, "cell", 3.6),
    "cell_ov_protection": Threshold(68, "cell", 3.9),
    "cell_ov_release": Threshold(69, "cell", 3.45),
    "pack_ov_warning": Threshold(70, "pack", 14.8),
    "pack_ov_protection": Threshold(71, "pack", 15.2),
    "pack_ov_release": Threshold(72, "pack", 14.4),
    "discharge_oc_release": Threshold(78, "second", 60),
    "charge_oc_release": Threshold(79, "second", 60),
    "charge_oc1": Threshold(80, "current", 220),
    "discharge_oc1": Threshold(81, "current", 220),
    "load_short": Threshold(82, "current", 350),
    "charge_oc2": Threshold(83, "current", 250),
    "discharge_oc2": Threshold(84, "current", 250),
    "charge_oc1_delay": Threshold(85, "second", 10),
    "charge_oc2_delay": Threshold(86, "second", 2),
    "discharge_oc1_delay": Threshold(87, "second", 10),
    "discharge_oc2_delay": Threshold(88, "second", 2),
    "charge_ut_warning": Threshold(90, "temperature", 2),
    "charge_ut_protection": Threshold(91, "temperature", 0),
    "charge_ut_release": Threshold(92, "temperature", 5),
    "charge_ot_warning": Threshold(93, "temperature", 70),
    "charge_ot_protection": Threshold(94, "temperature", 75),
    "charge_ot_release": Threshold(95, "temperature", 65),
    "discharge_ut_warning": Threshold(96, "temperature", -15),
    "discharge_ut_protection": Threshold(97, "temperature", -20),
    "discharge_ut_release": Threshold(98, "temperature", -10),
    "discharge_ot_warning": Threshold(99, "temperature", 70),
    "discharge_ot_protection": Threshold(100, "temperature", 75),
    "discharge_ot_release": Threshold(101, "temperature", 65),
    "mos_ot_warning": Threshold(102, "temperature", 95),
    "mos_ot_protection": Threshold(103, "temperature", 100),
    "mos_ot_release": Threshold(104, "temperature", 80),
}


@dataclass(frozen=True, kw_only=True)
class ProtectionRule:
    """Protection by a measurement: `<name>_warning`, `_protection`, `_release`."""

    name: str
    measure: Measure
    above: bool
    blocks_charge: bool = False
    blocks_discharge: bool = False


PROTECTION_RULES = (
    ProtectionRule(name="pack_ov", measure="pack", above=True, blocks_charge=True),
    ProtectionRule(
        name="cell_ov", measure="highest_cell", above=True, blocks_charge=True
    ),
    ProtectionRule(name="pack_uv", measure="pack", above=False, blocks_discharge=True),
    ProtectionRule(
        name="cell_uv", measure="lowest_cell", above=False, blocks_discharge=True
    ),
    ProtectionRule(
        name="mos_ot",
        measure="pcb",
        above=True,
        blocks_charge=True,
        blocks_discharge=True,
    ),
    ProtectionRule(name="charge_ot", measure="hottest", above=True, blocks_charge=True),
    ProtectionRule(
        name="discharge_ot", measure="hottest", above=True, blocks_discharge=True
    ),
    ProtectionRule(
        name="charge_ut", measure="coldest", above=False, blocks_charge=True
    ),
    ProtectionRule(
        name="discharge_ut", measure="coldest", above=False, blocks_discharge=True
    ),
)
# Name and sign of the current that trips it.
OVERCURRENTS = (("charge_oc", 1), ("discharge_oc", -1))

CHARGE_BLOCKERS = {rule.name for rule in PROTECTION_RULES if rule.blocks_charge} | {
    "charge_oc"
}
DISCHARGE_BLOCKERS = {
    rule.name for rule in PROTECTION_RULES if rule.blocks_discharge
} | {
    "discharge_oc",
    "short_circuit",
}


# --- physics --------------------------------------------------------------------------

# Open-circuit voltage of a LiFePO4 cell over its state of charge (1 = full), V. Beyond
# both ends the cell is overdischarged or overcharged.
OCV_CURVE = (
    (-0.03, 1.50),
    (0.00, 2.50),
    (0.01, 2.80),
    (0.02, 2.95),
    (0.05, 3.10),
    (0.10, 3.20),
    (0.20, 3.245),
    (0.30, 3.27),
    (0.40, 3.29),
    (0.60, 3.305),
    (0.70, 3.32),
    (0.80, 3.33),
    (0.90, 3.335),
    (0.95, 3.345),
    (0.98, 3.37),
    (0.99, 3.40),
    (1.00, 3.49),
    (1.01, 3.65),
    (1.05, 4.20),
)
_OCV_CHARGES = [charge for charge, _ in OCV_CURVE]

# Longest step of the integration, s: a longer one makes a tapering charger oscillate.
MAX_STEP = 10.0
# Times closer than this are the same time, s.
EPSILON = 1e-6

CELL_RESISTANCE = 0.15  # Ohm for a cell of 1 Ah: 1.5 milliohm at 100 Ah.
CELL_OFFSET = 0.0015  # V, largest error of a cell's measurement.
CAPACITY_SPREAD = 0.003  # Largest deviation of a healthy cell's capacity.
RESISTANCE_SPREAD = 0.03
BALANCING_CURRENT = 0.1  # A, taken from a balancing cell.

CHARGER_CELL_VOLTAGE = 3.5  # V per cell; the manual charges 12.8 V packs to 14 V.
CHARGE_CUTOFF = (
    0.05  # Of the capacity in A, at which the charge is complete (manual: 5 A).
)
RECHARGE_BELOW = 0.97  # State of charge that ends the full state.

HEAT_CAPACITY = 8600.0  # J/K per kWh: 24 kg for 2.56 kWh in the manual.
COOLING_TIME = 4 * 3600.0  # s, time constant between cells and ambient.
PCB_TIME = 300.0  # s
PCB_RISE = 15.0  # K above the cells at full current.
HEATER_POWER = 40.0  # W per kWh
HEATER_ON_BELOW = 5.0  # Degrees Celsius
HEATER_OFF_ABOVE = 10.0  # Degrees Celsius
NOMINAL_CELL_VOLTAGE = 3.2  # V


def open_circuit_voltage(charge: float) -> float:
    """Return a resting cell's voltage, V, at a charge of 0 to 1 or slightly beyond."""
    index = bisect_right(_OCV_CHARGES, charge)
    if index in (0, len(OCV_CURVE)):
        return OCV_CURVE[max(index - 1, 0)][1]
    (low, low_volts), (high, high_volts) = OCV_CURVE[index - 1 : index + 1]
    return low_volts + (high_volts - low_volts) * (charge - low) / (high - low)


class Bank(Protocol):
    """What a battery is a part of; see `simulator.bank`."""

    def update(self) -> None:
        """Let all of it catch up with the clock."""

    def advance(self, seconds: float) -> None:
        """Move all of it by seconds."""


class SimulatedBattery:
    """A pack of 4, 8 or 16 LiFePO4 cells with its battery management system.

    What surrounds it is set from outside at any time: `demand_current` (A: what a
    charger offers, or with a minus a load draws), `charger_voltage` (V, where a charger
    begins to taper), `ambient` (degrees Celsius). So is its own state: `charge` (A*s,
    counted), `cell_charge` (A*s, true), `cell_resistance` (ohm), `cell_capacity` (A*s),
    `cell_temperatures` and `pcb_temperature` (degrees Celsius), `limits` (see
    `THRESHOLDS`). Protections follow from it; none is ever set directly. `override`
    reports any other state instead of the physics, `heater_answer` chooses what becomes
    of a heater command, `firmware_receiver` (None: silent) what becomes of firmware.

    While `bank` is set, time passes for all of the bank at once, and the bank decides
    on `demand_current` and `charger_voltage`.
    """

    def __init__(
        self,
        *,
        cell_count: int = 8,
        capacity: float = 100.0,
        name: str = "ZT-25.6V100Ah-1238",
        address: str = "A4:C1:37:00:00:01",
        clock: Callable[[], float] = time.monotonic,
        generation: int = 2,
        model: str | None = None,
        firmware: str = "Z01T20",
        serial: str = "2024-01-11",
        seed: int = 0,
        state_of_charge: float = 60.0,
        state_of_health: int = 100,
        cycles: float = 12.0,
        temperature: float = 20.0,
        ambient: float | None = None,
        demand_current: float = 0.0,
        max_current: float | None = None,
        resistance_factors: Mapping[int, float] | None = None,
        capacity_factors: Mapping[int, float] | None = None,
        heater: bool = True,
        heating_enabled: bool = False,
        module_id: int = 1,
        rs485_protocols: Sequence[str] = RS485_PROTOCOLS,
        can_protocols: Sequence[str] = CAN_PROTOCOLS,
        rs485_index: int = 0,
        can_index: int = 0,
        missing_probes: Iterable[int] = (),
        absent_byte: int = 0xAA,
        ambient_sensor: bool = True,
        absent_word: int = 0x00AA,
        current_dead_zone: float = 0.0,
        remaining_scale: float = 1.0,
        max_charge_current_scale: float = 1.0,
        cycles_low_word_first: bool | None = None,
        reports_thresholds: bool = False,
    ) -> None:
        """Build a battery at rest.

        Capacity in Ah, state of charge and health in %, temperatures in degrees
        Celsius, currents in A. `generation` is 1 for service 0x1000, 2 for 0x1006.
        `max_current` (1C, at most 200 A) scales the current thresholds. Cells and
        probes are numbered from 1; the factors make single cells worse than the rest.
        `heater=False` builds one without a heating film, `cycles_low_word_first=None`
        chooses by the number of cells.
        """
        if cell_count not in (4, 8, 16):
            raise ValueError(f"No pack has {cell_count} cells in series")
        self.name = name
        self.address = address
        self.generation = generation
        self.model = model or f"TC\0\0-{cell_count}S{capacity:.0f}-V1.0"
        self.firmware = firmware
        self.serial = serial
        self.cell_count = cell_count
        self.probe_count = 4 if cell_count == 16 else 2
        self.capacity = capacity
        self.max_current = (
            min(capacity, _REFERENCE_CURRENT) if max_current is None else max_current
        )
        self.state_of_health = state_of_health
        self.cycles = cycles
        self.limits = self._scaled_limits()

        self.charge = capacity * 3600 * state_of_charge / 100
        self._build_cells(
            Random(seed), resistance_factors or {}, capacity_factors or {}
        )
        self.ambient = temperature if ambient is None else ambient
        self.cell_temperatures = [temperature] * self.probe_count
        self.pcb_temperature = temperature
        self.demand_current = demand_current
        self.charger_voltage = CHARGER_CELL_VOLTAGE * cell_count
        self.heater_power = HEATER_POWER * self._energy
        self.charge_energy_kwh = 0.0
        self.discharge_energy_kwh = 0.0

        self.heater = heater
        self.heating_enabled = heating_enabled
        self.heater_answer: HeaterAnswer = "obey"
        self.firmware_receiver: FirmwareReceiver | None = FirmwareReceiver()
        self.module_id = module_id
        self.rs485_protocols = tuple(rs485_protocols)
        self.can_protocols = tuple(can_protocols)
        self.rs485_index = rs485_index
        self.can_index = can_index
        self._pending: dict[str, str | int] = {}

        self.missing_probes = frozenset(missing_probes)
        self.absent_byte = absent_byte
        self.ambient_sensor = ambient_sensor
        self.absent_word = absent_word
        self.current_dead_zone = current_dead_zone
        self.remaining_scale = remaining_scale
        self.max_charge_current_scale = max_charge_current_scale
        self.cycles_low_word_first = (
            cell_count == 8 if cycles_low_word_first is None else cycles_low_word_first
        )
        self.reports_thresholds = reports_thresholds
        self.override: ReportedState | None = None
        self.bank: Bank | None = None

        self.heating = False
        self.full = False
        self._protections: set[str] = set()
        self._warnings: set[str] = set()
        self._overcurrent: dict[str, float] = {}
        self._release: dict[str, float] = {}
        self._clock = clock
        self._updated_at = clock()
        self.hold = False
        """True: time passes without effect, to compare a reading with the truth."""
        self.run_protections()

    def _scaled_limits(self) -> dict[str, float]:
        factors = {
            "pack": self.cell_count / _REFERENCE_CELLS,
            "current": self.max_current / _REFERENCE_CURRENT,
        }
        return {
            name: threshold.value * factors.get(threshold.unit, 1)
            for name, threshold in THRESHOLDS.items()
        }

    def _build_cells(
        self,
        random: Random,
        resistances: Mapping[int, float],
        capacities: Mapping[int, float],
    ) -> None:
        """Make cells that differ a little and are all full at the same time."""
        numbers = range(1, self.cell_count + 1)
        full = self.capacity * 3600
        resistance = CELL_RESISTANCE / self.capacity
        self.cell_offsets = [random.uniform(-CELL_OFFSET, CELL_OFFSET) for _ in numbers]
        self.cell_capacity = [
            full * capacities.get(number, random.uniform(1, 1 + CAPACITY_SPREAD))
            for number in numbers
        ]
        self.cell_resistance = [
            resistance
            * random.uniform(1 - RESISTANCE_SPREAD, 1 + RESISTANCE_SPREAD)
            * resistances.get(number, 1)
            for number in numbers
        ]
        self.cell_charge = [own - (full - self.charge) for own in self.cell_capacity]

    # --- electricity ------------------------------------------------------------------

    @property
    def _energy(self) -> float:
        """Nominal energy, kWh."""
        return self.cell_count * NOMINAL_CELL_VOLTAGE * self.capacity / 1000

    @property
    def _rest_voltages(self) -> list[float]:
        return [
            open_circuit_voltage(charge / capacity) + offset
            for charge, capacity, offset in zip(
                self.cell_charge, self.cell_capacity, self.cell_offsets, strict=True
            )
        ]

    @property
    def rest_voltage(self) -> float:
        """Voltage without a current, V."""
        return sum(self._rest_voltages)

    @property
    def resistance(self) -> float:
        """Resistance from pole to pole, ohm."""
        return sum(self.cell_resistance)

    def heater_current(self, rest: float) -> float:
        """Return what the heating film draws at a voltage (V), A."""
        return self.heater_power / rest if self.heating else 0.0

    def _charger_limit(self, rest: float) -> float:
        """Return the current at which the charger's voltage is reached, A."""
        return max(0.0, (self.charger_voltage - rest) / self.resistance)

    def _flow(self, rest: float) -> float:
        """Return the current, A: the demand less the film, as far as it is let pass."""
        net = self.demand_current - self.heater_current(rest)
        if net > 0:
            return 0.0 if self.charge_blocked else min(net, self._charger_limit(rest))
        return 0.0 if self.discharge_blocked else net

    @property
    def current(self) -> float:
        """Current, A, positive while charging."""
        return self._flow(self.rest_voltage)

    @property
    def cell_voltages(self) -> list[float]:
        """Voltages under the present current, V."""
        rest = self._rest_voltages
        current = self._flow(sum(rest))
        return [
            max(0.0, volts + current * resistance)
            for volts, resistance in zip(rest, self.cell_resistance, strict=True)
        ]

    @property
    def charge_blocked(self) -> bool:
        """Whether no charging current may flow."""
        return self.full or bool(self._protections & CHARGE_BLOCKERS or self.error)

    @property
    def discharge_blocked(self) -> bool:
        """Whether no discharging current may flow."""
        return bool(self._protections & DISCHARGE_BLOCKERS or self.error)

    @property
    def error(self) -> int:
        """Word of register 28."""
        return 0 if self._probes else NO_PROBES_ERROR

    @property
    def _probes(self) -> list[float]:
        """Temperatures of the probes that are there, degrees Celsius."""
        return [
            value
            for number, value in enumerate(self.cell_temperatures, 1)
            if number not in self.missing_probes
        ]

    @property
    def balancing(self) -> list[int]:
        """Numbers of the cells that are being balanced."""
        volts = self.cell_voltages
        if self.current <= 0:
            return []
        floor_volts = max(
            self.limits["balance_start"], min(volts) + self.limits["balance_delta"]
        )
        return [number for number, value in enumerate(volts, 1) if value >= floor_volts]

    # --- time -------------------------------------------------------------------------

    def update(self) -> None:
        """Let the physics catch up with the clock, unless on hold."""
        if self.bank is not None:
            self.bank.update()
            return
        now = self._clock()
        elapsed, self._updated_at = now - self._updated_at, now
        if not self.hold:
            self.advance(max(0.0, elapsed))

    def advance(self, seconds: float) -> None:
        """Move the physics by seconds, on hold as well."""
        if self.bank is not None:
            self.bank.advance(seconds)
            return
        self.run_protections()
        while seconds > EPSILON:
            step = min(seconds, self.longest_step)
            self.step(step)
            self.run_protections()
            seconds -= step

    @property
    def longest_step(self) -> float:
        """For how long the present current may be taken for constant, s."""
        return min([MAX_STEP, *self._events(self.current)])

    def step(self, seconds: float) -> None:
        """Let the present current flow for at most the `longest_step`, s.

        `run_protections` has to follow.
        """
        current = self.current
        self._integrate(current, seconds)
        self._watch_current(current, seconds)

    def _integrate(self, current: float, step: float) -> None:
        balancing = self.balancing
        moved = current * step
        energy = moved * sum(self.cell_voltages) / 3.6e6
        if current > 0:
            self.charge_energy_kwh += energy
        else:
            self.discharge_energy_kwh -= energy
            self.cycles -= moved / (self.capacity * 3600)
        self.charge = min(max(self.charge + moved, 0.0), self.capacity * 3600)
        self.cell_charge = [charge + moved for charge in self.cell_charge]
        for number in balancing:
            self.cell_charge[number - 1] -= BALANCING_CURRENT * step
        self._warm(current, step)

    def _warm(self, current: float, step: float) -> None:
        """Warm each probe by the losses of its share of the cells and by the film."""
        share = self.cell_count // self.probe_count
        capacity = HEAT_CAPACITY * self._energy / self.probe_count
        heater = self.heater_power / self.probe_count if self.heating else 0.0
        approach = 1 - exp(-step / COOLING_TIME)
        for index, value in enumerate(self.cell_temperatures):
            resistance = sum(self.cell_resistance[index * share : (index + 1) * share])
            rise = (current**2 * resistance + heater) * COOLING_TIME / capacity
            self.cell_temperatures[index] = (
                value + (self.ambient + rise - value) * approach
            )
        cells = sum(self.cell_temperatures) / self.probe_count
        rise = PCB_RISE * (current / self.max_current) ** 2
        self.pcb_temperature += (cells + rise - self.pcb_temperature) * (
            1 - exp(-step / PCB_TIME)
        )

    # --- protection -------------------------------------------------------------------

    def _measures(self) -> dict[Measure, float]:
        volts = self.cell_voltages
        measures: dict[Measure, float] = {
            "pack": sum(volts),
            "highest_cell": max(volts),
            "lowest_cell": min(volts),
            "pcb": self.pcb_temperature,
        }
        if probes := self._probes:
            measures |= {"hottest": max(probes), "coldest": min(probes)}
        return measures

    def run_protections(self) -> None:
        """Trip and release whatever the present measurements ask for."""
        measures = self._measures()
        self._warnings.clear()
        for rule in PROTECTION_RULES:
            if (value := measures.get(rule.measure)) is None:
                continue
            sign = 1 if rule.above else -1
            if sign * (value - self.limits[f"{rule.name}_protection"]) >= 0:
                self._protections.add(rule.name)
            elif sign * (value - self.limits[f"{rule.name}_release"]) <= 0:
                self._protections.discard(rule.name)
            if sign * (value - self.limits[f"{rule.name}_warning"]) >= 0:
                self._warnings.add(rule.name)
        if -self.demand_current >= self.limits["load_short"]:
            self._protections.add("short_circuit")
        elif -self.demand_current <= self.limits["discharge_oc1"]:
            self._protections.discard("short_circuit")
        for name, sign in OVERCURRENTS:
            if sign * self.current > self.limits[f"{name}1"]:
                self._warnings.add(name)
        self._warnings |= self._protections - {"short_circuit"}
        if 100 * self._fraction <= self.limits["low_capacity_warning"]:
            self._warnings.add("low_capacity")
        self._watch_full()
        self._control_heater(measures.get("coldest"))

    def _watch_full(self) -> None:
        if self._fraction < RECHARGE_BELOW:
            self.full = False
        limit = self._charger_limit(self.rest_voltage)
        if self.demand_current > 0 and limit <= CHARGE_CUTOFF * self.capacity:
            self.full = True
            self.charge = self.capacity * 3600

    def _control_heater(self, coldest: float | None) -> None:
        if (
            not self.heater
            or not self.heating_enabled
            or coldest is None
            or coldest >= HEATER_OFF_ABOVE
        ):
            self.heating = False
        elif coldest <= HEATER_ON_BELOW:
            self.heating = True
        needed = self.heater_power / self.rest_voltage
        if self.discharge_blocked and self.demand_current < needed:
            self.heating = False

    def _over(self, current: float) -> Iterator[tuple[str, str]]:
        """Protections that are on their way, with the level that is exceeded."""
        for name, sign in OVERCURRENTS:
            for level in (f"{name}1", f"{name}2"):
                if (
                    name not in self._protections
                    and sign * current > self.limits[level]
                ):
                    yield name, level

    def _events(self, current: float) -> list[float]:
        """Seconds until an over-current trips or is released."""
        trips = [
            self.limits[f"{level}_delay"] - self._overcurrent.get(level, 0.0)
            for _, level in self._over(current)
        ]
        return trips + list(self._release.values())

    def _watch_current(self, current: float, step: float) -> None:
        self._release = {name: left - step for name, left in self._release.items()}
        for name in [name for name, left in self._release.items() if left <= EPSILON]:
            del self._release[name]
            self._protections.discard(name)
        over = list(self._over(current))
        self._overcurrent = {
            level: self._overcurrent.get(level, 0.0) + step for _, level in over
        }
        for name, level in over:
            if self._overcurrent[level] >= self.limits[f"{level}_delay"] - EPSILON:
                self._protections.add(name)
                self._release[name] = self.limits[f"{name}_release"]

    def power_cycle(self) -> None:
        """Switch off and on: settings take effect (A), protections start afresh.

        So does new firmware (C).
        """
        for attribute, value in self._pending.items():
            setattr(self, attribute, value)
        self._pending.clear()
        self._protections.clear()
        self._overcurrent.clear()
        self._release.clear()
        if self.firmware_receiver is not None:
            self.firmware = self.firmware_receiver.boot(self.firmware)
        self.advance(0)

    # --- what is reported -------------------------------------------------------------

    @property
    def _fraction(self) -> float:
        return self.charge / (self.capacity * 3600)

    def reported(self) -> ReportedState:
        """State as the status registers give it now, rounded to their resolution."""
        if self.override is not None:
            return self.override
        current = min(max(round(self.current, 1), -3276.8), 3276.7)
        if abs(current) < self.current_dead_zone:
            current = 0.0
        return ReportedState(
            cell_voltages=tuple(round(volts, 3) for volts in self.cell_voltages),
            current=current,
            pcb_temperature=round(self.pcb_temperature),
            ambient_temperature=round(self.ambient) if self.ambient_sensor else None,
            probe_temperatures=tuple(
                None if number in self.missing_probes else round(value)
                for number, value in enumerate(self.cell_temperatures, 1)
            ),
            remaining_capacity=self._remaining_capacity,
            remaining_scale=self.remaining_scale,
            max_charge_current=self.max_current,
            max_charge_current_scale=self.max_charge_current_scale,
            state_of_health=self.state_of_health,
            state_of_charge=floor(100 * self._fraction + 0.5),
            operating_state=OPERATING_STATES[self._operating_state(current)],
            heating=self.heating,
            warning=sum(FAULT_BITS[name] for name in self._warnings),
            protection=sum(FAULT_BITS[name] for name in self._protections),
            error=self.error,
            cycles=floor(self.cycles),
            cycles_low_word_first=self.cycles_low_word_first,
            full_capacity=self.capacity,
            balancing=sum(1 << number - 1 for number in self.balancing),
            heating_enabled=self.heater and self.heating_enabled,
            absent_byte=self.absent_byte,
            absent_word=self.absent_word,
        )

    @property
    def _remaining_capacity(self) -> float:
        # Rounded down, as captures say 79 Ah at 80 %; 59.9999999 Ah is still 60.
        steps = floor(round(self.charge / 3600 / self.remaining_scale, 6))
        return round(steps * self.remaining_scale, 1)

    def _operating_state(self, current: float) -> str:
        if self._protections or self.error:
            return "protection"
        if self.full and self.demand_current > 0:
            return "charge_limit"
        if current > 0:
            return "charging"
        return "discharging" if current < 0 else "standby"

    def expected_values(self) -> dict[str, ExpectedValue]:
        """Return what an owner should see now (V, A, W, Ah, %, Celsius, mV, kWh).

        It follows from the state, rounded as reported, and not from registers. The two
        energies are exact. Absent temperatures are None. Neither this nor `registers`
        moves the physics: both stay as at the last handled frame.
        """
        state = self.reported()
        cells = state.millivolts
        names = {code: name for name, code in OPERATING_STATES.items()}
        expected_values: dict[str, ExpectedValue] = {
            "state_of_charge": state.state_of_charge,
            "voltage": state.pack_voltage,
            "current": state.current,
            "power": round(state.pack_voltage * state.current),
            "remaining_capacity": state.remaining_capacity,
            "full_capacity": state.full_capacity,
            "state_of_health": state.state_of_health,
            "cycles": state.cycles,
            "max_charge_current": state.max_charge_current,
            "operating_state": names.get(state.operating_state),
            "max_cell_temperature": state.hottest,
            "pcb_temperature": state.pcb_temperature,
            "ambient_temperature": state.ambient_temperature,
            "highest_cell_voltage": max(cells) / 1000,
            "lowest_cell_voltage": min(cells) / 1000,
            "average_cell_voltage": round(sum(cells) / len(cells)) / 1000,
            "cell_voltage_delta": max(cells) - min(cells),
            "highest_cell": cells.index(max(cells)) + 1,
            "lowest_cell": cells.index(min(cells)) + 1,
            "charging": state.current > 0,
            "heating": state.heating,
            "heating_enabled": state.heating_enabled if self.heater else None,
            "protections": _fault_names(state.protection),
            "warnings": _fault_names(state.warning),
            "balancing_cells": tuple(
                number
                for number in range(1, len(cells) + 1)
                if state.balancing >> number - 1 & 1
            ),
            "charge_energy_kwh": self.charge_energy_kwh,
            "discharge_energy_kwh": self.discharge_energy_kwh,
            "model": self.model.replace("\0", ""),
            "firmware": self.firmware.replace("\0", ""),
            "serial": self.serial.replace("\0", ""),
            "module_id": self.module_id,
            "rs485_protocol": _listed(self.rs485_protocols, self.rs485_index),
            "can_protocol": _listed(self.can_protocols, self.can_index),
        }
        expected_values |= {
            f"probe_{n}": value for n, value in enumerate(state.probe_temperatures, 1)
        }
        expected_values |= {
            f"cell_{n}": value / 1000 for n, value in enumerate(cells, 1)
        }
        return expected_values

    def registers(self, start: int, count: int) -> list[int]:
        """Raw words of count registers from start; undefined ones read 0 (A)."""
        words = dict(enumerate(self.reported().to_registers()))
        if self.reports_thresholds:
            words |= self._threshold_words()
        identity = (
            self.model.encode("ascii").ljust(24, b"\0")
            + self.firmware.encode("ascii").ljust(6, b"\0")
            + self.serial.encode("ascii").ljust(16, b"\0")
        )
        words |= dict(enumerate(struct.unpack(">23H", identity), IDENTITY_START))
        return [words.get(register, 0) for register in range(start, start + count)]

    def _threshold_words(self) -> dict[int, int]:
        words = {}
        for name, threshold in THRESHOLDS.items():
            steps, offset = _THRESHOLD_CODING[threshold.unit]
            words[threshold.register] = _unsigned(self.limits[name] * steps + offset)
        return words

    # --- conversation -----------------------------------------------------------------

    def handle(self, frame: bytes) -> bytes | None:
        """Answer one written frame, or stay silent as the real one does.

        Silence (A): bad CRC, wrong length, another slave address, an unknown function.
        """
        self.update()
        body = _checked(frame)
        if body is None:
            return None
        if (wanted := _read_range(body)) is not None:
            return status_reply(self.registers(*wanted))
        if body[0] == SETTINGS and len(body) >= 3 and len(body) == 3 + body[2]:
            data = self._setting(body[1], body[3:])
            return None if data is None else settings_frame(body[1], data)
        if body[0] == FIRMWARE and self.firmware_receiver is not None:
            return self.firmware_receiver.handle(body, build_reply)
        return None

    def take_outage(self) -> float | None:
        """Return for how long it is gone after its last answer; see `firmware`."""
        receiver = self.firmware_receiver
        return None if receiver is None else receiver.take_outage()

    def _setting(self, function: int, data: bytes) -> bytes | None:
        """Return the data of a setting's reply, None for silence (A; 09 and 0A: C)."""
        match function, len(data):
            case 0x02, 0:
                return bytes((self.module_id,))
            case 0x03, 0:
                return _protocol_list(self.rs485_index, self.rs485_protocols)
            case 0x04, 0:
                return _protocol_list(self.can_index, self.can_protocols)
            case 0x05, 1:
                return self._select("rs485_index", data[0], self.rs485_protocols)
            case 0x06, 1:
                return self._select("can_index", data[0], self.can_protocols)
            case 0x07, 1:
                allowed = 1 <= data[0] <= MAX_MODULE_ID
                return self._accept("module_id", data[0], allowed=allowed)
            case 0x09, _:
                name = data.decode("ascii", "replace")
                allowed = (
                    0 < len(data) <= NAME_LENGTH
                    and data.isascii()
                    and name.isprintable()
                )
                return self._accept("name", name, allowed=allowed)
            case 0x0A, 1:
                return self._switch_heater(data[0])
        return None

    def _accept(self, attribute: str, value: str | int, *, allowed: bool) -> bytes:
        """Keep a value until the next power cycle (A)."""
        if not allowed:
            return bytes((REFUSED,))
        self._pending[attribute] = value
        return bytes((SUCCESS,))

    def _select(self, attribute: str, index: int, protocols: Sequence[str]) -> bytes:
        # Protocols can be set only while the module ID in effect is 1 (C).
        allowed = self.module_id == 1 and index < len(protocols)
        return self._accept(attribute, index, allowed=allowed)

    def _switch_heater(self, value: int) -> bytes | None:
        if not self.heater or self.heater_answer == "silent":
            return None
        if value > 1 or self.heater_answer == "refuse":
            return bytes((REFUSED,))
        if self.heater_answer == "obey":
            self.heating_enabled = bool(value)
            self.advance(0)
        return bytes((SUCCESS,))

    def reset_energy(self) -> None:
        """Start both energy meters at zero."""
        self.charge_energy_kwh = self.discharge_energy_kwh = 0.0


def _fault_names(word: int) -> tuple[str, ...]:
    return tuple(name for name, mask in FAULT_BITS.items() if word & mask)


def _listed(protocols: Sequence[str], index: int) -> str | None:
    return protocols[index] if index < len(protocols) else None


def _protocol_list(index: int, protocols: Sequence[str]) -> bytes:
    """Return selected index, count and the names padded to 10 bytes (A)."""
    names = b"".join(
        name.encode("ascii").ljust(PROTOCOL_NAME_LENGTH, b"\0") for name in protocols
    )
    return bytes((index, len(protocols))) + names


class ReplayBattery:
    """A battery that says what a real one once said.

    A status request is answered with the current recorded frame when it asks for
    exactly as many registers, an identity request when the recorded frame holds them
    all. All else is silence.
    """

    def __init__(
        self,
        status: Sequence[bytes],
        *,
        identity: bytes | None = None,
        name: str = "ZT-25.6V100Ah-1238",
        address: str = "A4:C1:37:00:00:01",
        generation: int = 2,
    ) -> None:
        """Take recorded replies; `identity` is one of a read from register 105 on."""
        self.name = name
        self.address = address
        self.generation = generation
        self._status = tuple(status)
        self._identity = identity
        self._index = 0

    @property
    def current(self) -> bytes:
        """Recorded frame that answers a status request now."""
        return self._status[self._index]

    def next(self) -> bool:
        """Move on to the next recorded frame; False, and no move, at the last one."""
        if self._index + 1 == len(self._status):
            return False
        self._index += 1
        return True

    def handle(self, frame: bytes) -> bytes | None:
        """Answer one written frame, None for silence."""
        body = _checked(frame)
        wanted = None if body is None else _read_range(body)
        if wanted is None:
            return None
        start, count = wanted
        if start == 0 and 2 * count == self.current[2]:
            return self.current
        if (
            start == IDENTITY_START
            and self._identity
            and 2 * count <= self._identity[2]
        ):
            return status_reply(struct.unpack_from(f">{count}H", self._identity, 3))
        return None


# --- batteries to show ----------------------------------------------------------------


@dataclass(frozen=True)
class Preset:
    """Options of a battery, and how long its physics run before it is shown, s."""

    options: Mapping[str, Any]
    settle: float


PRESETS: Mapping[str, Preset] = {
    "idle": Preset(
        {
            "name": "ZT-12.8V100Ah-0001",
            "address": "A4:C1:37:00:00:01",
            "cell_count": 4,
            "capacity": 100.0,
            "state_of_charge": 83.0,
            "temperature": 21.0,
        },
        settle=60,
    ),
    "solar_charging": Preset(
        {
            "name": "ZT-12.8V200Ah-0001",
            "address": "A4:C1:37:00:00:02",
            "cell_count": 4,
            "capacity": 200.0,
            "state_of_charge": 64.0,
            "temperature": 24.0,
            "ambient": 27.0,
            "demand_current": 31.5,
            "cycles": 87,
        },
        settle=1800,
    ),
    "driving_load": Preset(
        {
            "name": "ZT-25.6V100Ah-1238",
            "address": "A4:C1:37:00:00:03",
            "cell_count": 8,
            "capacity": 100.0,
            "state_of_charge": 78.0,
            "temperature": 23.0,
            "demand_current": -42.0,
            "cycles": 41,
        },
        settle=600,
    ),
    "winter": Preset(
        {
            "name": "ZT-12.8V100Ah-0417",
            "address": "A4:C1:37:00:00:04",
            "cell_count": 4,
            "capacity": 100.0,
            "state_of_charge": 46.0,
            "temperature": 0.5,
            "ambient": -8.0,
            "demand_current": 20.0,
            "cycles": 133,
        },
        settle=24 * 3600,
    ),
    "full": Preset(
        {
            "name": "ZT-25.6V200Ah-0052",
            "address": "A4:C1:37:00:00:05",
            "cell_count": 8,
            "capacity": 200.0,
            "state_of_charge": 97.0,
            "temperature": 22.0,
            "demand_current": 25.0,
            "cycles": 9,
        },
        settle=2 * 3600,
    ),
    "empty": Preset(
        {
            "name": "ZT-12.8V400Ah-0203",
            "address": "A4:C1:37:00:00:06",
            "cell_count": 4,
            "capacity": 400.0,
            "state_of_charge": 4.0,
            "temperature": 18.0,
            "demand_current": -35.0,
            "cycles": 214,
        },
        settle=3600,
    ),
    "failing_cell": Preset(
        {
            "name": "ZT-51.2V100Ah-0855",
            "address": "A4:C1:37:00:00:07",
            "cell_count": 16,
            "capacity": 100.0,
            "state_of_charge": 42.0,
            "state_of_health": 82,
            "temperature": 26.0,
            "demand_current": -25.0,
            "cycles": 1620,
            "resistance_factors": {11: 5.0},
            "capacity_factors": {11: 0.8},
        },
        settle=600,
    ),
}


def preset(name: str, /, **overrides: Any) -> SimulatedBattery:
    """Build a battery of `PRESETS` with changed options; energies start at zero."""
    chosen = PRESETS[name]
    battery = SimulatedBattery(**{**chosen.options, **overrides})
    battery.advance(chosen.settle)
    battery.reset_energy()
    return battery
