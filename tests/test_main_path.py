"""The main path once more, on the real clock and with nothing replaced at all."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from homeassistant.components.bluetooth import DOMAIN as BLUETOOTH_DOMAIN
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from .bluetooth_env import BluetoothEnvironment
from .common import add_discovered, value, wait_until
from simulator.battery import preset


@pytest.fixture
async def real_bluetooth_env(
    hass: HomeAssistant,
) -> AsyncGenerator[BluetoothEnvironment]:
    """Set up Home Assistant's bluetooth over a virtual radio, in real time."""
    assert await async_setup_component(hass, BLUETOOTH_DOMAIN, {})
    await hass.async_block_till_done()
    bluetooth_env = BluetoothEnvironment(hass)
    yield bluetooth_env
    await bluetooth_env.close()
    await hass.async_block_till_done()


async def test_discovered_battery_in_real_time_shows_its_values(
    hass: HomeAssistant, real_bluetooth_env: BluetoothEnvironment
) -> None:
    """No method of bleak or Home Assistant is patched, the clock neither."""
    pack = preset("solar_charging")
    pack.hold = True
    peripheral = await real_bluetooth_env.add_battery(pack, advertising_interval=0.02)
    await real_bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    expected_values = pack.expected_values()
    assert value(hass, pack.address, "state_of_charge") == str(
        expected_values["state_of_charge"]
    )
    assert (
        float(value(hass, pack.address, "voltage") or 0) == expected_values["voltage"]
    )
    await wait_until(lambda: peripheral.is_connected)
    assert entry.runtime_data.statistics.samples >= 1
