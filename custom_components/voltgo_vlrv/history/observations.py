"""What was ever seen of registers and replies whose meaning is not proven.

A battery shows some of it once in its life: a warning, a heater at work, cells being
balanced. So every distinct value is kept with the moment it came and went, across
restarts, and one download can settle an open question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
import logging
from struct import Struct
import time
from typing import Any, Final, NamedTuple

from homeassistant.core import HomeAssistant, callback

from ..vlrv.registers import CURRENT_SCALE, STATUS_COUNTS, BatteryStatus, decode_status
from ..vlrv.trace import isoformat
from .store import EntryStore

_LOGGER = logging.getLogger(__name__)


class Question(NamedTuple):
    """One line of what is collected: some bits of a register of 0-40."""

    register: int
    key: str
    mask: int
    why: str


QUESTIONS: Final = (
    Question(19, "ambient_temperature", 0xFFFF, "which sensor it is (C)"),
    Question(22, "max_charge_current", 0xFFFF, "whether it is this, and its unit (B)"),
    Question(25, "status_high_byte", 0xFF00, "heating film in bit 15 (B), others (C)"),
    Question(26, "warnings", 0xFFFF, "bit order, never seen set (B)"),
    Question(27, "protections", 0xFFFF, "bit order, never seen set (B)"),
    Question(28, "errors", 0xFFFF, "bit order; bit 5 unknown (B)"),
    Question(29, "cycles_1", 0xFFFF, "word order with 8 cells, or a bitmap (C)"),
    Question(30, "cycles_2", 0xFFFF, "word order with 8 cells (C)"),
    Question(38, "balancing", 0xFFFF, "bit 0 = cell 1, never seen set (B)"),
    Question(39, "unknown_39", 0xFFFF, "unknown"),
    Question(40, "switches", 0xFFFF, "heating allowed in bit 4 (C), others unknown"),
)

MAX_VALUES: Final = 32
"""Distinct values kept of each question, and replies of each settings function."""
MAX_FUNCTIONS: Final = 16
"""Settings functions whose replies are kept; twelve are known."""

SAVE_DELAY: Final = 900.0
"""Seconds from a new value to its saving. That a known one was seen again is saved with
the next new one and at the end: a quiet battery writes nothing to an SD card."""

_VERSION: Final = 1
_DATA_AT: Final = 3


def _layout(count: int) -> Struct:
    """Return what picks the registers in question from a reply with `count` of them."""
    parts = [f">{_DATA_AT}x"]
    number = 0
    for question in QUESTIONS:
        if question.register < count:
            parts.append(f"{2 * (question.register - number)}xH")
            number = question.register + 1
    return Struct("".join(parts))


_LAYOUTS: Final = {5 + 2 * count: _layout(count) for count in STATUS_COUNTS}


@dataclass(slots=True)
class Sighting:
    """When a value was there: times in s since 1970, and the status of that moment."""

    first: float
    first_status: bytes
    """The status reply itself: all there was to know, also for a later decoder."""
    last: float
    last_status: bytes
    count: int = 1
    """Samples or replies with the value."""


@dataclass(slots=True)
class Collection[ValueT: (int, str)]:
    """The distinct values of one question."""

    values: dict[ValueT, Sighting] = field(default_factory=dict)
    overflow: int = 0
    """Sightings of values that were not kept because there were too many."""

    def see(self, value: ValueT, when: float, status: bytes) -> Sighting | None:
        """Keep a value as far as there is room; None when there is not."""
        if (sighting := self.values.get(value)) is not None:
            sighting.count += 1
            sighting.last = when
            sighting.last_status = status
            return sighting
        if len(self.values) >= MAX_VALUES:
            self.overflow += 1
            return None
        self.values[value] = sighting = Sighting(when, status, when, status)
        return sighting

    def as_stored(self) -> dict[str, Any]:
        """Return it for storage as JSON."""
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
    ) -> Collection[ValueT]:
        """Return what `as_stored` stored; see `storage.INVALID_DATA_ERRORS` for what else it raises."""
        collection = cls(overflow=int(stored["overflow"]))
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
            collection.values[value] = Sighting(
                float(first), frames[0], float(last), frames[1], int(count)
            )
        return collection

    def as_dict(self, current_scale: int) -> dict[str, Any]:
        """Return it for a person; numbers as 16-bit words in hexadecimal."""
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
    """Return what else a status reply says; None when there was none yet."""
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


class Evidence:
    """What was seen of one battery."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Start empty; `async_load` brings back what was seen before."""
        self.file = EntryStore(hass, "evidence", entry_id, self._as_stored, SAVE_DELAY)
        self._loaded = False
        self._loading = asyncio.Lock()
        self._registers: dict[int, Collection[int]] = {
            question.register: Collection() for question in QUESTIONS
        }
        self._replies: dict[int, Collection[str]] = {}
        # The words of the last sample, the sightings they belong to, and what was seen
        # of them since without any of them changing.
        self._words: tuple[int, ...] = ()
        self._current: list[Sighting] = []
        self._again = 0
        self._last = 0.0
        self._status = b""

    # --- seeing ---------------------------------------------------------------------

    @callback
    def see(self, status: BatteryStatus, when: float) -> None:
        """Take a sample that is believed; `when` is in s since 1970."""
        frame = status.frame
        words = _LAYOUTS[len(frame)].unpack_from(frame)
        self.file.is_changed = True
        if words == self._words:
            # Nearly every sample of a battery's life.
            self._again += 1
            self._last = when
            self._status = frame
            return
        self._settle()
        self._words = words
        self._last = when
        self._status = frame
        self._current.clear()
        for question, word in zip(QUESTIONS, words, strict=False):
            collection = self._registers[question.register]
            known = len(collection.values)
            if (sighting := collection.see(word & question.mask, when, frame)) is None:
                continue
            self._current.append(sighting)
            if len(collection.values) > known:
                self.file.save_later()

    @callback
    def _settle(self) -> None:
        """Note what was seen again of the values that are there."""
        if not self._again:
            return
        for sighting in self._current:
            sighting.count += self._again
            sighting.last = self._last
            sighting.last_status = self._status
        self._again = 0

    @callback
    def see_reply(self, request: bytes, reply: bytes) -> None:
        """Take a frame of the settings family; `request` is what was sent before it.

        Both count as one value: a battery's "done" does not tell what it did.
        """
        function = reply[1]
        if (collection := self._replies.get(function)) is None:
            if len(self._replies) >= MAX_FUNCTIONS:
                return
            collection = self._replies[function] = Collection()
        known = len(collection.values)
        self.file.is_changed = True
        collection.see(f"{request.hex()} > {reply.hex()}", time.time(), self._status)
        if len(collection.values) > known:
            self.file.save_later()

    # --- keeping --------------------------------------------------------------------

    async def async_load(self) -> None:
        """Bring back what was seen before the restart, once."""
        async with self._loading:
            if not self._loaded:
                await self._load()
                self._loaded = True

    async def _load(self) -> None:
        kept = await self.file.async_load(
            lambda stored: (
                _from_stored(stored["registers"], int),
                _from_stored(stored["replies"], str),
            )
        )
        if kept is None:
            return
        registers, replies = kept
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
        """Return all of it for a person; the scale is that of `decode_status`."""
        self._settle()
        return {
            "registers": [
                {
                    "register": question.register,
                    "key": question.key,
                    "mask": f"0x{question.mask:04x}",
                    "why": question.why,
                    **self._registers[question.register].as_dict(current_scale),
                }
                for question in QUESTIONS
            ],
            "settings_replies": [
                {"function": f"0x{function:02x}", **collection.as_dict(current_scale)}
                for function, collection in sorted(self._replies.items())
            ],
        }


def _as_stored(
    collections: Iterable[tuple[int, Collection[int] | Collection[str]]],
) -> dict[str, Any]:
    return {
        str(number): collection.as_stored()
        for number, collection in collections
        if collection.values
    }


def _from_stored[ValueT: (int, str)](
    stored: Mapping[str, Any], kind: type[ValueT]
) -> dict[int, Collection[ValueT]]:
    return {
        int(number): Collection.from_stored(collection, kind)
        for number, collection in stored.items()
    }
