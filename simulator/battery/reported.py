"""What the status registers 0-40 say, as values and as words.

Letters in brackets are evidence grades: A seen in real captures, B a vendor document or
another driver, C inferred.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import struct

STATUS_REGISTERS = 41
CELL_SLOTS = 16
PROBE_SLOTS = 6

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

type ExpectedValue = float | int | str | tuple[str, ...] | tuple[int, ...] | None


def unsigned(value: float, bits: int = 16) -> int:
    """Return the nearest whole number, refused where the register cannot hold it."""
    number = round(value)
    if not 0 <= number < 1 << bits:
        raise ValueError(f"{value} does not fit an unsigned register of {bits} bits")
    return number


def signed(value: float, bits: int = 16) -> int:
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
        return [unsigned(volts * 1000) for volts in self.cell_voltages]

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
            self.absent_byte if value is None else signed(value, 8)
            for value in self.probe_temperatures
        )
        if len(cells) > CELL_SLOTS or len(probes) > PROBE_SLOTS:
            raise ValueError(f"At most {CELL_SLOTS} cells and {PROBE_SLOTS} probes fit")
        design = (
            self.full_capacity if self.design_capacity is None else self.design_capacity
        )
        cycles = divmod(unsigned(self.cycles, 32), 0x10000)
        return [
            unsigned(self.pack_voltage * 100),
            signed(self.current * 10),
            *cells,
            *[0] * (CELL_SLOTS - len(cells)),
            signed(self.pcb_temperature),
            self._temperature(self.ambient_temperature),
            self._temperature(self.hottest),
            unsigned(self.remaining_capacity / self.remaining_scale),
            unsigned(self.max_charge_current / self.max_charge_current_scale),
            unsigned(self.state_of_health),
            unsigned(self.state_of_charge),
            unsigned(self.operating_state, 8)
            | self.status_flags
            | HEATING_FILM * self.heating,
            unsigned(self.warning),
            unsigned(self.protection),
            unsigned(self.error),
            *(reversed(cycles) if self.cycles_low_word_first else cycles),
            *divmod(unsigned(self.full_capacity * 3_600_000, 32), 0x10000),
            *struct.unpack(">3H", probes.ljust(PROBE_SLOTS, b"\0")),
            unsigned(len(cells) if self.cell_count is None else self.cell_count),
            unsigned(design * 10),
            unsigned(self.balancing),
            0,
            self.switch_flags | HEATING_ENABLED * self.heating_enabled,
        ]

    def _temperature(self, value: int | None) -> int:
        return self.absent_word if value is None else signed(value)


def expected_status(state: ReportedState) -> dict[str, ExpectedValue]:
    """Return what follows from a reported state (V, A, W, Ah, %, Celsius, mV)."""
    cells = state.millivolts
    names = {code: name for name, code in OPERATING_STATES.items()}
    return {
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
        "protections": _fault_names(state.protection),
        "warnings": _fault_names(state.warning),
        "balancing_cells": tuple(
            number
            for number in range(1, len(cells) + 1)
            if state.balancing >> number - 1 & 1
        ),
        **{f"probe_{n}": value for n, value in enumerate(state.probe_temperatures, 1)},
        **{f"cell_{n}": value / 1000 for n, value in enumerate(cells, 1)},
    }


def _fault_names(word: int) -> tuple[str, ...]:
    return tuple(name for name, mask in FAULT_BITS.items() if word & mask)
