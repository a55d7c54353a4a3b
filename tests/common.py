"""Steps that several tests take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import time
from typing import Any, Final

import pytest

from homeassistant.config_entries import ConfigEntry, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)

from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from simulator.battery import SimulatedBattery, preset
from simulator.faults import FOREVER
from simulator.peripheral import Peripheral

POLL_INTERVAL: Final = 10.0  # s, the default
STATUS_READ: Final = bytes.fromhex("0103000000298414")
STEP: Final = 0.05  # s of simulated time between two checks


def battery(name: str = "driving_load", /, **overrides: Any) -> SimulatedBattery:
    """Return a simulated battery whose physics follow the simulated time."""
    return preset(name, clock=time.monotonic, **overrides)


async def wait_until(condition: Callable[[], object], within: float = 30.0) -> None:
    """Let simulated time pass until the condition holds; `within` is in seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(max(STEP, within / 1000))


async def hold_by_other_device(peripheral: Peripheral) -> None:
    """Let another device hold the battery, until the next poll tries to connect."""
    peripheral.faults.refuse_connection = FOREVER
    peripheral.drop_connection()
    await asyncio.sleep(12)


def flows(hass: HomeAssistant, address: str | None = None) -> list[Any]:
    """Return our config flows in progress, as a user sees them."""
    return [
        flow
        for flow in hass.config_entries.flow.async_progress_by_handler(DOMAIN)
        if address is None or flow["context"].get("unique_id") == address
    ]


async def discovered(hass: HomeAssistant, address: str) -> Any:
    """Return the flow of a discovered battery, waiting for it."""
    await wait_until(lambda: flows(hass, address))
    return flows(hass, address)[0]


async def add_discovered(hass: HomeAssistant, address: str) -> VlrvConfigEntry:
    """Add a battery that Home Assistant discovers, as a user does."""
    flow = await discovered(hass, address)
    result = await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    return result["result"]


async def finish_progress(
    hass: HomeAssistant, result: ConfigFlowResult
) -> ConfigFlowResult:
    """Wait at a progress screen, as the frontend does, and return what follows."""
    while result["type"] is FlowResultType.SHOW_PROGRESS:
        flow = hass.config_entries.flow._progress[result["flow_id"]]
        task = flow.async_get_progress_task()
        assert task is not None
        await asyncio.wait({task})
        await asyncio.sleep(0)
        result = await hass.config_entries.flow.async_configure(result["flow_id"])
    return result


def entity_id(
    hass: HomeAssistant, address: str, key: str, platform: str = "sensor"
) -> str:
    """Return the entity of a battery by its key."""
    found = er.async_get(hass).async_get_entity_id(platform, DOMAIN, f"{address}_{key}")
    assert found is not None, key
    return found


def device_of(hass: HomeAssistant, address: str) -> dr.DeviceEntry:
    """Return the device of a battery: the only one of its entry."""
    (entry,) = (
        entry
        for entry in hass.config_entries.async_entries(DOMAIN)
        if entry.unique_id == address
    )
    (device,) = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return device


def value(
    hass: HomeAssistant, address: str, key: str, platform: str = "sensor"
) -> str | None:
    """Return the state of a battery's entity by its key, None when it has none."""
    state = hass.states.get(entity_id(hass, address, key, platform))
    return None if state is None else state.state


async def set_options(
    hass: HomeAssistant, entry: VlrvConfigEntry, **wanted: Any
) -> None:
    """Change general options as a user does; the others stay as they are."""
    result = await hass.config_entries.options.async_init(entry.entry_id)
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"next_step_id": "general"}
    )
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {**suggested(result), **wanted}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY, result


def suggested(form: ConfigFlowResult) -> dict[str, Any]:
    """Return what the fields of a form hold when it opens."""
    schema = form["data_schema"]
    assert schema is not None
    return {
        str(field): field.description["suggested_value"]
        for field in schema.schema
        if field.description and "suggested_value" in field.description
    }


def issues(hass: HomeAssistant, key: str | None = None) -> list[ir.IssueEntry]:
    """Return our repair issues, or those with a certain text."""
    return [
        issue
        for issue in ir.async_get(hass).issues.values()
        if issue.domain == DOMAIN
        and issue.active
        and key in (None, issue.translation_key)
    ]


def log_lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    """Return what the integration has logged at a level or above."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= level and record.name.startswith("custom_components")
    ]


async def enable_all(hass: HomeAssistant, address: str) -> None:
    """Switch on what is off by default."""
    registry = er.async_get(hass)
    (entry,) = (
        entry
        for entry in hass.config_entries.async_entries(DOMAIN)
        if entry.unique_id == address
    )
    for entity in er.async_entries_for_config_entry(registry, entry.entry_id):
        registry.async_update_entity(entity.entity_id, disabled_by=None)
    # Home Assistant reloads the entry by itself half a minute later.
    await asyncio.sleep(31)
    await wait_until(lambda: entry.runtime_data.coordinator.data is not None)
    await asyncio.sleep(1)


async def settle(hass: HomeAssistant) -> None:
    """Let everything happen that is due."""
    await hass.async_block_till_done()
    await asyncio.sleep(0.1)


async def wait_for_poll() -> None:
    """Let each battery be polled at least once more."""
    # A battery whose poll phase just moved waits half as long again.
    await asyncio.sleep(1.5 * POLL_INTERVAL + 2)


async def enable_entities(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Enable what is disabled by default, of a bank or a battery, and reload it."""
    registry = er.async_get(hass)
    for item in er.async_entries_for_config_entry(registry, entry.entry_id):
        registry.async_update_entity(item.entity_id, disabled_by=None)
    await hass.config_entries.async_reload(entry.entry_id)
    await settle(hass)
