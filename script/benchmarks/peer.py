"""Our library beside the nearest peer's: the same battery polled over the same radio.

The peer is aiobmsble with its plug-in for EG4, which reads the same registers. Both run in
one Home Assistant on a simulated clock, each with a battery of its own, and take turns with
a client that only sends the request and counts the reply: what that one costs is the radio
and the battery, and is taken off the processor time of both. The fastest poll counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from math import inf
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Protocol
from unittest.mock import patch

from aiobmsble import basebms  # type: ignore[import-untyped]
from aiobmsble.bms import eg4_bms  # type: ignore[import-untyped]
import bleak
from bleak.backends.device import BLEDevice
import bleak_retry_connector

from homeassistant.components import bluetooth
from script.progress import log_to_file

from .environment import BARE, OURS, BenchmarkEnvironment, open_environment, run_metered
from .meter import Meter
from .workload import CELLS, Samples, record_workload
from custom_components.voltgo_vlrv.vlrv.client import VlrvClient
from simulator.battery import read_request
from simulator.bleak_client import VirtualClient

CPU_RATIO_MAX: Final = 1.0
BYTES_RATIO_MAX: Final = 1.1
# Ours waits for 0.1 s between subscribing and the first request.
FIRST_VALUE_RATIO_MAX: Final = 1.2

PEER: Final = "peer"
REGISTERS: Final = 39
FRAME_BYTES: Final = 83
REQUEST: Final = read_request(0, REGISTERS)
WRITE: Final = "00001001-0000-1000-8000-00805f9b34fb"
NOTIFY: Final = "00001002-0000-1000-8000-00805f9b34fb"
CONNECTION_INTERVAL: Final = 0.05  # s; of a real battery
CONNECT: Final = 1.0  # s; the shortest that was seen over a proxy
SHOWN: Final = 60.0  # s; until Home Assistant has shown a battery to the user
POLLS: Final = 300
PAUSE: Final = 3.0  # s; longer than anything that follows a poll
CONNECTS: Final = 5


type FindDevice = Callable[[], BLEDevice | None]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one client costs."""

    milliseconds: float
    """Processor time of the fastest poll, with radio and battery."""
    packets: float
    """For one poll."""
    size: float
    """Bytes for one poll, from the L2CAP header on."""
    first_value: float = 0.0
    """Seconds from the start of a connection to the first values."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours as a multiple of the peer's; less is better."""

    cpu_ratio: float
    bytes_ratio: float
    first_value_ratio: float

    @property
    def is_met(self) -> bool:
        """Return whether all targets are met."""
        return (
            self.cpu_ratio <= CPU_RATIO_MAX
            and self.bytes_ratio <= BYTES_RATIO_MAX
            and self.first_value_ratio <= FIRST_VALUE_RATIO_MAX
        )

    def __str__(self) -> str:
        """Return the result line."""
        return (
            f"peer cpu_ratio={self.cpu_ratio:.2f} bytes_ratio={self.bytes_ratio:.2f} "
            f"first_value_ratio={self.first_value_ratio:.2f}"
        )


def compare(costs: dict[str, Cost]) -> Comparison:
    """Compare; ValueError if the bare client was not the cheapest."""
    bare, ours, peer = (costs[name] for name in (BARE, OURS, PEER))
    if not bare.milliseconds < min(ours.milliseconds, peer.milliseconds):
        raise ValueError("a client cost less than the radio alone")
    return Comparison(
        (ours.milliseconds - bare.milliseconds)
        / (peer.milliseconds - bare.milliseconds),
        ours.size / peer.size,
        ours.first_value / peer.first_value,
    )


class Client(Protocol):
    """One of those that are compared."""

    async def poll(self) -> object:
        """Read the values, over a new connection where there is none."""

    async def disconnect(self) -> None:
        """Disconnect."""


class _Ours:
    """Our library."""

    def __init__(self, find_device: FindDevice) -> None:
        self._client = VlrvClient("ours", find_device)

    async def poll(self) -> float:
        """Return the voltage, over a new connection where there is none."""
        await self._client.connect()
        status = await self._client.read_status()
        assert len(status.cells) == CELLS
        return status.voltage

    async def disconnect(self) -> None:
        """Disconnect."""
        await self._client.disconnect()


class _Peer:
    """The peer's library, as its integration uses it."""

    def __init__(self, find_device: FindDevice) -> None:
        self._client = eg4_bms.BMS(find_device())

    async def poll(self) -> float:
        """Return the voltage, over a new connection where there is none."""
        sample = await self._client.async_update()
        assert len(sample["cell_voltages"]) == CELLS
        voltage: float = sample["voltage"]
        return voltage

    async def disconnect(self) -> None:
        """Disconnect."""
        await self._client.disconnect()


