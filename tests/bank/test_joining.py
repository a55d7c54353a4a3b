"""What has to be done before batteries are connected in parallel."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType

from .harness import async_add_bank, async_setup_batteries, open_add, packs
from custom_components.voltgo_vlrv.bank.joining import Candidate, comparison, findings
from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from tests.bluetooth_env import BluetoothEnvironment

INFO = replace(BatteryInfo.from_data(None), cell_count=4, full_capacity=100.0)
TWIN = Candidate("Left", INFO, 50, 13.2)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"state_of_charge": 55, "voltage": 13.3}, []),
        ({"state_of_charge": 56}, ["unequal"]),
        ({"state_of_charge": 44}, ["unequal"]),
        ({"voltage": 13.31}, ["unequal"]),
        ({"info": replace(INFO, full_capacity=200.0)}, ["different"]),
        ({"state_of_charge": None, "voltage": None}, ["unknown"]),
        (
            {"info": replace(INFO, full_capacity=200.0), "voltage": 13.0},
            ["different", "unequal"],
        ),
    ],
)
def test_findings_name_each_difference_that_matters(
    changes: dict[str, Any], found: list[str]
) -> None:
    """Whichever battery is the other one."""
    pair = [TWIN, TWIN._replace(name="Right", **changes)]
    assert findings(pair) == found
    assert findings(pair[::-1]) == found


def test_unknown_battery_does_not_hide_a_difference_of_the_others() -> None:
    """There can be sixteen of them."""
    unread = Candidate("Back", INFO, None, None)
    trio = [TWIN, unread, TWIN._replace(state_of_charge=90)]
    assert findings(trio) == ["unequal", "unknown"]


def test_comparison_shows_what_is_not_known_as_such() -> None:
    """No value is invented."""
    shown = comparison([TWIN, Candidate("Right", INFO, None, None)]).splitlines()
    assert shown[0].startswith("- Left: ")
    assert shown[0].endswith(", 100 Ah, 50%, 13.20 V")
    assert shown[1].endswith(", 100 Ah, ?%, ? V")


async def test_batteries_that_differ_are_shown_before_the_bank_is_added(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """So is one that is added to a bank, but none that is in it."""
    three = packs(3)
    three[1] = packs(2, state_of_charge=20.0)[1]
    added = await async_setup_batteries(hass, bluetooth_env, three)
    flow = hass.config_entries.flow
    result = await open_add(hass)
    await flow.async_configure(result["flow_id"], {"next_step_id": "bank"})
    filled = {
        "name": "House bank",
        "members": [added[0].address, added[1].address],
        "inverter": False,
    }
    result = await flow.async_configure(result["flow_id"], filled)
    assert (result["type"], result["step_id"]) == (FlowResultType.FORM, "join")
    placeholders = result["description_placeholders"]
    assert placeholders is not None
    assert " 50%, 13." in placeholders["batteries"]
    assert " 20%, 1" in placeholders["batteries"]
    assert placeholders["findings"].startswith("- Their states of charge or voltages")
    result = await flow.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.config_entries.async_remove(result["result"].entry_id)

    # Equal ones need no further page.
    bank = await async_add_bank(hass, [added[0], added[2]])
    result = await bank.open_reconfigure()
    members = [pack.address for pack in three]
    both = {"name": "House bank", "members": members}
    result = await flow.async_configure(result["flow_id"], both)
    assert result["step_id"] == "join"
    result = await flow.async_configure(result["flow_id"], {})
    assert result["reason"] == "reconfigure_successful"
    assert bank.entry.data["members"] == members
    # A battery that is taken out is not connected to anything.
    result = await bank.open_reconfigure()
    fewer = {"name": "House bank", "members": members[:2]}
    result = await flow.async_configure(result["flow_id"], fewer)
    assert result["reason"] == "reconfigure_successful"
