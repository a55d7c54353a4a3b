"""The command line of the soak: turns over the simulated adapter, ESPHome and BlueZ."""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from random import Random
import sys
import tempfile
from typing import Any, Final, NamedTuple

from pytest_homeassistant_custom_component.common import async_test_home_assistant

from homeassistant.components.bluetooth import DOMAIN as BLUETOOTH_DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from script.progress import log_to_file, show_progress, start_log

from .soak import GROWTH, LONGEST_BUFFER, MIN_SHARE, Report, Soak
from simulator.clock import FastClock
from tests.bluetooth_env import BluetoothEnvironment
from tests.bluez.environment import BluezEnvironment
from tests.bluez.integration import adapters_over_dbus, bluez_environment
from tests.bluez.soak import BluezSoak
from tests.esphome.integration import esphome_environment
from tests.esphome.soak import ProxySoak
from tests.seeding import random_instant, seeded_random

SHOWN_LINES: Final = 10  # of each kind of finding


@asynccontextmanager
async def _simulated_environment(
    hass: HomeAssistant,
) -> AsyncGenerator[BluetoothEnvironment]:
    assert await async_setup_component(hass, BLUETOOTH_DOMAIN, {})
    await hass.async_block_till_done()
    environment = BluetoothEnvironment(hass)
    yield environment
    await environment.close()


@asynccontextmanager
async def _bluez_environment(hass: HomeAssistant) -> AsyncGenerator[BluezEnvironment]:
    with adapters_over_dbus():
        async with bluez_environment(hass) as environment:
            yield environment


class Turn(NamedTuple):
    """One kind of adapter."""

    name: str
    environment: Callable[[HomeAssistant], AbstractAsyncContextManager[Any]]
    soak: type[Soak]


TURNS: Final = (
    Turn("simulated adapters", _simulated_environment, Soak),
    Turn("ESPHome proxies", esphome_environment, ProxySoak),
    Turn("BlueZ", _bluez_environment, BluezSoak),
)


async def _run(
    turn: Turn,
    hours: float,
    seed: int,
    interval: float,
    on_progress: Callable[[float], None],
) -> Report:
    """Take one turn, with a Home Assistant of its own."""
    rng = Random(seed)
    with (
        seeded_random(rng),
        FastClock(limit=1e9, start=random_instant(rng)),
        tempfile.TemporaryDirectory() as folder,
    ):
        async with async_test_home_assistant(config_dir=folder) as hass:
            hass.data.pop("custom_components", None)
            async with turn.environment(hass) as environment:
                report = await turn.soak(hass, environment, seed).run(
                    hours, interval, memory=True, on_progress=on_progress
                )
            await hass.async_stop(force=True)
    return report


def _print(report: Report) -> None:
    for kind in ("wrong", "leaked", "unrecovered"):
        for line in getattr(report, kind)[:SHOWN_LINES]:
            print(f"{kind}: {line}")
    events = ", ".join(
        f"{count} {name}" for name, count in sorted(report.events.items())
    )
    print(f"events: {events}")
    print(
        f"memory grew by {report.growth} bytes in the last two fifths (at most"
        f" {GROWTH}), longest receive buffer"
        f" {max(report.buffers)} bytes (at most {LONGEST_BUFFER})"
    )
    print(f"readings: {report.received} of {report.due} due (at least {MIN_SHARE})")


def combine(reports: list[Report]) -> Report:
    """Return one report of all turns; of memory, the worst."""
    return Report(
        samples=sum(report.samples for report in reports),
        due=sum(report.due for report in reports),
        received=sum(report.received for report in reports),
        wrong=[line for report in reports for line in report.wrong],
        leaked=[line for report in reports for line in report.leaked],
        unrecovered=[line for report in reports for line in report.unrecovered],
        buffers=[size for report in reports for size in report.buffers],
        growth=max(report.growth or 0 for report in reports),
        events=sum((report.events for report in reports), Counter()),
    )


def main() -> int:
    """Run a soak; return 1 if it found something."""
    parser = argparse.ArgumentParser(prog="script/soak", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="simulated hours")
    parser.add_argument("--seed", type=int, default=1, help="which events happen")
    parser.add_argument("--interval", type=float, default=10.0, help="s between polls")
    arguments = parser.parse_args()
    start_log("soak")
    log = log_to_file("soak")
    sys.path.insert(0, str(Path.cwd()))
    hours = arguments.hours / len(TURNS)
    reports = []
    with show_progress("soak", len(TURNS)) as done:
        for number, turn in enumerate(TURNS):
            print(f"{turn.name}:", flush=True)
            report = asyncio.run(
                _run(
                    turn,
                    hours,
                    arguments.seed,
                    arguments.interval,
                    lambda share, number=number: done(number + share),
                )
            )
            _print(report)
            reports.append(report)
    combined = combine(reports)
    print(f"log lines, most of them of errors that were provoked: {log}")
    print(combined)
    return 0 if combined.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
