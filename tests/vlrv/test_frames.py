"""The assembler yields what was sent, and nothing that was not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import batched, cycle

from hypothesis import assume, example, given, settings, strategies as st
import pytest

from .samples import CELLS, frame
from custom_components.voltgo_vlrv.vlrv import frames as frames_module
from custom_components.voltgo_vlrv.vlrv.frames import (
    _SLICE,
    BUFFER_LIMIT,
    MAX_REGISTERS,
    FrameAssembler,
    _frame_length,
    crc16,
    read_request,
    settings_request,
    with_crc,
)
from simulator.battery import (
    build_reply,
    crc16 as other_crc16,
    read_request as other_read_request,
    settings_frame,
    status_reply,
)

STATUS = frame()
NEXT = frame(cell_voltages=CELLS[:4], current=-4.2)
SETTING = settings_frame(0x07, b"\0")
LONGEST = build_reply(bytes((0x01, 0x04, 1, 0xFF)) + bytes(0xFF))

# Bytes that begin like a frame which is longer than what follows.
BEGINNINGS = (
    b"\x01",
    b"\x01\x03",
    b"\x01\x03\x52",
    b"\x01\x03\xfe",
    b"\x01\x04",
    b"\x01\x04\x01",
    b"\x01\x04\x01\xff",
    b"\x01\x83",
    b"\x10",
    b"\x10\x03",
    b"\x10\x04\xff",
    b"\x64",
    b"\x64\x03",
)
JUNK = (b"\xff\x00\x55", b"\0", bytes(100), b"\x02\x03\x52", b"\xaa" * 300)

quick = settings(max_examples=200, deadline=None, derandomize=True)


class Feeder:
    """An assembler that is watched: what goes in comes out, waits or is counted."""

    def __init__(self) -> None:
        """Start empty."""
        self.assembler = FrameAssembler()
        self.frames: list[bytes] = []
        self._fed = 0

    def feed(self, *pieces: bytes) -> list[bytes]:
        """Feed pieces and return what they completed."""
        new: list[bytes] = []
        for piece in pieces:
            self._fed += len(piece)
            new += self.assembler.feed(piece)
            assert len(self.assembler) <= BUFFER_LIMIT
        self.frames += new
        for one in new:
            assert one[-2:] == other_crc16(one[:-2])
        accounted = (
            sum(map(len, self.frames)) + self.assembler.discarded + len(self.assembler)
        )
        assert accounted == self._fed
        return new


def cut(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Cut into pieces of these sizes, over and over."""
    pieces: list[bytes] = []
    at = 0
    for size in cycle(sizes):
        if at >= len(data):
            return pieces
        pieces.append(data[at : at + size])
        at += size
    raise ValueError("no sizes")


def chunks(data: bytes, size: int) -> list[bytes]:
    """Cut into notifications of one size."""
    return [bytes(chunk) for chunk in batched(data, size, strict=False)]


words_strategy = st.lists(
    st.integers(0, 0xFFFF), min_size=1, max_size=MAX_REGISTERS
).map(status_reply)
good_frames = st.one_of(
    words_strategy,
    st.builds(settings_frame, st.integers(0, 0xFF), st.binary(max_size=0xFF)),
    st.builds(
        lambda function, code: build_reply(bytes((0x01, function, code))),
        st.integers(0x80, 0xFF),
        st.integers(0, 0xFF),
    ),
    st.builds(
        lambda number, cells: build_reply(bytes((0x01, 0x04, number, 32)) + cells),
        st.integers(0, 0xFF),
        st.binary(min_size=32, max_size=32),
    ),
    st.builds(
        lambda step, result: build_reply(bytes((0x64, step)) + result),
        st.sampled_from((1, 2, 4, 5)),
        st.binary(min_size=3, max_size=3),
    ),
)
# Random bytes hardly ever look like a frame, so some of them are made to.
garbage = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.sampled_from(BEGINNINGS),
        st.builds(lambda whole, size: whole[:size], good_frames, st.integers(0, 300)),
    ),
    max_size=8,
).map(b"".join)
sizes_strategy = st.lists(st.integers(1, 300), min_size=1, max_size=8)


# Checksum and requests


def test_checksum_is_crc_16_modbus() -> None:
    """The check value of the catalogue of parametrised CRC algorithms."""
    assert crc16(b"123456789") == 0x4B37
    assert with_crc(b"123456789") == b"123456789\x37\x4b"


@given(st.binary(max_size=300))
@quick
def test_checksum_equals_an_independent_one(data: bytes) -> None:
    """Table against bit by bit, and an intact frame leaves nothing."""
    assert crc16(data).to_bytes(2, "little") == other_crc16(data)
    assert crc16(with_crc(data)) == 0


