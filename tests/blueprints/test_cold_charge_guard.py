"""The blueprint "no charging in the cold"."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeassistant.core import ServiceCall

from .harness import HOUR, MINUTE, PHONE, SOON, BatteryScenarioHarness

BLUEPRINT = "cold_charge_guard"
COLD: dict[str, Any] = {"probe_temperatures": (-2, 3)}
WARM: dict[str, Any] = {"probe_temperatures": (4, 6)}
CHARGER = "input_boolean.charger"
PLUG = "switch.shore_plug"


async def automate(rv: BatteryScenarioHarness, **inputs: Any) -> None:
    """Use the blueprint with what a test needs."""
    await rv.switch("charger", "on")
    await rv.automate(
        BLUEPRINT,
        **{
            "cold_sensors": [rv.entity("too_cold_to_charge", "binary_sensor")],
            "chargers": [CHARGER],
            "warm_for": {"minutes": 5},
            "min_off": {"minutes": 10},
            "notify_targets": [PHONE],
            **inputs,
        },
    )


async def test_charger_in_the_cold_is_off_until_it_is_warm(
    rv: BatteryScenarioHarness,
) -> None:
    """Off at once, on again when it has been warm for long enough, and told once."""
    await automate(rv)
    await asyncio.sleep(SOON)
    assert rv.is_on("charger")
    await rv.report(**COLD)
    assert not rv.is_on("charger")
    assert rv.messages == [
        f"{rv.pack.name} is too cold to charge. The charger was turned off."
    ]
    assert list(rv.shown_here()) == [rv.pack.name]
    await asyncio.sleep(20 * MINUTE)
    await rv.report(**WARM)
    await asyncio.sleep(3 * MINUTE)
    assert not rv.is_on("charger")
    await asyncio.sleep(3 * MINUTE)
    assert rv.is_on("charger")
    assert len(rv.messages) == 1


async def test_charger_at_the_threshold_does_not_follow_every_change(
    rv: BatteryScenarioHarness,
) -> None:
    """Warm for a moment is not warm, and there is a minimum pause."""
    await automate(rv, warm_for={"minutes": 2})
    await rv.report(**COLD)
    await rv.report(**WARM)
    await asyncio.sleep(1 * MINUTE)
    await rv.report(**COLD)
    await rv.report(**WARM)
    await asyncio.sleep(5 * MINUTE)
    assert not rv.is_on("charger")
    await asyncio.sleep(6 * MINUTE)
    assert rv.is_on("charger")


async def test_charger_switched_on_in_the_cold_is_switched_off(
    rv: BatteryScenarioHarness,
) -> None:
    """The next cold period is reported again."""
    await automate(rv)
    await rv.report(**COLD)
    await asyncio.sleep(2 * MINUTE)
    await rv.switch("charger", "on")
    await asyncio.sleep(1)
    assert not rv.is_on("charger")
    assert len(rv.messages) == 1
    await rv.report(**WARM)
    await asyncio.sleep(15 * MINUTE)
    assert rv.is_on("charger")
    await rv.report(**COLD)
    assert not rv.is_on("charger")
    assert len(rv.messages) == 2


async def test_charger_while_unavailable_is_not_switched(
    rv: BatteryScenarioHarness,
) -> None:
    """Neither stopped nor resumed while it is away."""
    await automate(rv)
    await rv.vanish()
    await asyncio.sleep(10 * MINUTE)
    assert rv.is_on("charger")
    rv.pack.override = None
    await rv.return_()
    await rv.report(**COLD)
    assert not rv.is_on("charger")
    await rv.vanish()
    await asyncio.sleep(20 * MINUTE)
    assert not rv.is_on("charger")
    await rv.report(**WARM)
    await rv.return_()
    await asyncio.sleep(12 * MINUTE)
    assert rv.is_on("charger")


async def test_charger_switched_off_by_the_user_stays_off(
    rv: BatteryScenarioHarness,
) -> None:
    """While it is warm only the user decides, and what was off before is off afterwards."""
    await automate(rv, chargers=[CHARGER, "input_boolean.generator"])
    await rv.report(**COLD)
    await rv.report(**WARM)
    await asyncio.sleep(15 * MINUTE)
    assert rv.is_on("charger")
    assert not rv.is_on("generator")
    await rv.switch("charger", "off")
    await asyncio.sleep(20 * MINUTE)
    assert not rv.is_on("charger")


@pytest.mark.parametrize("helper", [False, True])
@pytest.mark.parametrize("then", [COLD, WARM], ids=["cold", "warm"])
async def test_charger_after_a_restart_is_switched_on_again(
    rv: BatteryScenarioHarness, helper: bool, then: dict[str, Any]
) -> None:
    """Whether it is still cold by then or not."""
    await automate(rv, memory="input_boolean.memory" if helper else [])
    await rv.report(**COLD)
    assert rv.is_on("memory") is helper
    await rv.stop()
    await rv.vanish()
    await rv.report(**then)
    await rv.start()
    await asyncio.sleep(20 * MINUTE)
    # Not heard yet.
    assert not rv.is_on("charger")
    await rv.return_()
    await rv.report(**WARM)
    await asyncio.sleep(15 * MINUTE)
    assert rv.is_on("charger")
    assert not rv.is_on("memory")


async def test_charger_with_a_helper_after_a_restart_stays_as_the_user_set_it(
    rv: BatteryScenarioHarness,
) -> None:
    """The charger was off by hand."""
    await automate(rv, memory="input_boolean.memory")
    await rv.switch("charger", "off")
    await rv.stop()
    await rv.start()
    await asyncio.sleep(20 * MINUTE)
    assert not rv.is_on("charger")


async def test_charger_with_an_active_protection_is_off(
    rv: BatteryScenarioHarness,
) -> None:
    """Where the user has switched that sensor on."""
    await rv.enable_all()
    await automate(rv, cold_sensors=[rv.entity("charge_utp", "binary_sensor")])
    await rv.report(**COLD)
    assert rv.is_on("charger")
    await rv.report(protection=0x0400)
    assert not rv.is_on("charger")
    await rv.report(protection=0)
    await asyncio.sleep(15 * MINUTE)
    assert rv.is_on("charger")


async def test_charger_with_a_removed_sensor_follows_the_others(
    rv: BatteryScenarioHarness,
) -> None:
    """Without any sensor it is unknown whether it is warm."""
    await automate(
        rv,
        cold_sensors=[
            rv.entity("too_cold_to_charge", "binary_sensor"),
            "binary_sensor.of_a_sold_battery",
        ],
        chargers=[CHARGER, "switch.of_a_sold_charger"],
    )
    await rv.report(**COLD)
    assert not rv.is_on("charger")
    await asyncio.sleep(20 * MINUTE)
    await rv.report(**WARM)
    await asyncio.sleep(6 * MINUTE)
    assert rv.is_on("charger")


@pytest.mark.parametrize("helper", [False, True])
async def test_unavailable_charger_does_not_block_others(
    rv: BatteryScenarioHarness, helper: bool
) -> None:
    """A plug on the shore line is unavailable on the road."""
    rv.hass.states.async_set(PLUG, "off")
    await automate(
        rv,
        chargers=[CHARGER, PLUG],
        memory="input_boolean.memory" if helper else [],
    )

    async def switch(call: ServiceCall) -> None:
        if not rv.hass.states.is_state(PLUG, "unavailable"):
            rv.hass.states.async_set(PLUG, call.service.removeprefix("turn_"))

    for service in ("turn_on", "turn_off"):
        rv.hass.services.async_register("switch", service, switch)
    rv.hass.states.async_set(PLUG, "on")
    await rv.report(**COLD)
    assert not rv.is_on("charger")
    assert rv.hass.states.is_state(PLUG, "off")
    rv.hass.states.async_set(PLUG, "unavailable")
    await asyncio.sleep(20 * MINUTE)
    await rv.report(**WARM)
    await asyncio.sleep(6 * MINUTE)
    assert rv.is_on("charger")
    await asyncio.sleep(3 * HOUR)
    rv.hass.states.async_set(PLUG, "off")
    await asyncio.sleep(SOON)
    assert rv.hass.states.is_state(PLUG, "on")
    await asyncio.sleep(SOON)
    assert not rv.is_on("memory")
    # And it is all over: later cold is told and ends charging as before.
    await rv.report(**COLD)
    assert not rv.is_on("charger")
    assert rv.hass.states.is_state(PLUG, "off")
    assert len(rv.messages) == 2


async def test_charger_without_any_sensor_stays_off(
    rv: BatteryScenarioHarness,
) -> None:
    """As where the only battery was removed in the cold."""
    await automate(rv)
    await rv.report(**COLD)
    assert not rv.is_on("charger")
    (entry,) = rv.hass.config_entries.async_entries("voltgo_vlrv")
    await rv.hass.config_entries.async_remove(entry.entry_id)
    await asyncio.sleep(30 * MINUTE)
    assert not rv.is_on("charger")
