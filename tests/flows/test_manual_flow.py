"""Batteries are added by hand."""

from __future__ import annotations

import asyncio
from dataclasses import replace
import json
import logging
from typing import Any
from unittest.mock import AsyncMock

import pytest

from homeassistant.components import bluetooth
from homeassistant.config_entries import SOURCE_IGNORE
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType

from .helpers import REFUSAL, BrokenBattery, bring_near, offered, pick, start_user_flow
from custom_components.voltgo_vlrv.const import CONF_INFO, DOMAIN
from simulator.battery import SimulatedBattery, status_reply
from simulator.faults import FOREVER
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    add_discovered,
    battery,
    device_of,
    discovered,
    entity_id,
    finish_progress,
    flows,
    value,
    wait_until,
)


async def test_manual_flow_with_a_renamed_battery_lists_it_first(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The probe does not depend on names."""
    pack = battery("idle", name="Grandma", address="A4:C1:37:00:00:21")
    other = battery("idle", name="Headphones", address="00:11:22:33:44:55")
    await bluetooth_env.add_battery(other, profile="jbd")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    for address in (pack.address, other.address):
        await bluetooth_env.heard(address)
    assert not flows(hass)

    result = await start_user_flow(hass)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    assert offered(result) == [pack.address, other.address]
    result = await pick(hass, result, pack.address)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "confirm")
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Grandma"
    await hass.async_block_till_done()
    assert value(hass, pack.address, "voltage") not in (None, "unavailable")


async def add_other_device(
    bluetooth_env: BluetoothEnvironment, device: SimulatedBattery
) -> None:
    """Add a device that advertises the heart rate service."""
    peripheral = await bluetooth_env.add_battery(device, start=False)
    peripheral.profile = replace(peripheral.profile, advertised=0x180D)
    await peripheral.start()


async def test_manual_flow_lists_a_known_service_before_a_known_address(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Service 0xFF00 is a stronger hint than the maker of the radio module."""
    other = battery("idle", name="Other", address="A4:C1:37:00:00:21")
    pack = battery("idle", name="Grandma", address="00:11:22:33:44:55")
    await add_other_device(bluetooth_env, other)
    await bluetooth_env.add_battery(pack)
    adapter = await bluetooth_env.add_adapter()
    adapter.radio.rssi[pack.address] = -85
    for address in (pack.address, other.address):
        await bluetooth_env.heard(address)
    assert offered(await start_user_flow(hass)) == [pack.address, other.address]


async def test_manual_flow_without_likely_devices_requests_an_active_scan(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A passive scan misses names that are only in the scan response."""
    other = battery("idle", name="Headphones", address="00:11:22:33:44:55")
    pack = battery()
    await add_other_device(bluetooth_env, other)
    await bluetooth_env.add_adapter()
    await bluetooth_env.heard(other.address)

    async def scan(_hass: HomeAssistant) -> None:
        await bluetooth_env.add_battery(pack)
        await bluetooth_env.heard(pack.address)

    request = AsyncMock(side_effect=scan)
    monkeypatch.setattr(bluetooth, "async_request_active_scan", request)
    result = await start_user_flow(hass)
    request.assert_awaited_once_with(hass)
    assert offered(result) == [pack.address, other.address]
    await start_user_flow(hass)
    assert request.await_count == 1


async def test_manual_flow_without_a_name_numbers_the_titles(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Each its own, counted."""
    await bluetooth_env.add_adapter()
    for number, title in ((0xAB, "VLRV"), (0xAC, "VLRV (2)"), (0xAD, "VLRV (3)")):
        pack = battery("idle", name="", address=f"A4:C1:37:00:12:{number:02X}")
        await bluetooth_env.add_battery(pack)
        await bluetooth_env.heard(pack.address)
        result = await start_user_flow(hass)
        if result["type"] is FlowResultType.MENU:
            result = await hass.config_entries.flow.async_configure(
                result["flow_id"], {"next_step_id": "battery"}
            )
        result = await pick(hass, result, pack.address)
        result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
        assert result["title"] == title
        await hass.async_block_till_done()
        assert device_of(hass, pack.address).manufacturer == "Voltgo"
        assert value(hass, pack.address, "voltage") not in (None, "unavailable")


@pytest.mark.parametrize("name", ["", "Grandma"])
async def test_title_without_a_name_contains_nothing_of_the_address(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    """Titles appear in the log, where two batteries must still be told apart."""
    packs = [
        battery("idle", name=name, address=f"A4:C1:37:00:A4:4{number}")
        for number in (2, 3)
    ]
    await bluetooth_env.add_adapter()
    peripherals = [await bluetooth_env.add_battery(pack) for pack in packs]
    entries = []
    for pack in packs:
        await bluetooth_env.heard(pack.address)
        result = await pick(hass, await start_user_flow(hass), pack.address)
        result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
        entries.append(result["result"])
        await hass.async_block_till_done()
    await asyncio.sleep(10)
    for peripheral in peripherals:
        await peripheral.stop()
    await asyncio.sleep(600)
    lines = [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.INFO
        and record.name.startswith(("custom_components", "homeassistant"))
    ]
    first, second = (entry.title for entry in entries)
    assert first != second
    assert any(f"Error requesting {first} data" in line for line in lines)
    assert any(f"Error requesting {second} data" in line for line in lines)
    for entry, end in zip(entries, ("A442", "A443"), strict=True):
        told = json.dumps([entry.title, dict(entry.data[CONF_INFO]), *lines])
        assert end not in told.upper()


async def test_manual_flow_without_a_name_shows_the_end_of_the_address(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Only on the screen of the user."""
    pack = battery("idle", name="", address="A4:C1:37:00:12:AB")
    await bring_near(bluetooth_env, pack)
    result = await start_user_flow(hass)
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {CONF_ADDRESS: pack.address}
    )
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    assert result["description_placeholders"] == {"name": "VLRV 12AB"}
    result = await finish_progress(hass, result)
    assert result["step_id"] == "confirm"


async def test_manual_flow_with_markup_in_the_name_removes_it(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Names come from the air."""
    pack = battery("idle", name="\x01\x7f<b>[ü](x)*`\n", address="A4:C1:37:00:12:AC")
    await bring_near(bluetooth_env, pack)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "bü(x)"


async def test_discovery_with_markup_in_the_model_removes_it(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Messages are Markdown, and the model comes from the device."""
    pack = battery(name="BB-1", model="[x](//a.io)![](<b>`*)")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    flow = await discovered(hass, pack.address)
    result = await hass.config_entries.flow.async_configure(flow["flow_id"])
    placeholders = result["description_placeholders"]
    assert placeholders is not None
    assert placeholders["model"] == "x(//a.io)!(b)"


async def test_manual_flow_with_an_ignored_battery_adds_it(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Who pressed "Ignore" may change their mind."""
    pack = battery()
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    flow = await discovered(hass, pack.address)
    await hass.config_entries.flow.async_init(
        DOMAIN,
        context={"source": SOURCE_IGNORE},
        data={"unique_id": pack.address, "title": pack.name},
    )
    assert not flows(hass)
    bluetooth.async_rediscover_address(hass, pack.address)
    await asyncio.sleep(10)
    assert not flows(hass)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    assert result["step_id"] == "confirm"
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert flow["flow_id"] != result["flow_id"]


async def test_manual_flow_of_a_discovered_battery_ends_its_discovery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One battery has one entry."""
    pack = battery()
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await discovered(hass, pack.address)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert not flows(hass)


async def test_manual_flow_during_discoveries_waits_for_one_probe_only(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """On a campground there are other batteries, held by phones."""
    for number in range(6):
        other = battery(
            "idle", name=f"ZT-{number}", address=f"A4:C1:37:00:10:{number:02X}"
        )
        peripheral = await bluetooth_env.add_battery(other)
        peripheral.faults.drop = FOREVER
    pack = battery()
    await bluetooth_env.add_battery(pack, start=False)
    await bluetooth_env.add_adapter()
    await asyncio.sleep(2)
    await bluetooth_env.peripherals[pack.address].start()
    await bluetooth_env.heard(pack.address)
    result = await start_user_flow(hass)
    async with asyncio.timeout(25):
        result = await pick(hass, result, pack.address)
    assert result["step_id"] == "confirm"
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    # It was discovered, too, and waits for its turn, in which it could be reached.
    await hass.async_block_till_done()
    await result["result"].runtime_data.connection.async_release()
    for _ in range(120):
        await asyncio.sleep(1)
        assert not flows(hass, pack.address)
    assert hass.config_entries.async_entries(DOMAIN) == [result["result"]]


async def test_removed_battery_is_discovered_again(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also one from a manual flow, which Home Assistant does not do by itself."""
    pack = battery()
    await bring_near(bluetooth_env, pack)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await asyncio.sleep(30)
    await hass.config_entries.async_remove(result["result"].entry_id)
    await wait_until(lambda: flows(hass, pack.address))


async def test_manual_flow_with_a_battery_added_meanwhile_aborts(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The list may be older than the entry."""
    pack = battery()
    await bring_near(bluetooth_env, pack)
    result = await start_user_flow(hass)
    await add_discovered(hass, pack.address)
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {CONF_ADDRESS: pack.address}
    )
    assert (result["type"], result["reason"]) == (
        FlowResultType.ABORT,
        "already_configured",
    )


async def test_manual_flow_without_bluetooth_aborts(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """No adapter at all, or none that connects."""
    result = await start_user_flow(hass)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "no_bluetooth")


async def test_manual_flow_without_devices_aborts(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """After asking the adapters to look actively."""
    await bluetooth_env.add_adapter()
    result = await start_user_flow(hass)
    assert (result["type"], result["reason"]) == (
        FlowResultType.ABORT,
        "no_devices_found",
    )


async def fail_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Have the battery not take the connection."""
    bluetooth_env.peripherals[pack.address].faults.refuse_connection = FOREVER


async def fail_silent(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Have the battery not answer."""
    bluetooth_env.peripherals[pack.address].faults.drop = FOREVER


async def fail_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Have the connection end at the first request."""
    bluetooth_env.peripherals[pack.address].faults.disconnect_on_write = FOREVER


async def fail_slots(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Have other devices take all connections."""
    for adapter in bluetooth_env.adapters.values():
        adapter.slots = 0


async def fail_away(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Switch the battery off and let Home Assistant forget it."""
    await bluetooth_env.peripherals[pack.address].stop()
    bluetooth.async_clear_advertisement_history(hass, pack.address)


async def fail_held(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Have another device hold the battery for half a minute."""
    await bluetooth_env.peripherals[pack.address].occupy()
    await asyncio.sleep(35)


async def fail_adapter(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Unplug the adapter."""
    await bluetooth_env.remove_adapter()


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        (fail_refused, "connect_failed"),
        (fail_held, "busy"),
        (fail_silent, "no_answer"),
        (fail_connection, "connection_lost"),
        (fail_slots, "no_slot"),
        (fail_away, "out_of_range"),
        (fail_adapter, "no_bluetooth"),
    ],
)
async def test_manual_flow_after_a_failure_shows_the_reason_and_can_be_repeated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fail: Any, reason: str
) -> None:
    """Each passing failure has its own words, and loses nothing."""
    pack = battery("idle", name="Grandma")
    peripheral = await bluetooth_env.add_battery(pack)
    other = battery("idle", name="Other", address="A4:C1:37:00:00:77")
    await bluetooth_env.add_battery(other, profile="jbd")
    adapter = await bluetooth_env.add_adapter()
    await bluetooth_env.heard(pack.address)
    await bluetooth_env.heard(other.address)
    result = await start_user_flow(hass)
    await fail(hass, bluetooth_env, pack)
    result = await pick(hass, result, pack.address)
    if reason == "no_bluetooth":
        # Nothing is left to pick from.
        assert (result["type"], result["reason"]) == (FlowResultType.ABORT, reason)
        return
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "user")
    assert result["errors"] == {"base": reason}
    placeholders = result["description_placeholders"]
    assert placeholders is not None
    assert placeholders["name"] == "Grandma"
    if reason == "no_slot":
        assert "proxy-01 (02:00:00:00:00:01) (0/0)" in placeholders["adapters"]

    peripheral.faults.clear()
    await peripheral.vacate()
    adapter.slots = 3
    if not peripheral.is_on:
        await peripheral.start()
    await bluetooth_env.heard(pack.address)
    result = await pick(hass, result, pack.address)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "confirm")
    assert adapter.free_slots == adapter.slots


async def test_manual_flow_with_only_a_passive_adapter_in_range_shows_the_reason(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The battery is in range, but no adapter there can connect."""
    pack = battery("idle", name="Grandma")
    other = battery("idle", name="Other", address="A4:C1:37:00:00:77")
    await bluetooth_env.add_battery(other, profile="jbd")
    await bring_near(bluetooth_env, pack)
    await bluetooth_env.heard(other.address)
    result = await start_user_flow(hass)
    await fail_away(hass, bluetooth_env, pack)

    def is_present(_hass: HomeAssistant, _address: str, *, connectable: bool) -> bool:
        return not connectable

    monkeypatch.setattr(bluetooth, "async_address_present", is_present)
    result = await pick(hass, result, pack.address)
    assert result["errors"] == {"base": "receive_only"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status_reply([0] * 41), "implausible"),
        (REFUSAL, "not_vlrv"),
    ],
)
async def test_manual_flow_with_wrong_replies_creates_no_entry(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, answer: bytes, reason: str
) -> None:
    """An intact frame with wrong content does not prove a battery."""
    pack = BrokenBattery(name="Odd")
    pack.answer = answer
    await bring_near(bluetooth_env, pack)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    assert result["errors"] == {"base": reason}


class SmallBattery(SimulatedBattery):
    """A battery that has 39 registers, and refuses to be asked for more."""

    def handle(self, frame: bytes) -> bytes | None:
        """Answer."""
        return REFUSAL if frame[1] == 3 and frame[5] == 41 else super().handle(frame)


async def test_manual_flow_with_a_refused_long_read_adds_the_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It answers the shorter one."""
    pack = SmallBattery(name="Odd")
    await bring_near(bluetooth_env, pack)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    assert result["step_id"] == "confirm"
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    await hass.async_block_till_done()
    assert value(hass, pack.address, "voltage") not in (None, "unavailable")


async def test_manual_flow_with_another_device_refuses_and_disconnects(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And disconnected."""
    pack = battery("idle", name="JBD", address="A4:C1:38:00:00:03")
    await bluetooth_env.add_battery(pack, profile="jbd")
    adapter = await bluetooth_env.add_adapter()
    await bluetooth_env.heard(pack.address)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    assert result["errors"] == {"base": "not_vlrv"}
    assert adapter.free_slots == adapter.slots


async def test_manual_flow_closed_while_connecting_disconnects(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The slot is free again."""
    pack = battery("idle", name="Grandma")
    peripheral = await bluetooth_env.add_battery(pack)
    peripheral.faults.drop = FOREVER
    adapter = await bluetooth_env.add_adapter()
    await bluetooth_env.heard(pack.address)
    result = await hass.config_entries.flow.async_configure(
        (await start_user_flow(hass))["flow_id"], {CONF_ADDRESS: pack.address}
    )
    assert result["type"] is FlowResultType.SHOW_PROGRESS
    await wait_until(lambda: peripheral.is_connected)
    hass.config_entries.flow.async_abort(result["flow_id"])
    await wait_until(lambda: not peripheral.is_connected)
    assert adapter.free_slots == adapter.slots


async def test_discovery_without_identity_adds_the_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not every board of the family answers the identity registers."""

    class Nameless(SimulatedBattery):
        def handle(self, frame: bytes) -> bytes | None:
            return None if frame[3] == 105 else super().handle(frame)

    pack = Nameless(name="ZT-x", cell_count=8, capacity=150)
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    assert entry.data[CONF_INFO]["firmware"] == ""
    device = device_of(hass, pack.address)
    assert (device.model, device.sw_version) == ("8S LiFePO4", None)
    assert hass.states.get(entity_id(hass, pack.address, "voltage")) is not None
