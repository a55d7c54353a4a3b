"""Turns to connect over an adapter: order, limits and what is left behind."""

from __future__ import annotations

import asyncio

import pytest

from custom_components.voltgo_vlrv.connection.turns import AdapterTurns, Turn
from custom_components.voltgo_vlrv.vlrv.errors import NotReachableError
from simulator.clock import FastClock


class Attempts:
    """Attempts over one adapter, and what became of each."""

    def __init__(self) -> None:
        """Start without any."""
        self.turns = AdapterTurns(asyncio.get_running_loop())
        self.order: list[str] = []
        self.ended: dict[str, float] = {}
        self.gave_way: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self, name: str, duration: float, *, has_failed: bool = False
    ) -> asyncio.Task[None]:
        """Start an attempt that takes `duration` s."""
        task = asyncio.create_task(self._attempt(name, duration, has_failed))
        self._tasks.add(task)
        return task

    async def _attempt(self, name: str, duration: float, has_failed: bool) -> None:
        try:
            async with self.turns.take(has_failed=has_failed) as turn:
                self.order.append(name)
                async with turn.attempt():
                    await asyncio.sleep(duration)
        except NotReachableError:
            self.gave_way.append(name)
        self.ended[name] = asyncio.get_running_loop().time()

    async def finish(self) -> None:
        """Wait for all attempts."""
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def test_turns_equal_batteries_connect_in_order(fast_clock: FastClock) -> None:
    """One after the other, each for as long as a connection takes."""
    attempts = Attempts()
    began = asyncio.get_running_loop().time()
    for name in "abcd":
        attempts.start(name, 4.0)
    await attempts.finish()
    assert attempts.order == ["a", "b", "c", "d"]
    assert attempts.gave_way == []
    assert [round(attempts.ended[name] - began) for name in "abcd"] == [4, 8, 12, 16]


async def test_turns_battery_that_has_failed_goes_last(fast_clock: FastClock) -> None:
    """It would most likely only delay the others."""
    attempts = Attempts()
    attempts.start("working", 1.0)
    attempts.start("failed", 1.0, has_failed=True)
    attempts.start("other", 1.0)
    await attempts.finish()
    assert attempts.order == ["working", "other", "failed"]


async def test_turns_battery_that_has_failed_waits_a_minute_at_most(
    fast_clock: FastClock,
) -> None:
    """Also where there is always a working battery that waits."""
    attempts = Attempts()
    for number in range(20):
        attempts.start(f"working {number}", 5.0)
    attempts.start("failed", 1.0, has_failed=True)
    await attempts.finish()
    assert attempts.order.index("failed") == 12


async def test_turns_battery_that_is_not_added_yet_goes_last_with_full_time(
    fast_clock: FastClock,
) -> None:
    """It is also read in its turn, which takes longer than to connect."""
    turns = AdapterTurns(asyncio.get_running_loop())
    order: list[str] = []

    async def attempt(name: str, duration: float, *, is_new: bool) -> None:
        async with turns.take(has_failed=False, is_new=is_new) as turn, turn.attempt():
            order.append(name)
            await asyncio.sleep(duration)

    await asyncio.gather(
        attempt("first", 1.0, is_new=False),
        attempt("new", 9.0, is_new=True),
        attempt("known", 1.0, is_new=False),
    )
    assert order == ["first", "known", "new"]


@pytest.mark.parametrize(("has_failed", "limit"), [(False, 10.0), (True, 5.0)])
async def test_attempt_without_result_gives_way_to_a_working_battery(
    fast_clock: FastClock, has_failed: bool, limit: float
) -> None:
    """Sooner if the one before has failed, too."""
    attempts = Attempts()
    began = asyncio.get_running_loop().time()
    attempts.start("weak", 40.0, has_failed=has_failed)
    await asyncio.sleep(1)
    attempts.start("working", 1.0)
    await attempts.finish()
    assert attempts.gave_way == ["weak"]
    assert attempts.ended["weak"] - began == pytest.approx(limit, abs=0.1)
    assert attempts.ended["working"] - began == pytest.approx(limit + 1, abs=0.1)


