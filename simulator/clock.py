"""Simulated time for a running event loop.

While a `FastClock` is installed, time stands still as long as there is work, and jumps
to the next timer when there is none. A timeout of 20 s costs nothing, and two things
done without waiting in between happen at the same instant, however slow the machine.

What follows the clock:
- `loop.time()` and with it every timer, sleep and timeout of that loop;
- `time.time()` and `time.monotonic()` called through the module `time`;
- habluetooth's coarse monotonic time; `utcnow()` and `now()` of `homeassistant.util.dt`,
  where Home Assistant is imported before; and the above under whatever name the packages
  of `FOLLOWERS` hold them.

What does not:
- `datetime.now()` called directly, file times, log times, `time.time_ns()`,
  `time.perf_counter()` (use it to measure real time), `time.sleep()`;
- the standard library and other packages that imported a function of `time` by name,
  such as threading and queue: waiting in a thread takes real time.

While a job runs in an executor, time stands still, so that no timer overtakes it however
slow the machine; after some real seconds it goes on at its real speed, as the job may
itself wait for a timer. Other threads are not seen: use `hold()` around work that one of
them does.

Code that would hang forever fails: waiting for time to pass without yielding to the
loop (`while monotonic() < end: await sleep(0)`), and waiting for what never
comes, after `limit` simulated seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
import selectors
import sys
import time
from types import ModuleType, TracebackType
from typing import Any, Final, NamedTuple, NoReturn, Self, cast

import bluetooth_data_tools

FOLLOWERS: Final = (
    "aioesphomeapi",
    "bleak",
    "bleak_esphome",
    "bleak_retry_connector",
    "bluetooth_adapters",
    "bluetooth_data_tools",
    "custom_components",
    "dbus_fast",
    "habluetooth",
    "homeassistant",
    "simulator",
)
"""Packages whose clock functions are replaced under any name they have there."""

DAY: Final = 86_400.0  # s
MAX_TURNS_AT_ONE_INSTANT: Final = 200_000
"""Turns of the loop at one instant; connecting takes some hundred."""

REAL_TIME_SLICE: Final = 0.02  # s; how long to wait for an executor job at a time
STILL: Final = 5.0  # s, real; how long time stands still for an executor job

_HA_TIME: Final = "homeassistant.util.dt"

type _Events = list[tuple[selectors.SelectorKey, int]]

_real_time = time.time
_real_monotonic = time.monotonic
_real_coarse_monotonic = bluetooth_data_tools.monotonic_time_coarse
_real_ha_time: dict[str, object] = {}
"""Functions of Home Assistant as first found: a patch that ends late may put ours back."""
_active: FastClock | None = None
_clock_names: dict[ModuleType, tuple[int, list[str]]] = {}
"""How much a module held when it was searched, and its names of clock functions."""


# These stand in for the real functions. A module that is imported while a clock is
# installed keeps them for good, so they have to work without one, too.


def _monotonic() -> float:
    return _real_monotonic() if _active is None else _active.now


def _time() -> float:
    return _real_time() if _active is None else _active.now + _active.epoch


def _utcnow() -> datetime:
    return datetime.fromtimestamp(_time(), UTC)


def _now(time_zone: tzinfo | None = None) -> datetime:
    default: tzinfo = sys.modules[_HA_TIME].DEFAULT_TIME_ZONE
    return datetime.fromtimestamp(_time(), time_zone or default)


class _Originals(NamedTuple):
    """What a clock replaces in its loop, as it was before."""

    select: Callable[[float | None], _Events]
    run_in_executor: Callable[..., asyncio.Future[Any]]
    time: Callable[[], float]


class FastClock:
    """Simulated time on one event loop; use `install()` or as a context manager.

    One clock at a time. `now` is the loop's time and `epoch` its difference to Unix
    time, in seconds; `jumps` counts the leaps to a timer. `limit` is how many seconds
    may pass in all, and can be raised. With a `start` the loop's time, too, is the same
    each time, but for whole days.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        limit: float = DAY,
        start: datetime | None = None,
    ) -> None:
        """Choose the loop, the running one by default, and the time, by default now."""
        self.limit = limit
        self._start = start
        self._loop = loop or asyncio.get_running_loop()
        self._selector = cast("selectors.BaseSelector", vars(self._loop)["_selector"])
        self._originals = _Originals(
            self._selector.select, self._loop.run_in_executor, self._loop.time
        )
        self._replaced: list[tuple[ModuleType, str, object]] = []
        self._jobs = 0
        self._job_news = 0.0
        self._holds = 0
        self._turns = 0
        self._started = 0.0
        self.now = 0.0
        self.epoch = 0.0
        self.jumps = 0

    @property
    def elapsed(self) -> float:
        """Return the simulated seconds since the clock was installed."""
        return self.now - self._started

    def install(self) -> None:
        """Take over."""
        global _active  # noqa: PLW0603
        if _active is not None:
            raise RuntimeError("A simulated clock is installed already")
        self.now = self._originals.time()
        if self._start is None:
            self.epoch = _real_time() - self.now
        else:
            self.epoch = DAY * ((self._start.timestamp() - self.now) // DAY)
            self.now = self._start.timestamp() - self.epoch
        self._started = self.now
        _active = self
        loop = cast("Any", self._loop)
        loop.time = lambda: self.now
        loop.run_in_executor = self._count_in_executor
        cast("Any", self._selector).select = self._jump_or_select
        self._replace_functions()

    def uninstall(self) -> None:
        """Give back; the loop keeps the time it has gained."""
        global _active  # noqa: PLW0603
        if _active is not self:
            return
        for module, name, original in self._replaced:
            setattr(module, name, original)
        self._replaced.clear()
        _active = None
        real_time, gained = self._originals.time, self.now - self._originals.time()
        loop = cast("Any", self._loop)
        loop.time = lambda: real_time() + gained
        loop.run_in_executor = self._originals.run_in_executor
        cast("Any", self._selector).select = self._originals.select

    def __enter__(self) -> Self:
        """Install."""
        self.install()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Uninstall."""
        self.uninstall()

    @contextmanager
    def hold(self) -> Generator[None]:
        """Let time pass at its real speed inside the context."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def _jump_or_select(self, timeout: float | None = None) -> _Events:
        """Stand in for the selector of the loop, which waits `timeout` seconds."""
        self._turns += 1
        if timeout is not None and timeout <= 0:
            if self._turns > MAX_TURNS_AT_ONE_INSTANT:
                self._give_up("Something waits for time to pass but never sleeps")
            return self._originals.select(timeout)
        self._turns = 0
        if events := self._originals.select(0):
            return events
        if timeout is None or self._jobs or self._holds:
            return self._really_select(timeout)
        self.now += timeout
        self.jumps += 1
        if self.elapsed > self.limit:
            self._give_up(f"{self.limit} simulated seconds have passed")
        return []

    def _give_up(self, reason: str) -> NoReturn:
        self.uninstall()
        raise RuntimeError(reason)

    def _really_select(self, timeout: float | None) -> _Events:
        started = time.perf_counter()
        events = self._originals.select(
            timeout if timeout is None else min(timeout, REAL_TIME_SLICE)
        )
        done = time.perf_counter()
        if self._holds or not self._jobs or done - self._job_news > STILL:
            self.now += done - started
        return events

    def _count_in_executor(
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        future = self._originals.run_in_executor(executor, func, *args)
        self._jobs += 1
        self._job_news = time.perf_counter()
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, _future: asyncio.Future[Any]) -> None:
        self._jobs -= 1
        self._job_news = time.perf_counter()

    def _replace_functions(self) -> None:
        # By identity: callables need neither be hashable nor compare quietly.
        substitutes: dict[int, Callable[..., object]] = {
            id(_real_time): _time,
            id(_real_monotonic): _monotonic,
            id(_real_coarse_monotonic): _monotonic,
        }
        # The library is tested without Home Assistant, too.
        if (ha_time := sys.modules.get(_HA_TIME)) is not None:
            ours: dict[str, Callable[..., object]] = {"utcnow": _utcnow, "now": _now}
            for name, function in ours.items():
                real = _real_ha_time.setdefault(name, vars(ha_time)[name])
                substitutes[id(real)] = function
        for module in [time, *_followers()]:
            contents = vars(module)
            known = _clock_names.get(module)
            if known is None or known[0] != len(contents):
                names = [
                    name for name, value in contents.items() if id(value) in substitutes
                ]
                known = _clock_names[module] = (len(contents), names)
            for name in known[1]:
                value = contents.get(name)
                if (substitute := substitutes.get(id(value))) is not None:
                    self._replaced.append((module, name, value))
                    setattr(module, name, substitute)


def _followers() -> list[ModuleType]:
    return [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in FOLLOWERS
        and name != __name__
        and isinstance(module, ModuleType)
    ]
