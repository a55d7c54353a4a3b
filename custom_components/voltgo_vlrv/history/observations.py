"""Values observed in registers and replies whose meaning is unproven.

Some occur once in the life of a battery: a warning, a heater at work, cells being
balanced. Every distinct value is stored with its first and last time, across restarts,
so that one diagnostics download can settle an open question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from struct import Struct
import time
from typing import Any, Final, NamedTuple

from homeassistant.core import HomeAssistant, callback

from ..vlrv.registers import CURRENT_SCALE, STATUS_COUNTS, BatteryStatus, decode_status
from ..vlrv.trace import isoformat
from .store import EntryStore


class ObservedRegister(NamedTuple):
    """Bits of a register of 0-40 that are observed, and why."""

    register: int
    key: str
    mask: int
    why: str


OBSERVED_REGISTERS: Final = (
    ObservedRegister(19, "ambient_temperature", 0xFFFF, "which sensor it is (C)"),
    ObservedRegister(
        22, "max_charge_current", 0xFFFF, "whether it is this, and its unit (B)"
    ),
    ObservedRegister(
        25, "status_high_byte", 0xFF00, "heating film in bit 15 (B), others (C)"
    ),
    ObservedRegister(26, "warnings", 0xFFFF, "bit order, never seen set (B)"),
    ObservedRegister(27, "protections", 0xFFFF, "bit order, never seen set (B)"),
    ObservedRegister(28, "errors", 0xFFFF, "bit order; bit 5 unknown (B)"),
    ObservedRegister(
        29, "cycles_1", 0xFFFF, "word order with 8 cells, or a bitmap (C)"
    ),
    ObservedRegister(30, "cycles_2", 0xFFFF, "word order with 8 cells (C)"),
    ObservedRegister(38, "balancing", 0xFFFF, "bit 0 = cell 1, never seen set (B)"),
    ObservedRegister(39, "unknown_39", 0xFFFF, "unknown"),
    ObservedRegister(
        40, "switches", 0xFFFF, "heating allowed in bit 4 (C), others unknown"
    ),
)

MAX_VALUES: Final = 32
"""Distinct values stored for each register, and replies for each settings function."""
MAX_FUNCTIONS: Final = 16
"""Settings functions whose replies are stored; twelve are known."""

SAVE_DELAY: Final = 900.0
"""s from a new value to its saving. Repeated values are saved with the next new one and
at the stop, so that a quiet battery writes nothing to an SD card."""

_DATA_AT: Final = 3


def _layout(count: int) -> Struct:
    """Return the layout of the observed registers in a reply with `count` registers."""
    parts = [f">{_DATA_AT}x"]
    number = 0
    for observed in OBSERVED_REGISTERS:
        if observed.register < count:
            parts.append(f"{2 * (observed.register - number)}xH")
            number = observed.register + 1
    return Struct("".join(parts))


_LAYOUTS: Final = {5 + 2 * count: _layout(count) for count in STATUS_COUNTS}


@dataclass(slots=True)
class Observation:
    """First and last time of a value, in s since 1970, and the status reply of each."""

    first: float
    first_status: bytes
    """The complete reply, so that a later version can decode it."""
    last: float
    last_status: bytes
    count: int = 1
    """Number of samples or replies with the value."""


@dataclass(slots=True)
class ObservedValues[ValueT: (int, str)]:
    """The distinct values of one register or settings function."""

    values: dict[ValueT, Observation] = field(default_factory=dict)
    overflow: int = 0
    """Number of values that were not stored because MAX_VALUES was reached."""

    def add(self, value: ValueT, when: float, status: bytes) -> Observation | None:
        """Add a value; return its observation, or None if there is no room for it."""
        if (observation := self.values.get(value)) is not None:
            observation.count += 1
            observation.last = when
            observation.last_status = status
            return observation
        if len(self.values) >= MAX_VALUES:
            self.overflow += 1
            return None
        self.values[value] = observation = Observation(when, status, when, status)
        return observation

    def as_stored(self) -> dict[str, Any]:
        """Return the values as JSON data for the store."""
        return {
            "overflow": self.overflow,
            "values": [
                [
                    value,
                    seen.first,
                    seen.first_status.hex(),
                    seen.last,
                    seen.last_status.hex(),
                    seen.count,
                ]
                for value, seen in self.values.items()
            ],
        }

    @classmethod
    def from_stored(
        cls, stored: Mapping[str, Any], kind: type[ValueT]
    ) -> ObservedValues[ValueT]:
        """Return what `as_stored` stored; raises one of INVALID_DATA_ERRORS."""
        values_seen = cls(overflow=int(stored["overflow"]))
        for value, first, first_status, last, last_status, count in stored["values"][
            :MAX_VALUES
        ]:
            if not isinstance(value, kind):
                raise TypeError(f"not a value: {value!r}")
            for when in (first, last):
                isoformat(when)
            frames = bytes.fromhex(first_status), bytes.fromhex(last_status)
            for frame in frames:
                _context(frame)
            values_seen.values[value] = Observation(
                float(first), frames[0], float(last), frames[1], int(count)
            )
        return values_seen

    def as_dict(self, current_scale: int) -> dict[str, Any]:
        """Return the values for diagnostics, registers as hexadecimal words."""
        return {
            "overflow": self.overflow,
            "values": [
                {
                    "value": f"0x{value:04x}" if isinstance(value, int) else value,
                    "count": seen.count,
                    "first": isoformat(seen.first),
                    "first_context": _context(seen.first_status, current_scale),
                    "last": isoformat(seen.last),
                    "last_context": _context(seen.last_status, current_scale),
                }
                for value, seen in self.values.items()
            ],
        }


def _context(frame: bytes, current_scale: int = CURRENT_SCALE) -> dict[str, Any] | None:
    """Return the decoded status reply, None if it is empty."""
    if not frame:
        return None
    status = decode_status(frame, current_scale)
    state = status.operating_state
    return {
        "voltage": status.voltage,
        "current": status.current,
        "state_of_charge": status.state_of_charge,
        "operating_state": None if state is None else state.name.lower(),
        "cells": list(status.cells),
        "pcb_temperature": status.pcb_temperature,
        "ambient_temperature": status.ambient_temperature,
        "max_temperature": status.max_temperature,
        "probes": list(status.probes),
        "frame": frame.hex(),
    }


class RegisterObservations:
    """The observations of one battery."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start empty; `async_load` restores earlier observations."""
        self.file = EntryStore(hass, entry_id, "observations")
        self._section = self.file.section("observations", self._as_stored, SAVE_DELAY)
        self._loaded = False
        self._loading = asyncio.Lock()
        self._registers: dict[int, ObservedValues[int]] = {
            observed.register: ObservedValues() for observed in OBSERVED_REGISTERS
        }
        self._replies: dict[int, ObservedValues[str]] = {}
        # Registers of the last sample, their observations, and the number of samples
        # since then in which none of them changed.
        self._words: tuple[int, ...] = ()
        self._current: list[Observation] = []
        self._again = 0
        self._last = 0.0
        self._status = b""

    # --- adding ---------------------------------------------------------------------

    @callback
    def add(self, status: BatteryStatus, when: float) -> None:
        """Add a valid sample; `when` is in s since 1970."""
        frame = status.frame
        words = _LAYOUTS[len(frame)].unpack_from(frame)
        self._section.mark_changed()
        if words == self._words:
            # The usual case, so it costs next to nothing.
            self._again += 1
            self._last = when
            self._status = frame
            return
        self._settle()
        self._words = words
        self._last = when
        self._status = frame
        self._current.clear()
        for observed, word in zip(OBSERVED_REGISTERS, words, strict=False):
            values_seen = self._registers[observed.register]
            known = len(values_seen.values)
            if (
                observation := values_seen.add(word & observed.mask, when, frame)
            ) is None:
                continue
            self._current.append(observation)
            if len(values_seen.values) > known:
                self._section.save_later()

    @callback
    def _settle(self) -> None:
        """Update the current observations with the repeated samples."""
        if not self._again:
            return
        for observation in self._current:
            observation.count += self._again
            observation.last = self._last
            observation.last_status = self._status
        self._again = 0

    @callback
    def add_reply(self, request: bytes, reply: bytes) -> None:
        """Add a settings frame; `request` is the last frame that was sent before it.

        Both form one value, because the status in a reply does not say what was done.
        """
        function = reply[1]
        if (values_seen := self._replies.get(function)) is None:
            if len(self._replies) >= MAX_FUNCTIONS:
                return
            values_seen = self._replies[function] = ObservedValues()
        known = len(values_seen.values)
        self._section.mark_changed()
        values_seen.add(f"{request.hex()} > {reply.hex()}", time.time(), self._status)
        if len(values_seen.values) > known:
            self._section.save_later()

    # --- storing --------------------------------------------------------------------

    async def async_load(self) -> None:
        """Restore the observations from before the restart, once."""
        async with self._loading:
            if not self._loaded:
                await self._load()
                self._loaded = True

    async def _load(self) -> None:
        await self.file.async_load()
        restored = self._section.loaded(
            lambda stored: (
                _from_stored(stored["registers"], int),
                _from_stored(stored["replies"], str),
            )
        )
        if restored is None:
            return
        registers, replies = restored
        for number in self._registers.keys() & registers.keys():
            self._registers[number] = registers[number]
        self._replies.update(list(replies.items())[:MAX_FUNCTIONS])

    @callback
    def _as_stored(self) -> dict[str, Any]:
        self._settle()
        return {
            "registers": _as_stored(self._registers.items()),
            "replies": _as_stored(self._replies.items()),
        }

    # --- showing --------------------------------------------------------------------

    @callback
    def as_dict(self, current_scale: int = CURRENT_SCALE) -> dict[str, Any]:
        """Return all observations for diagnostics; `current_scale` as for `decode_status`."""
        self._settle()
        return {
            "registers": [
                {
                    "register": observed.register,
                    "key": observed.key,
                    "mask": f"0x{observed.mask:04x}",
                    "why": observed.why,
                    **self._registers[observed.register].as_dict(current_scale),
                }
                for observed in OBSERVED_REGISTERS
            ],
            "settings_replies": [
                {"function": f"0x{function:02x}", **values_seen.as_dict(current_scale)}
                for function, values_seen in sorted(self._replies.items())
            ],
        }


def _as_stored(
    items: Iterable[tuple[int, ObservedValues[int] | ObservedValues[str]]],
) -> dict[str, Any]:
    return {
        str(number): values_seen.as_stored()
        for number, values_seen in items
        if values_seen.values
    }


def _from_stored[ValueT: (int, str)](
    stored: Mapping[str, Any], kind: type[ValueT]
) -> dict[int, ObservedValues[ValueT]]:
    return {
        int(number): ObservedValues.from_stored(values_seen, kind)
        for number, values_seen in stored.items()
    }
