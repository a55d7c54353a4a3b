"""When a bank is discovered: batteries that are known by their entries only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest.mock import Mock

from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.bank.discovery import (
    CONF_DISMISSED,
    async_dismiss,
    async_update_discovery,
)
from custom_components.voltgo_vlrv.bank.member import BankMember
from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from custom_components.voltgo_vlrv.const import (
    CONF_INFO,
    CONF_KIND,
    CONF_MEMBERS,
    DOMAIN,
    KIND_BANK,
)
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import flows, settle

SMALL, LARGE = 100.0, 200.0  # Ah; two models with four cells each


def add_batteries(
    hass: HomeAssistant, capacities: Sequence[float]
) -> list[MockConfigEntry]:
    """Add the entries of batteries of these capacities."""
    entries = []
    for number, capacity in enumerate(capacities):
        address = f"A4:C1:37:00:00:0{number}"
        info = BatteryInfo(f"ZT-12.8V-{number}", 4, capacity)
        entry = MockConfigEntry(
            domain=DOMAIN,
            title=info.name,
            unique_id=address,
            data={"address": address, CONF_INFO: info.as_data()},
        )
        entry.add_to_hass(hass)
        entries.append(entry)
    return entries


def add_bank(
    hass: HomeAssistant, members: Sequence[MockConfigEntry]
) -> MockConfigEntry:
    """Add the entry of a bank that was made by hand."""
    addresses = [member.unique_id for member in members]
    bank = MockConfigEntry(
        domain=DOMAIN,
        title="House bank",
        unique_id="bank_01HOUSE",
        data={CONF_KIND: KIND_BANK, CONF_MEMBERS: addresses},
    )
    bank.add_to_hass(hass)
    return bank


def offered(hass: HomeAssistant) -> list[Any]:
    """Return the models of the banks that are discovered."""
    return sorted(flow["context"]["unique_id"] for flow in flows(hass))


async def test_dismissed_bank_dismisses_its_models_only(hass: HomeAssistant) -> None:
    """Batteries of another model may still become a bank."""
    batteries = add_batteries(hass, [SMALL, SMALL, SMALL, LARGE])
    async_dismiss(hass, add_bank(hass, batteries[:2]))
    dismissed = [entry.data.get(CONF_DISMISSED, False) for entry in batteries]
    assert dismissed == [True, True, True, False]


async def test_bank_that_is_set_up_ends_the_discovery_of_its_members(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A bank of two models takes one of the two batteries of a discovered bank."""
    batteries = add_batteries(hass, [SMALL, SMALL, LARGE])
    await hass.config_entries.async_setup(batteries[0].entry_id)
    await settle(hass)
    assert offered(hass) == ["bank_VLRV1280A"]
    (flow,) = flows(hass)
    async_update_discovery(hass)
    await settle(hass)
    assert [each["flow_id"] for each in flows(hass)] == [flow["flow_id"]]
    bank = add_bank(hass, batteries[1:])
    await hass.config_entries.async_setup(bank.entry_id)
    await settle(hass)
    assert offered(hass) == []


def test_member_that_is_not_loaded_is_known_from_its_entry(
    hass: HomeAssistant,
) -> None:
    """Checks of the bank need its capacity, whether it is loaded or not."""
    (entry,) = add_batteries(hass, [LARGE])
    member = BankMember(str(entry.unique_id), entry.title, entry)
    assert member.info == BatteryInfo(entry.title, 4, LARGE)
    assert member.snapshot(None).info == member.info
    assert BankMember("A4:C1:37:00:00:09", "gone").info is None


def test_member_without_its_subscription_forgets_the_battery() -> None:
    """Listeners of the battery and of its connection are removed, once."""
    member = BankMember("A4:C1:37:00:00:00", "first")
    battery, listener = Mock(), Mock()
    member.subscribe(battery, listener)
    member.subscribe(battery, listener)
    battery.coordinator.async_add_listener.assert_called_once_with(listener)
    battery.connection.async_add_listener.assert_called_once_with(listener)
    member.unsubscribe()
    member.unsubscribe()
    battery.coordinator.async_add_listener.return_value.assert_called_once_with()
    battery.connection.async_add_listener.return_value.assert_called_once_with()
    assert member.battery is None


async def test_member_that_left_a_bank_is_unsubscribed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The bank is not recalculated for a battery that it does not have."""
    batteries = add_batteries(hass, [SMALL, SMALL, SMALL])
    bank = add_bank(hass, batteries)
    await hass.config_entries.async_setup(bank.entry_id)
    await settle(hass)
    coordinator = bank.runtime_data
    gone = coordinator.members[batteries[2].unique_id]
    assert gone.battery is not None
    members = [entry.unique_id for entry in batteries[:2]]
    hass.config_entries.async_update_entry(
        bank, data={**bank.data, CONF_MEMBERS: members}
    )
    await settle(hass)
    assert gone.battery is None
    assert list(coordinator.members) == members
