"""All batteries are released: the bank shows its last values, as they do."""

from __future__ import annotations

import asyncio
from typing import Any

from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers.event import async_track_state_change_event

from .harness import MAX_AGE, BankHarness, async_setup_bank, packs
from .test_entities import EXTENSIVE, PROTECTED
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, settle, wait_for_poll


def everything(bank: BankHarness) -> dict[str, str]:
    """Return what the bank shows, but how many batteries report."""
    found = {}
    for key, item in bank.registered.items():
        state = bank.hass.states.get(item.entity_id)
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
) -> BankHarness:
    """Return a bank of three under a steady load, with all that it can show."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3))
    await bank.enable_all()
    for battery in bank.batteries:
        battery.set_reported(current=-20.0, **values)
    await asyncio.sleep(400)
    for key in EXTENSIVE:
        assert bank.shown(key) != "unknown" or key == "time_to_full", key
    return bank


async def test_released_bank_shows_its_last_values(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """All of them, for as long as it lasts; and none is missing, or turns unavailable."""
    bank = await loaded(hass, bluetooth_env)
    before = everything(bank)
    charges = watch(hass, bank.entity_id("state_of_charge"))
    await bank.release(duration={"minutes": 15})
    await settle(hass)
    assert bank.shown("batteries_reporting") == "0"
    assert everything(bank) == before
    await asyncio.sleep(900 - 60)
    assert everything(bank) == before
    assert before["battery_missing"] == before["battery_isolated"] == "off"
    await bank.wait_reporting(3, 120)
    assert charges == []
    # What was averaged before says nothing about now.
    assert bank.shown("current") == "-60.0"
    assert bank.shown("time_to_empty") == "unknown"
    assert bank.shown("current_imbalance") == "unknown"


async def test_released_bank_with_values_of_different_times_shows_no_sum(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Each battery shows its last values, which were never true at the same time."""
    bank = await loaded(hass, bluetooth_env)
    await bank.batteries[0].connection.async_release()
    for battery in bank.batteries:
        battery.set_reported(state_of_charge=80)
    await asyncio.sleep(600)
    for battery in bank.batteries[1:]:
        await battery.connection.async_release()
    await settle(hass)
    assert bank.shown("batteries_reporting") == "0"
    assert bank.shown("battery_missing") == "off"
    assert bank.shown("state_of_charge") == "70.0"
    for key in EXTENSIVE:
        assert bank.shown(key) == "unknown", key


async def test_released_bank_after_a_restart_shows_its_last_values(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A release outlives it; times to empty are gone, as they are for a battery."""
    bank = await loaded(hass, bluetooth_env)
    before = everything(bank)
    await bank.release_each()
    await bank.restart()
    await settle(hass)
    assert bank.batteries[0].shown("state_of_charge") == "50"
    assert bank.shown("batteries_reporting") == "0"
    assert everything(bank) == before | {
        "time_to_empty": "unknown",
        "time_to_reserve": "unknown",
        "current_imbalance": "unknown",
    }
    charges = watch(hass, bank.entity_id("state_of_charge"))
    for battery in bank.batteries:
        battery.connection.async_resume()
    await bank.wait_reporting(3, 120)
    assert charges == []


async def test_a_released_bank_without_one_of_its_batteries_is_unavailable(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """That one is missing, whatever was planned for the others."""
    bank = await loaded(hass, bluetooth_env)
    await bank.batteries[0].peripheral.stop()
    for battery in bank.batteries[1:]:
        battery.set_reported(state_of_charge=80)
    await asyncio.sleep(MAX_AGE + POLL_INTERVAL)
    for battery in bank.batteries[1:]:
        await battery.connection.async_release()
    await settle(hass)
    assert bank.shown("battery_missing") == "on"
    assert bank.shown("state_of_charge") == "unavailable"
    # Its own values have expired: it was away before it was released.
    await bank.batteries[0].connection.async_release()
    await settle(hass)
    assert bank.shown("battery_missing") == "off"
    assert bank.shown("state_of_charge") == "80.0"
    assert bank.shown("current") == "unknown"


async def test_released_bank_after_a_loss_does_not_show_earlier_values(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A time to empty that was shown before a battery was missing is no last value."""
    bank = await loaded(hass, bluetooth_env)
    peripheral = bank.batteries[0].peripheral
    await peripheral.stop()
    await asyncio.sleep(MAX_AGE + POLL_INTERVAL)
    for battery in bank.batteries[1:]:
        await battery.connection.async_release()
    await peripheral.start()
    await bank.wait_reporting(1, 40)
    await bank.batteries[0].connection.async_release()
    await settle(hass)
    assert bank.shown("current") == "-60.0"
    assert bank.shown("time_to_empty") == "unknown"
    assert bank.shown("current_imbalance") == "unknown"


async def test_isolation_during_a_release_does_not_change(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery that was isolated at the release stays so, and no other becomes it."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    bank.batteries[0].set_reported(current=-20.0)
    await wait_for_poll()
    await bank.batteries[0].connection.async_release()
    bank.batteries[1].set_reported(**PROTECTED)
    await wait_for_poll()
    await bank.batteries[1].connection.async_release()
    await settle(hass)
    assert bank.shown("any_protection") == "on"
    assert bank.attribute("battery_isolated", "batteries") == []


async def test_bank_with_one_resumed_and_one_released_battery_has_no_sums(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The sums are unknown, as before the release."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    await bank.release_each()
    assert bank.shown("current") == "0.0"
    for battery, current in zip(bank.batteries, ("unknown", "0.0"), strict=True):
        battery.connection.async_resume()
        await wait_for_poll()
        assert bank.shown("current") == current
