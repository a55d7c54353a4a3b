"""A client over the simulated radio, and what a test asks of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from habluetooth import get_manager
import pytest

from custom_components.voltgo_vlrv.vlrv.client import VlrvClient
from simulator.adapter import VirtualAdapter
from simulator.battery import SimulatedBattery, build_reply
from simulator.bleak_client import VirtualClient
from simulator.clock import FastClock
from simulator.peripheral import Peripheral
from tests.radio_env import RadioEnvironment

ADDRESS = "A4:C1:37:00:00:01"
NAME = "House bank"
SOURCE = "02:00:00:00:00:01"

STATUS_41 = bytes.fromhex("0103000000298414")
STATUS_39 = bytes.fromhex("01030000002705d0")
IDENTITY = bytes.fromhex("010300690017d5d8")
NO_SUCH_REGISTERS = build_reply(b"\x01\x83\x02")

GRACE = 1e-6  # s; loop times are sums of floats


def still_clock() -> float:
    """Return the same time for ever, so that a battery does not change."""
    return 0.0


def subscribe_and(
    then: Callable[[VirtualClient], Awaitable[None]],
) -> Callable[..., Awaitable[None]]:
    """Return a subscription that works, with something that happens right after it."""
    subscribe = VirtualClient.start_notify

    async def start_notify(self: VirtualClient, *args: Any, **kwargs: Any) -> None:
        await subscribe(self, *args, **kwargs)
        await then(self)

    return start_notify


class ScriptedBattery(SimulatedBattery):
    """A battery at rest that answers some requests as told instead.

    `script` holds replies, None for silence, by request; each is used once, the last
    one for ever.
    """

    def __init__(self, **options: Any) -> None:
        """Start as an ordinary battery."""
        super().__init__(name=NAME, address=ADDRESS, clock=still_clock, **options)
        self.script: dict[bytes, list[bytes | None]] = {}

    def handle(self, frame: bytes) -> bytes | None:
        """Answer."""
        if replies := self.script.get(frame):
            return replies.pop(0) if len(replies) > 1 else replies[0]
        return super().handle(frame)


@dataclass
class ClientHarness:
    """A battery, an adapter that hears it, and a client."""

    bluetooth_env: RadioEnvironment
    clock: FastClock
    peripheral: Peripheral
    adapter: VirtualAdapter
    client: VlrvClient
    losses: list[float] = field(default_factory=list)

    @property
    def battery(self) -> ScriptedBattery:
        """Return the battery as the one that takes a script."""
        battery = self.peripheral.battery
        assert isinstance(battery, ScriptedBattery)
        return battery

    @property
    def sent(self) -> list[bytes]:
        """Return what the battery was asked."""
        return [write.data for write in self.peripheral.writes]

    @property
    def times(self) -> list[float]:
        """Return when."""
        return [write.time for write in self.peripheral.writes]

    def assert_no_slot(self) -> None:
        """Check that the client holds nothing, as the adapter and the manager see it."""
        assert not self.client.is_connected
        assert self.adapter.connections == {}
        allocations = get_manager().async_current_allocations(SOURCE)
        assert allocations is not None
        # Home Assistant 2026.8 lists an adapter only once it has connected to something.
        assert [slots.allocated for slots in allocations] in ([], [[]])

    async def assert_free(self) -> None:
        """Check that nothing is held: neither a slot, nor the battery."""
        self.assert_no_slot()
        # The battery hears of it a moment later.
        await asyncio.sleep(0.2)
        self.assert_no_slot()
        assert not self.peripheral.is_connected

    def assert_held(self) -> None:
        """Check that there is a connection, which takes one slot."""
        assert self.client.is_connected
        assert list(self.adapter.connections) == [ADDRESS]
        assert self.peripheral.is_connected

    async def assert_usable(self) -> None:
        """Check that a good reading comes about, from whatever state, and disconnect."""
        self.peripheral.faults.clear()
        self.adapter.faults.clear()
        await asyncio.sleep(3)
        await self.client.connect()
        self.assert_held()
        assert (await self.client.read_status()).cell_count == 8
        assert (await self.client.read_identity()).firmware == "Z01T20"
        await self.client.disconnect()
        await self.assert_free()


type Build = Callable[..., Coroutine[Any, Any, ClientHarness]]


def start[T](work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Let a call run beside the test."""
    return asyncio.get_running_loop().create_task(work)


async def cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a call that must not have ended, and wait for its end."""
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
