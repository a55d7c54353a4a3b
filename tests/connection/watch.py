"""Watches that a battery's samples are true, its connections few, and the log quiet."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from homeassistant.core import HomeAssistant, callback

from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from custom_components.voltgo_vlrv.vlrv.registers import BatteryStatus, decode_status
from simulator.battery import SimulatedBattery
from tests.common import value, wait_until
from tests.harness import BatteryHarness

# A reply is on its way for so long at most: what comes later answers no request.
OLDEST: Final = 7.0  # s
REPLIES: Final = 512
CONNECTING: Final = 45.0  # s; an attempt that fails
MAX_BUFFER: Final = 600  # bytes

# What a sample says, by the names of the simulator's expected values.
FIELDS: Final[Mapping[str, Any]] = {
    "voltage": lambda status: status.voltage,
    "current": lambda status: status.current,
    "power": lambda status: status.power,
    "state_of_charge": lambda status: status.state_of_charge,
    "state_of_health": lambda status: status.state_of_health,
    "remaining_capacity": lambda status: status.remaining_capacity,
    "max_cell_temperature": lambda status: status.max_temperature,
    "pcb_temperature": lambda status: status.pcb_temperature,
    "probe_1": lambda status: status.probes[0],
    "probe_2": lambda status: status.probes[1],
    "highest_cell_voltage": lambda status: max(status.cells) / 1000,
    "lowest_cell_voltage": lambda status: min(status.cells) / 1000,
    "operating_state": lambda status: status.operating_state.name.lower(),
    "charging": lambda status: status.charging,
    "heating": lambda status: status.heating,
}
# Shown by an entity under the same key, and how far it may be off for a minute.
SHOWN: Final[Mapping[str, tuple[Any, float]]] = {
    "voltage": (lambda status: status.voltage, 0.01),
    "current": (lambda status: status.current, 0.1),
    "state_of_charge": (lambda status: status.state_of_charge, 0.0),
    "cell_1": (lambda status: status.cells[0] / 1000, 0.001),
}
ROUNDING: Final = 1e-9


class Reply(NamedTuple):
    """What was true when a battery answered."""

    time: float
    expected_values: Mapping[str, Any]


class WatchedBattery(SimulatedBattery):
    """A battery that remembers what was true whenever it answered, unless it lied."""

    replies: deque[Reply]
    time: Any

    def handle(self, frame: bytes) -> bytes | None:
        """Answer as ever."""
        reply = super().handle(frame)
        if self.override is None:
            self.replies.append(Reply(self.time(), self.expected_values()))
        return reply


def watched(hass: HomeAssistant, pack: SimulatedBattery) -> WatchedBattery:
    """Have a battery remember what was true."""
    pack.__class__ = WatchedBattery
    assert isinstance(pack, WatchedBattery)
    pack.replies = deque(maxlen=REPLIES)
    pack.time = hass.loop.time
    return pack


class Watch:
    """Compares each sample of an entry with the expected values; `wrong` should stay empty."""

    def __init__(
        self, hass: HomeAssistant, entry: VlrvConfigEntry, pack: WatchedBattery
    ) -> None:
        """Begin."""
        self._hass = hass
        self._entry = entry
        self._pack = pack
        self._seen = -1
        self._before: BatteryStatus | None = None
        # True before the battery remembered what was, and perhaps one step off since.
        self._shown_first = {key: value(hass, pack.address, key) for key in SHOWN}
        self.samples = 0
        self.wrong: list[str] = []
        self.stop = lambda: None
        self.follow()

    @callback
    def follow(self) -> None:
        """Follow the entry's coordinator, also after a reload brought a new one."""
        self.stop()
        battery_data = self._entry.runtime_data
        self._seen = battery_data.statistics.samples
        self._before = None
        self.stop = battery_data.coordinator.async_add_listener(self._on_poll)

    @callback
    def _on_poll(self) -> None:
        battery_data = self._entry.runtime_data
        if battery_data.statistics.samples == self._seen:
            return
        self._seen = battery_data.statistics.samples
        self.samples += 1
        # What was accepted last, also when it is the same as before.
        status = decode_status(battery_data.history.last_status.frame)
        self.wrong += self._differences(status)
        self._before = status

    def _differences(self, status: BatteryStatus) -> Iterator[str]:
        """Compare a sample with what was true at its time, and the entities with it."""
        # The poll may end much later, where the connection ends after it.
        now = self._entry.runtime_data.statistics.last_sample_time
        assert now is not None
        found: list[str] = []
        for reply in reversed(self._pack.replies):
            if reply.time > now:
                continue
            if now - reply.time > OLDEST:
                break
            found = [
                f"{self._pack.name}: {key} is {reply.expected_values[key]}, taken for {read}"
                for key, read in (
                    (key, value_fn(status)) for key, value_fn in FIELDS.items()
                )
                if read != reply.expected_values[key]
            ]
            if not found:
                yield from self._not_shown(status)
                return
        yield from found or [f"{self._pack.name}: nothing true was answered lately"]

    def _not_shown(self, status: BatteryStatus) -> Iterator[str]:
        for key, (value_fn, step) in SHOWN.items():
            shown = value(self._hass, self._pack.address, key)
            if shown is None or not shown.lstrip("-").replace(".", "").isdigit():
                continue
            known = [reply.expected_values[key] for reply in self._pack.replies]
            if float(shown) not in known and shown != self._shown_first[key]:
                yield f"{self._pack.name} shows {key} {shown}, never true: {known}"
            if self._before is None:
                continue
            # An entity hears of the sample after or before this listener does.
            read = [value_fn(each) for each in (status, self._before)]
            if min(abs(float(shown) - each) for each in read) > step + ROUNDING:
                yield f"{self._pack.name} shows {key} {shown}, last read {read}"


class WatchedBatteryHarness(BatteryHarness):
    """A battery of which every sample is compared with what is true."""

    watch: Watch

    def start_watch(self) -> None:
        """Compare from now on."""
        self.watch = Watch(self.hass, self.entry, watched(self.hass, self.pack))

    @property
    def health(self) -> Any:
        """Return what the coordinator counts."""
        return self.entry.runtime_data.statistics

    async def wait_for_sample(self, within: float) -> float:
        """Wait for a valid sample, and return how long that took, in s."""
        start, samples = self.hass.loop.time(), self.health.samples
        await wait_until(lambda: self.health.samples > samples, within)
        return self.hass.loop.time() - start

    def _connections(self) -> int:
        adapters = self.bluetooth_env.adapters.values()
        return sum(len(adapter.connections) for adapter in adapters)

    async def assert_clean(self) -> None:
        """Assert that nothing untrue was shown, nothing leaked, nothing grew."""
        assert self.watch.wrong == []
        assembler = self.entry.runtime_data.client._transport.assembler
        assert len(assembler._buffer) <= MAX_BUFFER
        # A connection attempt has its slot for a while; a leaked one keeps it.
        await wait_until(lambda: self._connections() == self.is_connected, CONNECTING)

    async def assert_unloads(self) -> None:
        """Unload the entry, and assert that no connection and no slot is held."""
        assert await self.hass.config_entries.async_unload(self.entry.entry_id)
        await asyncio.sleep(1)
        assert not self.peripheral.is_connected
        for adapter in self.bluetooth_env.adapters.values():
            assert adapter.free_slots == adapter.slots
