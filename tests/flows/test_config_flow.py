"""Adding a battery: what a person sees, over the virtual link."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from homeassistant.components import bluetooth
from homeassistant.config_entries import (
    SOURCE_BLUETOOTH,
    SOURCE_IGNORE,
    SOURCE_USER,
    ConfigFlowResult,
)
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er

from custom_components.voltgo_vlrv.config_flow import REDISCOVER_FIRST
from custom_components.voltgo_vlrv.const import CONF_FACTS, DOMAIN
from simulator.battery import SimulatedBattery, status_reply
from simulator.faults import FOREVER
from simulator.peripheral import Peripheral
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

REFUSAL = bytes.fromhex("018302c0f1")  # no such registers


async def bring_near(
    bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Let one adapter hear the battery."""
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await bluetooth_env.heard(pack.address)


async def start_user_flow(hass: HomeAssistant) -> ConfigFlowResult:
    """Open "Add integration"."""
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )


async def pick(
    hass: HomeAssistant, result: ConfigFlowResult, address: str
) -> ConfigFlowResult:
    """Pick a device and wait until it was tried."""
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {CONF_ADDRESS: address}
    )
    return await finish_progress(hass, result)


def offered(result: ConfigFlowResult) -> list[str]:
    """Return the addresses on offer, in order."""
    schema = result["data_schema"]
    assert schema is not None
    (selector,) = schema.schema.values()
    return [option["value"] for option in selector.config["options"]]


class BrokenBattery(SimulatedBattery):
    """A battery that answers every status read with something wrong."""

    answer: bytes

    def handle(self, frame: bytes) -> bytes | None:
        """Answer as told."""
        return self.answer


# --- discovery ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "model"),
    [
        ("solar_charging", "VLRV2560A"),
        ("driving_load", "VLRV2560B"),
        ("failing_cell", "VLRV5120C"),
        ("empty", "VLRV5120A"),
        ("full", "VLRV5120B"),
        ("idle", "VLRV1280A"),
    ],
)
async def test_a_discovered_battery_becomes_an_entry_with_its_values(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, preset: str, model: str
) -> None:
    """The main path, for each model of manual table 4-1."""
    pack = battery(preset)
    pack.hold = True
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()

    flow = await discovered(hass, pack.address)
    result = await hass.config_entries.flow.async_configure(flow["flow_id"])
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == "confirm"
    expected_values = pack.expected_values()
    assert result["description_placeholders"] == {
        "name": pack.name,
        "model": model,
        "state_of_charge": str(expected_values["state_of_charge"]),
        "voltage": f"{expected_values['voltage']:.2f}",
    }

    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == pack.name
    assert result["result"].unique_id == pack.address
    await hass.async_block_till_done()
    assert value(hass, pack.address, "state_of_charge") == str(
        expected_values["state_of_charge"]
    )
    assert (
        float(value(hass, pack.address, "voltage") or 0) == expected_values["voltage"]
    )

    device = device_of(hass, pack.address)
    assert (device.manufacturer, device.model) == ("Voltgo", model)
    assert device.model_id == expected_values["model"]
    assert device.serial_number == expected_values["serial"]
    assert device.sw_version == expected_values["firmware"]


