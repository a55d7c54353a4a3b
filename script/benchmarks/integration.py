"""Cost of the running integration: processor, database, radio and memory.

A simulated day of a battery with 16 cells, in a real Home Assistant with its recorder.
A bare client asks the battery's twin for the same at the same interval, half an interval
later, in the same environment; the cost of the integration is the difference. Between the
two an empty integration writes a state of each of as many entities: what that takes is
the measure of the machine. The day is simulated several times, each time in a new
process; the fastest run of each hour counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
import sys
import time
from typing import Final

from homeassistant.const import __version__
from homeassistant.util.async_ import create_eager_task

from . import memory, workload
from .environment import (
    BARE,
    INTERVAL,
    OURS,
    REGISTERS,
    BenchmarkEnvironment,
    Enabled,
    by_default,
    everything,
    open_environment,
    run_metered,
)
from .floor import FLOOR, EntityLike, Floor
from .footprint import (
    PEER,
    PEER_INTERVAL,
    REFERENCE_WRITE_ALL,
    REFERENCE_WRITE_DEFAULT,
    Footprint,
    Hour,
    Net,
    missed,
    net_cost,
    targets,
)
from .meter import Meter, Share
from .processes import in_new_process, new_folder
from .rows import Rows, count_rows
from .shown import KEYS, compare_at_each_poll
from .workload import Samples

RUNS: Final = 2
HOURS: Final = 24
HOUR: Final = 3600
IDLE_HOURS: Final = 2
SETTLED: Final = 300.0  # s

BUSY_FROM: Final = 9  # o'clock: sun, clouds and loads
# Batteries, and the hours of the day for which they are measured.
BANKS: Final = ((1, 0, HOURS), (4, BUSY_FROM, 4), (16, BUSY_FROM, 1))

CALIBRATION_LOOPS: Final = 20_000
CALIBRATION_ROUNDS: Final = 50

DATABASE: Final = "home-assistant_v2.db"


@dataclass(frozen=True, slots=True)
class Activity:
    """What was polled, written and sent in some hours."""

    entities: int
    """Enabled ones, of all batteries."""
    polls: int
    """Of each battery."""
    batteries: int
    changes: int
    """State changes of the entities."""
    rows: Rows
    packets: int
    size: int
    """Bytes of the packets, from the L2CAP header on."""
    requests: int

    def per_poll(self, count: int) -> float:
        """Return a count for one poll of one battery."""
        return count / (self.polls * self.batteries)


@dataclass(frozen=True, slots=True)
class DayRun:
    """A day of polls beside those of a bare client."""

    activity: Activity
    hours: list[Hour]
    idle: float


@dataclass(frozen=True, slots=True)
class BatteriesRun:
    """Several batteries for some hours, as shares of one core."""

    activity: Activity
    process: float
    """The whole process, with recorder, virtual radio and simulated batteries."""
    loop: float
    """The thread of the event loop, with virtual radio and simulated batteries."""
    missed_steps: int
    """How often a value was more than a step off, or off for more than a minute."""


async def _run_hours(
    environment: BenchmarkEnvironment, folder: Path, interval: int, hours: int
) -> tuple[Activity, list[dict[str, Share]]]:
    """Let hours pass; return their activity, and the time that each client used."""
    entries = environment.entries()
    entities = [entity for entry in entries for entity in environment.entities(entry)]
    await environment.flush()
    before = [entry.runtime_data.statistics.samples for entry in entries]
    environment.take_traffic(OURS)
    environment.changes = 0
    environment.meter.take()
    begin = environment.unix_time
    shares = []
    for _ in range(hours):
        await asyncio.sleep(HOUR)
        shares.append(environment.meter.take())
    end = environment.unix_time
    changes = environment.changes
    traffic = environment.take_traffic(OURS)
    polls = hours * HOUR // interval
    for entry, count in zip(entries, before, strict=True):
        samples = entry.runtime_data.statistics.samples - count
        # One more or less where a poll falls on a border of the time.
        if abs(samples - polls) > 1:
            raise RuntimeError(f"{samples} samples where there should be {polls}")
    await environment.flush()
    activity = Activity(
        entities=len(entities),
        polls=polls,
        batteries=len(entries),
        changes=changes,
        rows=count_rows(folder / DATABASE, entities, begin, end),
        packets=traffic.packets,
        size=traffic.size,
        requests=traffic.requests,
    )
    return activity, shares


def _other_time(shares: dict[str, Share], hours: int = 1) -> float:
    """Return the time used at instants of no client, in ms for each poll."""
    return shares[""].nanoseconds / 1e6 / (hours * HOUR / PEER_INTERVAL)


async def _poll_floor(
    environment: BenchmarkEnvironment, floor: Floor, origin: float
) -> None:
    """Poll the empty integration, always at instants of its own."""
    loop = asyncio.get_running_loop()
    due = origin
    while True:
        due += PEER_INTERVAL
        await asyncio.sleep(due - loop.time())
        environment.meter.assign(FLOOR)
        floor.poll()


def run_day(samples: Samples, enabled: Enabled, likes: Sequence[EntityLike]) -> DayRun:
    """Simulate the day, with entities enabled beside the default ones.

    `likes` is what the empty integration has, the same entities.
    """

    async def main(meter: Meter) -> DayRun:
        with new_folder() as folder:
            async with open_environment(meter, folder, samples) as environment:
                twin = await environment.add_battery(1, BARE)
                client = await environment.add_client(twin, PEER_INTERVAL, REGISTERS)
                await asyncio.sleep(SETTLED)
                meter.take()
                await asyncio.sleep(IDLE_HOURS * HOUR)
                idle = _other_time(meter.take(), IDLE_HOURS)
                battery = await environment.add_battery(0, OURS)
                await environment.add_entry(battery, PEER_INTERVAL, enabled)
                polled = battery.writes[-1].time
                client.origin = polled + PEER_INTERVAL / 2
                floor = Floor(environment.hass, likes)
                await floor.add(0)
                polling = create_eager_task(
                    _poll_floor(environment, floor, polled + PEER_INTERVAL / 4)
                )
                await asyncio.sleep(SETTLED)
                environment.set_time(0)
                activity, shares = await _run_hours(
                    environment, folder, PEER_INTERVAL, HOURS
                )
                polling.cancel()
                if len(floor.enabled) != activity.entities:
                    raise RuntimeError("not as many entities")
        hours = []
        for share in shares:
            polls = HOUR // PEER_INTERVAL
            used = [share[client] for client in (OURS, BARE, FLOOR)]
            if any(abs(each.instants - polls) > 1 for each in used):
                raise RuntimeError(f"not {polls} polls of each in an hour: {share}")
            ours, bare, empty = (each.milliseconds for each in used)
            hours.append(Hour(ours, bare, empty, _other_time(share)))
        return DayRun(activity, hours, idle)

    return run_metered(main)


def run_batteries(
    samples: Samples, batteries: int, begin: int, hours: int
) -> BatteriesRun:
    """Simulate several batteries for `hours` h from `begin` o'clock on."""

    async def main(meter: Meter) -> BatteriesRun:
        with new_folder() as folder:
            async with open_environment(meter, folder, samples) as environment:
                for number in range(batteries):
                    battery = await environment.add_battery(number, OURS)
                    await environment.add_entry(battery, INTERVAL)
                await asyncio.sleep(SETTLED)
                environment.set_time(begin)
                shown = [
                    compare_at_each_poll(
                        environment.hass, entry, lambda: environment.clock.now
                    )
                    for entry in environment.entries()
                ]
                process, loop = time.process_time(), time.thread_time()
                activity, _shares = await _run_hours(
                    environment, folder, INTERVAL, hours
                )
                process = time.process_time() - process
                loop = time.thread_time() - loop
        if any(each.compared < activity.polls * len(KEYS) for each in shown):
            raise RuntimeError("not all values were compared at each poll")
        return BatteriesRun(
            activity,
            process / (hours * HOUR),
            loop / (hours * HOUR),
            sum(each.missed for each in shown),
        )

    return run_metered(main)


