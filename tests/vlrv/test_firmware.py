"""Only a valid image is sent: whole, once, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Final

from hypothesis import given, settings, strategies as st
import pytest

from custom_components.voltgo_vlrv.vlrv.errors import (
    ConnectionLostError,
    FirmwareError,
    FirmwareFailure,
    FirmwareStep,
    NoAnswerError,
    VlrvError,
)
from custom_components.voltgo_vlrv.vlrv.firmware import (
    MAX_REQUEST_SIZE,
    PACKAGE_SIZE,
    PERCENT_WRITTEN,
    RESTART_LIMIT,
    RESTART_TYPICAL,
    Reply,
    decode_reply,
    finish_request,
    finish_write_request,
    start_write_request,
    sync_request,
    transfer,
    write_request,
)
from custom_components.voltgo_vlrv.vlrv.firmware_image import (
    COMPONENTS,
    MAX_SIZE,
    MIN_SIZE,
    FirmwareImage,
    check_image,
)
from custom_components.voltgo_vlrv.vlrv.frames import (
    FIRMWARE_REPLY_LENGTH,
    FrameAssembler,
    with_crc,
)
from simulator.battery import SimulatedBattery
from simulator.firmware import (
    FLASH_SIZE,
    PACKAGE_SIZE as RECEIVED_PACKAGE_SIZE,
    ComesBack,
    Fault,
    FaultKind,
    FirmwareReceiver,
    Step,
    build_image,
)

BMS, COMM = COMPONENTS
NAME = "ZTHV-M_Z01T21.bin"

SUB_COMMANDS: Final[dict[FirmwareStep, int]] = {
    step: number for number, step in enumerate(FirmwareStep, 1)
}
SMALL = build_image("Z01T21", 3 * PACKAGE_SIZE + MIN_SIZE + 40)
PACKAGES = 12  # of SMALL, the last one short


class TransferHarness:
    """An exchange with a simulated battery that never waits, and what it carried."""

    def __init__(self) -> None:
        """Connect."""
        self.battery = SimulatedBattery(clock=lambda: 0.0)
        self.requests: list[bytes] = []
        self.timeouts: dict[int, float] = {}
        self.progress: list[int] = []
        self.before: Callable[[bytes], None] = lambda request: None

    @property
    def receiver(self) -> FirmwareReceiver:
        """What takes the firmware."""
        assert self.battery.firmware_receiver is not None
        return self.battery.firmware_receiver

    @property
    def steps(self) -> list[FirmwareStep]:
        """Which steps were sent, in order."""
        return [list(FirmwareStep)[request[1] - 1] for request in self.requests]

    async def exchange(self, request: bytes, length: int, timeout: float) -> bytes:  # noqa: ASYNC109
        """Ask the battery once."""
        assert length == FIRMWARE_REPLY_LENGTH[request[1]]
        assert len(request) <= MAX_REQUEST_SIZE
        self.requests.append(request)
        self.timeouts[request[1]] = timeout
        self.before(request)
        reply = self.battery.handle(request)
        if self.battery.take_outage() is not None and reply is None:
            raise ConnectionLostError("the connection broke")
        if reply is None:
            raise NoAnswerError("no answer")
        return reply

    async def send(self, image: FirmwareImage) -> None:
        """Run a transfer."""
        await transfer(self.exchange, image, self.progress.append)


@pytest.fixture
def harness() -> TransferHarness:
    """Return a connection to a battery."""
    return TransferHarness()


def test_packages_of_the_largest_image_have_numbers() -> None:
    """The package number has 16 bits."""
    assert -(-MAX_SIZE // PACKAGE_SIZE) <= 0x10000


def test_components_and_sizes_equal_those_of_the_simulator() -> None:
    """The simulator has tables of its own."""
    assert {component.key for component in COMPONENTS} == {"bms", "comm"}
    assert len({component.firmware_type for component in COMPONENTS}) == 2
    assert PACKAGE_SIZE == RECEIVED_PACKAGE_SIZE
    assert MAX_SIZE == FLASH_SIZE


# Frames


@pytest.mark.parametrize(
    ("request_bytes", "layout"),
    [
        # family, sub-command, mark; then the fields, little-endian; then the CRC-16
        (sync_request(), "64 01 01 | f0 4f"),
        # firmware type, length
        (start_write_request(2, 0x00032001), "64 02 01 02 01 20 03 00 | 1c c7"),
        # package number, length, data
        (
            write_request(0x0102, b"\xaa\xbb\xcc"),
            "64 03 01 02 01 03 00 aa bb cc | d3 c4",
        ),
        # CRC-32
        (finish_write_request(0xCBF43926), "64 04 01 26 39 f4 cb | de 90"),
        (finish_request(), "64 05 01 | f2 8f"),
    ],
)
def test_firmware_request_has_the_inferred_layout(
    request_bytes: bytes, layout: str
) -> None:
    """Protocol 9, first form."""
    body = bytes.fromhex(layout.split("|", maxsplit=1)[0])
    assert request_bytes[:-2] == body
    assert request_bytes == bytes.fromhex(layout.replace("|", ""))


def test_firmware_request_of_maximum_size_fits_the_mtu() -> None:
    """Of 160 bytes, three are the attribute protocol's."""
    assert len(write_request(0xFFFF, bytes(PACKAGE_SIZE))) == MAX_REQUEST_SIZE == 137
    assert MAX_REQUEST_SIZE <= 160 - 3