class _Bare:
    """Sends the request and counts the bytes of the reply."""

    def __init__(self, find_device: FindDevice) -> None:
        self._find_device = find_device
        self._client: bleak.BleakClient | None = None
        self._left = 0
        self._answered = asyncio.Event()

    def _handle_notification(self, _sender: object, data: bytearray) -> None:
        self._left -= len(data)
        if self._left <= 0:
            self._answered.set()

    async def poll(self) -> None:
        """Ask, over a new connection where there is none."""
        if self._client is None:
            device = self._find_device()
            assert device is not None
            self._client = await bleak_retry_connector.establish_connection(
                bleak_retry_connector.BleakClientWithServiceCache, device, BARE
            )
            await self._client.start_notify(NOTIFY, self._handle_notification)
        self._left = FRAME_BYTES
        self._answered.clear()
        await self._client.write_gatt_char(WRITE, REQUEST, response=False)
        await self._answered.wait()

    async def disconnect(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.disconnect()


KINDS: Final[dict[str, Callable[[FindDevice], Client]]] = {
    BARE: _Bare,
    OURS: _Ours,
    PEER: _Peer,
}


@contextmanager
def _slow_connects() -> Iterator[None]:
    """Let each connection take as long as a quick one over a proxy."""
    connect = VirtualClient.connect

    async def slow(client: VirtualClient, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(CONNECT)
        return await connect(client, *args, **kwargs)

    with patch.object(VirtualClient, "connect", slow):
        yield


async def _first_value(client: Client) -> float:
    """Return how long the first values take, s, at best; stay connected."""
    loop = asyncio.get_running_loop()
    best = inf
    for _ in range(CONNECTS):
        await client.disconnect()
        await asyncio.sleep(PAUSE)
        started = loop.time()
        await client.poll()
        best = min(best, loop.time() - started)
        await asyncio.sleep(PAUSE)
    return best


async def _measure(environment: BenchmarkEnvironment) -> dict[str, Cost]:
    environment.medium.connection_interval = CONNECTION_INTERVAL
    addresses = {}
    for number, name in enumerate(KINDS):
        # The peer knows the first generation of the module only.
        battery = await environment.add_battery(number, name, generation=1)
        addresses[name] = battery.address
        await asyncio.sleep(SHOWN)

    def finder(name: str) -> FindDevice:
        return lambda: bluetooth.async_ble_device_from_address(
            environment.hass, addresses[name], True
        )

    # Home Assistant replaces the class at set-up, so it is looked up late.
    with patch.object(basebms, "BleakClient", bleak.BleakClient), _slow_connects():
        clients: dict[str, Client] = {
            name: kind(finder(name)) for name, kind in KINDS.items()
        }
        first_value = {
            name: await _first_value(client) for name, client in clients.items()
        }
        best = dict.fromkeys(clients, inf)
        for name in clients:
            environment.take_traffic(name)
        for _ in range(POLLS):
            for name, client in clients.items():
                await asyncio.sleep(PAUSE)
                environment.meter.take()
                await client.poll()
                await asyncio.sleep(PAUSE)
                share = environment.meter.take()[name]
                best[name] = min(best[name], share.nanoseconds / 1e6)
        traffic = {name: environment.take_traffic(name) for name in clients}
        for client in clients.values():
            await client.disconnect()
    return {
        name: Cost(
            best[name],
            traffic[name].packets / POLLS,
            traffic[name].size / POLLS,
            first_value[name],
        )
        for name in clients
    }


def measure(samples: Samples) -> dict[str, Cost]:
    """Measure all clients in one Home Assistant."""
    log_to_file("bench")

    async def main(meter: Meter) -> dict[str, Cost]:
        with TemporaryDirectory() as folder:
            async with open_environment(
                meter, Path(folder), samples, with_recorder=False
            ) as environment:
                return await _measure(environment)

    return run_metered(main)


def run() -> bool:
    """Measure, print, and return whether all targets are met."""
    samples = record_workload()
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        costs = pool.submit(measure, samples).result()
    comparison = compare(costs)
    print(
        f"peer: a battery of {CELLS} cells over a virtual radio, {POLLS} polls each, "
        f"aiobmsble {version('aiobmsble')}"
    )
    bare = costs[BARE].milliseconds
    for name, cost in costs.items():
        print(
            f"  {name:<5}{cost.milliseconds - bare:7.3f} ms net of the radio "
            f"{cost.packets:6.1f} packets {cost.size:7.1f} bytes a poll, first values "
            f"{cost.first_value:5.2f} s after connecting began"
        )
    print(
        f"  targets {'met' if comparison.is_met else 'MISSED'}: cpu_ratio at most "
        f"{CPU_RATIO_MAX}, bytes_ratio at most {BYTES_RATIO_MAX}, first_value_ratio at "
        f"most {FIRST_VALUE_RATIO_MAX}"
    )
    print(comparison)
    return comparison.is_met
