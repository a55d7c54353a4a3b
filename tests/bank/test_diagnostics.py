"""What a user can download about a bank: everything, at any time, nothing private."""

from __future__ import annotations

import json
import re
from typing import Any

from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant

from .harness import BankHarness, async_setup_bank, packs
from .test_entities import PROTECTED
from custom_components.voltgo_vlrv.bank.diagnostics import bank_report
from custom_components.voltgo_vlrv.const import CONF_MEMBERS
from custom_components.voltgo_vlrv.diagnostics import async_get_config_entry_diagnostics
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import settle


async def download(bank: BankHarness) -> dict[str, Any]:
    """Return what is in the file, having checked that nothing private is."""
    text = json.dumps(await async_get_config_entry_diagnostics(bank.hass, bank.entry))
    for address in (battery.address for battery in bank.batteries):
        assert address.lower() not in text.lower()
        assert address.replace(":", "").lower() not in text.lower()
    assert not re.search("(?:[0-9a-fA-F]{2}[:_-]){5}[0-9a-fA-F]{2}", text)
    return dict(json.loads(text))


async def test_diagnostics_of_a_bank_are_complete_and_redacted(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Members have numbers; also when the bank or a member is not set up."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3), inverter=True)
    for battery in bank.batteries[:2]:
        battery.set_reported(current=-20.0)
    bank.batteries[2].set_reported(**PROTECTED, cell_voltages=(3.3, 3.3, 3.3, 2.9))
    for battery in bank.batteries:
        await battery.entry.runtime_data.coordinator.async_refresh()
    await settle(hass)
    await bank.batteries[0].connection.async_release()
    await settle(hass)
    found = await download(bank)
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

    await bank.unload()
    await bank.batteries[1].unload()
    found = await download(bank)
    assert found["bank"] is None
    assert found["members"]["2"]["state"] == "not_loaded"


def test_diagnostics_of_a_bank_name_members_that_were_removed(
    hass: HomeAssistant,
) -> None:
    """Nothing is known of them, and the bank itself may not be set up."""
    addresses = ["A4:C1:37:00:0A:01", "A4:C1:37:00:0A:02"]
    bank = MockConfigEntry(domain="voltgo_vlrv", data={CONF_MEMBERS: addresses})
    removed = {"title": None, "state": None, "disabled_by": None}
    assert bank_report(hass, bank) == {
        "members": {1: removed, 2: removed},
        "bank": None,
    }