@pytest.mark.parametrize(
    ("start", "count", "request_bytes"),
    [
        (0, 39, "01 03 00 00 00 27 05 d0"),
        (0, 41, "01 03 00 00 00 29 84 14"),
        (105, 23, "01 03 00 69 00 17 d5 d8"),
        (45, 91, "01 03 00 2d 00 5b 94 38"),
        (0xFFFF, 125, "01 03 ff ff 00 7d 85 cf"),
    ],
)
def test_read_request_is_as_documented(
    start: int, count: int, request_bytes: str
) -> None:
    """Protocol 2.1."""
    assert read_request(start, count) == bytes.fromhex(request_bytes)


@given(st.integers(0, 0xFFFF), st.integers(1, MAX_REGISTERS))
@quick
def test_read_request_equals_that_of_the_simulator(start: int, count: int) -> None:
    """For every register and count."""
    assert read_request(start, count) == other_read_request(start, count)


@pytest.mark.parametrize(
    ("start", "count"), [(-1, 1), (0x10000, 1), (0, 0), (0, -1), (0, 126)]
)
def test_read_request_for_impossible_registers_is_refused(
    start: int, count: int
) -> None:
    """Nothing is sent that no battery could answer."""
    with pytest.raises(ValueError, match="no such registers"):
        read_request(start, count)


@pytest.mark.parametrize(
    ("function", "data", "request_bytes"),
    [
        (0x02, b"", "10 02 00 71 65"),
        (0x03, b"", "10 03 00 70 f5"),
        (0x04, b"", "10 04 00 72 c5"),
        (0x0A, b"\x01", "10 0a 01 01 e4 b6"),
        (0x0D, b"", "10 0d 00 74 95"),
    ],
)
def test_settings_request_is_as_documented(
    function: int, data: bytes, request_bytes: str
) -> None:
    """Protocol 7 and 8."""
    assert settings_request(function, data) == bytes.fromhex(request_bytes)


def test_settings_request_with_too_much_data_is_refused() -> None:
    """255 bytes are the most."""
    assert len(settings_request(0x09, bytes(255))) == 260
    with pytest.raises(ValueError):
        settings_request(0x09, bytes(256))


# One frame, in pieces


def test_assembler_with_a_reply_cut_at_any_offset_yields_it() -> None:
    """F1: nothing before the second half, then the whole frame."""
    for at in range(1, len(STATUS)):
        feeder = Feeder()
        assert feeder.feed(STATUS[:at]) == []
        assert len(feeder.assembler) == at
        assert feeder.feed(STATUS[at:]) == [STATUS]
        assert len(feeder.assembler) == 0
        assert feeder.assembler.discarded == 0


@pytest.mark.parametrize("size", [1, 2, 3, 5, 20, 75, 86, 87, 88])
def test_assembler_with_notifications_of_any_size_yields_the_reply(size: int) -> None:
    """F1: 20 bytes at an MTU of 23; 75 + 8 was recorded."""
    feeder = Feeder()
    assert feeder.feed(*chunks(STATUS, size)) == [STATUS]
    assert feeder.assembler.discarded == 0


@pytest.mark.parametrize("missing", range(5))
def test_assembler_with_a_lost_piece_loses_one_frame(missing: int) -> None:
    """F1: the next good frame is found at once, without a pause or a clear."""
    feeder = Feeder()
    pieces = chunks(STATUS, 20)
    del pieces[missing]
    assert feeder.feed(*pieces) == []
    assert feeder.feed(*chunks(NEXT, 20)) == [NEXT]
    assert feeder.assembler.discarded == sum(map(len, pieces))


def test_assembler_with_a_frame_cut_short_loses_one_frame() -> None:
    """F1: a stale head is never completed by the frame that follows."""
    for at in range(1, len(STATUS)):
        feeder = Feeder()
        assert feeder.feed(STATUS[:at]) == []
        assert feeder.feed(NEXT) == [NEXT]
        assert feeder.assembler.discarded == at
        assert feeder.feed(STATUS) == [STATUS]


def test_assembler_with_a_lost_beginning_discards_the_rest() -> None:
    """F1: as after subscribing in the middle of a reply."""
    for at in range(1, len(STATUS)):
        feeder = Feeder()
        assert feeder.feed(STATUS[at:]) == []
        assert feeder.feed(NEXT) == [NEXT]
        assert feeder.assembler.discarded == len(STATUS) - at