@pytest.mark.parametrize("size", [0, PACKAGE_SIZE + 1])
def test_package_of_another_size_is_not_built(size: int) -> None:
    """1-128 bytes."""
    with pytest.raises(ValueError, match="a package has"):
        write_request(0, bytes(size))


@pytest.mark.parametrize(
    ("build", "number"),
    [
        (lambda number: write_request(number, b"\0"), 0x10000),
        (finish_write_request, 1 << 32),
        (lambda number: start_write_request(1, number), 1 << 32),
        (lambda number: start_write_request(number, 1), 0x100),
    ],
)
def test_package_number_out_of_range_is_not_sent(
    build: Callable[[int], bytes], number: int
) -> None:
    """It is not replaced by another number."""
    with pytest.raises(OverflowError):
        build(number)


REPLIES: Final = {
    FirmwareStep.SYNC: (with_crc(b"\x64\x01\x01\x00\x00"), Reply(None, 0, 0)),
    FirmwareStep.START: (with_crc(b"\x64\x02\x01\x01\x07"), Reply(None, 1, 7)),
    FirmwareStep.WRITE: (
        with_crc(b"\x64\x03\x01\x02\x01\x00\x00"),
        Reply(0x0102, 0, 0),
    ),
    FirmwareStep.FINISH_WRITE: (with_crc(b"\x64\x04\x01\x02\x03"), Reply(None, 2, 3)),
    FirmwareStep.FINISH: (with_crc(b"\x64\x05\x01\x00\x00"), Reply(None, 0, 0)),
}


@pytest.mark.parametrize("step", FirmwareStep)
def test_firmware_reply_is_decoded_and_cut_out_of_notifications(
    step: FirmwareStep,
) -> None:
    """Both sides of the protocol use the same lengths."""
    frame, reply = REPLIES[step]
    assert decode_reply(step, frame) == reply
    assert FrameAssembler().feed(frame + frame) == [frame, frame]


