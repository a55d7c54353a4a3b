"""Conditions, and what the automation editor offers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable

import pytest

from homeassistant.components.automation import DOMAIN as AUTOMATION
from homeassistant.components.websocket_api.automation import (
    async_get_conditions_for_target,
    async_get_triggers_for_target,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers import area_registry as ar, condition, trigger
from homeassistant.setup import async_setup_component

from .helpers import (
    CHARGE_UTP,
    COLD,
    COLD_PROBES,
    CONDITIONS,
    CONNECTION_STATUS,
    FAULTS,
    MINUTE,
    SHORT_CIRCUIT,
    TRIGGERS,
    ask,
    automate,
    leave,
    report,
    targets,
)
from custom_components.voltgo_vlrv.automation import PROTECTION_KEYS
from custom_components.voltgo_vlrv.const import DOMAIN
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, battery, device_of, entity_id, value, wait_until
from tests.harness import async_setup_battery

# --- conditions -----------------------------------------------------------------------


async def test_protection_condition_without_selection_holds_for_any_protection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A warning is no protection, and an unavailable battery has none."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    holds = await ask(hass, pack, FAULTS, "is_protection_active")
    assert not await holds()
    await report(pack, warning=CHARGE_UTP)
    assert not await holds()
    await report(pack, protection=0x8000)
    assert await holds()
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, "voltage") == "unavailable", 120)
    assert not await holds()


async def test_protection_condition_with_selection_holds_for_selected_ones(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Only those that were chosen count."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    holds = await ask(
        hass,
        pack,
        FAULTS,
        "is_protection_active",
        {"protection": ["short_circuit", "unknown_bit"]},
    )
    await report(pack, protection=CHARGE_UTP)
    assert not await holds()
    await report(pack, protection=CHARGE_UTP | SHORT_CIRCUIT)
    assert await holds()
    await report(pack, protection=0x4000)
    assert await holds()


async def test_protection_condition_with_duration_holds_from_its_begin(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It counts from when the protection began, whatever else trips."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    holds = await ask(
        hass,
        pack,
        FAULTS,
        "is_protection_active",
        {"protection": "charge_utp", "for": {"minutes": 2}},
    )
    await report(pack, protection=CHARGE_UTP)
    await asyncio.sleep(MINUTE)
    await report(pack, protection=CHARGE_UTP | SHORT_CIRCUIT)
    assert not await holds()
    await asyncio.sleep(MINUTE)
    assert await holds()
    await report(pack, protection=0)
    await report(pack, protection=CHARGE_UTP)
    assert not await holds()


async def test_cold_condition_holds_only_while_it_is_cold(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Unknown or unavailable is not cold."""
    pack = battery("idle")
    peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
    holds = await ask(hass, pack, COLD, "is_charging_blocked_by_cold")
    assert not await holds()
    await report(pack, probe_temperatures=(None, None), max_cell_temperature=None)
    assert not await holds()
    await report(pack, **COLD_PROBES)
    assert await holds()
    await leave(peripheral)
    await wait_until(lambda: value(hass, pack.address, "voltage") == "unavailable", 120)
    assert not await holds()


async def test_reachable_condition_holds_only_while_connected(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A released, lost or connecting battery is not reachable."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    holds = await ask(hass, pack, CONNECTION_STATUS, "is_reachable")
    assert await holds()
    await entry.runtime_data.connection.async_release()
    assert not await holds()
    entry.runtime_data.connection.async_resume()
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "connected", 60
    )
    assert await holds()
    await leave(peripheral)
    await asyncio.sleep(1)
    assert value(hass, pack.address, CONNECTION_STATUS[1]) == "connecting"
    assert not await holds()
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "unreachable", 120
    )
    assert not await holds()


async def test_reachable_condition_between_polls_holds(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Disconnecting between polls is planned."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    hass.config_entries.async_update_entry(entry, options={"connection": "each_poll"})
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "idle", 60
    )
    holds = await ask(hass, pack, CONNECTION_STATUS, "is_reachable")
    assert await holds()
    hass.config_entries.async_update_entry(entry, options={"connection": "keep"})
    await asyncio.sleep(3 * POLL_INTERVAL)
    await entry.runtime_data.connection.async_release()
    assert not await holds()