def test_assembler_with_any_byte_wrong_yields_no_frame() -> None:
    """F1: never a sample from a bad frame, and the next good one decodes."""
    for at in range(len(STATUS)):
        feeder = Feeder()
        wrong = bytearray(STATUS)
        wrong[at] ^= 0xFF
        assert feeder.feed(bytes(wrong)) == []
        assert feeder.feed(NEXT) == [NEXT]
        assert feeder.assembler.discarded == len(STATUS)


# Several frames, and what is none


@pytest.mark.parametrize(
    "frames",
    [
        (STATUS, NEXT),
        (STATUS, STATUS),
        (SETTING, settings_frame(0x05, b"\x01")),
        (SETTING, STATUS, NEXT, SETTING),
    ],
)
def test_assembler_with_frames_in_one_notification_splits_them(
    frames: Sequence[bytes],
) -> None:
    """F1: glued together, also twice the same."""
    feeder = Feeder()
    assert feeder.feed(b"".join(frames)) == list(frames)
    assert feeder.assembler.discarded == 0


def test_assembler_with_a_duplicate_reply_yields_both() -> None:
    """F1: only the client knows which request a duplicate belongs to."""
    feeder = Feeder()
    assert feeder.feed(STATUS, STATUS) == [STATUS, STATUS]
    assert feeder.feed(*chunks(STATUS, 20), *chunks(STATUS, 20)) == [STATUS, STATUS]
    assert feeder.assembler.discarded == 0


def test_assembler_with_one_and_a_half_frames_stores_the_half() -> None:
    """F1: the end of one and the beginning of the next in one notification."""
    feeder = Feeder()
    assert feeder.feed(STATUS + NEXT[:40]) == [STATUS]
    assert len(feeder.assembler) == 40
    assert feeder.feed(NEXT[40:] + SETTING) == [NEXT, SETTING]
    assert feeder.assembler.discarded == 0


@pytest.mark.parametrize("junk", JUNK + BEGINNINGS)
def test_assembler_with_junk_before_a_frame_yields_it(junk: bytes) -> None:
    """F1: also behind what looks like the beginning of a longer frame."""
    for size in (1, 20, 1000):
        feeder = Feeder()
        assert feeder.feed(*chunks(junk + STATUS, size)) == [STATUS]
        assert feeder.assembler.discarded == len(junk)
        assert len(feeder.assembler) == 0


@pytest.mark.parametrize("junk", BEGINNINGS)
def test_assembler_with_a_false_beginning_yields_the_next_frame(
    junk: bytes,
) -> None:
    """F1: the frame is yielded when it arrives, not when the fake one is full."""
    feeder = Feeder()
    assert feeder.feed(junk) == []
    assert feeder.feed(STATUS) == [STATUS]
    assert feeder.assembler.discarded == len(junk)


@pytest.mark.parametrize("junk", JUNK)
def test_assembler_with_junk_behind_a_frame_discards_it(junk: bytes) -> None:
    """F1: at once, as no frame begins like that."""
    feeder = Feeder()
    assert feeder.feed(STATUS + junk) == [STATUS]
    assert feeder.assembler.discarded == len(junk)


@pytest.mark.parametrize(
    "no_frame",
    [
        b"\x01\x03\x00",  # a reply without registers: a request begins like that
        b"\x01\x03\x03abc",  # half a register
        b"\x01\x01\x02ab",  # a function that was not asked for
        b"\x01\x01\x02",  # as short as an exception
        b"\x01\x10\x00\x28\x00\x01",
        b"\x02\x03\x02ab",  # another slave
        b"\x64\x00\x00\x00\x00",
        b"\x64\x06\x00\x00\x00",
        b"\0\0",
    ],
)
def test_assembler_with_only_a_good_checksum_yields_no_frame(no_frame: bytes) -> None:
    """Lengths and functions that no battery answers with."""
    feeder = Feeder()
    assert feeder.feed(build_reply(no_frame)) == []
    assert feeder.feed(STATUS) == [STATUS]
    assert feeder.assembler.discarded == len(no_frame) + 2


@pytest.mark.parametrize(
    "good",
    [
        status_reply([2683]),
        status_reply([0] * MAX_REGISTERS),
        build_reply(b"\x01\x83\x02"),
        build_reply(b"\x01\x04\x01\x20" + bytes(32)),
        settings_frame(0x02, b"\x01"),
        settings_frame(0x03, bytes(0xFF)),
        settings_frame(0x0D),
        build_reply(b"\x64\x01\x00\x00\x00"),
        build_reply(b"\x64\x03\x05\x00\x00\x00\x00"),
        LONGEST,
    ],
)
def test_assembler_with_each_kind_of_frame_uses_its_length(good: bytes) -> None:
    """Protocol 2 and 9: reads, exceptions, more cells, settings, firmware."""
    assert Feeder().feed(good) == [good]
    assert Feeder().feed(good + STATUS) == [good, STATUS]
    assert Feeder().feed(*chunks(b"\xff" + good, 1)) == [good]


