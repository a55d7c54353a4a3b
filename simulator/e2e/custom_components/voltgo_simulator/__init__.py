"""Simulated batteries on a simulated radio, for the demo and its check only."""

from __future__ import annotations

import voluptuous as vol

from homeassistant.config_entries import SOURCE_IMPORT, ConfigEntry
from homeassistant.const import EVENT_HOMEASSISTANT_STOP, Platform
from homeassistant.core import Event, HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType

from .actions import register_actions
from .const import CONF_BATTERIES, DOMAIN
from .environment import SimulatedEnvironment
from simulator.battery import PRESETS

PLATFORMS = [Platform.NOTIFY, Platform.SWITCH]

type SimulatorConfigEntry = ConfigEntry[SimulatedEnvironment]

# At run time Home Assistant has its own engine behind `vol`.
CONFIG_SCHEMA = vol.Schema(
    {
        DOMAIN: vol.Schema(
            {
                vol.Required(CONF_BATTERIES): vol.All(
                    cv.ensure_list, [vol.In(list(PRESETS))]
                )
            }
        )
    },
    extra=vol.ALLOW_EXTRA,
)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register the actions, and create or update the config entry."""
    register_actions(hass)
    # Not awaited: the flow waits for this very set-up to end.
    hass.async_create_task(
        hass.config_entries.flow.async_init(
            DOMAIN, context={"source": SOURCE_IMPORT}, data=config[DOMAIN]
        )
    )
    return True


async def async_setup_entry(hass: HomeAssistant, entry: SimulatorConfigEntry) -> bool:
    """Switch the radio and the batteries on."""
    environment = entry.runtime_data = SimulatedEnvironment(hass)
    await environment.start(entry.data[CONF_BATTERIES], entry.entry_id)

    async def stop(_: Event) -> None:
        await environment.stop()

    # Entries are not unloaded when Home Assistant stops.
    entry.async_on_unload(hass.bus.async_listen(EVENT_HOMEASSISTANT_STOP, stop))
    await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    return True


async def async_unload_entry(hass: HomeAssistant, entry: SimulatorConfigEntry) -> bool:
    """Switch everything off."""
    await entry.runtime_data.stop()
    return await hass.config_entries.async_unload_platforms(entry, PLATFORMS)
