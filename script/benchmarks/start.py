"""Start of sixteen batteries at once, against an empty integration with as many entities.

As after a restart of Home Assistant: the entries and their entities are registered, the
last samples are stored, and the adapter receives all batteries. What counts is from the
set-up of the first entry until all have their entities with values: processor time of
all threads, the reading of the stored files included. What does not: imports, which Home
Assistant does before, in an executor; and the radio: each battery is held by another
device, so that no connection is made meanwhile. A block is one step of the event loop, in
processor time of its thread. Several rounds in each of several new processes; the fastest
of each counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import gc
import time
from typing import Final
from unittest.mock import patch

from homeassistant.components import bluetooth
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.util.async_ import create_eager_task

from . import workload
from .environment import (
    INTERVAL,
    LOOK,
    OURS,
    BenchmarkEnvironment,
    by_default,
    open_environment,
    run_metered,
)
from .floor import EntityLike, Floor
from .memory import describe_entities
from .meter import Meter
from .processes import in_new_process, new_folder
from .workload import Samples
from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.peripheral import Peripheral

BATTERIES: Final = 16
RUNS: Final = 3
ROUNDS: Final = 4  # in each run
HEARD: Final = 30.0  # s, at the latest

START_RATIO_MAX: Final = 1.5
LONGEST_BLOCK_MS_MAX: Final = 20.0


@dataclass(frozen=True, slots=True)
class SetUp:
    """The set-up of all entries, in ms of processor time."""

    total: float
    longest_block: float


@dataclass(frozen=True, slots=True)
class Start:
    """The fastest of several set-ups."""

    ours: SetUp
    floor: SetUp
    """Of the empty integration."""

    @property
    def ratio(self) -> float:
        """Return how many times as long ours takes."""
        return self.ours.total / self.floor.total

    def __str__(self) -> str:
        """Return the result line."""
        return (
            f"start start_ratio={self.ratio:.3f} "
            f"longest_block_ms={self.ours.longest_block:.2f}"
        )


def fastest(set_ups: Sequence[SetUp]) -> SetUp:
    """Return the least of each: other work of the machine only makes it slower."""
    return SetUp(
        min(each.total for each in set_ups), min(each.longest_block for each in set_ups)
    )


def missed(start: Start) -> Iterator[str]:
    """Yield each target that is missed."""
    if start.ratio > START_RATIO_MAX:
        yield f"start_ratio is {start.ratio:.3f}, must be at most {START_RATIO_MAX}"
    if start.ours.longest_block > LONGEST_BLOCK_MS_MAX:
        yield (
            f"longest_block_ms is {start.ours.longest_block:.2f}, must be at most "
            f"{LONGEST_BLOCK_MS_MAX:.0f}"
        )


@contextmanager
def timed_steps() -> Generator[list[int]]:
    """Collect the processor time in ns of each step of the event loop."""
    steps: list[int] = []
    run_step = asyncio.Handle._run  # noqa: SLF001

    def run_timed(handle: asyncio.Handle) -> None:
        before = time.thread_time_ns()
        run_step(handle)
        steps.append(time.thread_time_ns() - before)

    with patch.object(asyncio.Handle, "_run", run_timed):
        yield steps


async def _set_up(hass: HomeAssistant, entries: Sequence[ConfigEntry]) -> SetUp:
    """Set all entries up at once, as Home Assistant does when it starts."""
    gc.collect()
    with timed_steps() as steps:
        # The next step is one that is timed.
        await asyncio.sleep(0)
        before = time.process_time_ns()
        await asyncio.gather(
            *(
                create_eager_task(hass.config_entries.async_setup(entry.entry_id))
                for entry in entries
            )
        )
        total = time.process_time_ns() - before
        # Ends the step that has begun the set-up, and all of it where nothing waits.
        await asyncio.sleep(0)
    assert all(entry.state is ConfigEntryState.LOADED for entry in entries)
    return SetUp(total / 1e6, max(steps) / 1e6)


async def _unload(hass: HomeAssistant, entries: Sequence[ConfigEntry]) -> None:
    for entry in entries:
        assert await hass.config_entries.async_unload(entry.entry_id)


async def _hold(hass: HomeAssistant, peripherals: Sequence[Peripheral]) -> None:
    """Have other devices hold the batteries, once all were received."""
    for peripheral in peripherals:
        await peripheral.vacate()
    async with asyncio.timeout(HEARD):
        while not all(  # noqa: ASYNC110
            bluetooth.async_address_present(hass, peripheral.address)
            for peripheral in peripherals
        ):
            await asyncio.sleep(LOOK)
    for peripheral in peripherals:
        await peripheral.occupy()


def measure_ours(samples: Samples) -> SetUp:
    """Measure sixteen batteries."""

    async def rounds(environment: BenchmarkEnvironment) -> list[SetUp]:
        hass = environment.hass
        peripherals = []
        for number in range(BATTERIES):
            peripherals.append(await environment.add_battery(number, OURS))
            await environment.add_entry(peripherals[-1], INTERVAL)
        entries = hass.config_entries.async_entries(DOMAIN, include_ignore=False)
        found = []
        for _ in range(ROUNDS):
            await _unload(hass, entries)
            await _hold(hass, peripherals)
            found.append(await _set_up(hass, entries))
            assert all(entry.runtime_data.coordinator.has_values for entry in entries)
            assert all(
                hass.states.get(entity) is not None
                for entry in entries
                for entity in environment.entities(entry)
            )
        for peripheral in peripherals:
            await peripheral.vacate()
        return found

    async def main(meter: Meter) -> SetUp:
        with new_folder() as folder:
            async with open_environment(
                meter, folder, samples, with_recorder=False
            ) as environment:
                return fastest(await rounds(environment))

    return run_metered(main)


def measure_floor(samples: Samples, likes: Sequence[EntityLike]) -> SetUp:
    """Measure sixteen entries of the empty integration."""

    async def main(meter: Meter) -> SetUp:
        with new_folder() as folder:
            async with open_environment(
                meter, folder, samples, with_recorder=False
            ) as environment:
                floor = Floor(environment.hass, likes)
                entries = [await floor.add(number) for number in range(BATTERIES)]
                found = []
                for _ in range(ROUNDS):
                    await _unload(environment.hass, entries)
                    found.append(await _set_up(environment.hass, entries))
                return fastest(found)

    return run_metered(main)


def run() -> bool:
    """Measure, print, and return whether all targets are met."""
    samples = workload.record_workload()
    likes = in_new_process(describe_entities, samples, by_default)
    start = Start(
        fastest([in_new_process(measure_ours, samples) for _ in range(RUNS)]),
        fastest([in_new_process(measure_floor, samples, likes) for _ in range(RUNS)]),
    )
    enabled = sum(like.enabled for like in likes)
    print(
        f"start: {BATTERIES} entries set up at once, {enabled} of {len(likes)} entities "
        f"of each enabled, fastest of {RUNS * ROUNDS} set-ups:"
    )
    for name, each in (("ours", start.ours), ("empty integration", start.floor)):
        print(
            f"  {name:<18}{each.total:8.1f} ms, {each.total / BATTERIES:.2f} ms an entry; "
            f"longest block {each.longest_block:.2f} ms"
        )
    failures = list(missed(start))
    for failure in failures:
        print(f"  MISSED: {failure}")
    print(
        f"  targets {'MISSED' if failures else 'met'}: start_ratio at most "
        f"{START_RATIO_MAX}, longest_block_ms at most {LONGEST_BLOCK_MS_MAX:.0f}"
    )
    print(start)
    return not failures
