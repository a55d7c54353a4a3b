"""All batteries are released: the bank shows its last values, as they do."""

from __future__ import annotations

import asyncio
from typing import Any

from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.event import async_track_state_change_event

from .common import (
    AGE,
    async_setup_bank,
    attribute,
    device_of_bank,
    enable,
    entity,
    packs,
    set_reported,
    settle,
    shown,
    wait_for_poll,
)
from .test_entities import EXTENSIVE, PROTECTED
from custom_components.voltgo_vlrv.bank.coordinator import BankConfigEntry
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.entries import async_batteries
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, value, wait_until


def everything(hass: HomeAssistant, bank: BankConfigEntry) -> dict[str, str]:
    """Return what the bank shows, but how many batteries report."""
    found = {}
    for item in er.async_entries_for_config_entry(er.async_get(hass), bank.entry_id):
        state = hass.states.get(item.entity_id)
        key = item.unique_id.removeprefix(f"{bank.entry_id}_")
        if state is not None and key != "batteries_reporting":
            found[key] = state.state
    return found


def watch(hass: HomeAssistant, entity_id: str) -> list[str]:
    """Return a list that grows with each state of an entity."""
    seen: list[str] = []

    @callback
    def note(event: Event[EventStateChangedData]) -> None:
        state = event.data["new_state"]
        seen.append("" if state is None else state.state)

    async_track_state_change_event(hass, entity_id, note)
    return seen


async def loaded(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, **values: Any
) -> BankConfigEntry:
    """Return a bank of three under a steady load, with all that it can show."""
    trio = packs(3)
    bank = await async_setup_bank(hass, bluetooth_env, trio)
    await enable(hass, bank)
    for pack in trio:
        set_reported(pack, current=-20.0, **values)
    await asyncio.sleep(400)
    for key in EXTENSIVE:
        assert shown(bank, hass, key) != "unknown" or key == "time_to_full", key
    return bank


async def release_all(hass: HomeAssistant) -> None:
    """Release one battery after the other."""
    for entry in async_batteries(hass):
        await entry.runtime_data.connection.async_release()
    await settle(hass)


