"""A simulated battery that answers request frames byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor
import time
from typing import Protocol

from .bms import BatteryManagementSystem
from .frames import (
    SETTINGS,
    build_reply,
    read_range,
    settings_frame,
    status_reply,
    without_crc,
)
from .identity import Identity
from .reported import (
    FAULT_BITS,
    OPERATING_STATES,
    ExpectedValue,
    ReportedState,
    expected_status,
)
from .settings import CAN_PROTOCOLS, REFUSED, RS485_PROTOCOLS, SUCCESS, Settings
from .thresholds import threshold_words
from simulator.firmware import FIRMWARE, FirmwareReceiver


class Bank(Protocol):
    """What a battery is a part of; see `simulator.bank`."""

    def update(self) -> None:
        """Let all of it catch up with the clock."""

    def advance(self, seconds: float) -> None:
        """Move all of it by seconds."""


@dataclass(frozen=True, kw_only=True)
class RegisterFormat:
    """How a model encodes its registers; the boards differ."""

    absent_byte: int = 0xAA
    absent_word: int = 0x00AA
    ambient_sensor: bool = True
    current_dead_zone: float = 0.0
    """A; a smaller current is reported as none."""
    remaining_scale: float = 1.0
    max_charge_current_scale: float = 1.0
    cycles_low_word_first: bool = False
    reports_thresholds: bool = False


class SimulatedBattery(BatteryManagementSystem):
    """A pack of 4, 8 or 16 LiFePO4 cells with its battery management system.

    Its surroundings (`demand_current`, `charger_voltage`, `ambient`) and the state of
    its cells may be set at any time, see `BatteryManagementSystem` and `Cells`.
    `override` reports any other state instead of the physics, `firmware_receiver`
    (None: silent) handles firmware.

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
        super().__init__(
            cell_count,
            capacity,
            demand_current=demand_current,
            max_current=max_current,
            heater=heater,
            heating_enabled=heating_enabled,
            seed=seed,
            state_of_charge=state_of_charge,
            cycles=cycles,
            temperature=temperature,
            ambient=ambient,
            missing_probes=missing_probes,
            resistance_factors=resistance_factors or {},
            capacity_factors=capacity_factors or {},
        )
        self.name = name
        self.address = address
        self.generation = generation
        self.identity = Identity(
            model or f"TC\0\0-{cell_count}S{capacity:.0f}-V1.0", firmware, serial
        )
        self.state_of_health = state_of_health
        self.settings = Settings(
            module_id=module_id,
            rs485_protocols=rs485_protocols,
            can_protocols=can_protocols,
            rs485_index=rs485_index,
            can_index=can_index,
        )
        self.format = RegisterFormat(
            absent_byte=absent_byte,
            absent_word=absent_word,
            ambient_sensor=ambient_sensor,
            current_dead_zone=current_dead_zone,
            remaining_scale=remaining_scale,
            max_charge_current_scale=max_charge_current_scale,
            cycles_low_word_first=(
                cell_count == 8
                if cycles_low_word_first is None
                else cycles_low_word_first
            ),
            reports_thresholds=reports_thresholds,
        )
        self.firmware_receiver: FirmwareReceiver | None = FirmwareReceiver()
        self.override: ReportedState | None = None
        self.bank: Bank | None = None
        self.hold = False
        """True: time passes without effect, to compare a reading with what is true."""
        self.follow(clock)
        self.run_protections()

    # --- time -------------------------------------------------------------------------

    def follow(self, clock: Callable[[], float]) -> None:
        """Let time pass by this clock (s) from its present time on."""
        self._clock = clock
        self._updated_at = clock()

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
        else:
            self.advance_alone(seconds)

    def power_cycle(self) -> None:
        """Switch off and on: settings take effect (A), protections start afresh.

        So does new firmware (C).
        """
        self.name = self.settings.apply_pending(self.name)
        self.reset_protections()
        if self.firmware_receiver is not None:
            self.identity.firmware = self.firmware_receiver.boot(self.identity.firmware)
        self.advance(0)

    # --- what is reported -------------------------------------------------------------

    def reported(self) -> ReportedState:
        """State as the status registers give it now, rounded to their resolution."""
        if self.override is not None:
            return self.override
        form = self.format
        current = min(max(round(self.current, 1), -3276.8), 3276.7)
        if abs(current) < form.current_dead_zone:
            current = 0.0
        return ReportedState(
            cell_voltages=tuple(round(volts, 3) for volts in self.cell_voltages),
            current=current,
            pcb_temperature=round(self.pcb_temperature),
            ambient_temperature=round(self.ambient) if form.ambient_sensor else None,
            probe_temperatures=tuple(
                None if number in self.missing_probes else round(value)
                for number, value in enumerate(self.cell_temperatures, 1)
            ),
            remaining_capacity=self._remaining_capacity,
            remaining_scale=form.remaining_scale,
            max_charge_current=self.max_current,
            max_charge_current_scale=form.max_charge_current_scale,
            state_of_health=self.state_of_health,
            state_of_charge=floor(100 * self.fraction + 0.5),
            operating_state=OPERATING_STATES[self._operating_state(current)],
            heating=self.heating,
            warning=sum(FAULT_BITS[name] for name in self.warnings),
            protection=sum(FAULT_BITS[name] for name in self.protections),
            error=self.error,
            cycles=floor(self.cycles),
            cycles_low_word_first=form.cycles_low_word_first,
            full_capacity=self.capacity,
            balancing=sum(1 << number - 1 for number in self.balancing),
            heating_enabled=self.heater and self.heating_enabled,
            absent_byte=form.absent_byte,
            absent_word=form.absent_word,
        )

    @property
    def _remaining_capacity(self) -> float:
        # Rounded down, as captures say 79 Ah at 80 %; 59.9999999 Ah is still 60.
        scale = self.format.remaining_scale
        steps = floor(round(self.charge / 3600 / scale, 6))
        return round(steps * scale, 1)

    def _operating_state(self, current: float) -> str:
        if self.protections or self.error:
            return "protection"
        if self.full and self.demand_current > 0:
            return "charge_limit"
        if current > 0:
            return "charging"
        return "discharging" if current < 0 else "standby"

    def expected_values(self) -> dict[str, ExpectedValue]:
        """Return what a user should see now (V, A, W, Ah, %, Celsius, mV, kWh).

        It follows from the state, rounded as reported, and not from registers. The two
        energies are exact. Absent temperatures are None. Neither this nor `registers`
        moves the physics: both stay as at the last handled frame.
        """
        state = self.reported()
        return {
            **expected_status(state),
            "heating_enabled": state.heating_enabled if self.heater else None,
            "charge_energy_kwh": self.charge_energy_kwh,
            "discharge_energy_kwh": self.discharge_energy_kwh,
            **self.identity.expected_values(),
            **self.settings.expected_values(),
        }

    def registers(self, start: int, count: int) -> list[int]:
        """Raw words of count registers from start; undefined ones read 0 (A)."""
        words = dict(enumerate(self.reported().to_registers()))
        if self.format.reports_thresholds:
            words |= threshold_words(self.thresholds)
        words |= self.identity.words()
        return [words.get(register, 0) for register in range(start, start + count)]

    # --- conversation -----------------------------------------------------------------

    def handle(self, frame: bytes) -> bytes | None:
        """Answer one written frame, or stay silent as the real one does.

        Silence (A): bad CRC, wrong length, another slave address, an unknown function.
        """
        self.update()
        body = without_crc(frame)
        if body is None:
            return None
        if (wanted := read_range(body)) is not None:
            return status_reply(self.registers(*wanted))
        if body[0] == SETTINGS and len(body) >= 3 and len(body) == 3 + body[2]:
            data = self.answer_setting(body[1], body[3:])
            return None if data is None else settings_frame(body[1], data)
        if body[0] == FIRMWARE and self.firmware_receiver is not None:
            return self.firmware_receiver.handle(body, build_reply)
        return None

    def answer_setting(self, function: int, data: bytes) -> bytes | None:
        """Return the data of a setting's reply, None for silence (A; 09 and 0A: C)."""
        if function == 0x0A and len(data) == 1:
            return self._switch_heater(data[0])
        return self.settings.answer(function, data)

    def _switch_heater(self, value: int) -> bytes | None:
        answer = self.settings.heater_answer
        if not self.heater or answer == "silent":
            return None
        if value > 1 or answer == "refuse":
            return bytes((REFUSED,))
        if answer == "obey":
            self.heating_enabled = bool(value)
            self.advance(0)
        return bytes((SUCCESS,))

    def take_outage(self) -> float | None:
        """Return for how long it is gone after its last answer; see `firmware`."""
        receiver = self.firmware_receiver
        return None if receiver is None else receiver.take_outage()
