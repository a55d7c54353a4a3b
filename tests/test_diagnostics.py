"""What a user can download: everything, at any time, and nothing private."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
import json
import re
import time
from typing import Any

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import (
    get_diagnostics_for_config_entry,
)
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from homeassistant.components.diagnostics import REDACTED
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ConfigEntryNotReady

from .bluetooth_env import BluetoothEnvironment
from .common import battery, wait_until
from .flows.helpers import pick, start_user_flow
from .vlrv.samples import status
from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from custom_components.voltgo_vlrv.diagnostics import (
    _plain,
    async_get_config_entry_diagnostics,
)
from custom_components.voltgo_vlrv.history.diagnostic_log import _LOGS
from custom_components.voltgo_vlrv.history.observations import RegisterObservations
from simulator.battery import status_reply
from simulator.clock import FastClock
from simulator.faults import FOREVER
from tests.common import POLL_INTERVAL, STATUS_READ
from tests.harness import async_setup_battery

SOURCE = "02:00:00:00:00:01"
SERIAL = "4S1240019050000"


async def download(hass: HomeAssistant, entry: VlrvConfigEntry) -> dict[str, Any]:
    """Return what is in the file, having checked that nothing private is."""
    text = json.dumps(await async_get_config_entry_diagnostics(hass, entry))
    address = entry.data["address"]
    digits = address.replace(":", "")
    for secret in (
        address,
        digits,
        address.replace(":", "-"),
        address.replace(":", "_"),
        digits.encode().hex(),
        address.encode().hex(),
        SERIAL,
        SERIAL.encode().hex(),
        SOURCE,
        SOURCE.replace(":", ""),
    ):
        assert secret.lower() not in text.lower()
    assert not re.search("(?:[0-9a-fA-F]{2}[:_-]){5}[0-9a-fA-F]{2}", text)
    return dict(json.loads(text))


def faults_of(found: dict[str, Any]) -> list[str]:
    """Return the events of the connection."""
    return [event["event"] for event in found["trace"]["events"]]


# --- what is in it ----------------------------------------------------------------------


async def test_diagnostics_of_a_connected_battery_contain_everything(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Its values, raw and read, its settings and the state of its connection."""
    pack = battery("driving_load", serial=SERIAL)
    pack.hold = True
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    found = await download(hass, entry)
    shown = found["battery"]
    assert shown["status"]["registers"] == pack.registers(0, 41)
    expected_values = pack.expected_values()
    assert shown["status"]["voltage"] == expected_values["voltage"]
    assert shown["status"]["current"] == expected_values["current"]
    assert shown["status"]["operating_state"] == "discharging"
    assert shown["status"]["warnings"] == {"word": "0x0000", "names": ""}
    assert shown["settings"]["module_id"] == 1
    assert shown["settings"]["protocols"]["can_protocol"] == {
        "selected": 0,
        "names": list(pack.settings.can_protocols),
    }
    assert shown["settings"]["pending"] == {}
    assert shown["connection"]["connected"] is True
    assert shown["connection"]["connects"] == 1
    assert shown["connection"]["signal_strength"] == -60
    health = entry.runtime_data.statistics
    assert shown["statistics"]["samples"] == health.samples > 0
    assert health.last_sample is not None
    assert shown["statistics"]["last_sample"] == health.last_sample.isoformat()
    assert found["entry"]["state"] == "loaded"
    assert found["entry"]["data"]["address"] == REDACTED
    assert found["entry"]["data"]["info"]["serial"] == REDACTED
    assert found["entry"]["data"]["info"]["firmware"] == "Z01T20"
    (adapter,) = found["bluetooth"]["adapters"]
    assert adapter["slots"] == {"total": 3, "free": 2, "battery_connected": True}


