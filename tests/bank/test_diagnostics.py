"""What a user can download about a bank: everything, at any time, nothing private."""

from __future__ import annotations

import json
import re
from typing import Any

from homeassistant.core import HomeAssistant

from .common import async_setup_bank, packs, set_reported, settle
from .test_entities import PROTECTED
from custom_components.voltgo_vlrv.bank.coordinator import BankConfigEntry
from custom_components.voltgo_vlrv.diagnostics import async_get_config_entry_diagnostics
from custom_components.voltgo_vlrv.entries import async_batteries
from tests.bluetooth_env import BluetoothEnvironment


async def download(
    hass: HomeAssistant, bank: BankConfigEntry, addresses: list[str]
) -> dict[str, Any]:
    """Return what is in the file, having checked that nothing private is."""
    text = json.dumps(await async_get_config_entry_diagnostics(hass, bank))
    for address in addresses:
        assert address.lower() not in text.lower()
        assert address.replace(":", "").lower() not in text.lower()
    assert not re.search("(?:[0-9a-fA-F]{2}[:_-]){5}[0-9a-fA-F]{2}", text)
    return dict(json.loads(text))


async def test_diagnostics_of_a_bank_are_complete_and_redacted(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Members have numbers; also when the bank or a member is not set up."""
    trio = packs(3)
    addresses = [pack.address for pack in trio]
    bank = await async_setup_bank(hass, bluetooth_env, trio, inverter=True)
    for pack in trio[:2]:
        set_reported(pack, current=-20.0)
    set_reported(trio[2], **PROTECTED, cell_voltages=(3.3, 3.3, 3.3, 2.9))
    batteries = async_batteries(hass)
    for entry in batteries:
        await entry.runtime_data.coordinator.async_refresh()
    await settle(hass)
    await batteries[0].runtime_data.connection.async_release()
    await settle(hass)
    found = await download(hass, bank, addresses)
    assert found["entry"]["options"] == {"inverter": True}
    assert found["entry"]["data"]["kind"] == "bank"
    assert found["members"]["1"]["presence"] == "released"
    assert found["members"]["1"]["reading"] is None
    third = found["members"]["3"]
    assert third["title"] == "ZT-12.8V100Ah-0003"
    assert third["model"] == "VLRV1280A"
    assert third["presence"] == "reporting"
    assert third["module_id"] == 3
    assert third["reading"]["protected"] is True
    assert third["isolated_for"] >= 0
    assert third["seconds_since_last_sample"] >= 0
    shown = found["bank"]
    assert shown["isolated"] == [3]
    assert (shown["lowest_cell"]["member"], shown["lowest_cell"]["number"]) == (3, 4)
    assert shown["reading"]["reporting"] == 2
    assert shown["reading"]["current"] is None
    assert shown["smoothed_current"] is shown["minutes_to_empty"] is None
    assert shown["minutes_to_full"] is None
    assert set(shown["energy"]) == {"charged", "discharged"}
    assert shown["energy_offset"] == {"charged": 0.0, "discharged": 0.0}

    await hass.config_entries.async_unload(bank.entry_id)
    await hass.config_entries.async_unload(batteries[1].entry_id)
    found = await download(hass, bank, addresses)
    assert found["bank"] is None
    assert found["members"]["2"]["state"] == "not_loaded"
