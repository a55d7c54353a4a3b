"""One battery in a running Home Assistant, as tests use it."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, Final
from unittest.mock import patch

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryDisabler,
    ConfigFlowResult,
)
from homeassistant.const import ATTR_ENTITY_ID, EVENT_STATE_CHANGED, STATE_UNAVAILABLE
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.helpers.entity import Entity

from .bluetooth_env import BluetoothEnvironment
from .common import (
    add_discovered,
    battery,
    device_of,
    entity_id,
    issues,
    value,
    wait_until,
)
from custom_components.voltgo_vlrv.connection.manager import ConnectionManager
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from simulator.battery import SimulatedBattery
from simulator.faults import ConnectionFaults
from simulator.peripheral import Peripheral

SETTINGS: Final = 0x10
GET_FUNCTIONS: Final = (0x02, 0x03, 0x04)


class EntryHarness:
    """A config entry of the integration that was added."""

    hass: HomeAssistant
    entry: ConfigEntry[Any]

    async def setup(self) -> None:
        """Set the entry up, which must not fail."""
        assert await self.hass.config_entries.async_setup(self.entry.entry_id)

    async def unload(self) -> None:
        """Unload the entry."""
        await self.hass.config_entries.async_unload(self.entry.entry_id)

    async def reload(self) -> None:
        """Reload the entry."""
        await self.hass.config_entries.async_reload(self.entry.entry_id)

    async def remove(self) -> None:
        """Remove the entry."""
        await self.hass.config_entries.async_remove(self.entry.entry_id)

    async def set_disabled(self, disabled: bool) -> None:
        """Disable or enable the entry, as a user does."""
        await self.hass.config_entries.async_set_disabled_by(
            self.entry.entry_id, ConfigEntryDisabler.USER if disabled else None
        )

    async def open_reconfigure(self) -> ConfigFlowResult:
        """Open "Reconfigure"."""
        return await self.hass.config_entries.flow.async_init(
            DOMAIN,
            context={"source": SOURCE_RECONFIGURE, "entry_id": self.entry.entry_id},
        )


class BatteryHarness(EntryHarness):
    """A battery that was added: its entities, its settings, its connection."""

    def __init__(
        self,
        hass: HomeAssistant,
        bluetooth_env: BluetoothEnvironment,
        pack: SimulatedBattery,
        peripheral: Peripheral,
        entry: VlrvConfigEntry,
    ) -> None:
        """Record from now on which entities become unavailable."""
        self.hass = hass
        self.bluetooth_env = bluetooth_env
        self.pack = pack
        self.peripheral = peripheral
        self.entry: VlrvConfigEntry = entry
        self.became_unavailable: list[str] = []
        hass.bus.async_listen(EVENT_STATE_CHANGED, self._handle_state_changed)

    @callback
    def _handle_state_changed(self, event: Event[EventStateChangedData]) -> None:
        new_state = event.data["new_state"]
        if new_state is not None and new_state.state == STATE_UNAVAILABLE:
            self.became_unavailable.append(event.data["entity_id"])

    @property
    def address(self) -> str:
        """Return the Bluetooth address."""
        return self.pack.address

    def set_reported(self, **values: Any) -> None:
        """Let the battery report these values from now on, whatever happens to it."""
        self.pack.override = replace(self.pack.reported(), **values)

    # Entities

    def entity_id(self, key: str, platform: str = "sensor") -> str:
        """Return the entity ID of a key."""
        return entity_id(self.hass, self.pack.address, key, platform)

    def shown(self, key: str, platform: str = "sensor") -> str | None:
        """Return the state of an entity, None if it has none."""
        return value(self.hass, self.pack.address, key, platform)

    def has(self, key: str, platform: str = "sensor") -> bool:
        """Return whether there is such an entity."""
        unique_id = f"{self.pack.address}_{key}"
        registry = er.async_get(self.hass)
        return registry.async_get_entity_id(platform, DOMAIN, unique_id) is not None

    def options(self, key: str) -> list[str]:
        """Return the options of a select entity."""
        state = self.hass.states.get(self.entity_id(key, "select"))
        assert state is not None
        return list(state.attributes["options"])

    async def act(self, platform: str, action: str, key: str, **data: Any) -> None:
        """Call an action of Home Assistant for an entity."""
        await self.hass.services.async_call(
            platform,
            action,
            {ATTR_ENTITY_ID: self.entity_id(key, platform), **data},
            blocking=True,
        )

    async def refresh(self) -> None:
        """Press the button that reads the battery."""
        await self.act("button", "press", "refresh")

    @property
    def issue(self) -> ir.IssueEntry | None:
        """Return the only active repair issue, None if there is none."""
        found = issues(self.hass)
        assert len(found) <= 1
        return found[0] if found else None

    # Settings

    async def select(self, key: str, option: str) -> None:
        """Choose an option of a select entity."""
        await self.act("select", "select_option", key, option=option)

    async def allow_heating(self, allowed: bool) -> None:
        """Turn the heater's switch on or off."""
        await self.act("switch", "turn_on" if allowed else "turn_off", "heater")

    async def rename(self, name: str) -> None:
        """Write the Bluetooth name."""
        await self.act("text", "set_value", "bluetooth_name", value=name)

    @property
    def pending(self) -> str | None:
        """Return the settings that the repair issue names."""
        if self.issue is None:
            return None
        assert self.issue.translation_placeholders is not None
        return self.issue.translation_placeholders["settings"]

    def sent(self, *functions: int) -> list[bytes]:
        """Return the settings frames that arrived, of these functions only."""
        return [
            write.data
            for write in self.peripheral.writes
            if write.data[0] == SETTINGS
            and (not functions or write.data[1] in functions)
        ]

    @property
    def changes(self) -> list[bytes]:
        """Return the frames that change a setting."""
        return [frame for frame in self.sent() if frame[1] not in GET_FUNCTIONS]

    @property
    def gets(self) -> Counter[int]:
        """Return how often each setting was read."""
        return Counter(frame[1] for frame in self.sent(*GET_FUNCTIONS))

    # Connection

    @property
    def status(self) -> str | None:
        """Return the state of the connection status sensor."""
        return self.shown("connection_status")

    @property
    def connection(self) -> ConnectionManager:
        """Return the integration's side of the connection."""
        return self.entry.runtime_data.connection

    @property
    def is_connected(self) -> bool:
        """Return whether the integration holds the connection."""
        return self.entry.runtime_data.client.is_connected

    @property
    def faults(self) -> ConnectionFaults:
        """Return what goes wrong on purpose."""
        return self.peripheral.faults

    async def set_connection(self, on: bool) -> None:
        """Turn the connection's switch on or off."""
        await self.act(
            "switch", "turn_on" if on else "turn_off", "bluetooth_connection"
        )

    async def release(self, **data: Any) -> None:
        """Call the release action, on the device unless another target is named."""
        if ATTR_ENTITY_ID not in data:
            data = {"device_id": device_of(self.hass, self.pack.address).id, **data}
        await self.hass.services.async_call(
            DOMAIN, "release_connection", data, blocking=True
        )

    async def wait_connected(self, settle: float = 5.0) -> None:
        """Wait for the connection, and for what is read after connecting (s)."""
        await wait_until(lambda: self.is_connected)
        await asyncio.sleep(settle)

    async def power_cycle(self) -> None:
        """Switch the battery off and on, and wait until all of it is read again."""
        await self.peripheral.power_cycle()
        await self.wait_connected()


