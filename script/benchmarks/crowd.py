"""Sixteen batteries behind ESPHome proxies, watched for an hour of simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

# Home Assistant replaces voluptuous, and warns if anything imported that before.
import homeassistant  # noqa: F401

# isort: split
from pytest_homeassistant_custom_component.common import async_test_home_assistant  # type: ignore[import-untyped]

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.loader import DATA_CUSTOM_COMPONENTS

from .air import BATTERIES, MEASURED, SETTLED, SLOTS, Crowd
from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from simulator.battery import preset
from simulator.clock import DAY, FastClock
from simulator.gatt.connection import Connection
from simulator.gatt.peripheral import GattPeripheral
from tests.common import add_discovered, entity_id, flows, wait_until
from tests.esphome.environment import EsphomeEnvironment, Proxy
from tests.esphome.integration import esphome_environment
from tests.seeding import seeded_random

SEED: Final = 16
ADDRESS: Final = "A4:C1:37:00:01:{:02X}"
SOURCE: Final = "02:00:00:00:00:{:02X}"
DISCOVERED: Final = 600.0  # s, at the latest
LOOK: Final = 1.0  # s between two looks at what is shown
MODE_CONNECT: Final = 2.0  # s
MODE_MEASURED: Final = 4 * 3600.0  # s
CONNECTS: Final = ("CONNECT_V3_WITH_CACHE", "CONNECT_V3_WITHOUT_CACHE")


async def _watch(hass: HomeAssistant, addresses: list[str]) -> float:
    """Return for which share of the time values were unavailable."""
    shown = [entity_id(hass, address, "voltage") for address in addresses]
    looks = unavailable = 0
    until = hass.loop.time() + MEASURED
    while hass.loop.time() < until:
        await asyncio.sleep(LOOK)
        states = [hass.states.get(each) for each in shown]
        looks += len(states)
        unavailable += sum(
            state is None or state.state == STATE_UNAVAILABLE for state in states
        )
    return unavailable / looks


async def _add_batteries(
    hass: HomeAssistant, environment: EsphomeEnvironment
) -> list[VlrvConfigEntry]:
    packs = [
        preset(
            "driving_load",
            clock=hass.loop.time,
            address=ADDRESS.format(number),
            name=f"ZT-12V-{number}",
            seed=number,
        )
        for number in range(BATTERIES)
    ]
    for pack in packs:
        await environment.add_battery(pack)
    # A discovered battery is asked for its values before it is shown to the user.
    await wait_until(lambda: len(flows(hass)) == BATTERIES, DISCOVERED)
    return [await add_discovered(hass, pack.address) for pack in packs]


@asynccontextmanager
async def _open_environment(
    folder: Path,
) -> AsyncGenerator[tuple[HomeAssistant, EsphomeEnvironment]]:
    """Start a Home Assistant with `esphome` on a simulated clock."""
    with seeded_random(Random(SEED)), FastClock(limit=DAY):
        async with async_test_home_assistant(config_dir=str(folder)) as hass:
            hass.loop.set_debug(False)
            # As Home Assistant itself: look for custom integrations.
            hass.data.pop(DATA_CUSTOM_COMPONENTS)
            async with esphome_environment(hass) as environment:
                yield hass, environment
            await hass.async_stop(force=True)


async def run_crowd(folder: Path, proxies: int, connect_seconds: float) -> Crowd:
    """Add the batteries as a user does, let them settle, and measure an hour."""
    async with _open_environment(folder) as (hass, environment):
        return await _measure(hass, environment, proxies, connect_seconds)


async def _measure(
    hass: HomeAssistant,
    environment: EsphomeEnvironment,
    proxies: int,
    connect_seconds: float,
) -> Crowd:
    nodes: list[Proxy] = [
        await environment.add_adapter(
            SOURCE.format(number), slots=SLOTS, connect_latency=connect_seconds
        )
        for number in range(1, proxies + 1)
    ]
    entries = await _add_batteries(hass, environment)
    await asyncio.sleep(SETTLED)

    def samples() -> list[int]:
        return [entry.runtime_data.statistics.samples for entry in entries]

    def connects() -> int:
        return sum(node.requests[kind] for node in nodes for kind in CONNECTS)

    samples_before, connects_before = samples(), connects()
    unavailable = await _watch(hass, [each.unique_id or "" for each in entries])
    return Crowd(
        proxies=proxies,
        connect_seconds=connect_seconds,
        readings=tuple(
            after - before
            for before, after in zip(samples_before, samples(), strict=True)
        ),
        unavailable=unavailable,
        connects=connects() - connects_before,
    )


class _ConnectionTime:
    """Counts a battery's connections and the seconds that they last."""

    def __init__(self, peripheral: GattPeripheral) -> None:
        """Count from now on."""
        self.connects = 0
        self._loop = asyncio.get_running_loop()
        self._seconds = 0.0
        self._began = self._loop.time() if peripheral.is_connected else None
        accept, leave = peripheral.accept, peripheral.leave

        def counted_accept(connection: Connection) -> bool:
            accepted = accept(connection)
            if accepted:
                self.connects += 1
                self._began = self._loop.time()
            return accepted

        def counted_leave(connection: Connection) -> None:
            leave(connection)
            self._seconds = self.seconds
            self._began = None

        vars(peripheral).update(accept=counted_accept, leave=counted_leave)

    @property
    def seconds(self) -> float:
        """Return the seconds so far."""
        if self._began is None:
            return self._seconds
        return self._seconds + self._loop.time() - self._began


async def run_mode(folder: Path, options: dict[str, Any]) -> tuple[float, float]:
    """Return connects and seconds of connection a day of one battery with options."""
    async with _open_environment(folder) as (hass, environment):
        await environment.add_adapter(
            SOURCE.format(1), slots=SLOTS, connect_latency=MODE_CONNECT
        )
        pack = preset("driving_load", clock=hass.loop.time)
        peripheral = await environment.add_battery(pack)
        entry = await add_discovered(hass, pack.address)
        hass.config_entries.async_update_entry(entry, options=options)
        await asyncio.sleep(SETTLED)
        counted = _ConnectionTime(peripheral)
        await asyncio.sleep(MODE_MEASURED)
        factor = DAY / MODE_MEASURED
        return counted.connects * factor, counted.seconds * factor
