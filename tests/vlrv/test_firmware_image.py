"""Only a file that may be a firmware image is accepted, and one that is unlike any is told."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
import hashlib
from random import Random
import struct
from typing import Final
import zlib

from hypothesis import example, given, settings, strategies as st
import pytest

from custom_components.voltgo_vlrv.vlrv.firmware_image import (
    COMPONENTS,
    MAX_SIZE,
    MIN_SIZE,
    ImageError,
    ImageProblem,
    check_image,
)
from simulator.firmware import build_image

BMS, COMM = COMPONENTS
NAME: Final = "ZTHV-M_Z01T21.bin"
COMM_NAME: Final = "ZTHV-C_V03R04.bin"
WINDOWS_PROGRAM: Final = (
    b"MZ\x90\0" + bytes(74) + (b"This program cannot be run in DOS mode.")
)
SMALL: Final = build_image("Z01T21", MIN_SIZE + 424)


@pytest.mark.parametrize(
    ("name", "component", "version"),
    [
        ("ZTHV-M_Z01T21.bin", BMS, "Z01T21"),
        ("ZTHV-M-V03R04.bin", BMS, "V03R04"),
        ("ZTHV-M Z02T04 (1).bin", BMS, "Z02T04"),
        ("ZTHV-MZ4SR02.BIN", BMS, "Z4SR02"),
        ("ZTHV-M_z01t21.bin", BMS, "Z01T21"),
        ("ZTHV-M-8S100-V1.0-Z01T21-20240111.bin", BMS, "Z01T21"),
        ("ZTHV-M_Z01T21_Z01T21.bin", BMS, "Z01T21"),
        ("ZTHV-M_from_Z01T20_to_Z01T21.bin", BMS, ""),
        ("ZTHV-C_V03R04.bin", COMM, "V03R04"),
        ("ZTHV-C.bin", COMM, ""),
        ("ZTHV-M-8S100-V1.0.bin", BMS, ""),
    ],
)
def test_firmware_name_contains_component_and_version(
    name: str, component: object, version: str
) -> None:
    """The version only where there is no doubt about it."""
    image = check_image(name, SMALL)
    assert image.component is component
    assert image.name == name
    assert image.version == version
    assert check_image(name, SMALL, image.component) == image


def test_image_contains_what_identifies_its_data() -> None:
    """Size, SHA-256 and CRC-32; the data themselves are not printed."""
    image = check_image(NAME, SMALL)
    assert image.data == SMALL
    assert image.size == len(SMALL)
    assert image.sha256 == hashlib.sha256(SMALL).hexdigest()
    assert image.crc32 == zlib.crc32(SMALL)
    assert len(repr(image)) < 200
    assert replace(image, version="Z01T22").version == "Z01T22"
    with pytest.raises(FrozenInstanceError):
        image.name = ""  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("firmware.bin", SMALL, ImageProblem.WRONG_NAME),
        ("", SMALL, ImageProblem.WRONG_NAME),
        ("old ZTHV-M.bin", SMALL, ImageProblem.WRONG_NAME),
        ("ZTHV-X.bin", SMALL, ImageProblem.WRONG_NAME),
        ("ZTHV-C.bin", SMALL, ImageProblem.WRONG_COMPONENT),
        (NAME, b"", ImageProblem.EMPTY),
        (NAME, SMALL[: MIN_SIZE - 1], ImageProblem.TOO_SMALL),
        (NAME, SMALL + bytes(MAX_SIZE), ImageProblem.TOO_LARGE),
        (NAME, b"PK\x03\x04" + SMALL, ImageProblem.ARCHIVE),
        (NAME, b"\x1f\x8b\x08" + SMALL, ImageProblem.ARCHIVE),
        (NAME, b"Rar!\x1a\x07\x01" + SMALL, ImageProblem.ARCHIVE),
        (NAME, b"7z\xbc\xaf\x27\x1c" + SMALL, ImageProblem.ARCHIVE),
        (NAME, b"\xfd7zXZ\x00" + SMALL, ImageProblem.ARCHIVE),
        (NAME, b"BZh91AY&SY" + SMALL, ImageProblem.ARCHIVE),
        (NAME, b"\x28\xb5\x2f\xfd" + SMALL, ImageProblem.ARCHIVE),
        (NAME, b"MSCF\0\0\0\0" + SMALL, ImageProblem.ARCHIVE),
        (NAME, b"ZTHV.bin".ljust(257, b"\0") + b"ustar", ImageProblem.ARCHIVE),
        (NAME, b"%PDF-1.7\n%\xe2\xe3" + SMALL, ImageProblem.OTHER_TYPE),
        (NAME, b"\x89PNG\r\n\x1a\n" + SMALL, ImageProblem.OTHER_TYPE),
        (NAME, b"\xff\xd8\xff\xe0" + SMALL, ImageProblem.OTHER_TYPE),
        (NAME, b"GIF89a" + SMALL, ImageProblem.OTHER_TYPE),
        (NAME, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + SMALL, ImageProblem.OTHER_TYPE),
        (NAME, b"\0\0\0\x20ftypisom" + SMALL, ImageProblem.OTHER_TYPE),
        (NAME, WINDOWS_PROGRAM + SMALL, ImageProblem.OTHER_TYPE),
        (NAME, b"<!DOCTYPE html>" + b" " * 2000, ImageProblem.WEB_PAGE),
        (NAME, b"\r\n\t<html>not found</html>", ImageProblem.WEB_PAGE),
        (NAME, b"\xef\xbb\xbf<?xml?>" + b" " * 2000, ImageProblem.WEB_PAGE),
        (NAME, b":020000040800F2\r\n" * 200, ImageProblem.TEXT),
        (NAME, "Größe: 1\n".encode() * 200, ImageProblem.TEXT),
        (NAME, "Größe: 1\n".encode("utf-16") * 200, ImageProblem.TEXT),
        (NAME, b"x" + "ß".encode() * 2000, ImageProblem.TEXT),
        (NAME, bytes(4096), ImageProblem.BLANK),
        (NAME, b"\xff" * 4096, ImageProblem.BLANK),
        (NAME, Random(1).randbytes(60_000), ImageProblem.NOISE),
    ],
)
def test_image_with_invalid_data_is_refused(
    name: str, data: bytes, reason: str
) -> None:
    """With a reason for the user who selected it for the BMS."""
    with pytest.raises(ImageError) as error:
        check_image(name, data, BMS)
    assert error.value.reason == reason


@pytest.mark.parametrize("size", [MIN_SIZE, MAX_SIZE])
def test_images_of_both_extreme_sizes_are_valid(size: int) -> None:
    """Both bounds belong to the range."""
    assert check_image(NAME, build_image("Z01T21", size)).size == size


@given(st.integers(MIN_SIZE, 100_000), st.integers(0, 1 << 32))
@example(MAX_SIZE, 0)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_image_of_random_bytes_is_refused(size: int, seed: int) -> None:
    """For either board; encrypted and compressed data look the same."""
    data = Random(seed).randbytes(size)
    for name in (NAME, COMM_NAME):
        with pytest.raises(ImageError) as error:
            check_image(name, data)
        assert error.value.reason is ImageProblem.NOISE


@given(st.binary(max_size=3 * MIN_SIZE), st.sampled_from([NAME, COMM_NAME]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_image_of_any_bytes_is_refused_or_unfamiliar(data: bytes, name: str) -> None:
    """It never raises another error."""
    try:
        image = check_image(name, data)
    except ImageError:
        return
    assert not image.is_familiar


# The end of the stack, then the addresses of 15 handlers.
VECTORS: Final = (0x20008000, 0x101, *(0x145,) * 5, 0, 0, 0, 0, *(0x145,) * 5)


def program(*vectors: int, size: int = 137 * 1024) -> bytes:
    """Return a program of `size` bytes that begins with these vectors."""
    table = struct.pack(f"<{len(vectors)}I", *vectors)
    return table + build_image("Z01T21", size)[len(table) :]


def changed(index: int, value: int) -> bytes:
    """Return a program in which one vector has another value."""
    vectors = list(VECTORS)
    vectors[index] = value
    return program(*vectors)


@pytest.mark.parametrize("size", [MIN_SIZE, 137 * 1024, MAX_SIZE])
@pytest.mark.parametrize("address", [0, 0x10000, 0x08000000])
def test_image_of_a_cortex_m_program_is_familiar_for_the_bms(
    size: int, address: int
) -> None:
    """Wherever it lies in flash; of the other board's images nothing is known."""
    vectors = (VECTORS[0], *(each and each + address for each in VECTORS[1:]))
    data = program(*vectors, size=size)
    assert check_image(NAME, data).is_familiar
    assert not check_image(COMM_NAME, data).is_familiar