async def async_setup_battery[HarnessT: BatteryHarness](
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    pack: SimulatedBattery | None = None,
    *,
    rssi: int | None = None,
    slots: int = 3,
    settle: float = 2.0,
    all_entities: bool = False,
    harness: type[HarnessT] = BatteryHarness,  # type: ignore[assignment]
    **options: Any,
) -> HarnessT:
    """Add a battery that is discovered, with its connection.

    An adapter with this many slots is added where there is none. `rssi` is in dBm,
    `settle` in seconds after the connection; `options` are those of `Peripheral`.
    """
    pack = pack or battery("solar_charging", module_id=1)
    peripheral = await bluetooth_env.add_battery(pack, **options)
    if not bluetooth_env.adapters:
        await bluetooth_env.add_adapter(slots=slots)
    if rssi is not None:
        for adapter in bluetooth_env.adapters.values():
            adapter.radio.rssi[pack.address] = rssi
    # Enabled from the start: to enable them later takes a second start of the entry.
    enabled = patch.object(Entity, "entity_registry_enabled_default", True)
    with enabled if all_entities else nullcontext():
        entry = await add_discovered(hass, pack.address)
        added = harness(hass, bluetooth_env, pack, peripheral, entry)
        await added.wait_connected(settle)
    return added


async def async_setup_fleet(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    count: int,
    *adapters: dict[str, Any],
) -> list[BatteryHarness]:
    """Add so many batteries behind adapters with these options of `VirtualAdapter`."""
    packs = [
        battery("idle", address=f"A4:C1:37:00:01:{number:02X}", name=f"ZT-12V-{number}")
        for number in range(count)
    ]
    for pack in packs:
        await bluetooth_env.add_battery(pack)
    for number, adapter in enumerate(adapters, 1):
        await bluetooth_env.add_adapter(f"02:00:00:00:00:{number:02X}", **adapter)
    result = []
    for pack in packs:
        entry = await add_discovered(hass, pack.address)
        result.append(
            BatteryHarness(
                hass,
                bluetooth_env,
                pack,
                bluetooth_env.peripherals[pack.address],
                entry,
            )
        )
    return result
