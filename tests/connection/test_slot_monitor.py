"""What a battery is told of adapters and their connection slots; no radio."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from homeassistant.components import bluetooth

from custom_components.voltgo_vlrv.connection.slots import (
    ADAPTER_WAIT,
    ADAPTER_WAIT_STEP,
    ORPHANED_AFTER,
    SLOT_WAIT_TIMEOUT,
    SlotMonitor,
    adapter_name,
    async_clear_stale_advertisements,
    async_sharing_lock,
)
from custom_components.voltgo_vlrv.connection.turns import async_turns
from custom_components.voltgo_vlrv.const import POLL_INTERVAL
from custom_components.voltgo_vlrv.vlrv.errors import NoSlotError
from simulator.clock import FastClock

ADDRESS = "A4:C1:37:00:00:01"


class Adapter(SimpleNamespace):
    """An adapter of this computer or a proxy, as Home Assistant describes it."""

    def __init__(
        self,
        source: str,
        free: int | None = 1,
        *,
        connected: bool = False,
        connectable: bool = True,
        adapter_idx: int | None = None,
    ) -> None:
        """Give it so many free slots; None where it does not tell."""
        super().__init__(
            source=source, connectable=connectable, adapter_idx=adapter_idx, free=free
        )
        self.connected = connected

    def get_allocations(self) -> Any:
        """Return its slots."""
        if self.free is None:
            return None
        allocated = [ADDRESS] if self.connected else ["other"]
        return SimpleNamespace(slots=3, free=self.free, allocated=allocated)

    def time_since_last_detection(self) -> float:
        """Return for how long it has received nothing."""
        return 42.0


class Around:
    """All adapters, and which of them receive the battery with how many dBm."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin without any."""
        self.adapters: list[Adapter] = []
        self.received: dict[str, int] = {}
        self.device: object | None = None
        self.info: Any = None
        self.cleared: list[str] = []
        for name, replacement in (
            ("async_scanner_devices_by_address", self._devices),
            ("async_current_scanners", self._scanners),
            ("async_ble_device_from_address", self._device),
            ("async_last_service_info", self._info),
            ("async_clear_advertisement_history", self._clear),
        ):
            monkeypatch.setattr(bluetooth, name, replacement)
        self.hass: Any = SimpleNamespace(data={}, loop=None)
        self.monitor = SlotMonitor(self.hass, ADDRESS)

    # Each is asked for the battery, and for adapters that can connect to it.

    def _scanners(self, hass: Any) -> list[Adapter]:
        assert hass is self.hass
        return self.adapters

    def _device(self, hass: Any, address: str, connectable: bool) -> object | None:
        assert (hass, address, connectable) == (self.hass, ADDRESS, True)
        return self.device

    def _info(self, hass: Any, address: str, connectable: bool) -> Any:
        assert (hass, address, connectable) == (self.hass, ADDRESS, True)
        return self.info

    def _clear(self, hass: Any, address: str) -> None:
        assert hass is self.hass
        self.cleared.append(address)

    def _devices(self, hass: Any, address: str, connectable: bool) -> list[Any]:
        assert (hass, address, connectable) == (self.hass, ADDRESS, True)
        return [
            SimpleNamespace(
                scanner=adapter,
                advertisement=SimpleNamespace(rssi=self.received[adapter.source]),
            )
            for adapter in self.adapters
            if adapter.source in self.received
        ]

    def add(self, *adapters: Adapter, in_range: bool = True) -> None:
        """Add adapters."""
        self.adapters += adapters
        for adapter in adapters:
            if in_range:
                self.received[adapter.source] = -60

    async def wait(self) -> float:
        """Wait for adapters; return for how long it took in s."""
        self.hass.loop = asyncio.get_running_loop()
        began = self.hass.loop.time()
        await self.monitor.wait_for_adapters()
        return round(self.hass.loop.time() - began, 1)


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> Around:
    """Return the adapters."""
    return Around(monkeypatch)