async def test_released_bank_shows_its_last_values(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """All of them, for as long as it lasts; and none is missing, or turns unavailable."""
    bank = await loaded(hass, bluetooth_env)
    before = everything(hass, bank)
    charges = watch(hass, entity(bank, hass, "state_of_charge"))
    await hass.services.async_call(
        DOMAIN,
        "release_connection",
        {"device_id": device_of_bank(hass, bank).id, "duration": {"minutes": 15}},
        blocking=True,
    )
    await settle(hass)
    assert shown(bank, hass, "batteries_reporting") == "0"
    assert everything(hass, bank) == before
    await asyncio.sleep(900 - 60)
    assert everything(hass, bank) == before
    assert before["battery_missing"] == before["battery_isolated"] == "off"
    await wait_until(lambda: shown(bank, hass, "batteries_reporting") == "3", 120)
    assert charges == []
    # What was averaged before says nothing about now.
    assert shown(bank, hass, "current") == "-60.0"
    assert shown(bank, hass, "time_to_empty") == "unknown"
    assert shown(bank, hass, "current_imbalance") == "unknown"


async def test_released_bank_with_values_of_different_times_shows_no_sum(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Each battery shows its last values, which were never true at the same time."""
    bank = await loaded(hass, bluetooth_env)
    entries = async_batteries(hass)
    await entries[0].runtime_data.connection.async_release()
    for pack in bluetooth_env.peripherals.values():
        set_reported(pack.battery, state_of_charge=80)
    await asyncio.sleep(600)
    for entry in entries[1:]:
        await entry.runtime_data.connection.async_release()
    await settle(hass)
    assert shown(bank, hass, "batteries_reporting") == "0"
    assert shown(bank, hass, "battery_missing") == "off"
    assert shown(bank, hass, "state_of_charge") == "70.0"
    for key in EXTENSIVE:
        assert shown(bank, hass, key) == "unknown", key


async def test_released_bank_after_a_restart_shows_its_last_values(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A release outlives it; times to empty are gone, as they are for a battery."""
    bank = await loaded(hass, bluetooth_env)
    before = everything(hass, bank)
    await release_all(hass)
    entries = async_batteries(hass)
    for entry in (bank, *entries):
        await hass.config_entries.async_unload(entry.entry_id)
    for entry in (bank, *entries):
        assert await hass.config_entries.async_setup(entry.entry_id)
    await settle(hass)
    address = str(entries[0].unique_id)
    assert value(hass, address, "state_of_charge") == "50"
    assert shown(bank, hass, "batteries_reporting") == "0"
    assert everything(hass, bank) == before | {
        "time_to_empty": "unknown",
        "current_imbalance": "unknown",
    }
    charges = watch(hass, entity(bank, hass, "state_of_charge"))
    for entry in entries:
        entry.runtime_data.connection.async_resume()
    await wait_until(lambda: shown(bank, hass, "batteries_reporting") == "3", 120)
    assert charges == []


async def test_a_released_bank_without_one_of_its_batteries_is_unavailable(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """That one is missing, whatever was planned for the others."""
    bank = await loaded(hass, bluetooth_env)
    entries = async_batteries(hass)
    await bluetooth_env.peripherals[str(entries[0].unique_id)].stop()
    for entry in entries[1:]:
        set_reported(
            bluetooth_env.peripherals[str(entry.unique_id)].battery, state_of_charge=80
        )
    await asyncio.sleep(AGE + POLL_INTERVAL)
    for entry in entries[1:]:
        await entry.runtime_data.connection.async_release()
    await settle(hass)
    assert shown(bank, hass, "battery_missing") == "on"
    assert shown(bank, hass, "state_of_charge") == "unavailable"
    # Its own values have expired: it was away before it was released.
    await entries[0].runtime_data.connection.async_release()
    await settle(hass)
    assert shown(bank, hass, "battery_missing") == "off"
    assert shown(bank, hass, "state_of_charge") == "80.0"
    assert shown(bank, hass, "current") == "unknown"


async def test_released_bank_after_a_loss_does_not_show_earlier_values(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A time to empty that was shown before a battery was missing is no last value."""
    bank = await loaded(hass, bluetooth_env)
    entries = async_batteries(hass)
    peripheral = bluetooth_env.peripherals[str(entries[0].unique_id)]
    await peripheral.stop()
    await asyncio.sleep(AGE + POLL_INTERVAL)
    for entry in entries[1:]:
        await entry.runtime_data.connection.async_release()
    await peripheral.start()
    await wait_until(lambda: shown(bank, hass, "batteries_reporting") == "1", 40)
    await entries[0].runtime_data.connection.async_release()
    await settle(hass)
    assert shown(bank, hass, "current") == "-60.0"
    assert shown(bank, hass, "time_to_empty") == "unknown"
    assert shown(bank, hass, "current_imbalance") == "unknown"


async def test_isolation_during_a_release_does_not_change(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery that was isolated at the release stays so, and no other becomes it."""
    pair = packs(2)
    bank = await async_setup_bank(hass, bluetooth_env, pair)
    entries = async_batteries(hass)
    set_reported(pair[0], current=-20.0)
    await wait_for_poll()
    await entries[0].runtime_data.connection.async_release()
    set_reported(pair[1], **PROTECTED)
    await wait_for_poll()
    await entries[1].runtime_data.connection.async_release()
    await settle(hass)
    assert shown(bank, hass, "any_protection") == "on"
    assert attribute(bank, hass, "battery_isolated", "batteries") == []


async def test_bank_with_one_resumed_and_one_released_battery_has_no_sums(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The sums are unknown, as before the release."""
    pair = packs(2)
    bank = await async_setup_bank(hass, bluetooth_env, pair)
    await release_all(hass)
    assert shown(bank, hass, "current") == "0.0"
    for entry, current in zip(async_batteries(hass), ("unknown", "0.0"), strict=True):
        entry.runtime_data.connection.async_resume()
        await wait_for_poll()
        assert shown(bank, hass, "current") == current
