"""Sixteen batteries on few connections: readings, fairness, gaps and connects.

They share one or three ESPHome proxies of three connections each, a connect takes 1, 2
or 4 s, and all run through Home Assistant's own `esphome` on a simulated clock. What is
compared is compared within one run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import Any, Final

from script.progress import log_to_file, show_progress

FAIRNESS_MIN: Final = 0.8
UNAVAILABLE_MAX: Final = 0.0
CONNECTS_PER_READING_MAX: Final = 1.0
LONGEST_ROUND: Final = 30.0
"""Round of all batteries in s up to which none may become unavailable."""

BATTERIES: Final = 16
SLOTS: Final = 3
PROXIES: Final = (1, 3)
CONNECT_SECONDS: Final = (1.0, 2.0, 4.0)
# What a battery is asked for a day, by what the user has chosen.
MODES: Final[dict[str, dict[str, Any]]] = {
    "automatic, 10 s": {},
    "keep, 10 s": {"connection": "keep"},
    "each_poll, 10 s": {"connection": "each_poll"},
    "each_poll, 60 s": {"connection": "each_poll", "interval": 60},
    "stored, 1 h": {"usage": "stored"},
}
SETTLED: Final = 15 * 60.0  # s
MEASURED: Final = 3600.0  # s


@dataclass(frozen=True, slots=True)
class Crowd:
    """What sixteen batteries got in one hour."""

    proxies: int
    connect_seconds: float
    """How long a connect took that had nothing to wait for."""
    readings: tuple[int, ...]
    """Of each battery."""
    unavailable: float
    """Share of the time, over all batteries."""
    connects: int
    """Connections that the proxies were asked for, of all batteries."""

    @property
    def fairness(self) -> float:
        """Return the least readings of a battery as a share of the mean."""
        mean = sum(self.readings) / len(self.readings)
        return min(self.readings) / mean if mean else 0.0

    @property
    def round_seconds(self) -> float:
        """Return how long a round takes in which each battery is read once."""
        return MEASURED / max(min(self.readings), 1)

    @property
    def connects_per_reading(self) -> float:
        """Return the connections for one reading."""
        return self.connects / max(sum(self.readings), 1)

    @property
    def must_be_available(self) -> bool:
        """Return whether a round is so short that no battery may become unavailable."""
        return self.round_seconds <= LONGEST_ROUND

    def __str__(self) -> str:
        """Return the figures as one row of the table."""
        return (
            f"{self.proxies:>7}{self.connect_seconds:>7.0f} s"
            f"{min(self.readings):>7}{sum(self.readings) / len(self.readings):>7.0f}"
            f"{max(self.readings):>7}{self.fairness:>10.2f}{self.unavailable:>13.4f}"
            f"{self.connects:>12}{self.connects_per_reading:>15.2f}"
            f"{self.round_seconds:>7.0f} s"
        )


@dataclass(frozen=True, slots=True)
class Air:
    """The worst of all crowds, each figure within the range of its target."""

    fairness: float
    unavailable: float
    connects_per_reading: float

    def __str__(self) -> str:
        """Return the result line."""
        return (
            f"air fairness={self.fairness:.2f} unavailable={self.unavailable:.4f} "
            f"connects_per_reading={self.connects_per_reading:.2f}"
        )


def worst(crowds: list[Crowd]) -> Air:
    """Return the worst figures of these crowds."""
    return Air(
        fairness=min(crowd.fairness for crowd in crowds),
        unavailable=max(
            (crowd.unavailable for crowd in crowds if crowd.must_be_available),
            default=0.0,
        ),
        connects_per_reading=max(crowd.connects_per_reading for crowd in crowds),
    )


def missed(air: Air) -> Iterator[str]:
    """Yield each target that is missed."""
    if air.fairness < FAIRNESS_MIN:
        yield f"fairness is {air.fairness:.3f}, must be at least {FAIRNESS_MIN}"
    if air.unavailable > UNAVAILABLE_MAX:
        yield f"unavailable is {air.unavailable:.5f}, must be {UNAVAILABLE_MAX:.0f}"
    if air.connects_per_reading > CONNECTS_PER_READING_MAX:
        yield (
            f"connects_per_reading is {air.connects_per_reading:.3f}, must be at most "
            f"{CONNECTS_PER_READING_MAX:.0f}"
        )


def measure(proxies: int, connect_seconds: float) -> Crowd:
    """Simulate an hour of sixteen batteries, in a process of its own."""
    from .crowd import run_crowd  # noqa: PLC0415  # brings Home Assistant's `esphome`

    log_to_file("bench")
    with TemporaryDirectory() as folder:
        return asyncio.run(run_crowd(Path(folder), proxies, connect_seconds))


def measure_mode(name: str) -> tuple[float, float]:
    """Return connects and seconds of connection a day, in a process of its own."""
    from .crowd import run_mode  # noqa: PLC0415  # brings Home Assistant's `esphome`

    log_to_file("bench")
    with TemporaryDirectory() as folder:
        return asyncio.run(run_mode(Path(folder), MODES[name]))


def run() -> bool:
    """Measure, print, and return whether all targets are met."""
    cases = [(proxies, each) for proxies in PROXIES for each in CONNECT_SECONDS]
    sys.path.insert(0, str(Path.cwd()))
    os.environ.setdefault("PYTHONHASHSEED", "0")
    with ProcessPoolExecutor(
        os.process_cpu_count(), get_context("spawn"), max_tasks_per_child=1
    ) as pool:
        measuring = [pool.submit(measure, *case) for case in cases]
        modes_measuring = [pool.submit(measure_mode, name) for name in MODES]
        waiting: list[Future[Any]] = [*measuring, *modes_measuring]
        with show_progress("air", len(waiting)) as done:
            for number, _ in enumerate(as_completed(waiting), start=1):
                done(number)
        crowds = [each.result() for each in measuring]
        modes = [each.result() for each in modes_measuring]
    print(
        f"air: {BATTERIES} batteries for an hour, {SLOTS} connections a proxy\n"
        f"{'proxies':>7}{'connect':>9}{'least':>7}{'mean':>7}{'most':>7}"
        f"{'fairness':>10}{'unavailable':>13}{'connects':>12}{'per reading':>15}"
        f"{'round':>9}"
    )
    for crowd in crowds:
        print(crowd)
    print("air: one battery for a day, connects and seconds of connection")
    for name, (connects, seconds) in zip(MODES, modes, strict=True):
        print(f"  {name:<16}{connects:>7.0f}{seconds:>9.0f} s")
    air = worst(crowds)
    failures = list(missed(air))
    for failure in failures:
        print(f"  MISSED: {failure}")
    print(
        f"  targets {'MISSED' if failures else 'met'}: fairness at least "
        f"{FAIRNESS_MIN}, unavailable {UNAVAILABLE_MAX:.0f} at up to "
        f"{LONGEST_ROUND:.0f} s a round, connects_per_reading at most "
        f"{CONNECTS_PER_READING_MAX:.0f}"
    )
    print(air)
    return not failures
