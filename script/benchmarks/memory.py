"""Memory of a further battery, against an empty integration with as many entities."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from enum import Enum, auto
import gc
import tracemalloc
from typing import Final, NamedTuple

# Home Assistant replaces voluptuous, and warns if anything imported that before.
import homeassistant  # noqa: F401

from .environment import (
    INTERVAL,
    OURS,
    REGISTERS,
    Enabled,
    open_environment,
    run_metered,
    with_care,
)
from .floor import EntityLike, Floor, entities_of
from .footprint import MEBIBYTE, memory_by_part, memory_per_battery
from .meter import Meter
from .processes import in_new_process, new_folder
from .workload import Samples

FURTHER: Final = 15
PARTS: Final = 16  # lines of the table of memory
# What simulates batteries and measures is no part of an installation.
APPARATUS: Final = [
    tracemalloc.Filter(False, f"*/{folder}/*") for folder in ("simulator", "script")
]
MEMORY_TIME: Final = 30 * 60.0  # s; until then all bounded buffers are full


class MemoryRun(NamedTuple):
    """Bytes of Python objects by the file that allocated them."""

    one: dict[str, int]
    """With one battery."""
    all: dict[str, int]
    """With `FURTHER` more."""

    @property
    def totals(self) -> tuple[float, float]:
        """Return both in MiB."""
        return sum(self.one.values()) / MEBIBYTE, sum(self.all.values()) / MEBIBYTE


class Measured(Enum):
    """What there is one of for each battery, when memory is measured."""

    OURS = auto()
    """An entry of this integration, care and fault sensors enabled."""
    BARE = auto()
    """A bare client, which holds a connection and asks for the same registers."""
    FLOOR = auto()
    """An entry of an empty integration with as many entities."""


def describe_entities(samples: Samples, is_enabled: Enabled) -> list[EntityLike]:
    """Return the like of each entity of a battery; see `BenchmarkEnvironment.add_entry`."""

    async def main(meter: Meter) -> list[EntityLike]:
        with new_folder() as folder:
            async with open_environment(
                meter, folder, samples, with_recorder=False
            ) as environment:
                battery = await environment.add_battery(0, OURS)
                entry = await environment.add_entry(battery, INTERVAL, is_enabled)
                await asyncio.sleep(MEMORY_TIME)
                return list(entities_of(environment.hass, entry))

    return run_metered(main)


def measure_memory(
    samples: Samples, measured: Measured, likes: Sequence[EntityLike]
) -> MemoryRun:
    """Return the memory of Python objects with one battery, and with all.

    Without the recorder, whose caches grow over time.
    """

    async def main(meter: Meter) -> MemoryRun:
        with new_folder() as folder:
            async with open_environment(
                meter, folder, samples, with_recorder=False
            ) as environment:
                floor = Floor(environment.hass, likes)

                async def add(numbers: range) -> dict[str, int]:
                    for number in numbers:
                        if measured is Measured.FLOOR:
                            await floor.add(number)
                            continue
                        battery = await environment.add_battery(number, OURS)
                        if measured is Measured.BARE:
                            client = await environment.add_client(
                                battery, INTERVAL, REGISTERS
                            )
                            client.origin = number * INTERVAL / (1 + FURTHER)
                            await environment.become_quiet(INTERVAL)
                        else:
                            await environment.add_entry(battery, INTERVAL, with_care)
                    await asyncio.sleep(MEMORY_TIME)
                    floor.write_states()
                    gc.collect()
                    snapshot = tracemalloc.take_snapshot().filter_traces(APPARATUS)
                    return {
                        item.traceback[0].filename: item.size
                        for item in snapshot.statistics("filename")
                    }

                return MemoryRun(await add(range(1)), await add(range(1, 1 + FURTHER)))

    tracemalloc.start()
    return run_metered(main)


def _print_memory(
    memory: Mapping[Measured, MemoryRun], likes: Sequence[EntityLike]
) -> tuple[float, float]:
    """Print what costs what; return the MiB of a further battery and its ratio."""
    ours, bare, floor = (memory[measured].totals for measured in Measured)
    further = memory_per_battery(ours, bare, FURTHER)
    empty = (floor[1] - floor[0]) / FURTHER
    enabled = sum(like.enabled for like in likes)
    print(
        f"memory of Python objects, care and fault sensors on, mean of {FURTHER} further "
        f"batteries, {enabled} of {len(likes)} entities enabled, without the recorder:"
    )
    print(f"  net of the client{further:8.3f} MiB")
    print(f"  empty integration{empty:8.3f} MiB with as many entities")
    print(f"  bare client      {(bare[1] - bare[0]) / FURTHER:8.3f} MiB with its radio")
    parts = {
        measured: memory_by_part(run.one, run.all, FURTHER)
        for measured, run in memory.items()
    }
    print("  allocated in (MiB):                        ours    bare   empty")
    for part in list(parts[Measured.OURS])[:PARTS]:
        sizes = (parts[measured].get(part, 0.0) for measured in Measured)
        print(f"    {part:<38}" + "".join(f"{size:8.3f}" for size in sizes))
    return further, further / empty


def measure(samples: Samples) -> tuple[float, float]:
    """Measure, print, and return the MiB of a further battery and its ratio."""
    likes = in_new_process(describe_entities, samples, with_care)
    memory = {
        measured: in_new_process(measure_memory, samples, measured, likes)
        for measured in Measured
    }
    return _print_memory(memory, likes)
