"""What is read in the background after connecting, and how often; no radio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from custom_components.voltgo_vlrv.battery.metadata import MetadataReader
from custom_components.voltgo_vlrv.battery.operations import Operation
from custom_components.voltgo_vlrv.connection.errors import OtherBatteryError
from custom_components.voltgo_vlrv.const import MAX_DROPS_PER_READ, METADATA_MAX_AGE
from custom_components.voltgo_vlrv.vlrv.errors import (
    ConnectionLostError,
    NoAnswerError,
    NotReachableError,
    VlrvError,
)

ALL = ["identity", "thresholds", "settings", "length"]
AGE = METADATA_MAX_AGE.total_seconds()
KNOWN = BatteryInfo("ZT-1", 4, 100.0, thresholds={"old": 1.0}, can_protocols=("P1",))


class Board:
    """A battery, and what was read from it since the last look."""

    def __init__(self) -> None:
        """Begin with one that answers everything."""
        self.time = 1000.0
        self.info = KNOWN
        self.errors: dict[str, VlrvError] = {}
        self.done: list[str] = []
        self.held: list[Operation] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.thresholds: dict[str, float] = {"new": 2.0}
        self.connection_error: VlrvError | None = None
        self.connection = SimpleNamespace(use=self._use, is_released=False)
        self.guard = SimpleNamespace(
            is_identity_read=False, async_read_identity=self.async_read_identity
        )
        self.settings = SimpleNamespace(
            pending={}, module_id=None, codes=lambda _: (), async_read=self._settings
        )
        access = SimpleNamespace(
            hass=SimpleNamespace(loop=SimpleNamespace(time=lambda: self.time)),
            entry=SimpleNamespace(async_create_background_task=self._start),
            client=SimpleNamespace(
                name="House",
                read_thresholds=self._thresholds,
                probe_status_length=self.probe_status_length,
            ),
            connection=self.connection,
            operations=SimpleNamespace(hold=self._hold),
            guard=self.guard,
        )
        parts: Any = (access, SimpleNamespace(update=self._update), self.settings)
        parts[1].info = self.info
        self.store = parts[1]
        self.reader = MetadataReader(*parts)

    def _update(self, info: BatteryInfo) -> None:
        self.info = self.store.info = info

    def _start(self, _hass: Any, work: Any, _name: str) -> None:
        self.tasks.append(asyncio.create_task(work))

    @asynccontextmanager
    async def _use(self) -> AsyncGenerator[None]:
        if self.connection_error is not None:
            raise self.connection_error
        yield

    @asynccontextmanager
    async def _hold(self, operation: Operation) -> AsyncGenerator[None]:
        self.held.append(operation)
        yield

    def _read(self, what: str) -> None:
        self.done.append(what)
        if (error := self.errors.get(what)) is not None:
            raise error

    async def async_read_identity(self) -> None:
        """Answer, or not."""
        self._read("identity")

    async def _thresholds(self) -> dict[str, float]:
        self._read("thresholds")
        return self.thresholds

    async def _settings(self) -> None:
        self._read("settings")

    async def probe_status_length(self) -> None:
        """Answer, or not."""
        self._read("length")

    async def sample(self) -> list[str]:
        """Handle a sample; return what was read after it."""
        self.reader.handle_sample()
        for task in self.tasks:
            await task
        self.tasks.clear()
        done, self.done = self.done, []
        return done

    async def connect(self) -> list[str]:
        """Connect; return what was read after the first sample."""
        self.reader.handle_connected()
        return await self.sample()


async def test_metadata_is_read_once_after_connecting() -> None:
    """Each part as an operation of its own; again after some hours."""
    board = Board()
    assert await board.sample() == []
    assert await board.connect() == ALL
    assert board.held == [Operation.METADATA] * 4
    assert await board.sample() == []
    board.time += AGE - 1
    assert await board.connect() == []
    board.time += 1
    assert await board.connect() == ALL


@pytest.mark.parametrize("why", ["pending change", "invalid"])
async def test_metadata_is_read_again_where_it_may_have_changed(why: str) -> None:
    """After a disconnection that may have been a power cycle."""
    board = Board()
    await board.connect()
    if why == "invalid":
        board.reader.invalidate()
    else:
        board.settings.pending = {"module_id": 3}
    assert await board.sample() == []
    assert await board.connect() == ALL


@pytest.mark.parametrize("by", ["config flow", "guard"])
async def test_identity_that_is_known_is_not_read_again(by: str) -> None:
    """That of the config flow counts once."""
    board = Board()
    if by == "guard":
        board.guard.is_identity_read = True
    else:
        board.reader.identity_known()
    assert await board.connect() == ALL[1:]
    board.guard.is_identity_read = False
    board.reader.invalidate()
    assert await board.connect() == ALL


async def test_read_that_is_not_answered_leaves_the_others() -> None:
    """Not every board has everything, and nothing else depends on it."""
    board = Board()
    board.errors = {what: NoAnswerError("silent") for what in ALL}
    for _ in range(MAX_DROPS_PER_READ + 1):
        assert await board.connect() == ALL
        assert await board.connect() == []
        board.time += AGE
    assert board.info == KNOWN


async def test_read_that_drops_the_connection_is_left_out_for_some_hours() -> None:
    """The parts after it would never be read."""
    board = Board()
    board.errors = {"thresholds": ConnectionLostError("lost")}
    for _ in range(MAX_DROPS_PER_READ):
        assert await board.connect() == ALL[:2]
    assert await board.connect() == [ALL[0], *ALL[2:]]
    board.time += AGE - 1
    board.reader.invalidate()
    assert await board.connect() == [ALL[0], *ALL[2:]]
    board.time += 1
    board.reader.invalidate()
    board.errors = {}
    assert await board.connect() == ALL
    # An answer ends the row.
    board.errors = {"thresholds": ConnectionLostError("lost")}
    board.reader.invalidate()
    assert await board.connect() == ALL[:2]
    assert await board.connect() == (
        ALL[:2] if MAX_DROPS_PER_READ > 1 else [ALL[0], *ALL[2:]]
    )


async def test_connection_that_was_released_during_a_read_is_no_drop() -> None:
    """The owner ended it, not the board."""
    board = Board()
    board.connection.is_released = True
    board.errors = {"thresholds": ConnectionLostError("lost")}
    for _ in range(MAX_DROPS_PER_READ + 2):
        assert await board.connect() == ALL[:2]


async def test_other_battery_ends_the_reading_until_the_next_connection() -> None:
    """Nothing is learned from it."""
    board = Board()
    board.errors = {"identity": OtherBatteryError()}
    for _ in range(MAX_DROPS_PER_READ + 2):
        assert await board.connect() == ["identity"]
    board.errors = {}
    assert await board.connect() == ALL


async def test_metadata_that_is_requested_is_read_after_the_next_sample() -> None:
    """On the same connection: the other battery is the user's, and stays connected."""
    board = Board()
    board.errors["identity"] = OtherBatteryError()
    await board.connect()
    del board.errors["identity"]
    assert await board.sample() == []
    board.reader.request()
    assert await board.sample() == ALL


async def test_battery_that_cannot_be_connected_is_read_the_next_time() -> None:
    """Nothing was asked."""
    board = Board()
    board.connection_error = NotReachableError("away")
    assert await board.connect() == []
    board.connection_error = None
    assert await board.connect() == ALL


async def test_metadata_adds_to_what_is_known_and_removes_nothing() -> None:
    """A board may answer with empty lists."""
    board = Board()
    await board.connect()
    assert board.info.thresholds == {"new": 2.0}
    assert (board.info.module_id, board.info.can_protocols) == (False, ("P1",))
    board.thresholds = {}
    board.settings.module_id = 3
    board.settings.codes = lambda setting: (setting,)
    board.reader.invalidate()
    await board.connect()
    assert board.info.thresholds == {"new": 2.0}
    assert board.info.module_id
    assert board.info.can_protocols == ("can_protocol",)
    assert board.info.rs485_protocols == ("rs485_protocol",)
    board.settings.module_id = None
    board.settings.codes = lambda _: ()
    board.reader.invalidate()
    await board.connect()
    assert board.info.module_id
    assert board.info.rs485_protocols == ("rs485_protocol",)