@pytest.mark.parametrize(
    ("free", "all_taken", "has_free"),
    [
        ((), False, False),
        ((0,), True, False),
        ((0, 0), True, False),
        ((0, 1), False, True),
        ((None,), False, False),
        ((0, None), False, False),
    ],
)
def test_slots_are_taken_or_free_only_where_all_adapters_in_range_tell(
    around: Around, free: tuple[int | None, ...], *, all_taken: bool, has_free: bool
) -> None:
    """Others do not matter."""
    around.add(*(Adapter(str(number), each) for number, each in enumerate(free)))
    around.add(Adapter("far", 3), in_range=False)
    assert around.monitor.all_slots_taken() is all_taken
    assert around.monitor.has_free_slot() is has_free


def test_adapter_with_the_connection_is_the_one_that_holds_it(around: Around) -> None:
    """Also where it does not receive the battery, which is silent while connected."""
    around.add(Adapter("near"), Adapter("unknown", None))
    assert around.monitor.connected_adapter() is None
    around.add(Adapter("far", connected=True), in_range=False)
    assert around.monitor.connected_adapter() is around.adapters[-1]
    assert around.monitor.signals() == {"near": -60, "unknown": -60}


def test_silence_is_that_of_an_adapter_of_this_computer(around: Around) -> None:
    """No other one is restarted by Home Assistant."""
    assert around.monitor.local_silence() is None
    around.add(Adapter("proxy", connected=True))
    assert around.monitor.local_silence() is None
    around.adapters = [Adapter("hci0", connected=True, adapter_idx=0)]
    assert around.monitor.local_silence() == 42.0


def test_adapters_that_may_take_one_more_connection_are_those_not_known_to_be_full(
    around: Around,
) -> None:
    """A passive one takes none."""
    around.add(Adapter("full", 0), Adapter("free", 1), Adapter("unknown", None))
    around.add(Adapter("passive", connectable=False), in_range=False)
    assert around.monitor.adapters_with_free_slot() == {"free", "unknown"}


def test_connection_that_an_adapter_keeps_is_an_orphan_after_some_time(
    around: Around,
) -> None:
    """The time begins when it is first found, and again after it was gone."""
    monitor = around.monitor
    monitor.look_for_orphan(0.0)
    assert monitor.orphaned_on is None
    keeps = Adapter("proxy", connected=True)
    around.add(keeps)
    for began in (100.0, 1000.0):
        for now in (began, began + ORPHANED_AFTER - 1):
            monitor.look_for_orphan(now)
            assert monitor.orphaned_on is None
        monitor.look_for_orphan(began + ORPHANED_AFTER)
        assert monitor.orphaned_on is keeps
        keeps.connected = False
        monitor.look_for_orphan(began + ORPHANED_AFTER + 1)
        assert monitor.orphaned_on is None
        keeps.connected = True
    monitor.look_for_orphan(2000.0)
    monitor.look_for_orphan(2000.0 + ORPHANED_AFTER)
    monitor.forget_orphan()
    assert monitor.orphaned_on is None
    monitor.look_for_orphan(2001.0 + ORPHANED_AFTER)
    assert monitor.orphaned_on is None


@pytest.mark.parametrize(
    ("free", "connected", "is_scarce"),
    [(0, True, True), (1, True, False), (None, True, False), (0, False, False)],
)
def test_slots_are_scarce_by_the_adapter_with_the_connection(
    around: Around, free: int | None, *, connected: bool, is_scarce: bool
) -> None:
    """One that does not tell has enough."""
    around.add(Adapter("other", 0), Adapter("proxy", free, connected=connected))
    assert around.monitor.are_scarce() is is_scarce


async def test_slots_are_scarce_by_the_batteries_that_wait_for_one(
    around: Around,
) -> None:
    """With two that wait, one free slot is not enough."""
    around.hass.loop = asyncio.get_running_loop()
    around.add(Adapter("proxy", 1, connected=True))
    turns = async_turns(around.hass, "proxy")

    async def wait() -> None:
        async with turns.take(has_failed=False):
            await asyncio.sleep(0)

    async with turns.take(has_failed=False):
        tasks = [asyncio.create_task(wait())]
        await asyncio.sleep(0)
        assert not around.monitor.are_scarce()
        tasks.append(asyncio.create_task(wait()))
        await asyncio.sleep(0)
        assert around.monitor.are_scarce()
    await asyncio.gather(*tasks)
    assert not around.monitor.are_scarce()


