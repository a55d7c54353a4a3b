"""One bank in a running Home Assistant, as tests use it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from homeassistant.config_entries import SOURCE_USER, ConfigEntry, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er

from custom_components.voltgo_vlrv.bank.coordinator import (
    BankConfigEntry,
    BankCoordinator,
)
from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.battery import SimulatedBattery
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    add_discovered,
    battery,
    enable_entities,
    issues,
    settle,
    wait_until,
)
from tests.harness import BatteryHarness, EntryHarness

MAX_AGE: Final = 61.0  # s after which an unresponsive battery counts as missing


def packs(count: int, **overrides: Any) -> list[SimulatedBattery]:
    """Return batteries of the same model at rest, half full."""
    return [
        battery(
            "idle",
            **{
                "address": f"A4:C1:37:00:0A:0{number}",
                "name": f"ZT-12.8V100Ah-000{number}",
                "module_id": number,
                "state_of_charge": 50.0,
                "seed": number,
                **overrides,
            },
        )
        for number in range(1, count + 1)
    ]


async def async_setup_batteries(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    batteries: list[SimulatedBattery],
) -> list[BatteryHarness]:
    """Add batteries that Home Assistant discovers, and wait until all are read."""
    if not bluetooth_env.adapters:
        await bluetooth_env.add_adapter(slots=9)
    for pack in batteries:
        await bluetooth_env.add_battery(pack)
    result = []
    for pack in batteries:
        entry = await add_discovered(hass, pack.address)
        peripheral = bluetooth_env.peripherals[pack.address]
        added = BatteryHarness(hass, bluetooth_env, pack, peripheral, entry)
        await added.wait_connected(0)
        result.append(added)
    await asyncio.sleep(2)
    return result


async def open_add(hass: HomeAssistant) -> ConfigFlowResult:
    """Open "Add integration"."""
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )


class BankHarness(EntryHarness):
    """A bank that was added: its batteries, its entities, its repair issues."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: BankConfigEntry,
        batteries: list[BatteryHarness],
    ) -> None:
        """Take the bank's entry and the batteries that it began with."""
        self.hass = hass
        self.entry: BankConfigEntry = entry
        self.batteries = batteries

    @property
    def coordinator(self) -> BankCoordinator:
        """Return the bank's coordinator; another one after each setup."""
        return self.entry.runtime_data

    @property
    def device(self) -> dr.DeviceEntry:
        """Return the bank's device, the only one of its entry."""
        registry = dr.async_get(self.hass)
        (device,) = dr.async_entries_for_config_entry(registry, self.entry.entry_id)
        return device

    # Entities

    def entity_id(self, key: str) -> str:
        """Return the entity ID of a key."""
        registry = er.async_get(self.hass)
        unique_id = f"{self.entry.entry_id}_{key}"
        found = registry.async_get_entity_id(
            "sensor", DOMAIN, unique_id
        ) or registry.async_get_entity_id("binary_sensor", DOMAIN, unique_id)
        assert found is not None, key
        return found

    def shown(self, key: str) -> str | None:
        """Return the state of an entity, None if it has none."""
        state = self.hass.states.get(self.entity_id(key))
        return None if state is None else state.state

    def attribute(self, key: str, name: str) -> Any:
        """Return an attribute of an entity."""
        state = self.hass.states.get(self.entity_id(key))
        assert state is not None
        return state.attributes[name]

    @property
    def registered(self) -> dict[str, er.RegistryEntry]:
        """Return what the entity registry holds of the bank, by key."""
        registry = er.async_get(self.hass)
        return {
            item.unique_id.removeprefix(f"{self.entry.entry_id}_"): item
            for item in er.async_entries_for_config_entry(registry, self.entry.entry_id)
        }

    async def enable_all(self) -> None:
        """Enable the entities that are disabled by default."""
        await enable_entities(self.hass, self.entry)

    async def wait_reporting(self, count: int, within: float = 30.0) -> None:
        """Wait until so many batteries report; `within` is in seconds."""
        await wait_until(
            lambda: self.shown("batteries_reporting") == str(count), within
        )

    @property
    def issues(self) -> dict[str, dict[str, str]]:
        """Return the repair issues about banks by their key, with their placeholders."""
        return {
            str(issue.translation_key): issue.translation_placeholders or {}
            for issue in issues(self.hass)
            if issue.issue_id.startswith("bank_")
        }

    # The entry

    @property
    def entries(self) -> list[ConfigEntry[Any]]:
        """Return the entries of the bank and of its batteries."""
        return [self.entry, *(member.entry for member in self.batteries)]

    async def restart(self) -> None:
        """Unload the bank and its batteries, then set all of them up again."""
        for entry in self.entries:
            await self.hass.config_entries.async_unload(entry.entry_id)
        for entry in self.entries:
            assert await self.hass.config_entries.async_setup(entry.entry_id)

    async def reconfigure(self, name: str, members: list[str]) -> ConfigFlowResult:
        """Give the bank another name and other members, by their addresses."""
        result = await self.open_reconfigure()
        result = await self.hass.config_entries.flow.async_configure(
            result["flow_id"], {"name": name, "members": members}
        )
        await settle(self.hass)
        return result

    # Releasing

    async def release(self, **data: Any) -> None:
        """Call the release action on the bank's device."""
        await self.hass.services.async_call(
            DOMAIN,
            "release_connection",
            {"device_id": self.device.id, **data},
            blocking=True,
        )

    async def release_each(self) -> None:
        """Release one battery after the other."""
        for member in self.batteries:
            await member.connection.async_release()
        await settle(self.hass)


async def async_add_bank(
    hass: HomeAssistant, batteries: list[BatteryHarness], *, inverter: bool = False
) -> BankHarness:
    """Add a bank of these batteries by hand."""
    result = await open_add(hass)
    flow = result["flow_id"]
    await hass.config_entries.flow.async_configure(flow, {"next_step_id": "bank"})
    members = [member.address for member in batteries]
    result = await hass.config_entries.flow.async_configure(
        flow, {"name": "House bank", "members": members, "inverter": inverter}
    )
    if result["type"] is FlowResultType.FORM:
        assert (result["step_id"], result["errors"]) == ("join", None)
        result = await hass.config_entries.flow.async_configure(flow, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await settle(hass)
    return BankHarness(hass, result["result"], batteries)


async def async_setup_bank(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    batteries: list[SimulatedBattery],
    *,
    inverter: bool = False,
) -> BankHarness:
    """Return a bank of batteries that were added just now."""
    added = await async_setup_batteries(hass, bluetooth_env, batteries)
    return await async_add_bank(hass, added, inverter=inverter)
