"""A real Home Assistant with batteries on a virtual radio, and its processor time.

Time is simulated, so a day passes as fast as the machine can. Between two jumps of the
clock everything happens at one instant, and the packets of that instant tell which client
polls. So the processor time of the event loop's thread is known for each poll, of the
integration as of a bare client that runs beside it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from math import floor
from pathlib import Path
from typing import Final

from bleak import BleakClient
import bleak_retry_connector
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.hci import Address
from pytest_homeassistant_custom_component.common import async_test_home_assistant  # type: ignore[import-untyped]

from homeassistant.components import bluetooth, recorder
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.recorder import async_initialize_recorder
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.setup import async_setup_component

from .meter import Meter
from .workload import DAY, Samples, WorkloadBattery

# Imported before Home Assistant looks for it in its own folder.
import custom_components  # noqa: F401
from custom_components.voltgo_vlrv.care_sensor import (
    CARE_SENSORS,
    MARGIN_SENSORS,
    STORAGE_ADVICE,
)
from custom_components.voltgo_vlrv.const import CONF_INTERVAL, DOMAIN
from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from custom_components.voltgo_vlrv.vlrv.faults import FAULTS
from simulator.adapter import Detach, VirtualAdapter
from simulator.battery import read_request
from simulator.clock import FastClock
from simulator.peripheral import Peripheral
from simulator.profiles import PROFILES
from simulator.radio import RadioMedium

# The two clients.
OURS: Final = "ours"
BARE: Final = "bare"

INTERVAL: Final = 10  # s; the default
REGISTERS: Final = 41

ADAPTER: Final = "02:00:00:00:00:01"
# More than there are batteries: sharing slots is not measured.
SLOTS: Final = 20
LIMIT: Final = 4.0 * DAY
LOOK: Final = 0.1  # s between two checks
ENABLING: Final = 31.0  # s; Home Assistant reloads what was enabled after 30
CARE_AND_FAULTS: Final = frozenset(
    (
        STORAGE_ADVICE.key,
        *(sensor.key for sensor in CARE_SENSORS),
        *(sensor.key for sensor in MARGIN_SENSORS),
        *(fault.key for fault in FAULTS),
    )
)
# Of an L2CAP PDU: length, channel; then the operation of ATT.
OPERATION: Final = 4
WRITES: Final = (0x12, 0x52)  # request, command


@dataclass(slots=True)
class Traffic:
    """Packets from and to one battery."""

    packets: int = 0
    size: int = 0
    """Bytes of L2CAP PDUs, their headers included."""
    requests: int = 0


class MeteredMedium(RadioMedium):
    """Counts the packets, and assigns their instants to clients."""

    def __init__(self, meter: Meter) -> None:
        """Start without traffic."""
        super().__init__()
        self.clients: dict[str, str] = {}
        self.traffic: dict[str, Traffic] = {}
        self._meter = meter

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Count one L2CAP PDU and deliver it."""
        address = destination_address.to_string(False)
        if is_request := address in self.clients:
            traffic = self.traffic[address]
        else:
            address = sender_controller.public_address.to_string(False)
            traffic = self.traffic[address]
        traffic.packets += 1
        traffic.size += len(data)
        traffic.requests += is_request and data[OPERATION] in WRITES
        self._meter.assign(self.clients[address])
        super().send_acl_data(sender_controller, destination_address, transport, data)


