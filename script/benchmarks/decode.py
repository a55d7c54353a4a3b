"""Time from a received status frame to values, against a peer and against a floor.

One frame of a battery with 16 cells, made by the simulator, goes through three
candidates that take turns in many short rounds, in several processes one after the
other. The fastest round of each counts: what else the machine does, and where a process
happens to put things in memory, can only make a round slower.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
import gc
from multiprocessing import get_context
import struct
import sys
from time import perf_counter_ns
from typing import Final, NamedTuple
from unittest.mock import MagicMock, patch

from aiobmsble import BMSSample, basebms  # type: ignore[import-untyped]
from aiobmsble.bms import eg4_bms  # type: ignore[import-untyped]
from bleak.backends.device import BLEDevice

from custom_components.voltgo_vlrv.vlrv.frames import crc16
from custom_components.voltgo_vlrv.vlrv.registers import decode_status
from custom_components.voltgo_vlrv.vlrv.validation import implausibilities
from simulator.battery import preset, status_reply

FLOOR_RATIO_MAX: Final = 2.0
PEER_SPEEDUP_MIN: Final = 5.0

REGISTERS: Final = 39
FRAME_BYTES: Final = 83
CELLS: Final = 16

PROCESSES: Final = 3
ROUNDS: Final = 1000
SLOT: Final = 400_000
"""How long one candidate's turn is to take, in ns."""
ONE_STRUCT: Final = struct.Struct(">3x39H2x")


class Candidate(NamedTuple):
    """Something to be timed."""

    name: str
    what: str
    call: Callable[[], object]


class Peer(eg4_bms.BMS):  # type: ignore[misc]
    """The peer's decoder without a connection: a request is answered at once."""

    def __init__(self, frame: bytes) -> None:
        """Take the frame that every request is answered with."""
        with patch.object(basebms, "BleakClient", MagicMock()):
            super().__init__(BLEDevice("A4:C1:37:00:00:07", "Z1200000000", None))
        # As bleak hands notifications over.
        self.notification = bytearray(frame)
        self.sender = MagicMock()

    async def _await_msg(self, *_args: object, **_kwargs: object) -> None:
        self._msg_event.clear()
        self._notification_handler(self.sender, self.notification)

    def accepted(self) -> bool:
        """Return whether the last notification got past the peer's checks."""
        return bool(self._msg_event.is_set())

    def update(self) -> BMSSample:
        """Run the peer's update; it never waits, so it needs no event loop."""
        try:
            self._async_update().send(None)
        except StopIteration as stop:
            result: BMSSample = stop.value
            return result
        raise RuntimeError("the peer waited for something")


def _check_peer(frame: bytes) -> None:
    """Make sure that the peer does its whole work on the frame, and does it right."""
    with patch.object(
        eg4_bms, "crc_modbus", side_effect=basebms.crc_modbus
    ) as checksum:
        peer = Peer(frame)
        sample = peer.update()
        assert peer.accepted()
        assert checksum.call_count == 1, "the peer did not check the frame"
    broken = Peer(frame[:20] + bytes((frame[20] ^ 1,)) + frame[21:])
    broken._msg = frame  # noqa: SLF001  # what it falls back on, having refused
    broken.update()
    assert not broken.accepted(), "the peer accepted a broken frame"
    ours = decode_status(frame)
    assert sample["voltage"] == ours.voltage
    assert sample["current"] == ours.current
    assert sample["battery_level"] == ours.state_of_charge
    assert sample["cell_voltages"] == [cell / 1000 for cell in ours.cells]
    assert len(ours.cells) == CELLS


def _nanoseconds(call: Callable[[], object], loops: int) -> float:
    turns = [None] * loops
    start = perf_counter_ns()
    for _ in turns:
        call()
    return (perf_counter_ns() - start) / loops


def _candidates() -> tuple[Candidate, ...]:
    """Build the frame and what is done with it, having made sure that it is done."""
    frame = status_reply(preset("failing_cell").registers(0, REGISTERS))
    assert len(frame) == FRAME_BYTES
    _check_peer(frame)
    status = decode_status(frame)
    assert not implausibilities(status)
    unpack = ONE_STRUCT.unpack

    def ours() -> object:
        if crc16(frame):
            raise ValueError
        return decode_status(frame)

    def floor() -> object:
        if crc16(frame):
            raise ValueError
        return unpack(frame)

    return (
        Candidate("ours", "checksum, then every field of BatteryStatus", ours),
        Candidate(
            "peer",
            "aiobmsble's EG4 decoder: notification handler with its checksum, then "
            "its update",
            Peer(frame).update,
        ),
        Candidate("floor", "the same checksum, then one struct.unpack, no more", floor),
        Candidate(
            "checksum", "the checksum that ours and floor share", lambda: crc16(frame)
        ),
        Candidate(
            "plausibility",
            "whether the sample can be true; on top of ours, not part of the comparison",
            lambda: implausibilities(status),
        ),
    )


def measure() -> dict[str, float]:
    """Return the fastest round of each candidate, in microseconds a call."""
    candidates = _candidates()
    loops = {
        candidate.name: max(1, round(SLOT / _nanoseconds(candidate.call, 200)))
        for candidate in candidates
    }
    best = dict.fromkeys(loops, float("inf"))
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            for name, _what, call in candidates:
                best[name] = min(best[name], _nanoseconds(call, loops[name]))
    finally:
        gc.enable()
    return {name: nanoseconds / 1000 for name, nanoseconds in best.items()}


def run() -> bool:
    """Measure, print, and return whether both targets are met."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        runs = [pool.submit(measure).result() for _ in range(PROCESSES)]
    print(
        f"decode: one {FRAME_BYTES}-byte frame of {CELLS} cells, fastest of "
        f"{PROCESSES} x {ROUNDS} rounds, Python {sys.version.split()[0]}"
    )
    best = {}
    for name, what, _call in _candidates():
        best[name] = min(run[name] for run in runs)
        print(f"  {name:<13}{best[name]:8.2f} us  {what}")
    floor_ratio = best["ours"] / best["floor"]
    peer_speedup = best["peer"] / best["ours"]
    met = floor_ratio <= FLOOR_RATIO_MAX and peer_speedup >= PEER_SPEEDUP_MIN
    print(
        f"  targets {'met' if met else 'MISSED'}: floor_ratio at most "
        f"{FLOOR_RATIO_MAX:.2f}, peer_speedup at least {PEER_SPEEDUP_MIN:.2f}"
    )
    print(f"decode floor_ratio={floor_ratio:.2f} peer_speedup={peer_speedup:.2f}")
    return met