@pytest.mark.parametrize("tells_settings", [True, False])
async def test_up_to_date_condition_holds_while_values_are_fresh(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    tells_settings: bool,
) -> None:
    """A sample is fresh for a minute; values from before a release are not."""
    pack = battery("idle")
    pack.hold = True
    if not tells_settings:  # nothing but the values is read of it
        monkeypatch.setattr(pack, "answer_setting", lambda *_: None)
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    holds = await ask(hass, pack, CONNECTION_STATUS, "is_data_up_to_date")
    assert await holds()
    connection = entry.runtime_data.connection
    await connection.async_release()
    await asyncio.sleep(5 * MINUTE)
    assert value(hass, pack.address, "voltage") not in ("unavailable", "unknown")
    assert not await holds()
    await peripheral.silence()
    connection.async_resume()
    await asyncio.sleep(POLL_INTERVAL)
    assert value(hass, pack.address, "voltage") not in ("unavailable", "unknown")
    assert not await holds()
    await peripheral.advertise()
    # Nothing has changed in it, and yet it is read again.
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "connected", 60
    )
    await asyncio.sleep(1)
    assert await holds()
    await leave(peripheral)
    await asyncio.sleep(POLL_INTERVAL)
    assert await holds()
    await asyncio.sleep(MINUTE)
    assert not await holds()


@pytest.mark.parametrize("before", [False, True])
async def test_trigger_for_a_change_during_a_restart_fires(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, before: bool
) -> None:
    """What was so before the restart is not reported again."""
    pack = battery("idle", temperature=20)
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    if before:
        await report(pack, protection=CHARGE_UTP)
    await hass.config_entries.async_unload(entry.entry_id)
    runs = await automate(
        hass,
        {
            name: {
                "triggers": [
                    {
                        "trigger": f"{DOMAIN}.{name}",
                        "target": {"device_id": device_of(hass, pack.address).id},
                    }
                ]
            }
            for name in ("protection_tripped", "charging_blocked_by_cold")
        },
    )
    await report(pack, protection=CHARGE_UTP)
    await hass.config_entries.async_setup(entry.entry_id)
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert value(hass, pack.address, "active_faults") != "None"
    assert runs == (
        Counter()
        if before
        else Counter(("protection_tripped", "charging_blocked_by_cold"))
    )


