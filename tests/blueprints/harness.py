"""An RV with one battery, some switches, and a user of the blueprints."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
import shutil
from typing import Any, Final
from unittest.mock import patch

from homeassistant.components import automation, persistent_notification
from homeassistant.const import SERVICE_RELOAD
from homeassistant.core import (
    DOMAIN as HOMEASSISTANT,
    CoreState,
    HomeAssistant,
    ServiceCall,
)
from homeassistant.setup import async_setup_component

from simulator.battery import SimulatedBattery
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import add_discovered, enable_all, entity_id, wait_until

ROOT: Final = Path(__file__).parents[2]
BLUEPRINTS: Final = ROOT / "blueprints" / "automation" / "voltgo_vlrv"
FILES: Final = sorted(BLUEPRINTS.glob("*.yaml"))

MINUTE: Final = 60.0  # s
HOUR: Final = 60 * MINUTE
# So long it takes at most until what is asked each minute is known.
SOON: Final = MINUTE + 2
# The battery is read less often than usual, so that hours pass quickly.
OPTIONS: Final = {"interval": 60, "max_age": 120, "connection": "keep"}

SWITCHES: Final = ("charger", "generator", "boiler", "shore", "memory")
PHONE: Final = "notify.phone"


class ScenarioHarness:
    """A Home Assistant with a few switches, a phone, and automations."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Take a Home Assistant; `set_up` does the rest."""
        self.hass = hass
        self.messages: list[str] = []
        self.automations: list[dict[str, Any]] = []

    async def set_up(self) -> None:
        """Copy the blueprints by hand, as the README says, and make the switches."""
        await self.hass.async_add_executor_job(
            shutil.copytree,
            BLUEPRINTS,
            Path(self.hass.config.path("blueprints", "automation", "voltgo_vlrv")),
        )
        for domain in (HOMEASSISTANT, persistent_notification.DOMAIN):
            assert await async_setup_component(self.hass, domain, {})
        assert await async_setup_component(
            self.hass,
            "input_boolean",
            {"input_boolean": {name: {"initial": False} for name in SWITCHES}},
        )
        assert await async_setup_component(self.hass, "automation", {"automation": []})

        async def deliver(call: ServiceCall) -> None:
            assert call.data["entity_id"] == [PHONE]
            self.messages.append(call.data["message"])

        self.hass.services.async_register("notify", "send_message", deliver)

    async def automate(self, blueprint: str, **inputs: Any) -> None:
        """Make an automation of a blueprint; `inputs` are what the form asks for."""
        self.automations.append(
            {
                "id": blueprint,
                "alias": blueprint,
                "use_blueprint": {
                    "path": f"voltgo_vlrv/{blueprint}.yaml",
                    "input": inputs,
                },
            }
        )
        await self._load(self.automations)
        state = self.hass.states.get(f"automation.{blueprint}")
        assert state is not None
        # Where the inputs do not fit, Home Assistant keeps it as unavailable.
        assert state.state == "on"

    async def _load(self, automations: list[dict[str, Any]]) -> None:
        with patch(
            "homeassistant.config.load_yaml_config_file",
            return_value={automation.DOMAIN: automations},
        ):
            await self.hass.services.async_call(
                automation.DOMAIN, SERVICE_RELOAD, blocking=True
            )
        # Not until all is done: an automation that has begun may take a day.
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Let Home Assistant stop: what runs is forgotten."""
        await self._load([])
        self.hass.set_state(CoreState.not_running)

    async def close(self) -> None:
        """Remove the automations, and with them their timers."""
        await self._load([])

    async def start(self) -> None:
        """Let Home Assistant start again."""
        await self._load(self.automations)
        await self.hass.async_start()
        assert self.hass.state is CoreState.running

    async def switch(self, name: str, state: str) -> None:
        """Switch something by hand."""
        await self.hass.services.async_call(
            "input_boolean",
            f"turn_{state}",
            {"entity_id": f"input_boolean.{name}"},
            blocking=True,
        )

    def is_on(self, name: str) -> bool:
        """Return whether one of the switches is on."""
        state = self.hass.states.get(f"input_boolean.{name}")
        assert state is not None
        return state.state == "on"

    def shown_here(self) -> dict[str, str]:
        """Return the messages under the bell, by their titles."""
        notes = persistent_notification._async_get_or_create_notifications(self.hass)
        return {str(note["title"]): note["message"] for note in notes.values()}


class BatteryScenarioHarness(ScenarioHarness):
    """The same with a battery on the virtual radio."""

    def __init__(
        self,
        hass: HomeAssistant,
        bluetooth_env: BluetoothEnvironment,
        pack: SimulatedBattery,
        peripheral: Peripheral,
    ) -> None:
        """Take what there is."""
        super().__init__(hass)
        self.bluetooth_env = bluetooth_env
        self.pack = pack
        self.peripheral = peripheral

    @classmethod
    async def with_battery(
        cls,
        hass: HomeAssistant,
        bluetooth_env: BluetoothEnvironment,
        pack: SimulatedBattery,
    ) -> BatteryScenarioHarness:
        """Add a battery that reports what `report` says."""
        pack.hold = True
        peripheral = await bluetooth_env.add_battery(pack)
        await bluetooth_env.add_adapter()
        entry = await add_discovered(hass, pack.address)
        hass.config_entries.async_update_entry(entry, options=OPTIONS)
        rv = cls(hass, bluetooth_env, pack, peripheral)
        await rv.set_up()
        return rv

    def entity(self, key: str, platform: str = "sensor") -> str:
        """Return an entity of the battery."""
        return entity_id(self.hass, self.pack.address, key, platform)

    def shows(self, key: str, platform: str = "sensor") -> str:
        """Return the state of an entity of the battery."""
        state = self.hass.states.get(self.entity(key, platform))
        assert state is not None
        return state.state

    async def enable_all(self) -> None:
        """Switch on what is off by default."""
        await enable_all(self.hass, self.pack.address)

    async def report(self, **changes: Any) -> None:
        """Let the battery report something else, and read it at once if it is there."""
        self.pack.override = replace(self.pack.reported(), **changes)
        await self.refresh()

    async def refresh(self) -> None:
        """Read the battery at once if it is there."""
        if self.shows("state_of_charge") != "unavailable":
            await self.hass.services.async_call(
                "button",
                "press",
                {"entity_id": self.entity("refresh", "button")},
                blocking=True,
            )
        await asyncio.sleep(1)

    async def vanish(self) -> None:
        """Take the battery away, and wait until that shows."""
        await self.peripheral.stop()
        await wait_until(
            lambda: self.shows("state_of_charge") == "unavailable", 10 * MINUTE
        )

    async def return_(self) -> None:
        """Bring the battery back, and wait until that shows."""
        await self.peripheral.start()
        await wait_until(
            lambda: self.shows("state_of_charge") not in ("unavailable", "unknown"),
            20 * MINUTE,
        )
