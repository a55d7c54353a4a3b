"""The receiving side of a firmware transfer, frames of family 0x64.

All of it is grade C: no such frame was ever recorded, so this says what the protocol
was inferred to be and not what a battery was seen to do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from random import Random
import re
import struct
from typing import Final, Literal
import zlib

FIRMWARE: Final = 0x64
MARK: Final = 0x01  # follows the sub-command in both directions

FIRMWARE_TYPES: Final[Mapping[int, str]] = {1: "comm", 2: "bms"}
FLASH_SIZE: Final = 1024 * 1024  # bytes
PACKAGE_SIZE: Final = 128  # bytes

# Error codes; those of a real battery are not known.
OUT_OF_ORDER: Final = 1
UNKNOWN_TYPE: Final = 2
WRONG_LENGTH: Final = 3
WRONG_PACKAGE: Final = 4
WRONG_CHECKSUM: Final = 5

type Step = Literal["sync", "start", "write", "finish_write", "finish"]
type Seal = Callable[[bytes], bytes]
"""Puts the checksum of a frame behind it."""

STEPS: Final[Mapping[int, Step]] = {
    1: "sync",
    2: "start",
    3: "write",
    4: "finish_write",
    5: "finish",
}
# Layout of what follows the mark; packages have their data behind it.
_LAYOUTS: Final[Mapping[Step, struct.Struct]] = {
    "sync": struct.Struct("<"),
    "start": struct.Struct("<BI"),
    "write": struct.Struct("<HH"),
    "finish_write": struct.Struct("<I"),
    "finish": struct.Struct("<"),
}


# --- faults ---------------------------------------------------------------------------

type FaultKind = Literal[
    "no_answer", "refuse", "wrong_package", "wrong_length", "bad_crc", "disconnect"
]
type ComesBack = Literal["new", "old", "never"]


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at a step of the transfer.

    A refused step is not taken; all other faults strike the answer to one that is.
    """

    kind: FaultKind
    package: int = 0
    """At which package, while writing."""
    code: int = 0x7F
    """Error code of a refusal."""


def _nothing(_reply: bytes, _seal: Seal) -> bytes | None:
    return None


def _intact(reply: bytes, seal: Seal) -> bytes | None:
    return seal(reply)


def _another_package(reply: bytes, seal: Seal) -> bytes | None:
    return seal(reply[:3] + bytes((reply[3] ^ 1,)) + reply[4:])


def _longer(reply: bytes, seal: Seal) -> bytes | None:
    return seal(reply + b"\0")


def _corrupt(reply: bytes, seal: Seal) -> bytes | None:
    frame = seal(reply)
    return frame[:-1] + bytes((frame[-1] ^ 0xFF,))


_ANSWERS: Final[Mapping[FaultKind | None, Callable[[bytes, Seal], bytes | None]]] = {
    None: _intact,
    "no_answer": _nothing,
    "refuse": _intact,  # what it says is different
    "wrong_package": _another_package,  # for the step `write` only
    "wrong_length": _longer,
    "bad_crc": _corrupt,
    "disconnect": _nothing,
}


# --- the receiver ---------------------------------------------------------------------