@pytest.mark.parametrize(
    "data",
    [
        changed(0, 0x1FFF8000),
        changed(0, 0x20027000),
        changed(4, 0),
        changed(15, 0x145 + 136 * 1024),
    ],
    ids=["lowest-stack", "highest-stack", "no-handler", "farthest-handler"],
)
def test_image_with_uncommon_vectors_is_familiar(data: bytes) -> None:
    """As of a Cortex-M0, which has fewer handlers, and of an HC32 with RAM below."""
    assert check_image(NAME, data).is_familiar


@pytest.mark.parametrize(
    "data",
    [
        changed(0, 0x08008000),
        changed(0, 0x20008002),
        changed(0, 0),
        changed(1, 0),
        changed(1, 0x100),
        changed(2, 0),
        changed(3, 0),
        changed(3, 0x144),
        changed(3, 0x20000145),
        changed(15, 0x101 + 137 * 1024),
        bytes(64) + SMALL,
        SMALL[4:],
        bytes(range(256)) * 240,
        program(*VECTORS)[:64] + Random(1).randbytes(60_000),
        Random(1).randbytes(60_000) + b"\xff" * 1024,
    ],
    ids=[
        "stack-in-flash",
        "stack-not-aligned",
        "no-stack",
        "no-reset",
        "even-reset",
        "no-nmi",
        "no-hard-fault",
        "even-hard-fault",
        "handler-in-ram",
        "handler-too-far",
        "blank-vectors",
        "cut-vectors",
        "counter",
        "random-after-vectors",
        "random-with-padding",
    ],
)
def test_image_that_begins_otherwise_is_not_familiar(data: bytes) -> None:
    """It may be an image, as for another controller, and is told to be unlike any."""
    assert not check_image(NAME, data).is_familiar
    assert not check_image(COMM_NAME, data).is_familiar