class BareClient:
    """A client of bleak alone: sends the request and waits for the complete reply."""

    def __init__(self, address: str, interval: float) -> None:
        """Prepare; `interval` is in seconds, at `origin` or multiples from there."""
        self.origin = 0.0
        self.polls = 0
        self._address = address
        self._interval = interval
        self._left = 0
        self._answered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._client: BleakClient | None = None

    async def start(self, hass: HomeAssistant, count: int) -> None:
        """Connect, and ask for `count` registers from now on."""
        profile = PROFILES["v2"]
        device = bluetooth.async_ble_device_from_address(hass, self._address, True)
        assert device is not None
        self._client = await bleak_retry_connector.establish_connection(
            # Home Assistant replaces the class at set-up, so it is looked up late.
            bleak_retry_connector.BleakClientWithServiceCache,
            device,
            self._address,
        )
        service = self._client.services.get_service(_uuid(profile.service))
        assert service is not None
        notify = service.get_characteristic(_uuid(profile.notify))
        write = service.get_characteristic(_uuid(profile.write))
        assert notify is not None
        assert write is not None
        client = self._client
        request = read_request(0, count)
        length = 5 + 2 * count

        def on_notification(_: object, data: bytearray) -> None:
            self._left -= len(data)
            if self._left <= 0:
                self._answered.set()

        async def ask() -> None:
            loop = asyncio.get_running_loop()
            while True:
                polls = (loop.time() - self.origin) / self._interval
                # Half an interval on: the sum may fall a little short of the last one.
                due = self.origin + self._interval * floor(polls + 1.5)
                await asyncio.sleep(due - loop.time())
                self._left = length
                self._answered.clear()
                await client.write_gatt_char(write, request, response=False)
                await self._answered.wait()
                self.polls += 1

        await client.start_notify(notify, on_notification)
        self._task = asyncio.get_running_loop().create_task(ask())

    async def stop(self) -> None:
        """Disconnect."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        if self._client is not None:
            await self._client.disconnect()


def _uuid(short: int) -> str:
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"


type Enabled = Callable[[er.RegistryEntry], bool]
"""Whether an entity that is disabled by default is to be enabled."""


def by_default(_entity: er.RegistryEntry) -> bool:
    """Return False: leave an entity as the integration has it."""
    return False


def with_care(entity: er.RegistryEntry) -> bool:
    """Return whether an entity is of the care for a battery, or one of its faults."""
    key = entity.unique_id.partition("_")[2]
    return key in CARE_AND_FAULTS


def everything(_entity: er.RegistryEntry) -> bool:
    """Return True: enable all entities."""
    return True


class BenchmarkEnvironment:
    """One Home Assistant, one adapter, and the batteries around it.

    `midnight` is the loop's time at which the batteries' day begins, `changes` the
    number of state changes of the integration's entities.
    """

    def __init__(
        self, hass: HomeAssistant, clock: FastClock, meter: Meter, samples: Samples
    ) -> None:
        """Start empty; the bluetooth integration must be set up."""
        self.hass = hass
        self.clock = clock
        self.meter = meter
        self.medium = MeteredMedium(meter)
        self.midnight = clock.now
        self.changes = 0
        self._samples = samples
        self._peripherals: dict[str, Peripheral] = {}
        self._clients: list[BareClient] = []
        self._detach: Detach | None = None
        self._own: set[str] = set()

    async def start(self) -> None:
        """Switch the adapter on."""
        adapter = VirtualAdapter(self.medium, ADAPTER, "adapter", slots=SLOTS)
        self._detach = await adapter.attach(
            partial(bluetooth.async_register_scanner, self.hass)
        )

        @callback
        def on_change(event: Event[EventStateChangedData]) -> None:
            self.changes += event.data["entity_id"] in self._own

        self.hass.bus.async_listen(EVENT_STATE_CHANGED, on_change)

    async def add_battery(
        self, number: int, client: str, *, generation: int = 2
    ) -> Peripheral:
        """Add a battery, and wait until Home Assistant receives it."""
        battery = WorkloadBattery(
            number,
            self._samples,
            lambda: self.clock.now - self.midnight,
            generation=generation,
        )
        self.medium.clients[battery.address] = client
        self.medium.traffic[battery.address] = Traffic()
        peripheral = Peripheral(self.medium, battery)
        self._peripherals[battery.address] = peripheral
        await peripheral.start()
        async with asyncio.timeout(30):
            while not bluetooth.async_address_present(self.hass, battery.address):  # noqa: ASYNC110
                await asyncio.sleep(LOOK)
        return peripheral

    async def add_client(
        self, peripheral: Peripheral, interval: float, count: int
    ) -> BareClient:
        """Have a bare client ask a battery."""
        client = BareClient(peripheral.address, interval)
        self._clients.append(client)
        await client.start(self.hass, count)
        return client

    async def add_entry(
        self,
        peripheral: Peripheral,
        interval: int,
        is_enabled: Enabled = by_default,
    ) -> VlrvConfigEntry:
        """Add a discovered battery as a user does, and wait until it is settled.

        Entities that are disabled by default are enabled where `is_enabled` says so.
        """
        flows = self.hass.config_entries.flow
        async with asyncio.timeout(30):
            while not (  # noqa: ASYNC110
                found := [
                    flow["flow_id"]
                    for flow in flows.async_progress_by_handler(DOMAIN)
                    if flow["context"].get("unique_id") == peripheral.address
                ]
            ):
                await asyncio.sleep(LOOK)
        entry: VlrvConfigEntry = (await flows.async_configure(found[0], {}))["result"]
        self.hass.config_entries.async_update_entry(
            entry, options={CONF_INTERVAL: interval}
        )
        await self.become_quiet(interval)
        registry = er.async_get(self.hass)
        wanted = [
            entity.entity_id
            for entity in er.async_entries_for_config_entry(registry, entry.entry_id)
            if entity.disabled_by is not None and is_enabled(entity)
        ]
        for entity_id in wanted:
            registry.async_update_entity(entity_id, disabled_by=None)
        if wanted:
            await asyncio.sleep(ENABLING)
            await self.become_quiet(interval)
        assert entry.state is ConfigEntryState.LOADED
        self._own.update(self.entities(entry))
        return entry

    async def become_quiet(self, interval: float) -> None:
        """Wait until all reads after a connection are done."""
        await asyncio.sleep(3 * interval)

    @property
    def unix_time(self) -> float:
        """Return the simulated time as Home Assistant knows it."""
        return self.clock.now + self.clock.epoch

    def set_time(self, hour: int) -> None:
        """Continue the batteries' day at an hour."""
        self.midnight = self.clock.now - hour * 3600

    def take_traffic(self, client: str) -> Traffic:
        """Return the traffic of a client's batteries since the last call."""
        total = Traffic()
        for address, traffic in self.medium.traffic.items():
            if self.medium.clients[address] == client:
                total.packets += traffic.packets
                total.size += traffic.size
                total.requests += traffic.requests
                self.medium.traffic[address] = Traffic()
        return total

    def entries(self) -> list[VlrvConfigEntry]:
        """Return the batteries that were added."""
        return self.hass.config_entries.async_loaded_entries(DOMAIN)

    def entities(self, entry: ConfigEntry) -> list[str]:
        """Return the enabled entities of an entry."""
        return [
            entity.entity_id
            for entity in er.async_entries_for_config_entry(
                er.async_get(self.hass), entry.entry_id
            )
            if entity.disabled_by is None
        ]

    async def flush(self) -> None:
        """Wait until all that happened is in the database."""
        with self.clock.hold():
            await recorder.get_instance(self.hass).async_block_till_done()

    async def close(self) -> None:
        """Switch everything off."""
        for client in self._clients:
            await client.stop()
        flows = self.hass.config_entries.flow
        for flow in flows.async_progress(include_uninitialized=True):
            flows.async_abort(flow["flow_id"])
        for entry in self.hass.config_entries.async_loaded_entries(DOMAIN):
            await self.hass.config_entries.async_unload(entry.entry_id)
        await self.hass.async_block_till_done()
        if self._detach is not None:
            await self._detach()
        for peripheral in self._peripherals.values():
            await peripheral.stop()
        self.medium.close()


