"""Fixtures of these tests."""

from __future__ import annotations

import pytest

from .session import CannedBattery
from simulator.adapter import VirtualAdapter
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment


@pytest.fixture(autouse=True)
def auto_enable_custom_integrations() -> None:
    """Load no integration that would talk to the batteries itself."""


@pytest.fixture
def battery() -> CannedBattery:
    """Return the battery behind `peripheral`."""
    return CannedBattery()


@pytest.fixture
async def peripheral(
    bluetooth_env: BluetoothEnvironment, battery: CannedBattery
) -> Peripheral:
    """Put a second generation battery on the air."""
    return await bluetooth_env.add_battery(battery)


@pytest.fixture
async def adapter(
    bluetooth_env: BluetoothEnvironment, peripheral: Peripheral
) -> VirtualAdapter:
    """Give Home Assistant an adapter that hears the battery."""
    return await bluetooth_env.add_adapter()