@pytest.mark.parametrize("step", FirmwareStep)
def test_firmware_reply_to_another_step_is_not_decoded(step: FirmwareStep) -> None:
    """Cut, longer, corrupt in any byte, or the answer to another step."""
    frame, _ = REPLIES[step]
    wrong = [frame[:at] for at in range(len(frame))]
    wrong += [frame + b"\0", with_crc(frame[:-2] + b"\0"), with_crc(frame[:-3])]
    wrong += [
        frame[:at] + bytes((frame[at] ^ 1,)) + frame[at + 1 :]
        for at in range(len(frame))
    ]
    # Intact, but of another family, step or layout.
    wrong += [
        with_crc(frame[:at] + bytes((frame[at] ^ 0x10,)) + frame[at + 1 : -2])
        for at in range(3)
    ]
    wrong += [other for known, (other, _) in REPLIES.items() if known is not step]
    for data in wrong:
        with pytest.raises(ValueError, match="no reply to"):
            decode_reply(step, data)


# Transfer


@pytest.mark.parametrize(("component", "name"), [(BMS, "Z02T05"), (COMM, "Z01T20")])
async def test_transfer_of_an_image_arrives_byte_by_byte(
    harness: TransferHarness, component: object, name: str
) -> None:
    """200 KiB in order, with progress from 0 to 99; the battery restarts with it."""
    image = check_image("ZTHV-M.bin", build_image("Z02T05"))
    image = replace(image, component=BMS if component is BMS else COMM)
    await harness.send(image)

    assert image.size == 200 * 1024
    assert bytes(harness.receiver.received) == image.data
    assert harness.steps == [
        FirmwareStep.SYNC,
        FirmwareStep.START,
        *[FirmwareStep.WRITE] * 1600,
        FirmwareStep.FINISH_WRITE,
        FirmwareStep.FINISH,
    ]
    assert harness.progress == list(range(100))
    assert harness.battery.identity.firmware == "Z01T20"
    harness.battery.power_cycle()
    assert harness.receiver.installed == {image.component.key: image.data}
    assert harness.battery.identity.firmware == name


async def test_transfer_has_a_short_last_package(harness: TransferHarness) -> None:
    """No filler: the battery knows the length."""
    await harness.send(check_image(NAME, SMALL))
    writes = [request for request in harness.requests if request[1] == 3]
    assert len(writes) == PACKAGES
    assert [request[5] for request in writes] == [128] * (PACKAGES - 1) + [40]
    assert writes[-1] == write_request(PACKAGES - 1, SMALL[-40:])
    assert bytes(harness.receiver.received) == SMALL


async def test_transfer_progress_stays_at_99_until_the_end(
    harness: TransferHarness,
) -> None:
    """Each percentage once; the rest is the restart, as in the manual."""
    seen: list[tuple[int, int]] = []
    harness.before = lambda request: seen.append((request[1], harness.progress[-1]))
    await harness.send(check_image(NAME, SMALL))
    assert all(low < high for low, high in pairwise(harness.progress))
    assert harness.progress[0] == 0
    assert harness.progress[-1] == PERCENT_WRITTEN == 99
    assert seen[:3] == [(1, 0), (2, 0), (3, 0)]
    assert seen[-2:] == [(4, 99), (5, 99)]


async def test_transfer_with_slow_steps_succeeds(harness: TransferHarness) -> None:
    """Erasing, checking and finishing take a battery longer than answering."""
    await harness.send(check_image(NAME, SMALL))
    assert harness.timeouts[2] > harness.timeouts[4] > harness.timeouts[1]
    assert harness.timeouts[5] > harness.timeouts[3]
    assert RESTART_TYPICAL == 30
    assert RESTART_LIMIT == 60


@given(st.integers(MIN_SIZE, 20 * 1024), st.integers(0, 1 << 32))
@settings(max_examples=40, deadline=None, derandomize=True)
async def test_transfer_of_any_image_arrives_intact(size: int, seed: int) -> None:
    """Of any size and content."""
    harness = TransferHarness()
    image = check_image("ZTHV-C.bin", build_image("V03R04", size, seed=seed))
    await harness.send(image)
    assert bytes(harness.receiver.received) == image.data
    assert harness.progress[0] == 0
    assert harness.progress[-1] == PERCENT_WRITTEN
    assert all(low < high for low, high in pairwise(harness.progress))
    harness.battery.power_cycle()
    assert harness.receiver.installed == {"comm": image.data}


