"""Transfer of firmware, frames of family 0x64 (protocol 9; manual 6.3).

Everything on the wire is grade C: the names of the steps and of their fields come from
the vendor's app, no frame was ever recorded. So the battery decides: no step is taken
before it has confirmed the one before, and it starts nothing before `Finish`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import batched
from typing import Final, NamedTuple

from .errors import (
    ConnectionLostError,
    FirmwareError,
    FirmwareFailure,
    FirmwareStep,
    NoAnswerError,
)
from .firmware_image import FirmwareImage
from .frames import FIRMWARE_FAMILY, FIRMWARE_REPLY_LENGTH, crc16, with_crc

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
