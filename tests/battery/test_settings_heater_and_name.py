"""The heater's permission and the Bluetooth name."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeassistant.const import EVENT_HOMEASSISTANT_STOP, EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er

from .settings_helpers import SET_NAME, async_setup, check, refused
from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.battery import SimulatedBattery, settings_frame
from simulator.faults import FOREVER
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    POLL_INTERVAL,
    battery,
    enable_all,
    entity_id,
    value,
    wait_until,
)
from tests.harness import BatteryHarness

# --- Heater ---------------------------------------------------------------------------


async def test_heater_switched_on_is_on_when_it_is_reported(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Within ten seconds, one frame, never before it is reported."""
    one = await async_setup(hass, bluetooth_env)
    assert one.shown("heater", "switch") == "off"
    for enabled, frame in ((True, "100a0101e4b6"), (False, "100a01002576")):
        one.peripheral.writes.clear()
        started = hass.loop.time()
        await one.allow_heating(enabled)
        assert hass.loop.time() - started <= 10
        await hass.async_block_till_done()
        assert one.shown("heater", "switch") == ("on" if enabled else "off")
        assert one.pack.heating_enabled is enabled
        assert one.changes == [bytes.fromhex(frame)]
    assert one.issue is None


async def test_heater_during_a_command_shows_the_reported_state(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also while the command is under way."""
    one = await async_setup(hass, bluetooth_env)
    entity = entity_id(hass, one.pack.address, "heater", "switch")
    states: list[tuple[str, bool]] = []

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["entity_id"] == entity:
            states.append((event.data["new_state"].state, one.pack.heating_enabled))

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)

    def obey_later(value: int) -> bytes:
        hass.loop.call_later(4.5, setattr, one.pack, "heating_enabled", bool(value))
        return b"\0"

    monkeypatch.setattr(one.pack, "_switch_heater", obey_later)
    started = hass.loop.time()
    task = hass.async_create_task(one.allow_heating(True))
    await asyncio.sleep(4)
    assert not task.done()
    assert one.shown("heater", "switch") == "off"
    await task
    assert 4.5 <= hass.loop.time() - started <= 10
    assert states == [("on", True)]
    assert len(one.changes) == 1


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        ("silent", "heater_unanswered"),
        ("refuse", "heater_refused"),
        ("ignore", "heater_not_confirmed"),
    ],
)
@pytest.mark.parametrize("enabled", [True, False])
async def test_heater_command_without_effect_shows_an_error(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    answer: Any,
    key: str,
    enabled: bool,
) -> None:
    """The switch shows what the battery reports, and one frame was sent."""
    one = await async_setup(
        hass, bluetooth_env, battery("idle", heating_enabled=not enabled)
    )
    before = "off" if enabled else "on"
    one.pack.settings.heater_answer = answer
    started = hass.loop.time()
    async with refused(one, key, "heater"):
        await one.allow_heating(enabled)
    assert hass.loop.time() - started <= 15
    assert one.shown("heater", "switch") == before
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert one.shown("heater", "switch") == before
    assert one.pack.heating_enabled is not enabled
    assert len(one.changes) == 1
    assert one.issue is None


async def test_heater_command_with_a_lost_answer_shows_the_reported_state(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Whether the command was applied is not known until the battery reports it."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.faults.drop = 1
    async with refused(one, "heater_unanswered", "heater"):
        await one.allow_heating(True)
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert one.shown("heater", "switch") == "on"
    assert len(one.changes) == 1


async def test_heater_command_is_confirmed_only_by_a_later_status(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A status that was read before the command proves nothing."""
    one = await async_setup(hass, bluetooth_env, battery("idle", heating_enabled=True))
    assert one.shown("heater", "switch") == "on"
    one.peripheral.notifications.clear()
    task = hass.async_create_task(one.allow_heating(True))
    await wait_until(lambda: one.peripheral.notifications)
    one.pack.heating_enabled = False
    one.peripheral.faults.drop = FOREVER
    with pytest.raises(HomeAssistantError) as caught:
        await task
    check(one, caught.value, "heater_not_confirmed", "heater")


async def test_heater_command_without_a_read_back_fails_within_ten_seconds(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also where each poll waits for its attempts."""
    one = await async_setup(hass, bluetooth_env)
    one.peripheral.notifications.clear()
    started = hass.loop.time()
    task = hass.async_create_task(one.allow_heating(True))
    await wait_until(lambda: one.peripheral.notifications)
    one.peripheral.faults.drop = FOREVER
    with pytest.raises(HomeAssistantError) as caught:
        await task
    check(one, caught.value, "heater_not_confirmed", "heater")
    assert hass.loop.time() - started <= 20


async def test_heater_command_with_an_unloaded_entry_ends(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With an error, as the battery will not report it."""
    one = await async_setup(hass, bluetooth_env)
    one.pack.settings.heater_answer = "ignore"
    task = hass.async_create_task(one.allow_heating(True))
    await asyncio.sleep(3)
    assert not task.done()
    await hass.config_entries.async_unload(one.entry.entry_id)
    async with refused(one, "heater_interrupted", "heater"):
        await task


async def test_stop_during_a_heater_command_does_not_wait(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The battery is disconnected then, and not asked again."""
    one = await async_setup(hass, bluetooth_env)
    switching = hass.async_create_task(one.allow_heating(True))
    await wait_until(lambda: one.changes)
    began = hass.loop.time()
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    async with refused(one, "heater_interrupted", "heater"):
        await switching
    assert hass.loop.time() - began < 3


async def test_heater_that_is_no_longer_reported_gets_no_command(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As after another firmware: the effect of the command is not reported."""
    one = await async_setup(hass, bluetooth_env)
    answer = one.pack.handle
    monkeypatch.setattr(
        one.pack,
        "handle",
        lambda frame: None if frame[1] == 3 and frame[5] == 41 else answer(frame),
    )
    await one.peripheral.power_cycle()
    await wait_until(lambda: one.shown("heater", "switch") == "unknown", 120)
    one.peripheral.writes.clear()
    async with refused(one, "heater_not_reported"):
        await one.allow_heating(True)
    assert one.changes == []


async def test_heater_without_register_40_is_not_created(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Older boards report 39 registers, so nothing could be confirmed."""
    one = await async_setup(
        hass, bluetooth_env, battery("idle", generation=1, name="ZT-12.8V100Ah-0009")
    )
    assert not one.has("heater", "switch")


# --- Bluetooth name -------------------------------------------------------------------


async def renamable(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    pack: SimulatedBattery | None = None,
) -> BatteryHarness:
    """Return a battery whose name is switched on."""
    one = await async_setup(hass, bluetooth_env, pack)
    await enable_all(hass, one.pack.address)
    await one.wait_connected()
    one.peripheral.writes.clear()
    return one


async def test_bluetooth_name_entity_is_disabled_by_default(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery is renamed once, if at all."""
    one = await async_setup(hass, bluetooth_env)
    entity = er.async_get(hass).async_get(
        entity_id(hass, one.pack.address, "bluetooth_name", "text")
    )
    assert entity is not None
    assert entity.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert one.shown("bluetooth_name", "text") is None


@pytest.mark.parametrize("name", ["My motorhome battery 1", "ZT-12.8V100Ah-0001 (a)"])
async def test_bluetooth_name_longer_is_advertised_after_the_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str
) -> None:
    """The entry and its entities stay with any name."""
    one = await renamable(hass, bluetooth_env)
    await renamed(hass, bluetooth_env, one, name)


@pytest.mark.parametrize("linked_for", [0, 300])
@pytest.mark.parametrize("name", ["Grandma", "~", "ZT-12.8V100Ah-0002"])
async def test_bluetooth_name_shorter_is_advertised_after_the_power_cycle(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str, linked_for: int
) -> None:
    """Though the scanner takes it for shortened while it remembers a longer one."""
    one = await renamable(hass, bluetooth_env)
    await asyncio.sleep(linked_for)
    await renamed(hass, bluetooth_env, one, name)


async def renamed(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    one: BatteryHarness,
    name: str,
) -> None:
    """Check that a new name gets through."""
    old = one.pack.name
    title = one.entry.title
    entities = {
        entity.entity_id
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), one.entry.entry_id
        )
    }
    assert one.shown("bluetooth_name", "text") == old
    await one.rename(name)
    assert one.changes == [settings_frame(SET_NAME, name.encode("ascii"))]
    assert one.shown("bluetooth_name", "text") == old
    assert one.pending == f"- Bluetooth name: {name}"
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert one.pending == f"- Bluetooth name: {name}"

    await one.power_cycle()
    assert one.pack.name == name
    assert one.shown("bluetooth_name", "text") == name
    assert one.issue is None
    assert one.entry.title == title
    assert entities == {
        entity.entity_id
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), one.entry.entry_id
        )
    }
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert value(hass, one.pack.address, "voltage") != "unavailable"


