"""Files that may be firmware images, and what their contents tell (protocol 9).

Of such images little is known: one BMS image is described in public (B), a raw program
for an ARM Cortex-M controller. Nothing is known of images for the communication board.
So a file is refused only if it surely is none, and is called familiar only if it begins
as a Cortex-M program does.
"""

from __future__ import annotations

import codecs
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
import hashlib
import re
import struct
from typing import Final, NamedTuple
import zlib


class Component(NamedTuple):
    """One board of the battery that has firmware of its own."""

    key: str
    prefix: str
    """How the names of its images begin (B)."""
    firmware_type: int
    """What StartWrite calls it (C: the order of the app's menu, counted from 1)."""
    manual: str
    """Section of the manual."""
    is_cortex_m: bool
    """Whether its images are known to be programs for a Cortex-M (B)."""


COMPONENTS: Final = (
    Component("bms", "ZTHV-M", 2, "6.3.2", is_cortex_m=True),
    Component("comm", "ZTHV-C", 1, "6.3.1", is_cortex_m=False),
)

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
    OTHER_TYPE = "other_type"
    """A document, picture, video or Windows program."""
    BLANK = "blank"
    """All bytes are the same."""
    NOISE = "noise"
    """The bytes are distributed as random ones are, from the first to the last."""


class ImageError(ValueError):
    """A file is not a firmware image; `reason` says why."""

    def __init__(self, reason: ImageProblem) -> None:
        """Keep the reason."""
        super().__init__(f"no firmware image: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FirmwareImage:
    """A firmware file that may be sent to a battery; created by `check_image`."""

    component: Component
    name: str
    version: str
    """Empty when the name has none."""
    data: bytes = field(repr=False)
    is_familiar: bool
    """Whether the data begin like an image of that board that is known."""

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

    Raises ImageError. What passes may be an image, no more; `is_familiar` says whether
    it looks like one. Takes about 40 ms for each MiB.
    """
    named = next((known for known in COMPONENTS if name.startswith(known.prefix)), None)
    if named is None:
        raise ImageError(ImageProblem.WRONG_NAME)
    if component not in (None, named):
        raise ImageError(ImageProblem.WRONG_COMPONENT)
    if (problem := _data_problem(data)) is not None:
        raise ImageError(problem)
    random_part = _random_part(data)
    if random_part == 1:
        raise ImageError(ImageProblem.NOISE)
    is_familiar = (
        named.is_cortex_m
        and _begins_with_vectors(data)
        and random_part < _MAX_RANDOM_PART
    )
    return FirmwareImage(named, name, _version(name, named), data, is_familiar)


# --- other types of files -------------------------------------------------------------

# Which first bytes tell an archive.
_ARCHIVES: Final = (
    b"PK\x03\x04",  # zip
    b"PK\x05\x06",  # zip with nothing in it
    b"\x1f\x8b",  # gzip
    b"Rar!\x1a\x07",
    b"7z\xbc\xaf\x27\x1c",
    b"\xfd7zXZ\x00",
    b"BZh",
    b"\x28\xb5\x2f\xfd",  # zstd
    b"MSCF\0\0\0\0",  # cab
)
_TAR_MARK_AT: Final = 257
_OTHER_TYPES: Final = (
    b"%PDF-",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",  # JPEG
    b"GIF8",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",  # older Office document, Windows installer
)
_VIDEO_MARK_AT: Final = 4
_WINDOWS_PROGRAM: Final = b"This program cannot be run in DOS mode"
_HEAD: Final = 256  # bytes; a program has some that are no text among its first ones
_BLANKS: Final = "\t\n\f\r"
_UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _data_problem(data: bytes) -> ImageProblem | None:
    if not data:
        return ImageProblem.EMPTY
    if data.startswith(_ARCHIVES) or data.startswith(b"ustar", _TAR_MARK_AT):
        return ImageProblem.ARCHIVE
    if (
        data.startswith(_OTHER_TYPES)
        or data.startswith(b"ftyp", _VIDEO_MARK_AT)
        or (data.startswith(b"MZ") and _WINDOWS_PROGRAM in data[: 2 * _HEAD])
    ):
        return ImageProblem.OTHER_TYPE
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
    encoding = "utf-16" if head.startswith(_UTF_16_MARKS) else "utf-8"
    try:
        # Not `bytes.decode`: the last character may be cut.
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return None
    control = any(
        (char < " " and char not in _BLANKS) or char == "\x7f" for char in text
    )
    return None if control else text


# --- contents -------------------------------------------------------------------------

_BLOCK: Final = MIN_SIZE  # bytes
_RANDOM_DEVIATION: Final = (100.0, 440.0)
"""Chi-squared of the 256 byte values in a block of random bytes: 255 +- 23, and not in one
of many millions outside of this range. Code and tables have thousands."""

_MAX_RANDOM_PART: Final = 0.5  # of a program; it may contain a font or a key


def _random_part(data: bytes) -> float:
    """Return which part of the blocks is not to be told from random bytes, 0-1.

    Random are also what is encrypted or compressed.
    """
    last = len(data) - _BLOCK
    starts = (*range(0, last, _BLOCK), last)
    return sum(_is_random(data[at : at + _BLOCK]) for at in starts) / len(starts)


def _is_random(block: bytes) -> bool:
    squares = sum(count * count for count in Counter(block).values())
    low, high = _RANDOM_DEVIATION
    return low < squares * 256 / len(block) - len(block) < high


# How each program for a Cortex-M begins (ARM's architecture manual): where the stack
# begins, the reset handler, then NMI, HardFault and further handlers. All handlers have
# odd addresses (Thumb); a handler that is not used is 0.
_VECTORS: Final = struct.Struct("<16I")
_MIN_HANDLERS: Final = 3  # reset, NMI, HardFault
_RAM: Final = range(0x1FFF0000, 0x20100000)  # HC32 begins at 0x1FFF8000
_CODE: Final = range(0x10000000)


def _begins_with_vectors(data: bytes) -> bool:
    """Return whether data begin as a Cortex-M program that lies in them.

    Its address in flash is not known, so the handlers only have to be as close to one
    another as the data are long.
    """
    stack, *vectors = _VECTORS.unpack_from(data)
    if stack not in _RAM or stack % 4 or not all(vectors[:_MIN_HANDLERS]):
        return False
    handlers = [vector for vector in vectors if vector]
    return all(vector % 2 and vector in _CODE for vector in handlers) and (
        max(handlers) - min(handlers) < len(data)
    )


# --- version --------------------------------------------------------------------------

# As the firmware texts that were seen: Z01T20, Z02T04, Z4SR02 (A), and as the vendor's
# document has them: V03R04 (B). Whether the names of images carry them is grade C.
_VERSION: Final = re.compile(
    r"(?<![A-Z0-9])[VZ][0-9]{1,2}[A-Z]{1,2}[0-9]{2}(?![A-Z0-9])"
)


def _version(name: str, component: Component) -> str:
    """Return the version in a name, empty when there is none or more than one."""
    rest = name.removeprefix(component.prefix).upper()
    versions = set(_VERSION.findall(rest))
    return versions.pop() if len(versions) == 1 else ""
