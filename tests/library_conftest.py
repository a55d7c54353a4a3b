"""Fixtures for the tests of library and command, without Home Assistant.

`script/release --check` installs the library into an empty environment and runs its tests
there, with this file in place of `conftest.py`: batteries are reached through habluetooth
alone.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from datetime import datetime
from random import Random

from bleak_retry_connector import BleakSlotManager
from bluetooth_adapters import BluetoothAdapters
from habluetooth import BluetoothManager, set_manager
from hypothesis import HealthCheck, settings
import pytest

from simulator.clock import FastClock
from tests.radio_env import RadioEnvironment
from tests.seeding import SEED, random_instant, seeded_random

# Both would be limits in real time.
settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tests")


class _NoAdapters(BluetoothAdapters):
    """The machine's own adapters: none."""

    @property
    def adapters(self) -> dict[str, object]:
        """Return them."""
        return {}

    @property
    def default_adapter(self) -> str:
        """Return the name of the first."""
        return "hci0"


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> Random:
    """Return the random numbers of a test, the same in each run."""
    return Random(f"{SEED} {request.node.nodeid}")


@pytest.fixture(autouse=True)
def seeded_randomness(rng: Random) -> Generator[None]:
    """Give a test the same random numbers in each run."""
    with seeded_random(rng):
        yield


@pytest.fixture
def start(rng: Random) -> datetime:
    """Return when simulated time begins."""
    return random_instant(rng)


@pytest.fixture
async def fast_clock(start: datetime) -> AsyncGenerator[FastClock]:
    """Simulate time on the test's event loop; see `simulator.clock`."""
    with FastClock(start=start) as clock:
        yield clock


@pytest.fixture
async def bluetooth_env(fast_clock: FastClock) -> AsyncGenerator[RadioEnvironment]:
    """Set habluetooth up over a virtual radio."""
    manager = BluetoothManager(_NoAdapters(), BleakSlotManager())
    set_manager(manager)
    await manager.async_setup()
    environment = RadioEnvironment()
    yield environment
    await environment.close()
    manager.async_stop()