class FirmwareReceiver:
    """Receives firmware in a battery, and starts it at the restart.

    `faults` says what goes wrong at which step, every time; `comes_back` which version
    runs after the restart, or that there is none; `restart_for` how long that takes, s.
    `received` is what was written so far, `installed` the images that run, by board.
    """

    def __init__(self, *, restart_for: float = 30.0) -> None:
        """Wait for a transfer."""
        self.restart_for = restart_for
        self.comes_back: ComesBack = "new"
        self.faults: dict[Step, Fault] = {}
        self.received = bytearray()
        self.installed: dict[str, bytes] = {}
        self._last: Step | None = None  # what the next step follows
        self._type = 0
        self._length = 0
        self._package = 0  # the next one
        self._outage: float | None = None

    def handle(self, body: bytes, seal: Seal) -> bytes | None:
        """Answer a frame that came intact and without its checksum, or stay silent.

        Silence: what is no such frame, and everything between Finish and the restart.
        """
        step = STEPS.get(body[1]) if len(body) > 2 and body[2] == MARK else None
        if step is None or self._last == "finish":
            return None
        layout, data = _LAYOUTS[step], body[3:]
        if len(data) < layout.size or (step != "write" and len(data) != layout.size):
            return None
        values = layout.unpack_from(data)
        fault = self._fault(step, values)
        if fault is not None and fault.kind == "refuse":
            code = fault.code
        else:
            code = self._take(step, values, data[layout.size :])
        self._last = None if code else step
        if self._last == "finish":
            self._outage = inf if self.comes_back == "never" else self.restart_for
        reply = body[:5] if step == "write" else body[:3]
        return self._answer(reply + bytes((bool(code), code)), fault, seal)

    def _fault(self, step: Step, values: tuple[int, ...]) -> Fault | None:
        fault = self.faults.get(step)
        if fault is None or (step == "write" and values[0] != fault.package):
            return None
        return fault

    def _answer(self, reply: bytes, fault: Fault | None, seal: Seal) -> bytes | None:
        kind = None if fault is None else fault.kind
        if kind == "disconnect" and self._outage is None:
            self._outage = 0.0
        return _ANSWERS[kind](reply, seal)

    def _take(self, step: Step, values: tuple[int, ...], data: bytes) -> int:
        """Take a step and return its error code, 0 when all is well."""
        match step, self._last:
            case "sync", _:
                return 0
            case "start", "sync":
                return self._start(*values)
            case "write", "start" | "write":
                return self._write(data, *values)
            case "finish_write", "write":
                return self._verify(*values)
            case "finish", "finish_write":
                return 0
        return OUT_OF_ORDER

    def _start(self, firmware_type: int, length: int) -> int:
        if firmware_type not in FIRMWARE_TYPES:
            return UNKNOWN_TYPE
        if not 0 < length <= FLASH_SIZE:
            return WRONG_LENGTH
        self.received.clear()
        self._type, self._length, self._package = firmware_type, length, 0
        return 0

    def _write(self, data: bytes, package: int, length: int) -> int:
        if package != self._package:
            return WRONG_PACKAGE
        # Only the last package may be short.
        expected = min(PACKAGE_SIZE, self._length - len(self.received))
        if not length == len(data) == expected > 0:
            return WRONG_LENGTH
        self.received += data
        self._package += 1
        return 0

    def _verify(self, crc32: int) -> int:
        if len(self.received) != self._length:
            return WRONG_LENGTH
        return 0 if zlib.crc32(self.received) == crc32 else WRONG_CHECKSUM

    def take_outage(self) -> float | None:
        """Return for how long the battery is gone after the last answer, once.

        In seconds: 0 drops the connection only, more is a restart, infinity has no end.
        None: it stays.
        """
        outage, self._outage = self._outage, None
        return outage

    def boot(self, firmware: str) -> str:
        """Start after a power cycle, and return the firmware text of the BMS.

        That text is `firmware` unless a new BMS image has been finished; the board for
        the communication has no register with its version.
        """
        finished, self._last = self._last == "finish", None
        self._outage = None
        if not finished or self.comes_back != "new":
            return firmware
        board = FIRMWARE_TYPES[self._type]
        self.installed[board] = bytes(self.received)
        return image_version(self.received) or firmware if board == "bms" else firmware


# --- images to send -------------------------------------------------------------------

# Where images made here keep their version; where real ones have it is not known.
_VERSION_AT: Final = 0x100
_VERSION_SIZE: Final = 6  # bytes, as in the identity registers
# How a Cortex-M program begins: stack, reset and 14 more handlers, some not used.
_STACK: Final = 0x20002000
_VECTORS: Final = struct.pack(
    "<16I", _STACK, 0x1C1, *(0x1D1,) * 5, *(0,) * 4, *(0x1D1,) * 2, 0, *(0x1D1,) * 2
)
# Which byte becomes which: in code some are frequent, above all 0.
_CODE: Final = bytes(max(0, value - 64) for value in range(256))


def build_image(version: str, size: int = 200 * 1024, *, seed: int = 0) -> bytes:
    """Make an image of at least 262 bytes that reports `version` (1-6 ASCII)."""
    image = bytearray(Random(seed).randbytes(size).translate(_CODE))
    image[: len(_VECTORS)] = _VECTORS
    text = version.encode("ascii").ljust(_VERSION_SIZE, b"\0")
    image[_VERSION_AT : _VERSION_AT + _VERSION_SIZE] = text
    return bytes(image)


def image_version(image: bytes | bytearray) -> str | None:
    """Return the version that `build_image` put into an image, None where none is."""
    text = image[_VERSION_AT : _VERSION_AT + _VERSION_SIZE]
    found = re.fullmatch(rb"([A-Z0-9]+)\0*", text)
    return None if found is None else found[1].decode("ascii")
