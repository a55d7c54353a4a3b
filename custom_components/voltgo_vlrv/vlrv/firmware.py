"""Firmware images and their transfer, frames of family 0x64 (protocol 9; manual 6.3).

Everything on the wire is grade C: the names of the steps and of their fields come from
the vendor's app, no frame was ever recorded. So the battery decides: no step is taken
before it has confirmed the one before, and it starts nothing before `Finish`.
"""

from __future__ import annotations

import codecs
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
import hashlib
from itertools import batched
import re
from typing import Final, NamedTuple
import zlib

from .errors import (
    ConnectionLostError,
    FirmwareError,
    FirmwareFailure,
    FirmwareStep,
    NoAnswerError,
)
from .frames import FIRMWARE_FAMILY, FIRMWARE_REPLY_LENGTH, crc16, with_crc


class Component(NamedTuple):
    """One board of the battery that has firmware of its own."""

    key: str
    prefix: str
    """How the names of its images begin (B)."""
    firmware_type: int
    """What StartWrite calls it (C: the order of the app's menu, counted from 1)."""
    manual: str
    """Section of the manual."""


COMPONENTS: Final = (
    Component("bms", "ZTHV-M", 2, "6.3.2"),
    Component("comm", "ZTHV-C", 1, "6.3.1"),
)

# --- images ---------------------------------------------------------------------------

MIN_SIZE: Final = 1024
"""Bytes: less holds no program, only the beginning of one."""
MAX_SIZE: Final = 1024 * 1024
"""Bytes: such boards carry microcontrollers with 64 KiB to 1 MiB of flash (C)."""


class ImageProblem(StrEnum):
    """Why a file is no firmware image."""

    WRONG_NAME = "wrong_name"
    """The name begins with no known prefix."""
    WRONG_COMPONENT = "wrong_component"
    """The name is that of an image for the other board."""
    EMPTY = "empty"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    ARCHIVE = "archive"
    WEB_PAGE = "web_page"
    TEXT = "text"
    BLANK = "blank"
    """All bytes are the same."""


class ImageError(ValueError):
    """A file is not a firmware image; `reason` says why."""

    def __init__(self, reason: ImageProblem) -> None:
        """Keep the reason."""
        super().__init__(f"no firmware image: {reason}")
        self.reason = reason


# Which first bytes tell an archive.
_ARCHIVES: Final = (
    b"PK\x03\x04",  # zip
    b"PK\x05\x06",  # zip with nothing in it
    b"\x1f\x8b",  # gzip
    b"Rar!\x1a\x07",
    b"7z\xbc\xaf\x27\x1c",
)
_HEAD: Final = 256  # bytes; a program has some that are no text among its first ones
_BLANKS: Final = "\t\n\f\r"

# As the firmware texts that were seen: Z01T20, Z02T04, Z4SR02 (A), and as the vendor's
# document has them: V03R04 (B). Whether the names of images carry them is grade C.
_VERSION: Final = re.compile(
    r"(?<![A-Z0-9])[VZ][0-9]{1,2}[A-Z]{1,2}[0-9]{2}(?![A-Z0-9])"
)