# What stops it


def expected_steps(step: FirmwareStep, package: int | None) -> list[FirmwareStep]:
    """Return what is sent when the transfer stops at a step."""
    whole = [FirmwareStep.SYNC, FirmwareStep.START]
    whole += [FirmwareStep.WRITE] * PACKAGES
    whole += [FirmwareStep.FINISH_WRITE, FirmwareStep.FINISH]
    return whole[: whole.index(step) + 1 + (package or 0)]


async def failure(harness: TransferHarness) -> FirmwareError:
    """Return how a transfer of the small image fails."""
    with pytest.raises(FirmwareError) as error:
        await harness.send(check_image(NAME, SMALL))
    assert isinstance(error.value, VlrvError)
    return error.value


type Stop = tuple[FirmwareStep, int | None]
type Failing = tuple[FaultKind, FirmwareFailure, int | None]

STOPS: Final[list[Stop]] = [
    (FirmwareStep.SYNC, None),
    (FirmwareStep.START, None),
    (FirmwareStep.WRITE, 0),
    (FirmwareStep.WRITE, 5),
    (FirmwareStep.WRITE, PACKAGES - 1),
    (FirmwareStep.FINISH_WRITE, None),
    (FirmwareStep.FINISH, None),
]
FAILURES: Final[list[Failing]] = [
    ("no_answer", FirmwareFailure.NO_ANSWER, None),
    ("refuse", FirmwareFailure.REFUSED, 0x2A),
    ("wrong_package", FirmwareFailure.WRONG_PACKAGE, None),
    ("wrong_length", FirmwareFailure.BAD_REPLY, None),
    ("bad_crc", FirmwareFailure.BAD_REPLY, None),
    ("disconnect", FirmwareFailure.CONNECTION_LOST, None),
]


@pytest.mark.parametrize(
    ("stop", "failing"),
    [
        (stop, failing)
        for stop in STOPS
        for failing in FAILURES
        if failing[0] != "wrong_package" or stop[0] is FirmwareStep.WRITE
    ],
)
async def test_transfer_with_a_failure_stops_at_its_step(
    harness: TransferHarness, stop: Stop, failing: Failing
) -> None:
    """The error names it, and nothing is sent after it: least of all Finish."""
    step, package = stop
    kind, reason, code = failing
    if stop == (FirmwareStep.FINISH, None) and kind == "no_answer":
        reason = FirmwareFailure.CONNECTION_LOST  # it restarts without a word
    faults: dict[Step, Fault] = harness.receiver.faults
    faults[step.value] = Fault(kind, package or 0, code=0x2A)

    error = await failure(harness)
    assert (error.step, error.package) == stop
    assert (error.reason, error.code) == (reason, code)
    assert harness.steps == expected_steps(step, package)
    assert (FirmwareStep.FINISH in harness.steps) is (step is FirmwareStep.FINISH)
    assert error.may_restart is (step is FirmwareStep.FINISH and kind != "refuse")
    # What was not finished is not started.
    harness.battery.power_cycle()
    assert bool(harness.receiver.installed) is error.may_restart


async def test_transfer_without_a_bootloader_sends_only_sync(
    harness: TransferHarness,
) -> None:
    """Sync is sent once, and nothing else."""
    harness.battery.firmware_receiver = None
    error = await failure(harness)
    assert (error.step, error.reason) == (FirmwareStep.SYNC, FirmwareFailure.NO_ANSWER)
    assert harness.requests == [sync_request()]
    assert harness.progress == [0]


