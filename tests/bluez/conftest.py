"""Fixtures: a local adapter behind BlueZ, in simulated time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator

import pytest
import pytest_socket

from homeassistant.core import HomeAssistant

from .environment import BluezEnvironment
from .integration import adapters_over_dbus, bluez_environment
from simulator.clock import DAY, FastClock
from tests.esphome.harness import is_newest


@pytest.fixture(autouse=True, scope="package")
def mock_bluetooth_adapters() -> Generator[None]:
    """Find adapters over D-Bus.

    This stands in for a fixture of the same name, which replaces all adapters.
    """
    with adapters_over_dbus():
        yield


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Allow habluetooth 6 a timer of its scanner that it does not cancel."""
    return not is_newest


@pytest.fixture
async def bluetooth_env(
    fast_clock: FastClock, hass: HomeAssistant
) -> AsyncGenerator[BluezEnvironment]:
    """Provide batteries and an adapter around Home Assistant's `bluetooth`."""
    # pytest-socket lets Unix sockets be made, but connected only without restrictions.
    pytest_socket._remove_restrictions()
    hass.loop.set_debug(False)
    fast_clock.limit = 3 * DAY
    async with bluez_environment(hass) as environment:
        yield environment
