"""In which order a session connects, and when it connects again; no radio."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from custom_components.voltgo_vlrv.connection import session as module
from custom_components.voltgo_vlrv.connection.backoff import ReconnectBackoff
from custom_components.voltgo_vlrv.connection.errors import ReleasedError
from custom_components.voltgo_vlrv.connection.session import (
    ADVERTISEMENT_WAIT,
    ConnectionSession,
)
from custom_components.voltgo_vlrv.connection.state import ConnectionMode
from custom_components.voltgo_vlrv.vlrv.errors import NotReachableError

pytestmark = pytest.mark.usefixtures("fast_clock")

TAKES = 3.0  # s, to connect
LEFT_BEHIND = "close what was left behind"
WAITING = ["wait for adapters", "wait for a slot"]


class Apart:
    """A session of a battery that is not connected, and what is done for it in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin before the first connection."""
        self.done: list[Any] = []
        self.loop = asyncio.get_running_loop()
        self.error: Exception | None = None
        self.refuse_after: str | None = None
        self.client = Mock(is_connected=False, counters=SimpleNamespace(connects=0))
        self.client.connect, self.client.disconnect = self._connect, self._disconnect
        self.slots = Mock(address="A")
        self.slots.best_adapter.return_value = "proxy"
        self.slots.signals.return_value = {"proxy": -80, "near": -50}
        self.slots.adapters_with_free_slot.return_value = {"proxy", "near"}
        self.slots.local_silence.return_value = None
        self.slots.are_scarce.return_value = False
        self.slots.connected_adapter.return_value = Mock(source="proxy")
        self.slots.connected_adapter.return_value.name = "proxy"
        self.slots.wait_for_adapters = self._step("wait for adapters")
        self.slots.wait_for_slot = self._wait_for_slot
        self.slots.wait_in_range = self._wait_in_range
        self.delegate = Mock(mode=ConnectionMode.AUTOMATIC, is_released=False)
        self.delegate.options.interval = timedelta(seconds=10)
        self.delegate.check_wanted = self._check_wanted
        self.delegate.handle_connected = lambda: self.done.append("connected")
        monkeypatch.setattr(module, "close_stale_connections", self._step(LEFT_BEHIND))
        hass = Mock(loop=self.loop, data={})
        hass.async_create_background_task = lambda work, _name: asyncio.ensure_future(
            work
        )
        self.backoff = ReconnectBackoff()
        self.session = ConnectionSession(
            hass,
            self.client,
            self.slots,
            self.backoff,
            timers=Mock(),
            delegate=self.delegate,
        )

    def _step(self, name: str) -> Any:
        async def step(*_arguments: Any) -> None:
            self.done.append(name)

        return step

    async def _wait_for_slot(self, is_wanted: Any) -> None:
        self.done.append("wait for a slot")
        assert is_wanted() is not self.delegate.is_released

    async def _wait_in_range(self, max_wait: float, is_wanted: Any) -> None:
        self.done.append((max_wait, is_wanted()))

    def _check_wanted(self) -> None:
        if self.refuse_after is not None and self.refuse_after in self.done:
            raise ReleasedError("released")

    async def _connect(self) -> None:
        await asyncio.sleep(TAKES)
        self.done.append("connect")
        if self.error is not None:
            raise self.error
        self.client.is_connected = True
        self.client.counters.connects += 1

    async def _disconnect(self) -> None:
        self.done.append("disconnect")
        self.client.is_connected = False

    async def use(self, max_wait: float = 0.0) -> list[Any]:
        """Use the connection; return what was done for it."""
        self.done.clear()
        async with self.session.use(max_wait):
            pass
        await asyncio.sleep(0)
        return self.done


@pytest.fixture
async def one(monkeypatch: pytest.MonkeyPatch) -> Apart:
    """Return a battery that is not connected."""
    return Apart(monkeypatch)


async def test_session_connects_in_order_and_closes_old_connections_once(
    one: Apart,
) -> None:
    """What is connected is used as it is."""
    began = one.loop.time()
    expected = [WAITING[0], LEFT_BEHIND, WAITING[1], "connect", "connected"]
    assert await one.use() == expected
    assert one.backoff.attempt_started == pytest.approx(began, abs=0.5)
    assert one.backoff.attempt_ended == pytest.approx(began + TAKES, abs=0.5)
    assert await one.use() == []
    one.client.is_connected = False
    assert await one.use() == [*WAITING, "connect", "connected"]


@pytest.mark.parametrize("after", WAITING)
async def test_session_that_is_not_wanted_any_more_does_not_connect(
    one: Apart, after: str
) -> None:
    """The owner may release the battery while it waits."""
    one.refuse_after = after
    with pytest.raises(ReleasedError):
        await one.use()
    assert one.done[-1] == after


async def test_session_that_cannot_connect_ends_its_attempt(one: Apart) -> None:
    """It also ends what was to be connected again at once."""
    one.error = NotReachableError("away")
    one.session.is_reconnecting = True
    with pytest.raises(NotReachableError):
        await one.use()
    assert not one.session.is_reconnecting
    assert one.backoff.attempt_ended - one.backoff.attempt_started >= TAKES
    assert "connected" not in one.done
    one.error = None
    assert (await one.use())[-1] == "connected"


async def test_users_at_the_same_time_share_one_connection(one: Apart) -> None:
    """It is made once, and ends with the last of them."""
    one.delegate.mode = ConnectionMode.EACH_POLL

    async def use(seconds: float) -> None:
        async with one.session.use():
            await asyncio.sleep(seconds)
            one.done.append(seconds)

    await asyncio.gather(use(20), use(10))
    assert one.done.count("connect") == 1
    assert one.done[-3:] == [10, 20, "disconnect"]


@pytest.mark.parametrize(
    ("wanted", "is_reconnecting", "was_lost", "waited"),
    [
        (0.0, False, False, None),
        (7.0, False, False, 7.0),
        (0.0, True, False, ADVERTISEMENT_WAIT),
        (0.0, False, True, ADVERTISEMENT_WAIT),
        (2 * ADVERTISEMENT_WAIT, True, True, 2 * ADVERTISEMENT_WAIT),
    ],
)
async def test_session_waits_for_an_advertisement_where_one_is_due(
    one: Apart,
    wanted: float,
    is_reconnecting: bool,
    was_lost: bool,
    waited: float | None,
) -> None:
    """There is none for a moment after a connection."""
    one.session.is_reconnecting = is_reconnecting
    if was_lost:
        one.backoff.connection_lost(one.loop.time())
    done = await one.use(wanted)
    assert done[:1] == ([WAITING[0]] if waited is None else [(waited, True)])
    assert await one.use(wanted) == []


async def test_session_is_shared_from_its_first_connection_on(one: Apart) -> None:
    """Then it also tells how long a turn takes."""
    one.delegate.mode = ConnectionMode.EACH_POLL
    assert not one.session.is_shared
    await one.use()
    assert one.session.is_shared
    assert one.session.turn_time == pytest.approx(TAKES, abs=0.1)
    one.delegate.mode = ConnectionMode.KEEP
    await one.use()
    assert not one.session.is_shared
    assert one.session.turn_time == 0.0
    assert one.client.is_connected


@pytest.mark.parametrize("is_scarce", [True, False])
async def test_session_frees_a_slot_that_others_need(
    one: Apart, *, is_scarce: bool
) -> None:
    """As planned: the next connection is not taken for an unstable one."""
    one.slots.are_scarce.return_value = is_scarce
    one.backoff.disconnected_on_purpose = Mock()  # type: ignore[method-assign]
    await one.use()
    assert one.client.is_connected is not is_scarce
    assert one.backoff.disconnected_on_purpose.called is is_scarce
    assert one.delegate.report_status.called


@pytest.mark.parametrize(
    ("mode", "has_adapter", "signals", "free", "moves"),
    [
        (ConnectionMode.AUTOMATIC, True, (-80, -50), {"near"}, True),
        (ConnectionMode.AUTOMATIC, True, (-80, -50), {"near", "proxy"}, True),
        (ConnectionMode.AUTOMATIC, True, (-80, -50), {"proxy"}, False),
        (ConnectionMode.AUTOMATIC, True, (-80, -70), {"near"}, False),
        (ConnectionMode.AUTOMATIC, False, (-80, -50), {"near"}, False),
        (ConnectionMode.KEEP, True, (-80, -50), {"near"}, False),
    ],
)
async def test_session_moves_to_an_adapter_that_is_much_better(
    one: Apart,
    mode: ConnectionMode,
    *,
    has_adapter: bool,
    signals: tuple[int, int],
    free: set[str],
    moves: bool,
) -> None:
    """After a while, and once; the next advertisement leads to it."""
    one.delegate.mode = mode
    one.slots.adapters_with_free_slot.return_value = free
    one.slots.signals.return_value = dict(zip(("proxy", "near"), signals, strict=True))
    if not has_adapter:
        one.slots.connected_adapter.return_value = None
    await one.use()
    await asyncio.sleep(1799 - TAKES)
    assert await one.use() == []
    await asyncio.sleep(TAKES + 10)
    assert await one.use() == ["disconnect"] * moves
    assert one.session.is_reconnecting is moves
    assert one.slots.expect_advertisement.called is moves
    if moves:
        one.session.handle_release()
        assert not one.session.is_reconnecting
        assert one.slots.handle_change.called
        # Where it has changed nothing it is tried less often.
        await one.use()
        await asyncio.sleep(1810)
        assert await one.use() == []


async def test_session_in_use_keeps_its_slot(one: Apart) -> None:
    """Also while the adapter is full; an unused one is freed."""
    one.slots.are_scarce.return_value = True
    async with one.session.use():
        await one.session._disconnect_if_unused()
        assert one.client.is_connected
    assert not one.client.is_connected
    one.client.is_connected = True
    await one.session._disconnect_if_unused()
    assert not one.client.is_connected


async def test_session_waits_for_a_full_adapter_once(one: Apart) -> None:
    """However often it reports its slots."""
    timers: dict[str, Any] = {}
    one.session._timers = Mock(
        start=lambda name, delay, action: timers.setdefault(name, (delay, action))
    )
    one.session._timers.__contains__ = lambda _self, name: name in timers
    full = Mock(free=0, source="proxy")
    one.session.handle_allocations(full)
    assert timers == {}
    one.client.is_connected = True
    one.session.handle_allocations(Mock(free=1, source="proxy"))
    assert timers == {}
    for _ in range(2):
        one.session.handle_allocations(full)
    ((delay, action),) = timers.values()
    assert delay > 0
    one.slots.are_scarce.return_value = True
    action()
    await asyncio.sleep(0.1)
    assert not one.client.is_connected