async def test_the_proof_lets_the_battery_go(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A card that waits for a person must not keep the phone app out."""
    pack = battery()
    peripheral = await bluetooth_env.add_battery(pack)
    adapter = await bluetooth_env.add_adapter()
    await discovered(hass, pack.address)
    await wait_until(lambda: not peripheral.is_connected)
    assert peripheral.is_advertising
    assert adapter.free_slots == adapter.slots


async def test_the_values_of_the_proof_show_without_a_second_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The entry starts with what the flow has read."""
    pack = battery()
    peripheral = await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    flow = await discovered(hass, pack.address)
    await peripheral.silence()
    await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    await hass.async_block_till_done()
    assert peripheral.connections == 1
    assert value(hass, pack.address, "state_of_charge") == str(
        pack.expected_values()["state_of_charge"]
    )


async def test_an_old_proof_is_not_shown_as_the_state(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Who leaves the form open for an hour gets live values or none."""
    pack = battery()
    peripheral = await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    flow = await discovered(hass, pack.address)
    await asyncio.sleep(61)
    await peripheral.silence()
    await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    await hass.async_block_till_done()
    assert value(hass, pack.address, "state_of_charge") == "unavailable"
    await peripheral.advertise()
    await wait_until(
        lambda: value(hass, pack.address, "state_of_charge") != "unavailable", 15
    )


async def test_a_name_in_the_scan_response_only_is_still_discovered(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Adapters that scan actively hear it."""
    pack = battery()
    await bluetooth_env.add_battery(pack, name_in_scan_response=True)
    await bluetooth_env.add_adapter(mode="active")
    assert (await discovered(hass, pack.address))["step_id"] == "confirm"


@pytest.mark.parametrize("source", [SOURCE_BLUETOOTH, SOURCE_USER])
async def test_a_name_that_comes_after_the_discovery_is_still_taken(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, source: str
) -> None:
    """Proxies pass on an advertisement before the scan response to it."""
    pack = battery(
        "idle", name="Z1234567890", address="80:6F:B0:15:5E:71", generation=1
    )
    peripheral = await bluetooth_env.add_battery(pack, name_in_scan_response=True)
    peripheral.reply_latency = 0.5
    await bluetooth_env.add_adapter(mode="passive")
    heard = await bluetooth_env.heard(pack.address)
    assert heard.name == pack.address
    if source == SOURCE_BLUETOOTH:
        await wait_until(
            lambda: hass.config_entries.flow.async_progress(include_uninitialized=True)
        )
        await bluetooth_env.add_adapter("02:00:00:00:00:02", mode="active")
        await wait_until(lambda: flows(hass, pack.address))
        (flow,) = flows(hass, pack.address)
        result = await hass.config_entries.flow.async_configure(flow["flow_id"])
    else:
        result = await start_user_flow(hass)
        await bluetooth_env.add_adapter("02:00:00:00:00:02", mode="active")
        result = await pick(hass, result, pack.address)
    assert result["step_id"] == "confirm"
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    assert result["title"] == pack.name
    await hass.async_block_till_done()
    assert device_of(hass, pack.address).manufacturer == "EG4"


async def test_an_older_generation_is_discovered_by_what_it_advertises(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Service 0x1000 together with the address as manufacturer data, whatever the name."""
    pack = battery("idle", name="anything", address="80:6F:B0:15:5E:71", generation=1)
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    assert entry.title == "anything"
    assert value(hass, pack.address, "state_of_charge") == str(
        pack.expected_values()["state_of_charge"]
    )


@pytest.mark.parametrize(
    ("name", "manufacturer"),
    [
        ("BB-51.2V100Ah-0855", "BigBattery"),
        ("VLRV5120C-7", "Voltgo"),
        ("Voltgo X", "Voltgo"),
    ],
)
async def test_sisters_of_the_family_are_discovered_under_their_brand(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    name: str,
    manufacturer: str,
) -> None:
    """The family shares the electronics, not the label."""
    pack = battery("failing_cell", name=name)
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await add_discovered(hass, pack.address)
    device = device_of(hass, pack.address)
    assert device.manufacturer == manufacturer
    assert device.model == (
        "VLRV5120C" if manufacturer == "Voltgo" else "TC-16S100-V1.0"
    )


async def test_a_configured_battery_is_not_offered_again(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not by discovery, not by hand, not under another name."""
    pack = battery()
    peripheral = await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    ids = {
        entity.entity_id
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
    }
    await hass.config_entries.async_unload(entry.entry_id)
    pack.name = "ZT-renamed"
    await peripheral.power_cycle()
    bluetooth.async_rediscover_address(hass, pack.address)
    await asyncio.sleep(5)
    assert not flows(hass)
    result = await start_user_flow(hass)
    assert (result["type"], result["reason"]) == (
        FlowResultType.ABORT,
        "no_devices_found",
    )

    await hass.config_entries.async_setup(entry.entry_id)
    await wait_until(
        lambda: value(hass, pack.address, "voltage") not in (None, "unavailable")
    )
    assert ids == {
        entity.entity_id
        for entity in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
    }
    assert entry.title == "ZT-25.6V100Ah-1238"


async def test_a_battery_is_offered_once_at_a_time(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """However often it is heard before somebody answers."""
    pack = battery()
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await discovered(hass, pack.address)
    heard = bluetooth.async_last_service_info(hass, pack.address)
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_BLUETOOTH}, data=heard
    )
    assert (result["type"], result["reason"]) == (
        FlowResultType.ABORT,
        "already_in_progress",
    )
    assert len(flows(hass, pack.address)) == 1


async def test_two_batteries_with_one_name_stay_two(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Owners rename freely, and factories repeat themselves."""
    one = battery("driving_load", state_of_charge=40.0)
    two = battery("driving_load", address="A4:C1:37:00:00:99", state_of_charge=80.0)
    for pack in (one, two):
        pack.hold = True
        await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    first = await add_discovered(hass, one.address)
    second = await add_discovered(hass, two.address)
    assert first.title == one.name
    assert second.title == f"{two.name} (2)"
    for pack in (one, two):
        assert value(hass, pack.address, "state_of_charge") == str(
            pack.expected_values()["state_of_charge"]
        )
    assert device_of(hass, one.address).id != device_of(hass, two.address).id


async def test_proofs_take_one_connection_slot_at_a_time(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Eight batteries found at once do not need eight slots."""
    packs = [
        battery("idle", name=f"ZT-{n}", address=f"A4:C1:37:00:01:0{n}")
        for n in range(8)
    ]
    for pack in packs:
        await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter(slots=1)
    for pack in packs:
        assert (await discovered(hass, pack.address))["step_id"] == "confirm"


# --- discoveries that come to nothing --------------------------------------------------


async def test_a_foreign_pack_with_a_matching_name_is_refused_for_good(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It is let go, and not called again."""
    pack = battery("idle", name="ZT-looks-like-it", address="A4:C1:38:00:00:01")
    peripheral = await bluetooth_env.add_battery(pack, profile="jbd")
    adapter = await bluetooth_env.add_adapter()
    await wait_until(lambda: peripheral.connections)
    await asyncio.sleep(4 * REDISCOVER_FIRST)
    assert not flows(hass)
    assert adapter.free_slots == adapter.slots
    # Once more with a cleared service cache, then no more.
    assert peripheral.connections == 2


async def test_a_genuine_jbd_pack_is_not_even_called(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """0xFF00 and the address range alone prove nothing."""
    pack = battery("idle", name="xiaoxiang BMS", address="A4:C1:38:00:00:02")
    peripheral = await bluetooth_env.add_battery(pack, profile="jbd")
    await bluetooth_env.add_adapter()
    await bluetooth_env.heard(pack.address)
    await asyncio.sleep(30)
    assert peripheral.connections == 0
    assert not flows(hass)


@pytest.mark.parametrize(
    "fault",
    [
        {"refuse_connection": FOREVER},
        {"drop": FOREVER},
        {"disconnect_on_subscribe": FOREVER},
    ],
    ids=lambda fault: next(iter(fault)),
)
async def test_a_discovery_that_failed_for_a_passing_reason_is_offered_later(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fault: dict[str, int]
) -> None:
    """Without a person doing anything, and without calling all the time."""
    pack = battery()
    peripheral = await bluetooth_env.add_battery(pack)
    for name, count in fault.items():
        setattr(peripheral.faults, name, count)
    adapter = await bluetooth_env.add_adapter()
    await asyncio.sleep(58)
    assert not flows(hass)
    assert adapter.free_slots == adapter.slots
    peripheral.faults.clear()
    await wait_until(lambda: flows(hass, pack.address), 4 * REDISCOVER_FIRST)


async def test_a_discovery_without_a_free_slot_is_offered_later(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """When a slot is free again."""
    pack = battery()
    await bluetooth_env.add_battery(pack)
    adapter = await bluetooth_env.add_adapter(slots=0)
    await asyncio.sleep(30)
    assert not flows(hass)
    adapter.slots = 1
    await wait_until(lambda: flows(hass, pack.address), 2 * REDISCOVER_FIRST)


async def discover_in_vain(bluetooth_env: BluetoothEnvironment) -> Peripheral:
    """Return a battery that is heard and never answers."""
    peripheral = await bluetooth_env.add_battery(battery())
    peripheral.faults.drop = FOREVER
    await bluetooth_env.add_adapter()
    return peripheral


async def test_failed_discoveries_come_less_and_less_often(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery that never answers is not called every minute all day."""
    peripheral = await discover_in_vain(bluetooth_env)
    await asyncio.sleep(3600)
    first_hour = peripheral.connections
    await asyncio.sleep(3 * 3600)
    assert first_hour <= 7
    assert peripheral.connections - first_hour <= 4
    assert not flows(hass)


async def test_one_that_comes_and_goes_is_not_called_more_often_for_it(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A neighbour's battery, held by a phone now and then, must not fill the proxies."""
    peripheral = await discover_in_vain(bluetooth_env)
    await asyncio.sleep(3 * 3600)
    for _ in range(4):
        await peripheral.stop()
        await asyncio.sleep(900)  # longer than Home Assistant counts it as there
        before = peripheral.connections
        await peripheral.start()
        await asyncio.sleep(120)
        assert peripheral.connections > before  # it is tried at once when it is back
    before = peripheral.connections
    await asyncio.sleep(3 * 3600)
    assert peripheral.connections - before <= 4


# --- by hand ---------------------------------------------------------------------------


async def test_a_renamed_battery_is_added_by_hand(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The list has it on top, and the proof does not care for names."""
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


async def test_a_battery_without_a_name_gets_one(
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
        assert result["result"].runtime_data.device_info["manufacturer"] == "Voltgo"
        assert value(hass, pack.address, "voltage") not in (None, "unavailable")


@pytest.mark.parametrize("name", ["", "Grandma"])
async def test_the_name_of_an_entry_tells_nothing_of_the_address(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    """It stands in the log, where two batteries must still be told apart."""
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
        told = json.dumps([entry.title, dict(entry.data[CONF_FACTS]), *lines])
        assert end not in told.upper()


async def test_a_battery_without_a_name_shows_the_end_of_its_address_on_the_screen(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Where the owner looks at it, and only there."""
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


async def test_a_name_that_is_garbage_does_no_harm(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Names come from the air."""
    pack = battery("idle", name="\x01\x7f<b>[ü](x)*`\n", address="A4:C1:37:00:12:AC")
    await bring_near(bluetooth_env, pack)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "bü(x)"


async def test_a_model_that_is_garbage_does_no_harm(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """What a device calls itself stands in a text with markup, like its name."""
    pack = battery(name="BB-1", model="[x](//a.io)![](<b>`*)")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    flow = await discovered(hass, pack.address)
    result = await hass.config_entries.flow.async_configure(flow["flow_id"])
    placeholders = result["description_placeholders"]
    assert placeholders is not None
    assert placeholders["model"] == "x(//a.io)!(b)"


async def test_an_ignored_battery_can_be_added_by_hand(
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


async def test_picking_by_hand_ends_the_discovery_of_the_same_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One battery, one entry."""
    pack = battery()
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await discovered(hass, pack.address)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert not flows(hass)


async def test_who_adds_by_hand_does_not_wait_for_what_was_discovered(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """On a campground there are others' batteries, which their phones hold."""
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


async def test_a_battery_that_was_removed_is_offered_again(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also one that was picked by hand, which Home Assistant does not do by itself."""
    pack = battery()
    await bring_near(bluetooth_env, pack)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await asyncio.sleep(30)
    await hass.config_entries.async_remove(result["result"].entry_id)
    await wait_until(lambda: flows(hass, pack.address))


async def test_a_battery_added_meanwhile_is_recognised(
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


async def test_without_bluetooth_the_screen_says_so(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """No adapter at all, or none that connects."""
    result = await start_user_flow(hass)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "no_bluetooth")


async def test_nothing_nearby_says_what_to_do(
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


async def fail_link(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Have the link break at the first request."""
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


async def fail_adapter(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, pack: SimulatedBattery
) -> None:
    """Unplug the adapter."""
    await bluetooth_env.remove_adapter()


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        (fail_refused, "busy"),
        (fail_silent, "no_answer"),
        (fail_link, "connection_lost"),
        (fail_slots, "no_slot"),
        (fail_away, "out_of_range"),
        (fail_adapter, "no_bluetooth"),
    ],
)
async def test_the_screen_says_why_and_a_second_try_succeeds(
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
    adapter.slots = 3
    if not peripheral.is_on:
        await peripheral.start()
    await bluetooth_env.heard(pack.address)
    result = await pick(hass, result, pack.address)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "confirm")
    assert adapter.free_slots == adapter.slots


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status_reply([0] * 41), "implausible"),
        (REFUSAL, "not_vlrv"),
    ],
)
async def test_wrong_answers_are_no_battery(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, answer: bytes, reason: str
) -> None:
    """An intact frame with the wrong content does not become an entry."""
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


async def test_a_battery_that_refuses_the_longer_read_is_added(
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


async def test_a_foreign_pack_picked_by_hand_is_refused_politely(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And let go."""
    pack = battery("idle", name="JBD", address="A4:C1:38:00:00:03")
    await bluetooth_env.add_battery(pack, profile="jbd")
    adapter = await bluetooth_env.add_adapter()
    await bluetooth_env.heard(pack.address)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    assert result["errors"] == {"base": "not_vlrv"}
    assert adapter.free_slots == adapter.slots


async def test_closing_the_window_while_connecting_leaves_no_link(
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


async def test_a_battery_that_tells_no_identity_is_added_all_the_same(
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
    assert entry.data[CONF_FACTS]["firmware"] == ""
    device = device_of(hass, pack.address)
    assert (device.model, device.sw_version) == ("8S LiFePO4", None)
    assert hass.states.get(entity_id(hass, pack.address, "voltage")) is not None
