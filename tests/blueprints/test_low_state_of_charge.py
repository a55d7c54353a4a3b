"""The blueprint "battery is low"."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from .harness import HOUR, MINUTE, PHONE, SOON, BatteryScenarioHarness

BLUEPRINT = "low_state_of_charge"
LOW_FOR = 1 * MINUTE


async def automate(rv: BatteryScenarioHarness, **inputs: Any) -> None:
    """Use the blueprint with what a test needs."""
    await rv.automate(
        BLUEPRINT,
        battery=rv.entity("state_of_charge"),
        **{"notify_targets": [PHONE], **inputs},
    )


async def test_notification_of_low_charge_is_sent_once_until_it_recovers(
    rv: BatteryScenarioHarness,
) -> None:
    """With name and value, not before it is low, and again only after a recovery."""
    await automate(rv)
    await rv.report(state_of_charge=20)
    await asyncio.sleep(10 * MINUTE)
    assert rv.messages == []
    await rv.report(state_of_charge=19)
    await asyncio.sleep(LOW_FOR)
    assert rv.messages == [f"{rv.pack.name} is low: 19% left."]
    assert rv.shown_here() == {rv.pack.name: rv.messages[0]}
    for charge in (15, 25, 18, 39, 12):
        await rv.report(state_of_charge=charge)
        await asyncio.sleep(2 * LOW_FOR)
    assert len(rv.messages) == 1
    await rv.report(state_of_charge=40)
    await rv.report(state_of_charge=10)
    await asyncio.sleep(LOW_FOR)
    assert len(rv.messages) == 2


async def test_notification_of_briefly_low_charge_is_not_sent(
    rv: BatteryScenarioHarness,
) -> None:
    """The user says how long."""
    await automate(rv, low_for={"minutes": 5})
    await rv.report(state_of_charge=10)
    await asyncio.sleep(4 * MINUTE)
    await rv.report(state_of_charge=30)
    await asyncio.sleep(HOUR)
    assert rv.messages == []


async def test_notification_with_low_charge_from_the_start_is_sent(
    rv: BatteryScenarioHarness,
) -> None:
    """It need not fall for that."""
    await rv.report(state_of_charge=10)
    await automate(rv)
    await asyncio.sleep(SOON + LOW_FOR)
    assert len(rv.messages) == 1


async def test_notification_while_unavailable_is_not_sent(
    rv: BatteryScenarioHarness,
) -> None:
    """Neither then nor because it returns with low charge."""
    await rv.report(state_of_charge=10)
    await rv.vanish()
    await automate(rv, generators=["input_boolean.generator"])
    await asyncio.sleep(10 * MINUTE)
    assert rv.messages == []
    assert not rv.is_on("generator")
    await rv.return_()
    await asyncio.sleep(SOON + LOW_FOR)
    assert len(rv.messages) == 1
    await rv.vanish()
    await rv.return_()
    await asyncio.sleep(SOON + LOW_FOR)
    assert len(rv.messages) == 1


async def test_generator_runs_from_low_to_recovered(
    rv: BatteryScenarioHarness,
) -> None:
    """At least for its minimum run; loads are off meanwhile."""
    await rv.switch("boiler", "on")
    await automate(
        rv,
        generators=["input_boolean.generator"],
        min_run={"minutes": 30},
        loads=["input_boolean.boiler", "input_boolean.shore"],
        loads_back=True,
    )
    await rv.report(state_of_charge=19)
    await asyncio.sleep(LOW_FOR)
    assert rv.is_on("generator")
    assert not rv.is_on("boiler")
    await rv.report(state_of_charge=45)
    await asyncio.sleep(25 * MINUTE)
    assert rv.is_on("generator")
    await asyncio.sleep(5 * MINUTE)
    assert not rv.is_on("generator")
    assert rv.is_on("boiler")
    # It was off before.
    assert not rv.is_on("shore")


async def has_one_run(rv: BatteryScenarioHarness) -> None:
    """Check that a generator that began just now ends in an hour, and is not tried again.

    The battery is away at first, and as low as before when it is back.
    """
    await asyncio.sleep(50 * MINUTE)
    assert rv.is_on("generator")
    await asyncio.sleep(20 * MINUTE)
    assert not rv.is_on("generator")
    await rv.return_()
    await asyncio.sleep(HOUR)
    assert not rv.is_on("generator")


async def test_generator_without_recovery_stops(rv: BatteryScenarioHarness) -> None:
    """Where charging does not help, or the battery is not heard any more."""
    await automate(
        rv,
        generators=["input_boolean.generator"],
        min_run={"minutes": 10},
        max_run={"hours": 1},
    )
    await rv.report(state_of_charge=19)
    await asyncio.sleep(LOW_FOR)
    assert rv.is_on("generator")
    await rv.vanish()
    await has_one_run(rv)
    assert len(rv.messages) == 1


@pytest.mark.parametrize("helper", [False, True])
@pytest.mark.parametrize("charge", [15, 30, 60])
async def test_generator_after_a_restart_stops(
    rv: BatteryScenarioHarness, helper: bool, charge: int
) -> None:
    """Nor the loads off, whatever the charge is by then."""
    await rv.switch("boiler", "on")
    await automate(
        rv,
        generators=["input_boolean.generator"],
        min_run={"minutes": 5},
        loads=["input_boolean.boiler"],
        loads_back=True,
        memory="input_boolean.memory" if helper else [],
    )
    await rv.report(state_of_charge=19)
    await asyncio.sleep(LOW_FOR)
    assert rv.is_on("generator")
    assert rv.is_on("memory") is helper
    await rv.stop()
    await rv.vanish()
    await rv.report(state_of_charge=charge)
    await rv.start()
    await asyncio.sleep(10 * MINUTE)
    # Not heard yet.
    assert rv.is_on("generator")
    await rv.return_()
    await asyncio.sleep(10 * MINUTE)
    assert rv.is_on("generator") is (charge < 40)
    await rv.report(state_of_charge=50)
    await asyncio.sleep(10 * MINUTE)
    assert not rv.is_on("generator")
    assert rv.is_on("boiler")
    assert not rv.is_on("memory")


@pytest.mark.parametrize("helper", [False, True])
async def test_generator_after_a_restart_without_battery_stops(
    rv: BatteryScenarioHarness, helper: bool
) -> None:
    """Without values it is unknown when it has recovered."""
    await automate(
        rv,
        generators=["input_boolean.generator"],
        min_run={"minutes": 10},
        max_run={"hours": 1},
        memory="input_boolean.memory" if helper else [],
    )
    await rv.report(state_of_charge=19)
    await asyncio.sleep(LOW_FOR)
    assert rv.is_on("generator")
    await rv.stop()
    await rv.vanish()
    await rv.start()
    await has_one_run(rv)
    await rv.report(state_of_charge=50)
    await asyncio.sleep(SOON)
    assert not rv.is_on("memory")


async def test_generator_with_a_helper_after_a_restart_stays_as_the_user_set_it(
    rv: BatteryScenarioHarness,
) -> None:
    """The generator runs and the load is off by hand."""
    await automate(
        rv,
        generators=["input_boolean.generator"],
        min_run={"minutes": 5},
        loads=["input_boolean.boiler"],
        loads_back=True,
        memory="input_boolean.memory",
    )
    await rv.switch("generator", "on")
    await rv.stop()
    await rv.start()
    await asyncio.sleep(HOUR)
    assert rv.is_on("generator")
    assert not rv.is_on("boiler")


async def test_actions_of_the_user_run_at_both_ends(rv: BatteryScenarioHarness) -> None:
    """In own words, at both ends, and with nothing shown here."""
    await automate(
        rv,
        show_here=False,
        message="Nur noch {{ state_of_charge }} %",
        low_actions=[
            {
                "action": "input_boolean.turn_on",
                "target": {"entity_id": "input_boolean.charger"},
            }
        ],
        recovered_actions=[
            {
                "action": "input_boolean.turn_off",
                "target": {"entity_id": "input_boolean.charger"},
            }
        ],
    )
    await rv.report(state_of_charge=19)
    await asyncio.sleep(LOW_FOR)
    assert rv.messages == ["Nur noch 19 %"]
    assert rv.shown_here() == {}
    assert rv.is_on("charger")
    await rv.report(state_of_charge=40)
    assert not rv.is_on("charger")
