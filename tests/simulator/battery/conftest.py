"""Fixtures of these tests."""

import json

import pytest

from .helpers import CAPTURES, Clock
from simulator.battery import SimulatedBattery


@pytest.fixture(name="battery")
def battery_fixture() -> SimulatedBattery:
    """Return a battery of 8 cells whose time only moves by `advance`."""
    return SimulatedBattery(clock=Clock())


@pytest.fixture(name="captures", scope="module")
def captures_fixture() -> list[dict[str, str]]:
    """Return the recorded frames."""
    if not CAPTURES.exists():
        pytest.skip("recorded frames are stored outside the project")
    captures: list[dict[str, str]] = json.loads(CAPTURES.read_text())
    return captures