async def test_up_to_date_condition_after_a_restart_does_not_hold(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The values are shown, but come from the disk."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await hass.config_entries.async_unload(entry.entry_id)
    await leave(peripheral)
    await hass.config_entries.async_setup(entry.entry_id)
    holds = await ask(hass, pack, CONNECTION_STATUS, "is_data_up_to_date")
    assert value(hass, pack.address, "voltage") not in ("unavailable", "unknown")
    assert not await holds()
    await peripheral.advertise()
    await wait_until(
        lambda: value(hass, pack.address, CONNECTION_STATUS[1]) == "connected", 120
    )
    await asyncio.sleep(1)
    assert await holds()


async def test_condition_on_all_batteries_with_one_unavailable_does_not_hold(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nothing is known of an unavailable battery, nor of an empty target."""
    packs = [
        battery(
            "idle",
            name=f"ZT-25.6V100AH-000{number}",
            address=f"A4:C1:37:00:00:0{number}",
        )
        for number in (1, 2)
    ]
    peripherals = []
    for pack in packs:
        peripheral = (await async_setup_battery(hass, bluetooth_env, pack)).peripheral
        peripherals.append(peripheral)
        await report(pack, **COLD_PROBES)
    empty = ar.async_get(hass).async_create("Attic")
    both = {"device_id": [device_of(hass, pack.address).id for pack in packs]}
    runs = await automate(
        hass,
        {
            name: {
                "triggers": [{"trigger": "event", "event_type": "ask"}],
                "conditions": [
                    {
                        "condition": f"{DOMAIN}.is_charging_blocked_by_cold",
                        "target": target,
                        "options": {"behavior": behavior},
                    }
                ],
            }
            for name, target, behavior in (
                ("all", both, "all"),
                ("any", both, "any"),
                ("none", {"area_id": empty.id}, "all"),
            )
        },
    )
    hass.bus.async_fire("ask")
    await asyncio.sleep(0.1)
    assert runs == {"all": 1, "any": 1}
    await leave(peripherals[0])
    await asyncio.sleep(2 * MINUTE)
    assert value(hass, packs[0].address, "voltage") == "unavailable"
    runs.clear()
    hass.bus.async_fire("ask")
    await asyncio.sleep(0.1)
    assert runs == {"any": 1}


# --- the editor -----------------------------------------------------------------------


def own_keys(names: Iterable[str]) -> set[str]:
    """Return those that are of this integration, without its name."""
    prefix = f"{DOMAIN}."
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix)}


async def test_editor_for_each_target_offers_triggers_and_conditions(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """All of them for a battery and its places, none for another device."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    places = targets(hass, pack, CONNECTION_STATUS)
    del places["entity"]

    async def offered(target: dict[str, str]) -> tuple[set[str], set[str]]:
        return (
            own_keys(await async_get_triggers_for_target(hass, target, False)),
            own_keys(await async_get_conditions_for_target(hass, target, False)),
        )

    def entity(watched: tuple[str, str]) -> dict[str, str]:
        platform, key = watched
        return {"entity_id": entity_id(hass, pack.address, key, platform)}

    for kind, target in places.items():
        assert await offered(target) == (TRIGGERS, CONDITIONS), kind
    assert await offered(entity(CONNECTION_STATUS)) == (
        {"connection_lost", "connection_restored"},
        {"is_reachable", "is_data_up_to_date", "is_protection_active"},
    )
    assert await offered(entity(COLD)) == (
        {"charging_blocked_by_cold", "charging_no_longer_blocked_by_cold"},
        {"is_charging_blocked_by_cold"},
    )
    attic = ar.async_get(hass).async_create("Attic")
    assert await offered({"area_id": attic.id}) == (set(), set())


async def test_editor_for_protections_offers_those_of_the_code(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """They are in the order of the manual."""
    await async_setup_battery(hass, bluetooth_env, battery("idle"))
    triggers = await trigger.async_get_all_descriptions(hass)
    conditions = await condition.async_get_all_descriptions(hass)
    for description in (
        triggers[f"{DOMAIN}.protection_tripped"],
        triggers[f"{DOMAIN}.protection_cleared"],
        conditions[f"{DOMAIN}.is_protection_active"],
    ):
        assert description is not None
        select = description["fields"]["protection"]["selector"]["select"]
        assert tuple(select["options"]) == PROTECTION_KEYS


async def test_editor_defaults_are_accepted(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Each field has a default that the code accepts, or may be left out."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    target = {"device_id": device_of(hass, pack.address).id}
    seen = set()
    for describe, validate, kind in (
        (
            trigger.async_get_all_descriptions,
            trigger.async_validate_trigger_config,
            "platform",
        ),
        (
            condition.async_get_all_descriptions,
            condition.async_validate_conditions_config,
            "condition",
        ),
    ):
        for name, description in (await describe(hass)).items():
            if not name.startswith(f"{DOMAIN}."):
                continue
            seen |= own_keys([name])
            assert description is not None
            options = {
                key: field["default"]
                for key, field in description["fields"].items()
                if field.get("required")
            }
            (config,) = await validate(
                hass, [{kind: name, "target": target, "options": options}]
            )
            assert config["options"].keys() >= options.keys()
            # The user can choose all that the code accepts.
            assert config["options"].keys() <= description["fields"].keys()
    assert seen == TRIGGERS | CONDITIONS


@pytest.mark.parametrize(
    ("kind", "name", "wrong"),
    [
        *(("trigger", name, "voltage") for name in sorted(TRIGGERS)),
        *(("condition", name, "operating_state") for name in sorted(CONDITIONS)),
    ],
)
async def test_condition_on_an_unsuitable_entity_is_refused(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    kind: str,
    name: str,
    wrong: str,
) -> None:
    """An automation that can never run must not be saved without an error."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    chosen = entity_id(hass, pack.address, wrong)
    config = {kind: f"{DOMAIN}.{name}", "target": {"entity_id": chosen}}
    assert await async_setup_component(
        hass,
        AUTOMATION,
        {
            AUTOMATION: {
                "alias": "test",
                "triggers": [
                    config
                    if kind == "trigger"
                    else {"trigger": "event", "event_type": "ask"}
                ],
                "conditions": [config] if kind == "condition" else [],
                "actions": [],
            }
        },
    )
    (automation,) = hass.states.async_all(AUTOMATION)
    assert automation.state == "unavailable"