async def test_diagnostics_contain_options_faults_and_pending_changes(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With names beside the raw words."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    hass.config_entries.async_update_entry(entry, options={"low_battery": 35})
    await entry.runtime_data.settings.async_set_module_id(4)
    pack.override = replace(
        pack.reported(), protection=0x8008, warning=0x0800, error=0x22
    )
    await asyncio.sleep(POLL_INTERVAL + 1)
    found = await download(hass, entry)
    assert found["entry"]["options"] == {"low_battery": 35}
    assert found["battery"]["settings"]["pending"] == {"module_id": 4}
    shown = found["battery"]["status"]
    assert shown["protections"]["word"] == "0x8008"
    assert "CELL_UNDERVOLTAGE" in shown["protections"]["names"]
    assert shown["warnings"] == {
        "word": "0x0800",
        "names": "DISCHARGE_UNDERTEMPERATURE",
    }
    assert shown["errors"]["word"] == "0x0022"
    assert shown["registers"][26:29] == [0x0800, 0x8008, 0x22]


async def test_diagnostics_contain_the_last_fifty_frames_of_each_direction(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """As they were on the air, with their times."""
    pack = battery("idle")
    pack.hold = True
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    first = (await download(hass, entry))["trace"]
    asked = [entry["frame"] for entry in first["sent"]]
    # What the config flow asked was before the entry.
    assert asked == [write.data.hex() for write in peripheral.writes][-len(asked) :]
    assert {STATUS_READ.hex(), "1002007165"} <= set(asked)
    await asyncio.sleep(60 * POLL_INTERVAL)
    found = (await download(hass, entry))["trace"]
    assert [item["frame"] for item in found["sent"]] == [STATUS_READ.hex()] * 50
    reply = status_reply(pack.registers(0, 41)).hex()
    assert [item["frame"] for item in found["received"]] == [reply] * 50
    sent, received = (
        [datetime.fromisoformat(item["time"]) for item in found[way]]
        for way in ("sent", "received")
    )
    assert all(
        0 <= (answer - question).total_seconds() < 1
        for question, answer in zip(sent, received, strict=True)
    )
    assert (sent[-1] - sent[0]).total_seconds() == pytest.approx(
        49 * POLL_INTERVAL, abs=2
    )
    now = datetime.fromtimestamp(time.time(), UTC)
    assert 0 <= (now - received[-1]).total_seconds() < POLL_INTERVAL + 1


async def test_diagnostics_hours_later_contain_a_rare_fault(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It happens while no user watches."""
    pack = battery("idle")
    pack.hold = True
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    pack.override = replace(pack.reported(), state_of_charge=398)
    await wait_until(lambda: entry.runtime_data.statistics.rejected)
    pack.override = None
    await asyncio.sleep(POLL_INTERVAL)
    await peripheral.stop()
    await asyncio.sleep(2 * 3600)
    await peripheral.start()
    await wait_until(lambda: entry.runtime_data.client.is_connected)
    found = await download(hass, entry)
    events = found["trace"]["events"]
    assert faults_of(found) == [
        "connected",
        "rejected",
        "lost",
        "not_connected",
        "connected",
    ]
    assert events[0]["detail"] == "service 0x1006, adapter proxy-01"
    assert events[1]["detail"] == "state_of_charge"
    assert int(events[1]["frame"][6 + 4 * 24 :][:4], 16) == 398
    # Called every five minutes in the end.
    assert 24 <= events[3]["count"] <= 40


async def test_diagnostics_count_a_secondary_number_that_is_out_of_range(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """State of health of 104 %: unknown by itself, all other values stay."""
    pack = battery("idle")
    pack.hold = True
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, data = harness.entry, harness.entry.runtime_data
    assert data.coordinator.data.state_of_health == 100
    pack.override = replace(pack.reported(), state_of_health=104)
    await wait_until(lambda: data.coordinator.data.state_of_health is None)
    assert data.coordinator.data.cell_count == len(pack.reported().cell_voltages)
    found = (await download(hass, entry))["battery"]
    assert found["connection"]["unknown_fields"]["state_of_health"] >= 1
    assert found["statistics"]["rejected"] == {}


# --- at any time ------------------------------------------------------------------------


async def test_diagnostics_of_a_lost_battery_contain_its_last_status(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nothing of it is lost meanwhile."""
    pack = battery("idle", serial=SERIAL)
    pack.hold = True
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await peripheral.stop()
    await asyncio.sleep(1200)
    found = await download(hass, entry)
    assert found["battery"]["status"]["registers"] == pack.registers(0, 41)
    assert found["battery"]["connection"]["connected"] is False
    assert found["battery"]["connection"]["last_failure"] == "out_of_range"
    assert found["bluetooth"]["advertisement"] is None
    (adapter,) = found["bluetooth"]["adapters"]
    assert adapter["battery_signal_strength"] is None
    assert adapter["slots"]["battery_connected"] is False
    assert found["bluetooth"]["reachability"]
    assert faults_of(found)[-1] == "not_connected"


async def test_diagnostics_number_the_adapters_in_range(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Several adapters are told apart without their addresses."""
    pack = battery("idle", generation=1, serial=SERIAL)
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await bluetooth_env.add_adapter("02:00:00:00:00:02")
    peripheral.faults.refuse_connection = FOREVER
    peripheral.drop_connection()
    await asyncio.sleep(120)
    found = (await download(hass, entry))["bluetooth"]
    assert [adapter["source"] for adapter in found["adapters"]] == [
        "**ADAPTER 1**",
        "**ADAPTER 2**",
    ]
    assert [adapter["name"] for adapter in found["adapters"]] == [
        "proxy-01 (**ADAPTER 1**)",
        "proxy-02 (**ADAPTER 2**)",
    ]
    assert [adapter["battery_signal_strength"] for adapter in found["adapters"]] == [
        *(-60, -60)
    ]
    heard = found["advertisement"]
    assert heard["source"] in {"**ADAPTER 1**", "**ADAPTER 2**"}
    assert heard["name"] == pack.name
    assert heard["manufacturer_data"] == [REDACTED]
    assert 0 <= heard["seconds_ago"] < 60


async def test_diagnostics_of_an_unloaded_entry_contain_the_trace(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Unloading is what users try first."""
    pack = battery("idle", serial=SERIAL)
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    before = await download(hass, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    found = await download(hass, entry)
    assert found["entry"]["state"] == "not_loaded"
    assert found["battery"] is None
    assert found["trace"]["received"] == before["trace"]["received"]
    assert faults_of(found) == ["connected", "disconnected"]
    assert found["observations"] == before["observations"]
    assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_until(lambda: entry.runtime_data.client.is_connected)
    found = await download(hass, entry)
    assert faults_of(found) == ["connected", "disconnected", "connected"]


async def test_diagnostics_of_a_failed_setup_contain_the_reason(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That is when it is asked for."""
    pack = battery("idle", serial=SERIAL)
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    before = await download(hass, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)

    async def fail(*_: Any) -> None:
        raise ConfigEntryNotReady(f"{pack.address} is haunted")

    monkeypatch.setattr("custom_components.voltgo_vlrv.async_load_translations", fail)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    found = await download(hass, entry)
    assert found["entry"]["state"] == "setup_retry"
    assert found["entry"]["reason"] == f"{REDACTED} is haunted"
    assert found["battery"] is None
    assert len(found["bluetooth"]["adapters"]) == 1
    assert found["observations"] == before["observations"]


async def test_diagnostics_of_a_disabled_entry_contain_what_is_stored(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One that is switched off, after a restart."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    before = await download(hass, entry)
    assert await hass.config_entries.async_unload(entry.entry_id)
    hass.data.pop(_LOGS)
    found = await download(hass, entry)
    assert found["observations"] == before["observations"]
    assert before["observations"]["registers"][0]["values"]
    assert found["trace"] == {"sent": [], "received": [], "events": []}


async def test_diagnostics_without_a_sample_work(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A battery that was never heard again."""
    pack = battery("idle")
    info = BatteryInfo.from_probe(pack.name, status(), None)
    entry = MockConfigEntry(
        domain=DOMAIN,
        title=pack.name,
        unique_id=pack.address,
        data={"address": pack.address, "info": info.as_data()},
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await asyncio.sleep(POLL_INTERVAL)
    found = await download(hass, entry)
    assert found["battery"]["status"] is None
    assert found["battery"]["connection"]["last_failure"] == "no_bluetooth"
    assert found["bluetooth"]["adapters"] == []
    assert not any(item["values"] for item in found["observations"]["registers"])


async def test_diagnostics_without_bluetooth_work(hass: HomeAssistant) -> None:
    """That may be the reason for the report."""
    entry = MockConfigEntry(
        domain=DOMAIN,
        unique_id="A4:C1:37:00:00:01",
        data={"address": "A4:C1:37:00:00:01"},
    )
    entry.add_to_hass(hass)
    found = await download(hass, entry)
    assert found["bluetooth"] is found["battery"] is None


# Access tokens are checked against the clock of the machine.
@pytest.mark.parametrize("start", [None])
async def test_diagnostics_are_offered_by_home_assistant(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    fast_clock: FastClock,
    hass_client: ClientSessionGenerator,
) -> None:
    """Through its own door."""
    pack = battery("idle")
    pack.hold = True
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    with fast_clock.hold():
        found = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    assert found["battery"]["status"]["registers"] == pack.registers(0, 41)
    assert pack.address not in json.dumps(found)


# --- observations -----------------------------------------------------------------------


async def test_diagnostics_contain_observations_for_an_open_question(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Long after: which bit it was, when, and what the battery was doing."""
    pack = battery("idle")
    pack.hold = True
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    pack.override = replace(
        pack.reported(), warning=0x0400, current=42.0, probe_temperatures=(-2, -1)
    )
    moment = time.time()
    await asyncio.sleep(2 * POLL_INTERVAL)
    pack.override = None
    await asyncio.sleep(2 * 3600)
    found = await download(hass, entry)
    (warnings,) = (
        item for item in found["observations"]["registers"] if item["register"] == 26
    )
    assert warnings["why"]
    usual, rare = warnings["values"]
    assert (usual["value"], rare["value"]) == ("0x0000", "0x0400")
    assert rare["count"] == 2
    assert (
        0 <= datetime.fromisoformat(rare["first"]).timestamp() - moment <= POLL_INTERVAL
    )
    assert rare["first_context"]["current"] == 42.0
    assert rare["first_context"]["probes"][:2] == [-2, -1]
    assert rare["first_context"]["max_temperature"] == -1


# --- nothing private ----------------------------------------------------------------------


async def test_diagnostics_of_a_battery_named_like_its_address_hide_both(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """In the frame that sets the name, in texts, and as a change that is pending."""
    pack = battery("idle", serial=SERIAL)
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    for name in (pack.address, pack.address.replace(":", "").lower()):
        await entry.runtime_data.settings.async_set_name(name)
        found = await download(hass, entry)
        frames = [item["frame"] for item in found["trace"]["sent"]]
        assert any(frame.startswith("1009") and REDACTED in frame for frame in frames)
        assert found["battery"]["settings"]["pending"] == {"bluetooth_name": REDACTED}


async def test_diagnostics_of_a_battery_named_like_its_serial_number_hide_both(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Some boards advertise their serial number, under a key that is not secret."""
    pack = battery("idle", name=SERIAL, serial=SERIAL)
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await bluetooth_env.heard(pack.address)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    result = await hass.config_entries.flow.async_configure(result["flow_id"], {})
    await hass.async_block_till_done()
    entry = result["result"]
    await wait_until(lambda: entry.runtime_data.client.is_connected)
    await entry.runtime_data.settings.async_set_name(f"RV {SERIAL}"[:18])
    found = await download(hass, entry)
    assert found["entry"]["title"] == REDACTED
    assert found["entry"]["data"]["info"]["name"] == REDACTED
    assert found["bluetooth"]["advertisement"]["name"] == REDACTED


async def test_diagnostics_of_a_battery_named_by_a_user_hide_the_names(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A personal name may be in the title, on the air, and pending."""
    pack = battery("idle", serial=SERIAL)
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    hass.config_entries.async_update_entry(entry, title="Anna's boat")
    await entry.runtime_data.settings.async_set_name("Anna")
    found = await download(hass, entry)
    assert found["entry"]["title"] == "**NAME 1**"
    assert found["battery"]["settings"]["pending"] == {"bluetooth_name": "**NAME 2**"}
    assert found["bluetooth"]["advertisement"]["name"] == pack.name
    text = json.dumps(found)
    assert "Anna" not in text
    assert b"Anna".hex() not in text


@pytest.mark.parametrize("title", ["VLRV A442", "ZT-12.8V100Ah-0001 (A442)"])
async def test_diagnostics_with_the_end_of_the_address_in_the_title_hide_it(
    hass: HomeAssistant, title: str
) -> None:
    """Users write it into names, as it is on the screen while they add a battery."""
    address = "A4:C1:37:00:A4:42"
    entry = MockConfigEntry(
        domain=DOMAIN,
        title=title,
        unique_id=address,
        data={"address": address, "info": {"name": title}},
    )
    entry.add_to_hass(hass)
    found = await download(hass, entry)
    hidden = title.replace("A442", REDACTED)
    assert found["entry"]["title"] == hidden
    assert found["entry"]["data"]["info"]["name"] == hidden


def test_plain_of_any_value_is_json() -> None:
    """Whatever is added to the data one day."""
    thing = object()
    assert _plain(
        {
            1: {2},
            "raw": b"\x01\xff",
            "when": datetime(2026, 1, 2, tzinfo=UTC),
            "o": thing,
        }
    ) == {"1": [2], "raw": "01ff", "when": "2026-01-02T00:00:00+00:00", "o": str(thing)}


async def test_diagnostics_at_worst_stay_small(hass: HomeAssistant) -> None:
    """They are attached to an issue, sometimes from an RV."""
    observations = RegisterObservations(hass, "x")
    for number in range(40):
        raw = dict.fromkeys((19, 22, 26, 27, 28, 29, 30, 38, 39, 40), number)
        observations.add(status({**raw, 25: number << 8}), float(number))
    assert len(json.dumps(observations.as_dict())) < 600_000