@dataclass(frozen=True, slots=True)
class FirmwareImage:
    """A firmware file that may be sent to a battery; created by `check_image`."""

    component: Component
    name: str
    version: str
    """Empty when the name has none."""
    data: bytes = field(repr=False)

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    @property
    def sha256(self) -> str:
        """SHA-256 of the data, 64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def crc32(self) -> int:
        """CRC-32 of the data, as FinishWrite sends it."""
        return zlib.crc32(self.data)


def check_image(
    name: str, data: bytes, component: Component | None = None
) -> FirmwareImage:
    """Return a file as an image, of `component` or of the board that its name tells.

    Raises ImageError. What passes may be an image, no more: what one looks like inside
    is not known (C).
    """
    named = next((known for known in COMPONENTS if name.startswith(known.prefix)), None)
    if named is None:
        raise ImageError(ImageProblem.WRONG_NAME)
    if component not in (None, named):
        raise ImageError(ImageProblem.WRONG_COMPONENT)
    if (problem := _data_problem(data)) is not None:
        raise ImageError(problem)
    return FirmwareImage(named, name, _version(name, named), data)


def _data_problem(data: bytes) -> ImageProblem | None:
    if not data:
        return ImageProblem.EMPTY
    if data.startswith(_ARCHIVES):
        return ImageProblem.ARCHIVE
    if (text := _as_text(data[:_HEAD])) is not None:
        web_page = text.lstrip("\ufeff \t\n\f\r").startswith("<")
        return ImageProblem.WEB_PAGE if web_page else ImageProblem.TEXT
    if len(data) < MIN_SIZE:
        return ImageProblem.TOO_SMALL
    if len(data) > MAX_SIZE:
        return ImageProblem.TOO_LARGE
    if data.count(data[0]) == len(data):
        return ImageProblem.BLANK
    return None


def _as_text(head: bytes) -> str | None:
    """Return the beginning of a file as text, None when it is something else."""
    try:
        # Not `bytes.decode`: the last character may be cut.
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None
    control = any(
        (char < " " and char not in _BLANKS) or char == "\x7f" for char in text
    )
    return None if control else text


def _version(name: str, component: Component) -> str:
    """Return the version in a name, empty when there is none or more than one."""
    rest = name.removeprefix(component.prefix).upper()
    versions = set(_VERSION.findall(rest))
    return versions.pop() if len(versions) == 1 else ""


# --- frames ---------------------------------------------------------------------------

PACKAGE_SIZE: Final = 128
"""Bytes of the image in one package, fewer only in the last one (C)."""

_MARK: Final = 0x01  # follows the sub-command in both directions (C)
_INTEGERS: Final = "little"  # unlike the rest of the protocol (C)


class _Command(NamedTuple):
    """How a step is sent: all of it grade C."""

    sub_command: int
    timeout: float
    """Seconds to wait for the answer."""

    @property
    def reply_length(self) -> int:
        return FIRMWARE_REPLY_LENGTH[self.sub_command]


# Answers to other requests took 87-140 ms (A). Nothing is asked again here, so each
# step gets a multiple of that, and of what the battery has to do meanwhile.
_COMMANDS: Final = {
    FirmwareStep.SYNC: _Command(0x01, 5.0),
    # Erases flash: about 20 s for 1 MiB in pages of 2 KiB at 40 ms.
    FirmwareStep.START: _Command(0x02, 30.0),
    FirmwareStep.WRITE: _Command(0x03, 5.0),
    # Reads everything back: about 10 s for 1 MiB, bit by bit on a slow controller.
    FirmwareStep.FINISH_WRITE: _Command(0x04, 15.0),
    # May copy the image before it answers.
    FirmwareStep.FINISH: _Command(0x05, 30.0),
}


def _request(step: FirmwareStep, data: bytes = b"") -> bytes:
    head = bytes((FIRMWARE_FAMILY, _COMMANDS[step].sub_command, _MARK))
    return with_crc(head + data)


def _integer(value: int, size: int) -> bytes:
    return value.to_bytes(size, _INTEGERS)


def sync_request() -> bytes:
    """Build the request that asks whether the battery accepts firmware (C)."""
    return _request(FirmwareStep.SYNC)


def start_write_request(firmware_type: int, length: int) -> bytes:
    """Build the announcement of `length` bytes (u32) for one board (u8)."""
    return _request(
        FirmwareStep.START, _integer(firmware_type, 1) + _integer(length, 4)
    )


def write_request(package: int, data: bytes) -> bytes:
    """Build package number `package` (u16, from 0) of 1-128 bytes.

    Raises ValueError for another length.
    """
    if not 1 <= len(data) <= PACKAGE_SIZE:
        raise ValueError(f"a package has 1-{PACKAGE_SIZE} bytes, not {len(data)}")
    return _request(
        FirmwareStep.WRITE, _integer(package, 2) + _integer(len(data), 2) + data
    )


def finish_write_request(crc32: int) -> bytes:
    """Build the request to compare what was written with the image's CRC-32."""
    return _request(FirmwareStep.FINISH_WRITE, _integer(crc32, 4))


def finish_request() -> bytes:
    """Build the request to restart with the new firmware."""
    return _request(FirmwareStep.FINISH)


