"""A real Home Assistant on a simulated clock, with the two batteries of the month."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from homeassistant.components import bluetooth
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from script.benchmarks.environment import open_home_assistant

from .pack import Truth, WitnessedBattery
from .plan import DAYS, LABEL, OPTIONS, START
from custom_components.voltgo_vlrv.care_sensor import (
    CARE_SENSORS,
    MARGIN_SENSORS,
    STORAGE_ADVICE,
)
from custom_components.voltgo_vlrv.const import DOMAIN
from simulator.adapter import VirtualAdapter
from simulator.clock import DAY, FastClock
from simulator.peripheral import Peripheral
from simulator.radio import RadioMedium

ADAPTER: Final = "02:00:00:00:00:02"
ADVERTISING: Final = 5.0  # s; seldom, as each costs time while a battery is stored
LOOK: Final = 1.0  # s
ENABLING: Final = 31.0  # s; Home Assistant reloads what was enabled after 30
SETTLED: Final = 60.0  # s

COMPARED: Final = frozenset(
    (
        *(sensor.key for sensor in CARE_SENSORS),
        *(sensor.key for sensor in MARGIN_SENSORS),
        STORAGE_ADVICE.key,
        *("charging_allowed", "discharging_allowed", "time_to_reserve"),
        *("maintenance", "usage"),
    )
)
"""Entities that are enabled, as their owner does; most of them are off at first."""

type Entry = ConfigEntry[Any]


class MonthEnvironment:
    """Home Assistant, both batteries and their bank."""

    def __init__(self, hass: HomeAssistant, clock: FastClock) -> None:
        """Prepare; `start` adds the batteries."""
        self.hass = hass
        self._clock = clock
        self.packs = [
            WitnessedBattery(
                lambda: clock.now + clock.epoch,
                cell_count=4,
                capacity=LABEL,
                temperature=21.0,
                **options,
            )
            for options in OPTIONS
        ]
        self.entries: list[Entry] = []
        self.bank: Entry | None = None
        self._entity_ids: dict[str, str] = {}
        self._medium = RadioMedium()

    async def start(self) -> None:
        """Switch everything on, add both batteries and their bank, enable what is compared."""
        adapter = VirtualAdapter(self._medium, ADAPTER, "adapter", slots=3)
        await adapter.attach(partial(bluetooth.async_register_scanner, self.hass))
        for pack in self.packs:
            peripheral = Peripheral(
                self._medium, pack, advertising_interval=ADVERTISING
            )
            await peripheral.start()
            pack.update()
            pack.truth = Truth()
            flow = await self._flow("confirm", pack.address)
            result = await self.hass.config_entries.flow.async_configure(flow, {})
            self.entries.append(result["result"])
        flow = await self._flow("bank", None)
        configure = self.hass.config_entries.flow.async_configure
        result = await configure(
            flow,
            {
                "name": "House",
                "members": [pack.address for pack in self.packs],
                "inverter": False,
            },
        )
        if result["type"] != "create_entry":
            result = await configure(flow, {})
        self.bank = result["result"]
        registry = er.async_get(self.hass)
        for entity in list(registry.entities.values()):
            if (
                entity.disabled_by is not None
                and entity.platform == DOMAIN
                and entity.unique_id.partition("_")[2] in COMPARED
            ):
                registry.async_update_entity(entity.entity_id, disabled_by=None)
        await asyncio.sleep(ENABLING + SETTLED)
        self._entity_ids = {
            entity.unique_id: entity.entity_id
            for entity in registry.entities.values()
            if entity.platform == DOMAIN
        }

    async def _flow(self, step: str, unique_id: str | None) -> str:
        """Wait for what is discovered, and return the ID of its flow."""
        flows = self.hass.config_entries.flow
        async with asyncio.timeout(300):
            while True:
                for flow in flows.async_progress_by_handler(DOMAIN):
                    if flow["step_id"] == step and (
                        unique_id in (None, flow["context"].get("unique_id"))
                    ):
                        return flow["flow_id"]
                await asyncio.sleep(LOOK)

    @property
    def unix_time(self) -> float:
        """Return the simulated time as Home Assistant knows it, s."""
        return self._clock.now + self._clock.epoch

    # --- what Home Assistant shows ----------------------------------------------------

    def entity_id(self, entry: Entry, key: str) -> str:
        """Return the entity of a battery or a bank."""
        identifier = entry.entry_id if entry is self.bank else entry.unique_id
        return self._entity_ids[f"{identifier}_{key}"]

    def state(self, entry: Entry, key: str) -> str:
        """Return the state of an entity."""
        state = self.hass.states.get(self.entity_id(entry, key))
        return "missing" if state is None else state.state

    def attribute(self, entry: Entry, key: str, name: str) -> Any:
        """Return an attribute of an entity."""
        state = self.hass.states.get(self.entity_id(entry, key))
        return None if state is None else state.attributes.get(name)

    def is_charge_asked_for(self, entry: Entry) -> bool:
        """Return whether the notice to charge fully is there."""
        issues = ir.async_get(self.hass)
        issue_id = f"full_charge_needed_{entry.entry_id}"
        return issues.async_get_issue(DOMAIN, issue_id) is not None

    def set_options(self, entry: Entry, **options: Any) -> None:
        """Change options of an entry as its form does."""
        if {**entry.options, **options} != entry.options:
            self.hass.config_entries.async_update_entry(
                entry, options={**entry.options, **options}
            )

    async def act(
        self, domain: str, action: str, entity_id: str, **data: Any
    ) -> dict[str, Any]:
        """Perform an action, and return its response for the entity."""
        has_response = domain == DOMAIN or action == "get_items"
        response = await self.hass.services.async_call(
            domain,
            action,
            {"entity_id": entity_id, **data},
            blocking=True,
            return_response=has_response,
        )
        return cast("dict[str, Any]", response[entity_id]) if response else {}


@asynccontextmanager
async def open_environment(folder: Path) -> AsyncGenerator[MonthEnvironment]:
    """Start Home Assistant on a simulated clock, in an empty folder."""
    with FastClock(limit=(DAYS + 3) * DAY, start=START) as clock:
        with clock.hold():
            context = open_home_assistant(folder, with_recorder=False)
            hass = await context.__aenter__()
        try:
            environment = MonthEnvironment(hass, clock)
            await environment.start()
            yield environment
        finally:
            await context.__aexit__(None, None, None)
