"""The users of a connection: what is done once, and what for each of them."""

from __future__ import annotations

import asyncio

import pytest

from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.connection import session
from tests.bluetooth_env import BluetoothEnvironment
from tests.harness import async_setup_battery


async def test_first_connection_closes_stale_ones_before_it_once(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A killed Home Assistant may have left one, which no other program closes."""
    closed: list[tuple[str, int]] = []

    async def close(address: str) -> None:
        peripheral = bluetooth_env.peripherals[address]
        closed.append((address, peripheral.connections))

    monkeypatch.setattr(session, "close_stale_connections", close)
    one = await async_setup_battery(hass, bluetooth_env)
    await one.wait_connected()
    before = one.peripheral.connections
    assert [address for address, _ in closed] == [one.pack.address]
    assert closed[0][1] < before
    one.peripheral.drop_connection()
    await one.wait_connected()
    await asyncio.sleep(60)
    assert one.peripheral.connections > before
    assert len(closed) == 1