@asynccontextmanager
async def open_home_assistant(
    folder: Path, *, with_recorder: bool
) -> AsyncGenerator[HomeAssistant]:
    """Start Home Assistant in a folder, with its Bluetooth and custom integrations."""
    async with async_test_home_assistant(config_dir=str(folder)) as hass:
        # As Home Assistant itself: look for custom integrations.
        hass.data.pop(DATA_CUSTOM_COMPONENTS)
        if with_recorder:
            async_initialize_recorder(hass)
            assert await async_setup_component(hass, recorder.DOMAIN, {})
            await recorder.get_instance(hass).async_recorder_ready.wait()
        assert await async_setup_component(hass, bluetooth.DOMAIN, {})
        await hass.async_block_till_done()
        try:
            yield hass
        finally:
            await hass.async_stop(force=True)


@asynccontextmanager
async def open_environment(
    meter: Meter, folder: Path, samples: Samples, *, with_recorder: bool = True
) -> AsyncGenerator[BenchmarkEnvironment]:
    """Start Home Assistant on a simulated clock, with its database in the folder.

    The running loop's selector must be the meter.
    """
    async with AsyncExitStack() as stack:
        clock = stack.enter_context(FastClock(limit=LIMIT))
        meter.instant = lambda: clock.jumps
        with clock.hold():
            hass = await stack.enter_async_context(
                open_home_assistant(folder, with_recorder=with_recorder)
            )
        if with_recorder:
            instance = recorder.get_instance(hass)
            # The recorder would otherwise do its work within later instants.
            meter.is_busy = lambda: instance.backlog > 0
        environment = BenchmarkEnvironment(hass, clock, meter, samples)
        try:
            await environment.start()
            yield environment
        finally:
            meter.is_busy = lambda: False
            await environment.close()


def run_metered[ResultT](
    main: Callable[[Meter], Coroutine[None, None, ResultT]],
) -> ResultT:
    """Run a coroutine on an event loop with a meter."""
    meter = Meter()
    with asyncio.Runner(
        loop_factory=lambda: asyncio.SelectorEventLoop(meter)
    ) as runner:
        return runner.run(main(meter))