def _calibrate() -> float:
    """Return how long this machine takes for a small fixed workload, in ms."""

    def work() -> None:
        seen: dict[int, int] = {}
        for number in range(CALIBRATION_LOOPS):
            seen[number % 251] = seen.get(number % 127, 0) ^ number

    best = float("inf")
    for _ in range(CALIBRATION_ROUNDS):
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
    return best * 1000


def _print_poll(name: str, net: Net, activity: Activity) -> None:
    print(
        f"  {name:<17}{net.total:6.3f} ms net a poll: {net.poll:.3f} at the poll and "
        f"{net.other:.3f} between polls; {activity.entities} entities, a state of each "
        f"written in {net.floor:.3f} ms by an empty integration"
    )


def _print_rows(name: str, activity: Activity) -> None:
    print(
        f"  {name:<17}{activity.rows.written:6} rows a day from {activity.changes} state "
        f"changes, {activity.rows.unchanged} of them with an unchanged state; "
        f"{activity.entities} entities, {activity.polls} polls"
    )


def _run_days(samples: Samples, enabled: Enabled) -> list[DayRun]:
    likes = in_new_process(memory.describe_entities, samples, enabled)
    return [in_new_process(run_day, samples, enabled, likes) for _ in range(RUNS)]


def run() -> bool:
    """Measure, print, and return whether the targets are met."""
    samples = workload.record_workload()
    print(
        f"integration: {HOURS} simulated hours of a battery of {workload.CELLS} cells, Home "
        f"Assistant {__version__}, Python {sys.version.split()[0]}"
    )
    print(f"  calibration      {_calibrate():6.3f} ms for a fixed piece of Python")
    defaults, complete = (_run_days(samples, each) for each in (by_default, everything))
    nets = [
        net_cost([run.hours for run in runs], [run.idle for run in runs])
        for runs in (defaults, complete)
    ]
    print(
        f"event loop, a poll each {PEER_INTERVAL} s, fastest of {RUNS} runs of each hour:"
    )
    print(
        f"  bare client      {nets[0].bare:6.3f} ms a poll, virtual radio and simulated "
        "battery included"
    )
    _print_poll("default entities", nets[0], defaults[0].activity)
    _print_poll("all entities", nets[1], complete[0].activity)

    banks = [in_new_process(run_batteries, samples, *bank) for bank in BANKS]
    print("database:")
    _print_rows(f"default, {PEER_INTERVAL} s", defaults[0].activity)
    _print_rows(f"all, {PEER_INTERVAL} s", complete[0].activity)
    _print_rows(f"default, {INTERVAL} s", banks[0].activity)

    days = [defaults[0].activity, complete[0].activity, banks[0].activity]
    requests = [activity.per_poll(activity.requests) for activity in days]
    print("radio:")
    print(
        f"  a poll           {max(requests):6.3f} requests, "
        f"{days[0].per_poll(days[0].packets):.3f} packets, "
        f"{days[0].per_poll(days[0].size):.1f} bytes with their L2CAP headers"
    )

    print(
        f"processor, a poll each {INTERVAL} s, of one core; recorder, virtual radio and "
        "simulated batteries included:"
    )
    for bank, (batteries, begin, hours) in zip(banks, BANKS, strict=True):
        print(
            f"  {batteries:2} {'battery' if batteries == 1 else 'batteries':<14}"
            f"{100 * bank.process:6.3f} %, of which {100 * bank.loop:.3f} % in the event "
            f"loop; {begin} to {begin + hours} o'clock"
        )

    further, ratio = memory.measure(samples)

    found = Footprint(
        poll_ms_default=nets[0].on_reference(
            defaults[0].activity.entities, REFERENCE_WRITE_DEFAULT
        ),
        poll_ms_all=nets[1].on_reference(
            complete[0].activity.entities, REFERENCE_WRITE_ALL
        ),
        rows_default_10s=banks[0].activity.rows.written,
        unchanged_rows=sum(activity.rows.unchanged for activity in days),
        missed_steps=sum(bank.missed_steps for bank in banks),
        core_share_16=banks[-1].process,
        requests_per_poll=max(requests),
        mib_per_battery=further,
        memory_ratio=ratio,
    )
    print(f"nearest peer, each {PEER_INTERVAL} s: {PEER}")
    for line in targets(found):
        print(f"  {line}")
    failures = list(missed(found))
    print(f"targets {'MISSED' if failures else 'met'}")
    for failure in failures:
        print(f"  {failure}")
    print(found)
    return not failures