async def test_transfer_with_a_success_and_an_error_code_fails() -> None:
    """A reply that contradicts itself confirms nothing."""
    requests: list[bytes] = []

    async def exchange(request: bytes, _length: int, _seconds: float) -> bytes:
        requests.append(request)
        return with_crc(b"\x64\x01\x01\x00\x03")

    with pytest.raises(FirmwareError) as error:
        await transfer(exchange, check_image(NAME, SMALL), lambda _percent: None)
    assert error.value.reason is FirmwareFailure.REFUSED
    assert error.value.code == 3
    assert len(requests) == 1


async def test_transfer_with_a_changed_image_is_refused(
    harness: TransferHarness,
) -> None:
    """The battery compares the CRC-32 and refuses."""

    def spoil(request: bytes) -> None:
        if request[1] == 4:
            harness.receiver.received[700] ^= 1

    harness.before = spoil
    error = await failure(harness)
    assert error.step is FirmwareStep.FINISH_WRITE
    assert error.reason is FirmwareFailure.REFUSED
    assert FirmwareStep.FINISH not in harness.steps


@pytest.mark.parametrize("sub_command", range(1, 6))
async def test_transfer_that_is_cancelled_sends_nothing_more(
    harness: TransferHarness, sub_command: int
) -> None:
    """At any step."""
    waiting = asyncio.Event()

    async def exchange(request: bytes, length: int, timeout: float) -> bytes:  # noqa: ASYNC109
        if request[1] == sub_command:
            harness.requests.append(request)
            waiting.set()
            await asyncio.Event().wait()
        return await harness.exchange(request, length, timeout)

    task = asyncio.create_task(
        transfer(exchange, check_image(NAME, SMALL), harness.progress.append)
    )
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert harness.requests[-1][1] == sub_command


@pytest.mark.parametrize("step", FirmwareStep)
async def test_transfer_with_an_unexpected_error_stops_at_its_step(
    harness: TransferHarness, step: FirmwareStep
) -> None:
    """What the battery is left with depends on the step, also for a programming error."""
    bug = KeyError("bug")
    sub_command = list(FirmwareStep).index(step) + 1

    async def exchange(request: bytes, length: int, timeout: float) -> bytes:  # noqa: ASYNC109
        if request[1] == sub_command:
            raise bug
        return await harness.exchange(request, length, timeout)

    with pytest.raises(FirmwareError) as raised:
        await transfer(exchange, check_image(NAME, SMALL), harness.progress.append)
    error = raised.value
    assert (error.step, error.reason) == (step, FirmwareFailure.UNEXPECTED)
    assert error.__cause__ is bug
    assert error.may_restart is (step is FirmwareStep.FINISH)


async def test_transfer_after_a_failure_starts_from_the_beginning(
    harness: TransferHarness,
) -> None:
    """No resuming: the next transfer begins with Sync and succeeds."""
    harness.receiver.faults["write"] = Fault("no_answer", package=4)
    await failure(harness)
    harness.receiver.faults.clear()
    harness.requests.clear()
    await harness.send(check_image(NAME, SMALL))
    assert harness.steps[0] is FirmwareStep.SYNC
    assert bytes(harness.receiver.received) == SMALL


@pytest.mark.parametrize("comes_back", ["old", "never"])
async def test_transfer_to_a_battery_that_keeps_its_version_succeeds(
    harness: TransferHarness, comes_back: ComesBack
) -> None:
    """Only the identity shows whether the new version runs."""
    harness.receiver.comes_back = comes_back
    await harness.send(check_image(NAME, SMALL))
    harness.battery.power_cycle()
    assert harness.battery.identity.firmware == "Z01T20"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            FirmwareError(FirmwareStep.WRITE, 7, FirmwareFailure.REFUSED, 3),
            "firmware transfer stopped at write, package 7: refused (code 3)",
        ),
        (
            FirmwareError(FirmwareStep.SYNC, None, FirmwareFailure.NO_ANSWER),
            "firmware transfer stopped at sync: no_answer",
        ),
    ],
)
def test_firmware_error_contains_step_and_reason(
    error: FirmwareError, text: str
) -> None:
    """In the log."""
    assert str(error) == text
