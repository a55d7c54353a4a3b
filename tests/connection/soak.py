"""Eight batteries for a day, with everything that can go wrong at random times.

`script/soak` runs it over three kinds of adapters, tests run shorter ones. Time is
simulated, chance comes from a seed: the same seed brings the same events, though which
of two batteries hears first of a full adapter is up to Home Assistant. Each accepted
sample is held against what was true of its battery when it answered.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
import gc
from math import floor, pi, sin
from random import Random
import tracemalloc
from typing import Any, ClassVar, Final

from homeassistant.core import HomeAssistant

from .watch import Watch, WatchedBattery, watched
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from custom_components.voltgo_vlrv.vlrv.trace import KEPT, ConnectionEvent
from simulator.faults import FOREVER
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import add_discovered, battery, device_of, set_options

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR

BATTERIES: Final = 8
PROXIES: Final = 3
SLOTS: Final = 3
BETWEEN_EVENTS: Final = 4 * MINUTE  # on average, over all batteries
LONGEST_EVENT: Final = 20 * MINUTE
# Pauses of five minutes, an attempt that was under way, and a turn of the others.
RECOVERY: Final = 8 * MINUTE
FRESH: Final = 60.0  # s
MIN_SHARE: Final = 0.95
LONGEST_CONNECT: Final = 60.0  # s

# Memory is watched from when it has settled; what grows after that, grows for good.
WATCHED: Final = 0.5  # of the time; watching takes as long as all the rest
SETTLED: Final = 0.6
GROWTH: Final = 64 * 1024  # bytes in the code under test, all batteries together
LONGEST_BUFFER: Final = 600  # bytes

BURSTS: Final = (
    "drop", "merge", "corrupt", "truncate", "lead", "lose_chunk", "duplicate", "late",
    "disconnect_on_write", "disconnect_in_reply", "disconnect_on_connect",
    "disconnect_on_subscribe", "refuse_connection", "refuse_subscription",
)  # fmt: skip
# CRC-valid, and none of it can be true.
LIES: Final[tuple[dict[str, Any], ...]] = (
    {"state_of_charge": 398},
    {"voltage": 65.0},
    {"current": 3000.0},
    {"cell_count": 0},
    {"cell_voltages": (0.0,) * 4},
)


@dataclass
class Report:
    """What a soak has found."""

    samples: int = 0
    due: int = 0
    """Readings that should have come while the battery was reachable."""
    received: int = 0
    """Readings that came then, at most as many as were due."""
    wrong: list[str] = field(default_factory=list)
    leaked: list[str] = field(default_factory=list)
    unrecovered: list[str] = field(default_factory=list)
    buffers: list[int] = field(default_factory=list)
    growth: int | None = None
    """Bytes; None where it was not measured."""
    events: Counter[str] = field(default_factory=Counter)

    @property
    def readings_share(self) -> float:
        """Return the share of the readings due while a battery was reachable."""
        return self.received / self.due if self.due else 0.0

    @property
    def is_good(self) -> bool:
        """Return whether nothing is to be complained of."""
        return (
            not (self.wrong or self.leaked or self.unrecovered)
            and self.samples > 0
            and self.readings_share >= MIN_SHARE
            and max(self.buffers) <= LONGEST_BUFFER
            and (self.growth is None or self.growth <= GROWTH)
        )

    def __str__(self) -> str:
        """Say it in one line."""
        return (
            f"soak wrong_values={len(self.wrong)} leaked_links={len(self.leaked)}"
            f" unrecovered={len(self.unrecovered)}"
            f" readings_share={floor(self.readings_share * 1000) / 1000:.3f}"
            f" samples={self.samples}"
        )


class _Span:
    """A time in which a battery is reachable without a break."""

    def __init__(self, samples: int) -> None:
        """Begin with the number of samples so far."""
        self._first = samples
        self._due = 0
        self._received = 0

    def received(self, samples: int) -> int:
        """Return how many readings came in one more interval.

        A reading that is late in one interval counts in the next, never in advance.
        """
        self._due += 1
        before = self._received
        self._received = min(samples - self._first, self._due)
        return self._received - before


class Soak:
    """The batteries, the adapters, and chance.

    This one runs over the simulated adapter; subclasses go over other paths.
    """

    events: ClassVar[tuple[str, ...]] = (
        "burst",
        "lie",
        "lose",
        "roam",
        "restart",
        "release",
        "reload",
        "crowd",
        "unplug",
    )
    """Names of the methods that let something go wrong, with a leading underscore."""

    def __init__(
        self, hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, seed: int
    ) -> None:
        """Prepare; the same seed brings the same events."""
        self._hass = hass
        self._bluetooth_env = bluetooth_env
        self._random = Random(seed)
        self._packs: list[WatchedBattery] = []
        self._entries: list[VlrvConfigEntry] = []
        self._watches: list[Watch] = []
        self._busy: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()
        self.report = Report()

    async def run(
        self,
        hours: float,
        interval: float,
        *,
        memory: bool,
        on_progress: Callable[[float], None] = lambda _share: None,
    ) -> Report:
        """Live through so many hours, then look at what is left.

        `on_progress` is called with the share of the hours that has passed.
        """
        await self._begin(interval)
        measuring = asyncio.create_task(self._measure(interval))
        began = self._hass.loop.time()
        settled: int | None = None
        while (done := (self._hass.loop.time() - began) / (hours * HOUR)) < 1:
            on_progress(done)
            if memory and done >= WATCHED and not tracemalloc.is_tracing():
                tracemalloc.start()
                # Only what is made from now on is seen: so all connections are made again.
                for pack in self._packs:
                    await self._reload(pack)
                self._fill_traces()
            if memory and done >= SETTLED and settled is None:
                settled = await _allocated()
            await asyncio.sleep(self._random.expovariate(1 / BETWEEN_EVENTS))
            self._strike()
            self._look()
            self._load()
        measuring.cancel()
        await self._end(interval)
        if settled is not None:
            self.report.growth = await _allocated() - settled
            tracemalloc.stop()
        await self._leave()
        return self.report

    def _fill_traces(self) -> None:
        """Fill what keeps the last events: it would grow up to its bound for hours."""
        for entry in self._entries:
            trace = entry.runtime_data.client.trace
            for number in range(KEPT):
                trace.record_event(
                    ConnectionEvent.NOT_CONNECTED,
                    f"NotReachableError: no adapter receives the battery {number}",
                )

    async def _begin(self, interval: float) -> None:
        for number in range(1, BATTERIES + 1):
            pack = battery(
                "driving_load" if number % 2 else "solar_charging",
                address=f"A4:C1:37:00:02:{number:02X}",
                name=f"ZT-{number}",
                seed=number,
                state_of_charge=30.0 + 5 * number,
            )
            self._packs.append(watched(self._hass, pack))
            await self._bluetooth_env.add_battery(pack, advertising_interval=2.0)
        await self._add_adapters()
        for pack in self._packs:
            entry = await add_discovered(self._hass, pack.address)
            await set_options(self._hass, entry, interval=interval)
            self._entries.append(entry)
            self._watches.append(Watch(self._hass, entry, pack))

    async def _add_adapters(self) -> None:
        for number in range(1, PROXIES + 1):
            await self._plug(number)

    async def _plug(self, number: int) -> None:
        await self._bluetooth_env.add_adapter(
            f"02:00:00:00:01:{number:02X}", slots=SLOTS
        )

    def _load(self) -> None:
        """Follow the sun and the people: between a full charge and a full load."""
        day = self._hass.loop.time() % DAY / DAY
        for number, pack in enumerate(self._packs):
            sun = max(0.0, sin(2 * pi * day + number / 10))
            pack.demand_current = 40 * sun - self._random.choice((2, 5, 12, 30))

    # --- what goes wrong --------------------------------------------------------------

    def _strike(self) -> None:
        """Begin one event; it ends by itself."""
        kind = self._random.choice(
            (
                "burst",
                "burst",
                "burst",
                *(name for name in self.events if name != "burst"),
            )
        )
        pack = self._random.choice(self._packs)
        if pack.address in self._busy or (kind == "unplug" and "unplug" in self._busy):
            return
        self._busy.add(pack.address)
        self.report.events[kind] += 1
        task = asyncio.create_task(self._event(kind, pack))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _event(self, kind: str, pack: WatchedBattery) -> None:
        try:
            await getattr(self, f"_{kind}")(pack)
        finally:
            self._busy.discard(pack.address)

    def _peripheral(self, pack: WatchedBattery) -> Peripheral:
        return self._bluetooth_env.peripherals[pack.address]

    async def _wait(self) -> None:
        await asyncio.sleep(self._random.uniform(1.0, LONGEST_EVENT))

    async def _burst(self, pack: WatchedBattery) -> None:
        faults = self._peripheral(pack).faults
        fault = self._random.choice(BURSTS)
        setattr(faults, fault, self._random.choice((1, 2, 3, 9, FOREVER)))
        if "connect" in fault or "subs" in fault:
            self._peripheral(pack).drop_connection()
        await self._wait()
        faults.clear()

    async def _lie(self, pack: WatchedBattery) -> None:
        reported = pack.reported()
        lie = self._random.choice(LIES)
        if "cell_voltages" in lie:
            lie = {"cell_voltages": (0.0,) * len(reported.cell_voltages)}
        pack.override = replace(reported, **lie)
        await self._wait()
        pack.override = None

    async def _lose(self, pack: WatchedBattery) -> None:
        self._peripheral(pack).drop_connection()

    async def _roam(self, pack: WatchedBattery) -> None:
        peripheral = self._peripheral(pack)
        await peripheral.silence()
        peripheral.drop_connection()
        await self._wait()
        await peripheral.advertise()

    async def _restart(self, pack: WatchedBattery) -> None:
        await self._peripheral(pack).power_cycle(self._random.uniform(1.0, 300.0))

    async def _release(self, pack: WatchedBattery) -> None:
        await self._hass.services.async_call(
            DOMAIN,
            "release_connection",
            {
                "device_id": device_of(self._hass, pack.address).id,
                "duration": {"seconds": self._random.uniform(60.0, LONGEST_EVENT)},
            },
            blocking=True,
        )

    async def _reload(self, pack: WatchedBattery) -> None:
        number = self._packs.index(pack)
        await self._hass.config_entries.async_reload(self._entries[number].entry_id)
        self._watches[number].follow()

    async def _crowd(self, _pack: WatchedBattery) -> None:
        adapters = [*self._bluetooth_env.adapters.values()]
        adapter = self._random.choice(adapters)
        adapter.faults.out_of_slots = True
        await self._wait()
        adapter.faults.out_of_slots = False

    async def _unplug(self, _pack: WatchedBattery) -> None:
        self._busy.add("unplug")
        source = self._random.choice([*self._bluetooth_env.adapters])
        await self._bluetooth_env.remove_adapter(source)
        await self._wait()
        await self._plug(int(source[-2:], 16))
        self._busy.discard("unplug")

    # --- what is found ----------------------------------------------------------------

    def _is_reachable(self, number: int) -> bool:
        """Return whether a reading of a battery is due in each interval."""
        pack, entry = self._packs[number], self._entries[number]
        return (
            pack.address not in self._busy
            and bool(self._bluetooth_env.adapters)
            and self._peripheral(pack).is_on
            and not entry.runtime_data.connection.is_released
        )

    async def _measure(self, interval: float) -> None:
        """Count the readings due and received while batteries are reachable."""
        spans: list[_Span | None] = [None] * len(self._packs)
        while True:
            for number, watch in enumerate(self._watches):
                if not self._is_reachable(number):
                    spans[number] = None
                elif (span := spans[number]) is None:
                    spans[number] = _Span(watch.samples)
                else:
                    self.report.due += 1
                    self.report.received += span.received(watch.samples)
            await asyncio.sleep(interval)

    def _look(self) -> None:
        for entry in self._entries:
            client = entry.runtime_data.client
            self.report.buffers.append(len(client._transport.assembler._buffer))

    async def _end(self, interval: float) -> None:
        """Let all go well again, and find out who does not come back."""
        if self._running:
            await asyncio.wait(set(self._running))
        for peripheral in self._bluetooth_env.peripherals.values():
            peripheral.faults.clear()
        self._clear_adapter_faults()
        for entry in self._entries:
            entry.runtime_data.connection.async_resume()
        await asyncio.sleep(RECOVERY + interval)
        now = self._hass.loop.time()
        for entry, pack in zip(self._entries, self._packs, strict=True):
            age = entry.runtime_data.statistics.age(now)
            if age is None or age > max(FRESH, 2 * interval):
                self.report.unrecovered.append(f"{pack.name}: {age} s")
        self.report.leaked += await self._unowned()
        for watch in self._watches:
            self.report.samples += watch.samples
            self.report.wrong += watch.wrong

    def _clear_adapter_faults(self) -> None:
        for adapter in self._bluetooth_env.adapters.values():
            adapter.faults.out_of_slots = False

    def _held(self) -> int:
        """Return how many connections the adapters hold."""
        return sum(
            len(adapter.connections)
            for adapter in self._bluetooth_env.adapters.values()
        )

    async def _unowned(self) -> list[str]:
        """Return what is wrong with the slots that are taken, if it stays so."""
        for _ in range(round(LONGEST_CONNECT)):
            held = self._held()
            ours = sum(
                entry.runtime_data.client.is_connected for entry in self._entries
            )
            if held == ours:
                return []
            # One that is just being made, or ended, has its slot.
            await asyncio.sleep(1)
        return [f"{held} slots are taken for {ours} connections"]

    async def _leave(self) -> None:
        for entry in self._entries:
            await self._hass.config_entries.async_unload(entry.entry_id)
        await asyncio.sleep(1)
        if held := self._held():
            self.report.leaked.append(f"the adapters still hold {held} connections")
        self.report.leaked += [
            f"{peripheral.name} is still connected"
            for peripheral in self._bluetooth_env.peripherals.values()
            if peripheral.is_connected
        ]


async def _allocated() -> int:
    """Return what our code has allocated since memory was watched, and still holds."""
    gc.collect()
    # ESPHome's clients that are collected still have their clean-up in the loop.
    await asyncio.sleep(0)
    gc.collect()
    snapshot = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(True, f"*/custom_components/{DOMAIN}/*")]
    )
    return sum(statistic.size for statistic in snapshot.statistics("filename"))
