"""Batteries are discovered, offered and added."""

from __future__ import annotations

import asyncio
import logging

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.components import bluetooth
from homeassistant.config_entries import SOURCE_BLUETOOTH, SOURCE_USER
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er

from .helpers import pick, start_user_flow
from custom_components.voltgo_vlrv import config_flow
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.rediscovery import FIRST_DELAY
from simulator.faults import FOREVER
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    add_discovered,
    battery,
    device_of,
    discovered,
    flows,
    value,
    wait_until,
)

# --- discovery ------------------------------------------------------------------------


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
async def test_discovery_of_each_model_creates_an_entry_with_values(
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
    # What this battery reports as its serial number is the date of production.
    assert expected_values["serial"] == "2024-01-11"
    assert device.serial_number is None
    assert device.sw_version == expected_values["firmware"]


async def test_discovery_after_its_probe_disconnects(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A discovery that waits for a user must not block the phone app."""
    pack = battery()
    peripheral = await bluetooth_env.add_battery(pack)
    adapter = await bluetooth_env.add_adapter()
    await discovered(hass, pack.address)
    await wait_until(lambda: not peripheral.is_connected)
    assert peripheral.is_advertising
    assert adapter.free_slots == adapter.slots


async def test_entry_from_a_discovery_shows_values_without_connecting(
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


async def test_entry_from_an_old_discovery_shows_no_values(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Values an hour old must not be shown as the state."""
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


async def test_discovery_with_the_name_in_the_scan_response_succeeds(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Adapters with active scans receive it."""
    pack = battery()
    await bluetooth_env.add_battery(pack, name_in_scan_response=True)
    await bluetooth_env.add_adapter(mode="active")
    assert (await discovered(hass, pack.address))["step_id"] == "confirm"


@pytest.mark.parametrize("source", [SOURCE_BLUETOOTH, SOURCE_USER])
async def test_flow_with_a_late_scan_response_takes_the_name(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, source: str
) -> None:
    """Proxies forward an advertisement before its scan response."""
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


async def test_discovery_of_an_older_generation_ignores_the_name(
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
async def test_discovery_of_other_brands_names_their_manufacturer(
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


async def test_configured_battery_is_not_discovered_again(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Not in the list of devices either, nor under another name."""
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


async def test_discovery_of_a_configured_battery_aborts_without_waiting(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Others may be probed for minutes meanwhile."""
    pack = battery()
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    await hass.config_entries.async_unload(entry.entry_id)
    info = await bluetooth_env.heard(pack.address, after=hass.loop.time())
    other = battery("idle", name="ZT-1", address="A4:C1:37:00:10:01")
    peripheral = await bluetooth_env.add_battery(other)
    peripheral.faults.drop = FOREVER
    await wait_until(lambda: peripheral.is_connected)
    start = hass.loop.time()
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_BLUETOOTH}, data=info
    )
    assert (result["type"], result["reason"]) == (
        FlowResultType.ABORT,
        "already_configured",
    )
    assert peripheral.is_connected
    assert hass.loop.time() - start < 1


async def test_discovery_of_a_battery_added_while_it_is_probed_aborts(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Home Assistant ends only flows that the user already sees."""
    pack = battery()
    peripheral = await bluetooth_env.add_battery(pack)
    peripheral.reply_latency = 0.5
    await bluetooth_env.add_adapter()
    await wait_until(lambda: peripheral.is_connected)
    MockConfigEntry(
        domain=DOMAIN, unique_id=pack.address, data={CONF_ADDRESS: pack.address}
    ).add_to_hass(hass)
    for _ in range(200):
        await asyncio.sleep(0.1)
        assert not flows(hass)
    assert peripheral.connections == 1


async def test_discovery_in_progress_is_not_repeated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """However often its advertisements are received."""
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


async def test_discovery_of_two_equal_names_creates_two_entries(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Users rename freely, and factories repeat names."""
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


async def test_discoveries_at_once_take_one_connection_slot(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A proxy has three."""
    packs = [
        battery("idle", name=f"ZT-{n}", address=f"A4:C1:37:00:01:0{n}")
        for n in range(8)
    ]
    for pack in packs:
        await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter(slots=1)
    for pack in packs:
        assert (await discovered(hass, pack.address))["step_id"] == "confirm"


# --- discoveries that come to nothing -------------------------------------------------


async def test_discovery_of_another_device_with_a_matching_name_is_not_repeated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It is disconnected, and not connected again."""
    pack = battery("idle", name="ZT-looks-like-it", address="A4:C1:38:00:00:01")
    peripheral = await bluetooth_env.add_battery(pack, profile="jbd")
    adapter = await bluetooth_env.add_adapter()
    await wait_until(lambda: peripheral.connections)
    await asyncio.sleep(4 * FIRST_DELAY)
    assert not flows(hass)
    assert adapter.free_slots == adapter.slots
    # Once more with a cleared service cache, then no more.
    assert peripheral.connections == 2


async def test_jbd_pack_is_not_discovered(
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
async def test_discovery_after_a_temporary_failure_is_repeated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fault: dict[str, int]
) -> None:
    """No action of the user is needed, and not every attempt follows at once."""
    pack = battery()
    peripheral = await bluetooth_env.add_battery(pack)
    for name, count in fault.items():
        setattr(peripheral.faults, name, count)
    adapter = await bluetooth_env.add_adapter()
    await asyncio.sleep(58)
    assert not flows(hass)
    assert adapter.free_slots == adapter.slots
    peripheral.faults.clear()
    await wait_until(lambda: flows(hass, pack.address), 4 * FIRST_DELAY)


async def test_discovery_without_a_free_slot_is_repeated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """When a slot is free again."""
    pack = battery()
    await bluetooth_env.add_battery(pack)
    adapter = await bluetooth_env.add_adapter(slots=0)
    await asyncio.sleep(30)
    assert not flows(hass)
    adapter.slots = 1
    await wait_until(lambda: flows(hass, pack.address), 2 * FIRST_DELAY)


async def discover_in_vain(bluetooth_env: BluetoothEnvironment) -> Peripheral:
    """Return a battery that is heard and never answers."""
    peripheral = await bluetooth_env.add_battery(battery())
    peripheral.faults.drop = FOREVER
    await bluetooth_env.add_adapter()
    return peripheral


async def test_discovery_that_keeps_failing_backs_off(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery that never answers must not be connected every minute."""
    peripheral = await discover_in_vain(bluetooth_env)
    await asyncio.sleep(3600)
    first_hour = peripheral.connections
    await asyncio.sleep(3 * 3600)
    assert first_hour <= 7
    assert peripheral.connections - first_hour <= 4
    assert not flows(hass)


async def test_discovery_of_a_device_that_comes_and_goes_backs_off(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A neighbor's battery, held by a phone now and then, must not fill the proxies."""
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


async def test_discovery_of_more_batteries_than_anyone_has_waits(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A device can pretend to be any number of them, each at another address."""
    monkeypatch.setattr(config_flow, "MAX_OFFERED", 1)
    packs = [battery(address=f"A4:C1:37:00:00:0{number}") for number in (1, 2)]
    for pack in packs:
        await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await wait_until(lambda: flows(hass), FIRST_DELAY)
    await asyncio.sleep(2 * FIRST_DELAY)
    (offered,) = flows(hass)
    ours = [one for one in caplog.records if one.name.startswith("custom_components")]
    assert not [one for one in ours if one.levelno >= logging.INFO]
    hass.config_entries.flow.async_abort(offered["flow_id"])
    await wait_until(lambda: flows(hass), 10 * FIRST_DELAY)
    assert flows(hass)[0]["context"]["unique_id"] != offered["context"]["unique_id"]