def test_assembler_that_is_cleared_discards_the_waiting_half() -> None:
    """F2: before each request; what was discarded is counted."""
    feeder = Feeder()
    feeder.feed(STATUS[:50])
    feeder.assembler.clear()
    assert len(feeder.assembler) == 0
    assert feeder.assembler.discarded == 50
    assert feeder.feed(STATUS[50:]) == []
    assert feeder.feed(STATUS) == [STATUS]


def test_assembler_with_an_empty_notification_is_unchanged() -> None:
    """Whether something waits or not."""
    feeder = Feeder()
    assert feeder.feed(b"") == []
    assert feeder.feed(STATUS[:9], b"", STATUS[9:]) == [STATUS]


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_assembler_yields_a_copy_of_the_buffer(
    kind: type[bytes | bytearray],
) -> None:
    """Bleak may use its buffer again."""
    data = kind(STATUS)
    (yielded,) = FrameAssembler().feed(data)
    if isinstance(data, bytearray):
        data[:] = bytes(len(data))
    assert type(yielded) is bytes
    assert yielded == STATUS


@pytest.mark.parametrize(
    "head", [b"\x01\x04\x00\xff", b"\x10\x00\xff", b"\x01\x03\xfe"]
)
@pytest.mark.parametrize("size", [1, 20, 157, 252, 10_000])
def test_assembler_buffer_with_endless_junk_is_bounded(head: bytes, size: int) -> None:
    """F1: 10 kB of frames that never become good, in pieces and at once."""
    feeder = Feeder()
    bad = (head + b"\xff" * 64) * (10_000 // (64 + len(head)))
    assert feeder.feed(*chunks(bad, size)) == []
    assert len(feeder.assembler) <= 261
    assert feeder.feed(STATUS) == [STATUS]


# Properties


@given(st.one_of(garbage, st.binary(max_size=2000)), sizes_strategy)
@example(LONGEST[:-1] * 4, [252])
@quick
def test_assembler_with_any_garbage_yields_no_bad_frame(
    data: bytes, sizes: list[int]
) -> None:
    """F1: whatever is fed, in whatever pieces; `Feeder` checks after each."""
    feeder = Feeder()
    feeder.feed(*cut(data, sizes))
    feeder.feed(data)
    assert len(feeder.assembler) <= BUFFER_LIMIT


@given(st.lists(good_frames, max_size=6), sizes_strategy)
@quick
def test_assembler_with_any_pieces_yields_all_frames(
    frames: list[bytes], sizes: list[int]
) -> None:
    """F1: in order, none lost, none invented, not a byte discarded."""
    feeder = Feeder()
    assert feeder.feed(*cut(b"".join(frames), sizes)) == frames
    assert feeder.assembler.discarded == 0
    assert len(feeder.assembler) == 0


@given(garbage, good_frames, sizes_strategy)
@quick
def test_assembler_with_any_garbage_yields_the_frame_behind(
    junk: bytes, good: bytes, sizes: list[int]
) -> None:
    """F1: as soon as its last byte is there."""
    assume(not Feeder().feed(junk))
    feeder = Feeder()
    assert feeder.feed(*cut(junk + good, sizes)) == [good]
    assert feeder.assembler.discarded == len(junk)


@given(st.lists(st.tuples(garbage, good_frames), max_size=4), sizes_strategy)
@quick
def test_assembler_with_garbage_between_frames_yields_all(
    parts: list[tuple[bytes, bytes]], sizes: list[int]
) -> None:
    """F1: a stream that recovers again and again."""
    assume(not any(Feeder().feed(junk) for junk, _ in parts))
    feeder = Feeder()
    stream = b"".join(junk + good for junk, good in parts)
    assert feeder.feed(*cut(stream, sizes)) == [good for _, good in parts]


class SlowAssembler:
    """The rule of the assembler without anything that makes it fast.

    Each notification, in slices, begins at the first byte that waits: the earliest intact
    frame counts, a beginning that lacks its end does not hide what is behind it.
    """

    def __init__(self) -> None:
        """Start empty."""
        self.buffer = b""
        self.discarded = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames now complete."""
        frames: list[bytes] = []
        for start in range(0, len(data), _SLICE):
            self.buffer += data[start : start + _SLICE]
            at = done = 0
            waiting: int | None = None
            while at < len(self.buffer):
                length = _frame_length(self.buffer, at)
                if length is None or at + length > len(self.buffer):
                    waiting = at if waiting is None else waiting
                elif length and not crc16(self.buffer[at : at + length]):
                    frames.append(self.buffer[at : at + length])
                    self.discarded += at - done
                    at = done = at + length
                    waiting = None
                    continue
                at += 1
            keep = at if waiting is None else waiting
            self.discarded += keep - done
            self.buffer = self.buffer[keep:]
        return frames


# Beginnings of every kind with lengths that overlap, so that frames lie within others.
beginnings = st.sampled_from(
    [
        b"\x01", b"\x01\x03", b"\x01\x03\x02", b"\x01\x03\x52", b"\x01\x04\x01\x20",
        b"\x01\x83", b"\x10", b"\x10\x07\x01", b"\x10\x03\xff", b"\x10\x10\x10\x10",
        b"\x64", b"\x64\x01\x01", b"\x64\x03\x01", b"\x64\x64",
    ]
)  # fmt: skip
pieces = st.one_of(good_frames, beginnings, st.binary(max_size=12))


@given(
    st.lists(st.lists(pieces, max_size=5).map(b"".join), max_size=12),
    st.lists(st.integers(0, 12), max_size=2),
)
@settings(max_examples=600, deadline=None, derandomize=True)
def test_assembler_with_any_notifications_does_what_the_slow_rule_does(
    notifications: list[bytes], clear_before: list[int]
) -> None:
    """Frames, their order, what is discarded and what waits, step by step."""
    fast, slow = FrameAssembler(), SlowAssembler()
    for number, data in enumerate(notifications):
        if number in clear_before:
            fast.clear()
            slow.discarded += len(slow.buffer)
            slow.buffer = b""
        assert fast.feed(data) == slow.feed(data)
        assert fast.discarded == slow.discarded
        assert len(fast) == len(slow.buffer)


@given(st.lists(pieces, max_size=8).map(b"".join), st.integers(1, 5))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_assembler_with_notifications_of_few_bytes_does_what_the_slow_rule_does(
    stream: bytes, size: int
) -> None:
    """Beginnings are looked at again until their length has arrived."""
    fast, slow = FrameAssembler(), SlowAssembler()
    for start in range(0, len(stream), size):
        data = stream[start : start + size]
        assert fast.feed(data) == slow.feed(data)
        assert (fast.discarded, len(fast)) == (slow.discarded, len(slow.buffer))


@given(st.binary(max_size=300), st.integers(0, 300))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_checksum_of_a_part_follows_from_two_beginnings(data: bytes, at: int) -> None:
    """For every length, wherever the part begins."""
    assembler = FrameAssembler()
    body = with_crc(data[: MAX_REGISTERS * 2])
    stream = bytes(at) + body
    assembler._buffer += stream
    crc = 0
    for number in range(len(stream)):
        crc = crc16_from(crc, stream[number])
        assembler._checksums.append(crc)
    assert assembler._is_intact(at, len(body))
    assembler._checksums[-1] ^= 1
    assert not assembler._is_intact(at, len(body))


def crc16_from(crc: int, byte: int) -> int:
    """Return a checksum with one byte more, bit by bit."""
    crc ^= byte
    for _ in range(8):
        crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


@pytest.mark.parametrize(
    "worst",
    [
        b"\x10\x03\xe0",
        b"\x10\x10\x10",
        b"\x01\x03\xfe",
        b"\x01\x04\x01\xff",
        b"\x64\x01",
    ],
)
@pytest.mark.parametrize("size", [1, 20, 244])
def test_work_of_the_assembler_is_linear_in_the_bytes(
    monkeypatch: pytest.MonkeyPatch, worst: bytes, size: int
) -> None:
    """Counted, not timed: each beginning is classified and checked a few times at most."""
    work = 0

    def count_length(buffer: bytes | bytearray, at: int) -> int | None:
        nonlocal work
        work += 1
        return _frame_length(buffer, at)

    is_intact = FrameAssembler._is_intact

    def count_check(self: FrameAssembler, start: int, length: int) -> bool:
        nonlocal work
        work += 1
        return is_intact(self, start, length)

    monkeypatch.setattr(frames_module, "_frame_length", count_length)
    monkeypatch.setattr(FrameAssembler, "_is_intact", count_check)
    stream = worst * (6000 // len(worst))
    assembler = FrameAssembler()
    for start in range(0, len(stream), size):
        assembler.feed(stream[start : start + size])
        assert len(assembler) <= BUFFER_LIMIT
    assert work <= 5 * len(stream)
