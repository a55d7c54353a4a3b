"""The blueprint "heat the battery in winter"."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import async_capture_events

from homeassistant.components.automation import EVENT_AUTOMATION_TRIGGERED
from homeassistant.core import HomeAssistant, ServiceCall, SupportsResponse
from homeassistant.util import dt as dt_util
from homeassistant.util.unit_system import US_CUSTOMARY_SYSTEM

from .harness import HOUR, MINUTE, SOON, BatteryScenarioHarness
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery

BLUEPRINT = "winter_heater"
COLD: dict[str, Any] = {"probe_temperatures": (3, 8)}
BETWEEN: dict[str, Any] = {"probe_temperatures": (8, 9)}
WARM: dict[str, Any] = {"probe_temperatures": (12, 14)}
MIN_TIME = 5 * MINUTE
SHORE = "input_boolean.shore"


async def automate(rv: BatteryScenarioHarness, **inputs: Any) -> None:
    """Use the blueprint with what a test needs; the heater is off at first."""
    await rv.automate(
        BLUEPRINT,
        heater=rv.entity("heater", "switch"),
        battery=rv.entity("state_of_charge"),
        **{
            "temperatures": [rv.entity("min_cell_temperature")],
            "min_time": {"minutes": 5},
            **inputs,
        },
    )
    # It has been off for as long as it must be.
    await asyncio.sleep(MIN_TIME + SOON)


def heats(rv: BatteryScenarioHarness) -> bool:
    """Return whether the battery, not only Home Assistant, has the heater allowed."""
    state = rv.shows("heater", "switch")
    if state != "unavailable":
        assert (state == "on") is rv.pack.heating_enabled
    return rv.pack.heating_enabled


@pytest.fixture
async def rv(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, quiet: None
) -> AsyncGenerator[BatteryScenarioHarness]:
    """Return an RV whose battery does as it is told, with the physics held."""
    rv = await BatteryScenarioHarness.with_battery(
        hass, bluetooth_env, battery("idle", state_of_charge=60, temperature=12)
    )
    yield rv
    await rv.close()


async def set_to(
    rv: BatteryScenarioHarness, *, charge: float | None = None, **changes: Any
) -> None:
    """Change the battery itself, so that it still answers its heater."""
    if charge is not None:
        rv.pack.charge = rv.pack.capacity * 3600 * charge / 100
    if "probe_temperatures" in changes:
        rv.pack.cell_temperatures = list(changes["probe_temperatures"])
    rv.pack.override = None
    await rv.refresh()


async def check_follows_the_cold(rv: BatteryScenarioHarness) -> None:
    """Let it become cold, then warm, and check that it heats only while it is cold."""
    await set_to(rv, **COLD)
    await asyncio.sleep(SOON)
    assert heats(rv)
    await set_to(rv, **WARM)
    await asyncio.sleep(MIN_TIME + SOON)
    assert not heats(rv)


async def test_heater_is_on_below_and_off_above_its_temperatures(
    rv: BatteryScenarioHarness,
) -> None:
    """With a distance between the two, in which it stays as it is."""
    await automate(rv)
    assert not heats(rv)
    await set_to(rv, **BETWEEN)
    await asyncio.sleep(2 * SOON)
    assert not heats(rv)
    await set_to(rv, **COLD)
    await asyncio.sleep(SOON)
    assert heats(rv)
    await set_to(rv, **BETWEEN)
    await asyncio.sleep(MIN_TIME + SOON)
    assert heats(rv)
    await set_to(rv, **WARM)
    await asyncio.sleep(SOON)
    assert not heats(rv)


async def test_heater_without_a_thermometer_follows_the_battery_itself(
    rv: BatteryScenarioHarness,
) -> None:
    """What it measures now; the coldest that was ever seen does not count."""
    await rv.enable_all()
    await automate(rv, temperatures=[])
    assert not heats(rv)
    await check_follows_the_cold(rv)


async def test_new_heater_automation_acts_at_once_and_then_only_when_needed(
    rv: BatteryScenarioHarness,
) -> None:
    """Activity shows what it did, and nothing each minute."""
    shown = async_capture_events(rv.hass, EVENT_AUTOMATION_TRIGGERED)
    await set_to(rv, **COLD)
    await rv.automate(
        BLUEPRINT,
        heater=rv.entity("heater", "switch"),
        battery=rv.entity("state_of_charge"),
    )
    await asyncio.sleep(SOON)
    assert heats(rv)
    assert len(shown) == 1
    await asyncio.sleep(HOUR)
    assert len(shown) == 1


async def test_heater_without_any_reason_is_reported(
    rv: BatteryScenarioHarness,
) -> None:
    """An automation that can never do anything is a mistake in its form."""
    rv.hass.states.async_set("sensor.other_charge", "50")
    await rv.automate(
        BLUEPRINT, heater=rv.entity("heater", "switch"), battery="sensor.other_charge"
    )
    await asyncio.sleep(SOON)
    (message,) = rv.shown_here().values()
    assert "does nothing" in message


@pytest.fixture
async def rv_in_fahrenheit(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, quiet: None
) -> AsyncGenerator[BatteryScenarioHarness]:
    """Return an RV whose Home Assistant shows °F."""
    hass.config.units = US_CUSTOMARY_SYSTEM
    rv = await BatteryScenarioHarness.with_battery(
        hass, bluetooth_env, battery("idle", state_of_charge=60, temperature=12)
    )
    yield rv
    await rv.close()


async def test_heater_in_a_house_with_fahrenheit_follows_that_unit(
    rv_in_fahrenheit: BatteryScenarioHarness,
) -> None:
    """What is left empty means the same temperatures, and so does another thermometer."""
    rv = rv_in_fahrenheit
    in_celsius = "sensor.beside_it"
    rv.hass.states.async_set(in_celsius, "12", {"unit_of_measurement": "°C"})
    await automate(rv, temperatures=[rv.entity("min_cell_temperature"), in_celsius])
    await set_to(rv, **BETWEEN)
    assert rv.shows("min_cell_temperature") == "46.4"
    await asyncio.sleep(2 * SOON)
    assert not heats(rv)
    await check_follows_the_cold(rv)
    rv.hass.states.async_set(in_celsius, "4", {"unit_of_measurement": "°C"})
    await asyncio.sleep(MIN_TIME + SOON)
    assert heats(rv)


async def test_heater_after_switching_keeps_its_state_for_a_while(
    rv: BatteryScenarioHarness,
) -> None:
    """However quickly the temperature changes."""
    await automate(rv)
    await set_to(rv, **COLD)
    await asyncio.sleep(SOON)
    assert heats(rv)
    await set_to(rv, **WARM)
    await asyncio.sleep(MIN_TIME - 2 * MINUTE)
    assert heats(rv)
    await asyncio.sleep(3 * MINUTE)
    assert not heats(rv)
    await set_to(rv, **COLD)
    await asyncio.sleep(MIN_TIME - 2 * MINUTE)
    assert not heats(rv)
    await asyncio.sleep(3 * MINUTE)
    assert heats(rv)


async def test_heater_with_a_low_battery_turns_off_at_once(
    rv: BatteryScenarioHarness,
) -> None:
    """And on again only some way above."""
    await automate(rv, min_charge=30, margin=10)
    await set_to(rv, **COLD)
    await asyncio.sleep(SOON)
    await set_to(rv, charge=29)
    await asyncio.sleep(2)
    assert not heats(rv)
    await set_to(rv, charge=39)
    await asyncio.sleep(MIN_TIME + SOON)
    assert not heats(rv)
    await set_to(rv, charge=41)
    await asyncio.sleep(SOON)
    assert heats(rv)


async def test_heater_without_battery_or_probe_is_not_switched(
    rv: BatteryScenarioHarness,
) -> None:
    """What it did last stays."""
    await automate(rv)
    await set_to(rv, **COLD)
    await asyncio.sleep(SOON)
    assert heats(rv)
    rv.pack.missing_probes = frozenset({1, 2})
    await set_to(rv, **WARM)
    await asyncio.sleep(MIN_TIME + SOON)
    assert rv.shows("min_cell_temperature") == "unknown"
    assert heats(rv)
    await rv.vanish()
    await asyncio.sleep(MIN_TIME + SOON)
    assert heats(rv)
    rv.pack.missing_probes = frozenset()
    await rv.return_()
    await asyncio.sleep(MIN_TIME + 3 * MINUTE)
    assert not heats(rv)


async def test_heater_with_shore_power_ignores_a_low_battery(
    rv: BatteryScenarioHarness,
) -> None:
    """The battery is being charged."""
    await automate(rv, shore=SHORE)
    await set_to(rv, charge=20, **COLD)
    await asyncio.sleep(2 * SOON)
    assert not heats(rv)
    await rv.switch("shore", "on")
    await asyncio.sleep(SOON)
    assert heats(rv)
    await rv.switch("shore", "off")
    await asyncio.sleep(SOON)
    assert not heats(rv)


async def test_heater_with_shore_power_only_is_on(
    rv: BatteryScenarioHarness,
) -> None:
    """Not without it, however cold the battery is."""
    await automate(rv, temperatures=[], shore=SHORE)
    await set_to(rv, **COLD)
    await asyncio.sleep(SOON)
    assert not heats(rv)
    await rv.switch("shore", "on")
    await asyncio.sleep(SOON)
    assert heats(rv)
    await rv.switch("shore", "off")
    await asyncio.sleep(MIN_TIME + SOON)
    assert not heats(rv)


async def test_heater_with_shore_power_or_cold_is_on(
    rv: BatteryScenarioHarness,
) -> None:
    """Warm with shore power, cold without: both heat."""
    await automate(rv, shore=SHORE, shore_role="also")
    assert not heats(rv)
    await rv.switch("shore", "on")
    await asyncio.sleep(SOON)
    assert heats(rv)
    await rv.switch("shore", "off")
    await asyncio.sleep(MIN_TIME + SOON)
    assert not heats(rv)
    await set_to(rv, **COLD)
    await asyncio.sleep(MIN_TIME + SOON)
    assert heats(rv)


@pytest.mark.parametrize("state", ["unknown", "unavailable"])
@pytest.mark.parametrize("before", ["on", "off"])
async def test_heater_with_unknown_shore_power_is_not_switched(
    rv: BatteryScenarioHarness, state: str, before: str
) -> None:
    """Neither on nor off."""
    rv.hass.states.async_set("binary_sensor.shore", before)
    await automate(rv, shore="binary_sensor.shore")
    await set_to(rv, **COLD)
    await asyncio.sleep(MIN_TIME + SOON)
    assert heats(rv) is (before == "on")
    rv.hass.states.async_set("binary_sensor.shore", state)
    await asyncio.sleep(MIN_TIME + SOON)
    assert heats(rv) is (before == "on")
    # A plug on the shore line sends nothing when that ends: the battery is not emptied.
    await set_to(rv, charge=29)
    await asyncio.sleep(SOON)
    assert not heats(rv)


async def test_heater_with_a_removed_thermometer_follows_the_others(
    rv: BatteryScenarioHarness,
) -> None:
    """The others decide; one that is only away is waited for."""
    rv.hass.states.async_set("sensor.locker", "7")
    await automate(
        rv, temperatures=[rv.entity("min_cell_temperature"), "sensor.locker"]
    )
    await set_to(rv, **COLD)
    await asyncio.sleep(SOON)
    assert heats(rv)
    rv.hass.states.async_set("sensor.locker", "unavailable")
    await set_to(rv, **WARM)
    await asyncio.sleep(MIN_TIME + SOON)
    assert heats(rv)
    rv.hass.states.async_remove("sensor.locker")
    await asyncio.sleep(SOON)
    assert not heats(rv)


class Weather:
    """A weather service with a forecast."""

    def __init__(self, hass: HomeAssistant, features: int) -> None:
        """Offer what the features say: 1 daily, 2 hourly, 4 twice daily."""
        self.hass = hass
        self.features = features
        self.asked: set[str] = set()
        self.forecast: list[dict[str, Any]] = []
        self.show("cloudy")
        hass.services.async_register(
            "weather",
            "get_forecasts",
            self._answer,
            supports_response=SupportsResponse.ONLY,
        )

    def show(self, state: str) -> None:
        """Have it in this state."""
        self.hass.states.async_set(
            "weather.home", state, {"supported_features": self.features}
        )

    async def _answer(self, call: ServiceCall) -> Any:
        assert call.data["entity_id"] == ["weather.home"]
        self.asked.add(call.data["type"])
        return {"weather.home": {"forecast": self.forecast}}

    def expect(self, *, hours: float, low: float, key: str) -> None:
        """Have it this cold so far from now, and mild before."""
        now = dt_util.utcnow()
        self.forecast = [
            {"datetime": now.isoformat(), "temperature": 9.0},
            {
                "datetime": (now + timedelta(hours=hours)).isoformat(),
                "temperature": 9.0,
                key: low,
            },
        ]


@pytest.mark.parametrize(
    ("features", "kind", "key"),
    [
        (3, "hourly", "temperature"),
        (1, "daily", "templow"),
        (4, "twice_daily", "temperature"),
    ],
)
async def test_heater_with_frost_in_the_forecast_is_on(
    rv: BatteryScenarioHarness, features: int, kind: str, key: str
) -> None:
    """Within the hours that the user selects."""
    weather = Weather(rv.hass, features)
    weather.expect(hours=14, low=-3.0, key=key)
    await automate(rv, temperatures=[], weather="weather.home", hours=12)
    assert not heats(rv)
    assert weather.asked == {kind}
    await asyncio.sleep(3 * HOUR)
    assert heats(rv)
    weather.expect(hours=6, low=1.0, key=key)
    await asyncio.sleep(HOUR)
    assert not heats(rv)


async def test_heater_without_a_forecast_follows_the_temperature(
    rv: BatteryScenarioHarness,
) -> None:
    """And alone, a forecast that is not there decides nothing."""
    weather = Weather(rv.hass, 2)
    weather.expect(hours=1, low=-5.0, key="temperature")
    await automate(rv, weather="weather.home")
    assert heats(rv)
    weather.show("unavailable")
    await asyncio.sleep(MIN_TIME + SOON)
    assert not heats(rv)
    await set_to(rv, **COLD)
    await asyncio.sleep(MIN_TIME + SOON)
    assert heats(rv)


async def test_heater_that_stays_off_is_switched_again_after_a_pause(
    rv: BatteryScenarioHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked again after the minimum time."""
    rv.pack.settings.heater_answer = "refuse"
    await automate(rv)
    await set_to(rv, **COLD)
    await asyncio.sleep(SOON)
    await asyncio.sleep(2 * MIN_TIME)
    refusals = [record for record in caplog.records if "refused" in record.getMessage()]
    assert 0 < len({record.created for record in refusals}) <= 6
    caplog.clear()
    rv.pack.settings.heater_answer = "obey"
    await asyncio.sleep(MIN_TIME + SOON)
    assert heats(rv)


async def test_heater_after_a_restart_is_switched_as_needed(
    rv: BatteryScenarioHarness,
) -> None:
    """The temperatures are checked again, whatever was switched before."""
    await automate(rv)
    await set_to(rv, **COLD)
    await asyncio.sleep(SOON)
    assert heats(rv)
    await rv.stop()
    await set_to(rv, **WARM)
    await asyncio.sleep(HOUR)
    await rv.start()
    await asyncio.sleep(MIN_TIME + SOON)
    assert not heats(rv)
