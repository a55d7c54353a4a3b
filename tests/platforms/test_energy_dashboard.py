"""The energy dashboard takes a battery's sensors as they are."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
    do_adhoc_statistics,
)

from homeassistant.components.energy.data import async_get_manager
from homeassistant.components.energy.validate import async_validate
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util

from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, entity_id
from tests.harness import async_setup_battery


@pytest.fixture(autouse=True)
def auto_enable_custom_integrations(
    recorder_mock: Any, enable_custom_integrations: None
) -> None:
    """Record, in memory, before anything else is there."""


@pytest.mark.parametrize("with_both_powers", [False, True])
async def test_energy_dashboard_with_sensors_of_the_readme_reports_no_problem(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, with_both_powers: bool
) -> None:
    """Energy in and out, power, and state of charge, chosen as the README says."""
    pack = battery("solar_charging")
    await async_setup_battery(hass, bluetooth_env, pack, all_entities=True)
    assert await async_setup_component(hass, "energy", {})
    started = dt_util.utcnow()
    await asyncio.sleep(60)

    def sensor(key: str) -> str:
        return entity_id(hass, pack.address, key)

    manager = await async_get_manager(hass)
    await manager.async_update(
        {
            "energy_sources": [
                {
                    "type": "battery",
                    "stat_energy_from": sensor("energy_discharged"),
                    "stat_energy_to": sensor("energy_charged"),
                    "stat_soc": sensor("state_of_charge"),
                    "power_config": {
                        "stat_rate_from": sensor("discharge_power"),
                        "stat_rate_to": sensor("charge_power"),
                    }
                    if with_both_powers
                    # The dashboard counts what discharges as positive.
                    else {"stat_rate_inverted": sensor("power")},
                }
            ]
        }
    )
    await hass.async_block_till_done()
    for _ in range(3):
        await asyncio.sleep(11)
    await async_wait_recording_done(hass)
    do_adhoc_statistics(
        hass,
        start=started.replace(minute=started.minute // 5 * 5, second=0, microsecond=0),
    )
    await async_wait_recording_done(hass)
    result = asdict(await async_validate(hass))
    assert result["energy_sources"] == [{"issues": {}}]
