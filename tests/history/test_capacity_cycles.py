"""The manual's capacity test over three cycles, and its page in the options."""

from __future__ import annotations

import json
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType

from custom_components.voltgo_vlrv.history.capacity_cycles import CYCLES, CapacityTest
from tests.battery.firmware_helpers import open_options
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery
from tests.harness import async_setup_battery
from tests.history.test_capacity import LABEL, TOLERANCE, Drive


def test_capacity_of_the_third_cycle_is_the_result() -> None:
    """What was measured before and after does not count."""
    test = CapacityTest()
    test.add(99.0)
    assert (test.capacities, test.result) == ([], None)
    test.start()
    for capacity in (80.0, 84.0):
        test.add(capacity)
    assert (test.is_running, test.result) == (True, None)
    test.add(85.0)
    test.add(60.0)
    assert (test.is_running, test.result) == (False, 85.0)
    test.stop()
    assert test.result == 85.0
    test.start()
    assert (test.is_running, test.result) == (True, None)


def test_capacity_test_that_is_stopped_forgets_its_cycles() -> None:
    """They are in the list of measured capacities."""
    test = CapacityTest()
    test.start()
    test.add(80.0)
    test.stop()
    assert (test.is_running, test.capacities) == (False, [])


@pytest.mark.parametrize("cycles", range(CYCLES + 1))
def test_capacity_test_stored_and_restored_goes_on(cycles: int) -> None:
    """It takes days."""
    test = CapacityTest()
    test.start()
    for number in range(cycles):
        test.add(80.0 + number)
    restored = CapacityTest.from_stored(json.loads(json.dumps(test.as_stored())))
    assert vars(restored) == vars(test)


@pytest.mark.parametrize(
    "stored",
    [
        [],
        {},
        {"is_running": True, "capacities": [80.0] * 3},
        {"is_running": False, "capacities": [80.0] * 4},
        {"is_running": True, "capacities": [float("nan")]},
        {"is_running": True, "capacities": [-1.0]},
        {"is_running": True, "capacities": ["much"]},
    ],
)
def test_capacity_test_that_is_damaged_is_refused(stored: Any) -> None:
    """With the errors that the store expects."""
    with pytest.raises((LookupError, TypeError, ValueError)):
        CapacityTest.from_stored(stored)


def test_phases_of_a_measurement_follow_the_battery() -> None:
    """They say what to do next."""
    drive = Drive(0.85)
    test = CapacityTest()
    test.start()
    assert drive.measurement.phase == "charge"
    drive.charge()
    assert drive.measurement.phase == "discharge"
    drive.discharge()
    assert drive.measurement.phase == "recharge"
    drive.recharge()
    assert drive.measurement.phase == "charge"
    assert drive.measured == pytest.approx(0.85 * LABEL, rel=TOLERANCE)


async def test_page_of_the_capacity_test_shows_what_to_do_and_what_was_found(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also after a restart in between."""
    harness = await async_setup_battery(hass, bluetooth_env, battery("idle"))
    flow = hass.config_entries.options

    async def state(step: str | None = None) -> str:
        result = await open_options(hass, harness.entry, "capacity_test")
        if step is not None:
            assert result["menu_options"] == [step]
            result = await flow.async_configure(
                result["flow_id"], {"next_step_id": step}
            )
        assert result["type"] is FlowResultType.MENU
        flow.async_abort(result["flow_id"])
        placeholders = result["description_placeholders"]
        assert placeholders is not None
        shown: str = placeholders["state"]
        return shown

    assert await state() == "No capacity test is running."
    shown = await state("capacity_test_start")
    assert shown.startswith("**Cycle 1 of 3**\n\nCharge the battery")
    harness.entry.runtime_data.history.care.capacity_test.add(84.04)
    await harness.reload()
    shown = await state()
    assert shown.startswith("**Cycle 2 of 3**")
    assert shown.endswith("Found so far: 84.0 Ah")
    for capacity in (85.0, 85.1):
        harness.entry.runtime_data.history.care.capacity_test.add(capacity)
    assert await state() == (
        "The capacity test is finished: **85.1 Ah**\n\n"
        "Found so far: 84.0, 85.0, 85.1 Ah"
    )
    await state("capacity_test_start")
    assert await state("capacity_test_stop") == "No capacity test is running."

    result = await flow.async_init(harness.entry.entry_id)
    await harness.unload()
    result = await flow.async_configure(
        result["flow_id"], {"next_step_id": "capacity_test"}
    )
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "not_loaded")