async def test_battery_is_waited_for_until_it_advertises(
    around: Around, fast_clock: FastClock
) -> None:
    """Not longer than said, nor once it is not wanted any more."""
    loop = asyncio.get_running_loop()
    is_wanted = True

    async def wait() -> float:
        began = loop.time()
        await around.monitor.wait_in_range(5.0, lambda: is_wanted)
        return round(loop.time() - began, 1)

    def later(device: object | None, wanted: bool) -> None:
        nonlocal is_wanted
        around.device, is_wanted = device, wanted
        around.monitor.handle_change()

    assert await wait() == 5.0
    loop.call_later(1, later, None, True)
    loop.call_later(2, later, object(), True)
    assert await wait() == 2.0
    assert await wait() == 0.0
    around.device = None
    loop.call_later(3, later, None, False)
    assert await wait() == 3.0
    assert await wait() == 0.0


async def test_adapters_are_waited_for_until_all_have_received_the_battery(
    around: Around, fast_clock: FastClock
) -> None:
    """At first all that can connect, later those that have received it before."""
    around.add(Adapter("a"))
    around.add(Adapter("passive", connectable=False), in_range=False)
    assert await around.wait() == 0.0
    # It has not received it before.
    around.add(Adapter("b"), in_range=False)
    assert await around.wait() == 0.0
    around.received["b"] = -70
    assert await around.wait() == 0.0
    del around.received["b"]
    assert await around.wait() == pytest.approx(
        ADAPTER_WAIT, abs=ADAPTER_WAIT_STEP + 0.01
    )
    asyncio.get_running_loop().call_later(1, around.received.update, {"b": -70})
    assert await around.wait() == 1.0
    # Removed, so it is not expected any more.
    del around.adapters[-1]
    assert await around.wait() == 0.0
    around.received.clear()
    assert await around.wait() == 0.0


async def test_first_connection_waits_for_all_adapters(
    around: Around, fast_clock: FastClock
) -> None:
    """Any of them may be in range."""
    around.add(Adapter("a"))
    around.add(Adapter("b"), in_range=False)
    assert await around.wait() == pytest.approx(
        ADAPTER_WAIT, abs=ADAPTER_WAIT_STEP + 0.01
    )
    assert await around.wait() == 0.0


async def test_slot_is_waited_for_while_it_is_wanted(
    around: Around, fast_clock: FastClock
) -> None:
    """For as long as another battery needs to free one."""
    loop = around.hass.loop = asyncio.get_running_loop()
    around.add(full := Adapter("a", 0))
    began = loop.time()
    with pytest.raises(NoSlotError):
        await around.monitor.wait_for_slot(lambda: True)
    assert loop.time() - began == pytest.approx(SLOT_WAIT_TIMEOUT, abs=0.11)
    began = loop.time()
    await around.monitor.wait_for_slot(lambda: False)
    loop.call_later(1, lambda: setattr(full, "free", 1))
    await around.monitor.wait_for_slot(lambda: True)
    assert loop.time() - began == pytest.approx(1.0, abs=0.11)


@pytest.mark.parametrize(
    ("before", "is_cleared"), [(0.0, False), (0.1, True), (None, False)]
)
def test_history_of_a_battery_is_cleared_only_if_it_was_not_advertising(
    around: Around, before: float | None, *, is_cleared: bool
) -> None:
    """Around the attempt; otherwise it accepted no connection."""
    if before is not None:
        time = 1000.0 - POLL_INTERVAL.total_seconds() - before
        around.info = SimpleNamespace(time=time)
    async_clear_stale_advertisements(around.hass, ADDRESS, 1000.0)
    assert around.cleared == [ADDRESS] * is_cleared
    around.monitor.expect_advertisement()
    assert around.cleared[-1] == ADDRESS


def test_adapter_is_named_without_its_address(around: Around) -> None:
    """It is shown, and an address is private."""
    adapter: Any = SimpleNamespace(name="proxy-01 (AA:BB)", source="AA:BB")
    assert adapter_name(adapter) == "proxy-01"
    adapter.name = "hci0"
    assert adapter_name(adapter) == "hci0"
    assert async_sharing_lock(around.hass) is async_sharing_lock(around.hass)