@pytest.mark.parametrize(
    "name",
    ["", "x" * 23, "Büro", "ü", "van\n", "van\0", "a\tb", "van \U0001f50b", "van\x7f"],
)
async def test_bluetooth_name_invalid_is_not_sent(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, name: str
) -> None:
    """1-22 printable ASCII characters; some are refused by Home Assistant itself.

    It has no translated text of its own for that before 2026.11.
    """
    one = await renamable(hass, bluetooth_env)
    with pytest.raises((ServiceValidationError, ValueError)) as caught:
        await one.rename(name)
    if getattr(caught.value, "translation_domain", None) == DOMAIN:
        check(one, caught.value, "invalid_name", "bluetooth_name")
    assert one.changes == []
    assert one.issue is None
    assert one.shown("bluetooth_name", "text") == one.pack.name


async def test_bluetooth_name_while_released_is_settled_by_the_advertisement(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nothing is read then, and the battery says its name without being asked."""
    one = await renamable(hass, bluetooth_env)
    await one.rename("ZT-12.8V100Ah-0002 (a)")
    await one.set_connection(False)
    assert one.pending == "- Bluetooth name: ZT-12.8V100Ah-0002 (a)"
    await one.peripheral.power_cycle()
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert not one.is_connected
    assert one.pending is None


@pytest.mark.parametrize("name", ["x" * 23, "Büro", "a"])
async def test_bluetooth_name_that_cannot_be_written_is_shown(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    name: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What another tool has set is no reason for errors in the log."""
    one = await renamable(hass, bluetooth_env)
    one.pack.name = name
    await one.power_cycle()
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert value(hass, one.pack.address, "voltage") != "unavailable"
    assert not [record for record in caplog.records if record.exc_info]