async def test_attempt_without_result_gives_way_at_once_after_its_limit(
    fast_clock: FastClock,
) -> None:
    """The working battery came when the limit was over already."""
    attempts = Attempts()
    began = asyncio.get_running_loop().time()
    attempts.start("weak", 40.0)
    await asyncio.sleep(25)
    attempts.start("working", 1.0)
    await attempts.finish()
    assert attempts.ended["weak"] - began == pytest.approx(25, abs=0.1)


@pytest.mark.parametrize("others", [0, 2])
async def test_attempt_without_result_keeps_its_time_if_no_working_battery_waits(
    fast_clock: FastClock, others: int
) -> None:
    """A weak battery has to be given the whole time now and then."""
    attempts = Attempts()
    attempts.start("weak", 40.0, has_failed=True)
    for number in range(others):
        attempts.start(f"weak too {number}", 40.0, has_failed=True)
    await attempts.finish()
    assert attempts.gave_way == []
    assert len(attempts.ended) == others + 1


async def test_turns_cancelled_while_waiting_leaves_the_others_their_turn(
    fast_clock: FastClock,
) -> None:
    """Whether it waits or has just been granted a turn."""
    attempts = Attempts()
    first = attempts.start("first", 4.0)
    second = attempts.start("second", 4.0)
    attempts.start("third", 4.0)
    await asyncio.sleep(1)
    second.cancel()
    await asyncio.sleep(1)
    first.cancel()
    await attempts.finish()
    assert attempts.order == ["first", "third"]


async def test_turn_that_gives_way_outside_of_its_attempt_goes_on(
    fast_clock: FastClock,
) -> None:
    """While it waits for a slot there is nothing to cancel; that wait has a limit."""
    turn = Turn(has_failed=False, now=0.0)
    turn.give_way(1.0)
    async with turn.attempt():
        await asyncio.sleep(1)
    turn.give_way(asyncio.get_running_loop().time())
    assert not turn.granted.is_set()


async def test_turn_attempt_that_is_ending_may_give_way_once_more(
    fast_clock: FastClock,
) -> None:
    """It disconnects meanwhile, and other batteries begin to wait."""
    attempts = Attempts()
    loop = asyncio.get_running_loop()

    async def slow() -> None:
        async with attempts.turns.take(has_failed=True) as turn, turn.attempt():
            try:
                await asyncio.sleep(40.0)
            finally:
                await asyncio.sleep(3.0)

    task = asyncio.create_task(slow())
    await asyncio.sleep(0)
    errors: list[object] = []
    loop.set_exception_handler(lambda _loop, context: errors.append(context))
    began = loop.time()
    attempts.start("a", 1.0)
    await asyncio.sleep(6.0)
    attempts.start("b", 1.0)
    await attempts.finish()
    loop.set_exception_handler(None)
    with pytest.raises(NotReachableError):
        await task
    assert errors == []
    assert round(attempts.ended["b"] - began) == 10


def test_new_battery_waits_for_working_ones_for_some_seconds_only() -> None:
    """A user may be waiting for it; one that has failed waits a minute."""
    new = Turn(has_failed=False, now=100.0, is_new=True)
    failed = Turn(has_failed=True, now=100.0)
    assert (new.rank(114.0), failed.rank(114.0)) == (2, 2)
    assert (new.rank(115.0), failed.rank(115.0)) == (0, 2)
    assert failed.rank(160.0) == 0


async def test_attempt_with_a_limit_of_its_own_ends_there(
    fast_clock: FastClock,
) -> None:
    """Also while none waits."""
    turns = AdapterTurns(asyncio.get_running_loop())
    began = asyncio.get_running_loop().time()
    async with turns.take(has_failed=False) as turn:
        with pytest.raises(NotReachableError):
            async with turn.attempt(3.0):
                await asyncio.sleep(20)
        assert asyncio.get_running_loop().time() - began == pytest.approx(3, abs=0.2)
