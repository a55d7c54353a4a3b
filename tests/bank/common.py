"""Banks for tests."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigEntry, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import device_registry as dr, entity_registry as er

from custom_components.voltgo_vlrv.bank.coordinator import BankConfigEntry
from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.battery import SimulatedBattery
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, add_discovered, battery, flows, wait_until

AGE = 61.0  # s after which a silent battery counts as missing


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


def set_reported(pack: SimulatedBattery, **values: Any) -> None:
    """Have a battery report something else, and stay with it."""
    pack.override = replace(pack.reported(), **values)


async def add_batteries(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    batteries: list[SimulatedBattery],
) -> None:
    """Add batteries that Home Assistant discovers, and wait until all are read."""
    if not bluetooth_env.adapters:
        await bluetooth_env.add_adapter(slots=9)
    for pack in batteries:
        await bluetooth_env.add_battery(pack)
    for pack in batteries:
        entry = await add_discovered(hass, pack.address)
        await wait_until(lambda entry=entry: entry.runtime_data.client.is_connected)
    await asyncio.sleep(2)


def offers(hass: HomeAssistant) -> list[Any]:
    """Return the offers of a bank, as a person sees them."""
    return [
        flow
        for flow in flows(hass)
        if flow["context"]["source"] == "integration_discovery"
    ]


async def open_add(hass: HomeAssistant) -> ConfigFlowResult:
    """Open "Add integration"."""
    return await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": SOURCE_USER}
    )


async def add_bank(
    hass: HomeAssistant, members: list[str], *, inverter: bool = False
) -> BankConfigEntry:
    """Add a bank by hand."""
    result = await open_add(hass)
    flow = result["flow_id"]
    await hass.config_entries.flow.async_configure(flow, {"next_step_id": "bank"})
    result = await hass.config_entries.flow.async_configure(
        flow, {"name": "House bank", "members": members, "inverter": inverter}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    await settle(hass)
    return result["result"]


async def async_setup_bank(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    batteries: list[SimulatedBattery],
    *,
    inverter: bool = False,
) -> BankConfigEntry:
    """Return a bank of batteries that were added just now."""
    await add_batteries(hass, bluetooth_env, batteries)
    return await add_bank(hass, [pack.address for pack in batteries], inverter=inverter)


async def settle(hass: HomeAssistant) -> None:
    """Let everything that is due happen."""
    await hass.async_block_till_done()
    await asyncio.sleep(0.1)


async def wait_for_poll() -> None:
    """Let each battery be polled once more at least."""
    # One that was just given another beat among the others waits half as long again.
    await asyncio.sleep(1.5 * POLL_INTERVAL + 2)


def entity(bank: BankConfigEntry, hass: HomeAssistant, key: str) -> str:
    """Return the entity of a bank by its key."""
    registry = er.async_get(hass)
    found = next(
        entity_id
        for platform in ("sensor", "binary_sensor")
        if (
            entity_id := registry.async_get_entity_id(
                platform, DOMAIN, f"{bank.entry_id}_{key}"
            )
        )
    )
    assert isinstance(found, str)
    return found


def shown(bank: BankConfigEntry, hass: HomeAssistant, key: str) -> str | None:
    """Return the state of a bank's entity by its key, None when it has none."""
    state = hass.states.get(entity(bank, hass, key))
    return None if state is None else state.state


def attribute(bank: BankConfigEntry, hass: HomeAssistant, key: str, name: str) -> Any:
    """Return an attribute of a bank's entity by its key."""
    state = hass.states.get(entity(bank, hass, key))
    assert state is not None
    return state.attributes[name]


def device_of_bank(hass: HomeAssistant, bank: BankConfigEntry) -> dr.DeviceEntry:
    """Return the bank's device, the only one of its entry."""
    (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), bank.entry_id)
    return device


async def enable(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Switch on what is off by default, of a bank or a battery."""
    registry = er.async_get(hass)
    for item in er.async_entries_for_config_entry(registry, entry.entry_id):
        registry.async_update_entity(item.entity_id, disabled_by=None)
    await hass.config_entries.async_reload(entry.entry_id)
    await settle(hass)
