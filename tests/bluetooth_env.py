"""Batteries and Bluetooth adapters around a Home Assistant."""

from __future__ import annotations

from functools import partial

from homeassistant.components import bluetooth
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant

from .radio_env import RadioEnvironment


class BluetoothEnvironment(RadioEnvironment):
    """Handle for tests; everything in it runs on the virtual radio."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Start empty; the bluetooth integration must be set up."""
        super().__init__(partial(bluetooth.async_register_scanner, hass))
        self.hass = hass

    async def close(self) -> None:
        """End what uses Bluetooth, then switch everything off."""
        flows = self.hass.config_entries.flow
        for flow in flows.async_progress(include_uninitialized=True):
            flows.async_abort(flow["flow_id"])
        for entry in self.hass.config_entries.async_entries():
            if (
                entry.domain != bluetooth.DOMAIN
                and entry.state is ConfigEntryState.LOADED
            ):
                await self.hass.config_entries.async_unload(entry.entry_id)
        await self.hass.async_block_till_done()
        await super().close()
