"""Events of a connection and the states that follow, with a client that has no radio."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

from habluetooth import HaBluetoothSlotAllocations
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.connection import session
from custom_components.voltgo_vlrv.connection.manager import ConnectionManager
from custom_components.voltgo_vlrv.connection.slots import SlotMonitor
from custom_components.voltgo_vlrv.connection.state import ConnectionState
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.options import BatteryOptions
from custom_components.voltgo_vlrv.vlrv.errors import (
    ConnectionLostError,
    NoAnswerError,
    NotReachableError,
)
from custom_components.voltgo_vlrv.vlrv.trace import Trace
from tests.bluetooth_env import BluetoothEnvironment

ADDRESS = "A4:C1:37:00:00:01"


class Client:
    """A client that connects and disconnects at once."""

    name = "Solar"
    is_disconnecting = False

    def __init__(self) -> None:
        """Start without a connection."""
        self.is_connected = False
        self.counters = SimpleNamespace(connects=0)
        self.trace = Trace()

    async def connect(self) -> None:
        """Connect."""
        self.is_connected = True
        self.counters.connects += 1

    async def disconnect(self) -> None:
        """Disconnect."""
        self.is_connected = False


class Battery:
    """A connection with all that it knows of."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Create the connection of an entry without options."""
        entry = MockConfigEntry(domain=DOMAIN, data={"address": ADDRESS}, title="Solar")
        entry.add_to_hass(hass)
        self.client: Any = Client()
        self.delegate = Mock()
        self.delegate.async_store_release = AsyncMock()
        self.manager = ConnectionManager(
            hass, entry, self.client, BatteryOptions(entry), self.delegate
        )

    async def connect(self) -> None:
        """Connect as a poll does."""
        async with self.manager.use():
            pass

    @property
    def state(self) -> ConnectionState:
        """Return the state of the connection."""
        return self.manager.status.state


@pytest.fixture
def one(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> Battery:
    """Return a battery behind no adapter."""
    monkeypatch.setattr(session, "close_stale_connections", AsyncMock())
    return Battery(hass)


async def test_lost_connection_the_first_time_is_not_unreachable(one: Battery) -> None:
    """It is most often back at once, with an advertisement."""
    await one.connect()
    assert one.state is ConnectionState.CONNECTED
    one.client.is_connected = False
    one.manager.handle_poll_failed(ConnectionLostError("x"))
    assert one.state is ConnectionState.CONNECTING
    one.manager.handle_poll_failed(ConnectionLostError("x"))
    assert one.state is ConnectionState.UNREACHABLE


async def test_adapter_failure_is_over_with_a_connection(one: Battery) -> None:
    """Also where the battery did not reply before, and has still to prove that it does."""
    one.manager.handle_poll_failed(NoAnswerError("x"))
    one.manager.handle_poll_failed(NotReachableError("x"))
    assert one.state is ConnectionState.NO_BLUETOOTH
    await one.connect()
    assert one.state is ConnectionState.CONNECTED


async def test_release_clears_an_earlier_failure(one: Battery) -> None:
    """What was before says nothing about the time after it."""
    one.manager.handle_poll_failed(NotReachableError("x"))
    await one.manager.async_release()
    assert one.state is ConnectionState.RELEASED
    one.manager.async_resume()
    assert one.state is ConnectionState.CONNECTING
    assert one.manager.status.reason is None


async def test_release_that_is_not_true_yet_is_not_shown(one: Battery) -> None:
    """While the adapter holds the connection, no other device can connect."""
    await one.connect()
    one.client.is_disconnecting = True
    await one.manager.async_release()
    states: list[ConnectionState] = []
    one.manager.async_add_listener(lambda: states.append(one.state))
    assert one.state is ConnectionState.CONNECTED
    await asyncio.sleep(60)
    assert states == []
    one.client.is_disconnecting = False
    await asyncio.sleep(3)
    assert states == [ConnectionState.RELEASED]


async def test_close_ends_the_timer_of_a_release(one: Battery) -> None:
    """A battery that was removed is not connected to an hour later."""
    await one.manager.async_release(timedelta(hours=1))
    await one.manager.async_close()
    assert one.state is ConnectionState.CLOSED
    await asyncio.sleep(2 * 3600)
    one.delegate.connection_resumed.assert_not_called()


def allocations(source: str, free: int) -> HaBluetoothSlotAllocations:
    """Return the slots of an adapter with three of them."""
    return HaBluetoothSlotAllocations(source=source, slots=3, free=free, allocated=[])


@pytest.mark.parametrize(("source", "expected"), [("mine", False), ("other", True)])
async def test_adapter_full_disconnects_only_its_own_connections(
    one: Battery, monkeypatch: pytest.MonkeyPatch, source: str, expected: bool
) -> None:
    """Freeing a slot on another adapter would help no battery."""
    await one.connect()
    adapter = SimpleNamespace(
        source="mine", name="mine", get_allocations=lambda: allocations("", 0)
    )
    monkeypatch.setattr(SlotMonitor, "connected_adapter", lambda _: adapter)
    one.manager.handle_allocations(allocations(source, 0))
    await asyncio.sleep(20)
    assert one.client.is_connected is expected


async def test_slot_that_is_freed_within_seconds_is_waited_for(
    hass: HomeAssistant, one: Battery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another battery of ours is about to free it."""
    taken = True
    monkeypatch.setattr(SlotMonitor, "all_slots_taken", lambda _: taken)
    started = hass.loop.time()
    connecting = hass.async_create_task(one.connect())
    await asyncio.sleep(2)
    assert not connecting.done()
    taken = False
    one.manager.handle_allocations(allocations("mine", 1))
    await connecting
    assert one.client.is_connected
    assert 2 <= hass.loop.time() - started < 2.5
