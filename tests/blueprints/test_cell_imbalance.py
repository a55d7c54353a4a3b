"""The blueprint "cells drift apart"."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeassistant.helpers import entity_registry as er

from .harness import MINUTE, PHONE, SOON, BatteryScenarioHarness

BLUEPRINT = "cell_imbalance"
FOR = 10 * MINUTE


async def automate(rv: BatteryScenarioHarness, **inputs: Any) -> None:
    """Use the blueprint with what a test needs."""
    await rv.automate(
        BLUEPRINT,
        difference=rv.entity("cell_voltage_delta"),
        battery=rv.entity("state_of_charge"),
        duration={"minutes": 10},
        **{"notify_targets": [PHONE], **inputs},
    )


async def differ(rv: BatteryScenarioHarness, millivolts: int, **changes: Any) -> None:
    """Let one cell be so much lower than the others."""
    low = round(3.300 - millivolts / 1000, 3)
    await rv.report(cell_voltages=(3.300, 3.300, low, 3.300), **changes)


async def test_notification_of_a_lasting_imbalance_is_sent_once(
    rv: BatteryScenarioHarness,
) -> None:
    """And again only after the cells have been balanced for as long."""
    await differ(rv, 20)
    await automate(rv)
    await differ(rv, 50)
    await asyncio.sleep(2 * FOR)
    assert rv.messages == []
    await differ(rv, 62)
    await asyncio.sleep(FOR - MINUTE)
    assert rv.messages == []
    await asyncio.sleep(MINUTE)
    assert rv.messages == [f"The cells of {rv.pack.name} differ by 62 mV."]
    assert list(rv.shown_here()) == [rv.pack.name]
    for millivolts in (45, 70, 30):
        await differ(rv, millivolts)
        await asyncio.sleep(FOR / 2)
    await differ(rv, 70)
    await asyncio.sleep(2 * FOR)
    assert len(rv.messages) == 1
    await differ(rv, 40)
    await asyncio.sleep(FOR + MINUTE)
    await differ(rv, 70)
    await asyncio.sleep(FOR + SOON)
    assert len(rv.messages) == 2


async def test_notification_of_a_short_imbalance_is_not_sent(
    rv: BatteryScenarioHarness,
) -> None:
    """As under a strong load."""
    await automate(rv)
    for _ in range(3):
        await differ(rv, 80)
        await asyncio.sleep(FOR - 2 * MINUTE)
        await differ(rv, 20)
        await asyncio.sleep(2 * MINUTE)
    assert rv.messages == []


@pytest.mark.parametrize("charge", [95, 10])
async def test_notification_near_full_and_empty_is_not_sent(
    rv: BatteryScenarioHarness, charge: int
) -> None:
    """There, all cells differ."""
    await automate(rv)
    await differ(rv, 200, state_of_charge=charge)
    await asyncio.sleep(3 * FOR)
    assert rv.messages == []
    await rv.report(state_of_charge=60)
    await asyncio.sleep(FOR + SOON)
    assert len(rv.messages) == 1


async def test_notification_at_any_charge_is_sent_if_selected(
    rv: BatteryScenarioHarness,
) -> None:
    """The user knows better."""
    await automate(rv, quiet_above=100, quiet_below=0)
    await differ(rv, 200, state_of_charge=100)
    await asyncio.sleep(FOR + SOON)
    assert len(rv.messages) == 1


async def test_notification_while_unavailable_is_not_sent(
    rv: BatteryScenarioHarness,
) -> None:
    """Time without values does not count."""
    await automate(rv)
    await differ(rv, 70)
    await asyncio.sleep(FOR / 2)
    await rv.vanish()
    await asyncio.sleep(2 * FOR)
    assert rv.messages == []
    await rv.return_()
    await asyncio.sleep(FOR / 2)
    assert rv.messages == []
    await asyncio.sleep(FOR)
    assert len(rv.messages) == 1


async def test_sensor_in_volts_is_compared_in_millivolts(
    rv: BatteryScenarioHarness,
) -> None:
    """The limit stays in millivolts."""
    er.async_get(rv.hass).async_update_entity_options(
        rv.entity("cell_voltage_delta"), "sensor", {"unit_of_measurement": "V"}
    )
    await automate(rv)
    await differ(rv, 40)
    await asyncio.sleep(FOR + SOON)
    assert rv.messages == []
    await differ(rv, 60)
    assert float(rv.shows("cell_voltage_delta")) == pytest.approx(0.06)
    await asyncio.sleep(FOR + SOON)
    assert rv.messages == [f"The cells of {rv.pack.name} differ by 60 mV."]


async def test_notification_after_a_restart_needs_no_change(
    rv: BatteryScenarioHarness,
) -> None:
    """What is so by then needs no change."""
    await automate(rv)
    await differ(rv, 70)
    await asyncio.sleep(FOR / 2)
    await rv.stop()
    await rv.start()
    await asyncio.sleep(FOR + SOON)
    assert len(rv.messages) == 1


async def test_notification_with_a_small_limit_can_end(
    rv: BatteryScenarioHarness,
) -> None:
    """Though cells are never as close as the distance that is asked for."""
    await automate(rv, limit=10)
    for number in (1, 2):
        await differ(rv, 14)
        await asyncio.sleep(FOR + SOON)
        assert len(rv.messages) == number
        await differ(rv, 4)
        await asyncio.sleep(FOR + SOON)