MAX_REQUEST_SIZE: Final = len(write_request(0, bytes(PACKAGE_SIZE)))
"""Bytes that the connection must carry in one write, without cutting."""


class Reply(NamedTuple):
    """The battery's answer to a step."""

    package: int | None  # only while writing
    result: int  # 0 is success
    error_code: int


def decode_reply(step: FirmwareStep, frame: bytes) -> Reply:
    """Decode the reply to `step`; ValueError unless it is one, whole and intact."""
    command = _COMMANDS[step]
    head = bytes((FIRMWARE_FAMILY, command.sub_command, _MARK))
    if (
        len(frame) != command.reply_length
        or not frame.startswith(head)
        or crc16(frame) != 0
    ):
        raise ValueError(f"no reply to {step}: {frame.hex(' ')}")
    package = (
        int.from_bytes(frame[3:5], _INTEGERS) if step is FirmwareStep.WRITE else None
    )
    return Reply(package, frame[-4], frame[-3])


# --- transfer -------------------------------------------------------------------------

PERCENT_WRITTEN: Final = 99
"""Per cent when all is written; the manual shows it until the restart is over."""
RESTART_TYPICAL: Final = 30.0
"""Seconds until a battery answers again after Finish (manual 6.3.2)."""
RESTART_LIMIT: Final = 60.0
"""Seconds after which a battery counts as failed to restart: twice the manual's."""

type Exchange = Callable[[bytes, int, float], Awaitable[bytes]]
"""Sends a request once and returns the reply of the same family and sub-command with so
many bytes, waiting so many seconds. Raises NoAnswerError or ConnectionLostError."""


async def transfer(
    exchange: Exchange, image: FirmwareImage, progress: Callable[[int], None]
) -> None:
    """Send an image; the battery restarts with it.

    Nothing is sent before the step ahead of it was confirmed, and nothing is sent
    twice. `progress` gets each new percentage once, 0 to `PERCENT_WRITTEN`. On return the
    battery is restarting; whether it runs the new version only its identity tells.

    Raises FirmwareError. It can be cancelled at any time: nothing is sent after that.
    """
    progress(0)
    await _execute_step(exchange, FirmwareStep.SYNC, sync_request())
    await _execute_step(
        exchange,
        FirmwareStep.START,
        start_write_request(image.component.firmware_type, image.size),
    )
    await _write(exchange, image, progress)
    await _execute_step(
        exchange, FirmwareStep.FINISH_WRITE, finish_write_request(image.crc32)
    )
    await _execute_step(exchange, FirmwareStep.FINISH, finish_request())


async def _write(
    exchange: Exchange, image: FirmwareImage, progress: Callable[[int], None]
) -> None:
    done = written = 0
    for package, data in enumerate(batched(image.data, PACKAGE_SIZE, strict=False)):
        await _execute_step(
            exchange, FirmwareStep.WRITE, write_request(package, bytes(data)), package
        )
        written += len(data)
        if (percent := PERCENT_WRITTEN * written // image.size) > done:
            done = percent
            progress(done)


async def _execute_step(
    exchange: Exchange, step: FirmwareStep, request: bytes, package: int | None = None
) -> None:
    """Execute one step; return only if the battery confirms exactly that one."""
    command = _COMMANDS[step]
    try:
        frame = await exchange(request, command.reply_length, command.timeout)
    except NoAnswerError as err:
        raise FirmwareError(step, package, FirmwareFailure.NO_ANSWER) from err
    except ConnectionLostError as err:
        raise FirmwareError(step, package, FirmwareFailure.CONNECTION_LOST) from err
    except Exception as err:
        # What the battery is left with depends on the step, whatever the error is.
        raise FirmwareError(step, package, FirmwareFailure.UNEXPECTED) from err
    try:
        reply = decode_reply(step, frame)
    except ValueError as err:
        raise FirmwareError(step, package, FirmwareFailure.BAD_REPLY) from err
    # A success with an error code contradicts itself, and is no confirmation either.
    if reply.result or reply.error_code:
        raise FirmwareError(step, package, FirmwareFailure.REFUSED, reply.error_code)
    if reply.package != package:
        raise FirmwareError(step, package, FirmwareFailure.WRONG_PACKAGE)
