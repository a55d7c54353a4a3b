"""Fixtures of the blueprints' tests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
import logging

import pytest

from homeassistant.core import HomeAssistant

from .harness import BatteryScenarioHarness, ScenarioHarness
from simulator.clock import FastClock
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery

LOGGERS = ("homeassistant.components.automation", "homeassistant.helpers.template")


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """Fail where an automation complained: a template that fails is easily missed."""
    yield
    complaints = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.WARNING and record.name.startswith(LOGGERS)
    ]
    assert complaints == []


@pytest.fixture
async def rv(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, quiet: None
) -> AsyncGenerator[BatteryScenarioHarness]:
    """Return an RV with a battery that has a heater, is half full and at 20 degrees."""
    rv = await BatteryScenarioHarness.with_battery(hass, bluetooth_env, battery("idle"))
    await rv.report(state_of_charge=60)
    yield rv
    await rv.close()


@pytest.fixture
async def home(
    hass: HomeAssistant, fast_clock: FastClock, quiet: None
) -> AsyncGenerator[ScenarioHarness]:
    """Return the same without a battery, where only a date counts."""
    home = ScenarioHarness(hass)
    await home.set_up()
    yield home
    await home.close()
