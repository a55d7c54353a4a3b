"""Create the one config entry of the simulator from configuration.yaml."""

from __future__ import annotations

from typing import Any

from homeassistant.config_entries import ConfigFlow, ConfigFlowResult

from .const import DOMAIN


class SimulatorConfigFlow(ConfigFlow, domain=DOMAIN):
    """Imports the YAML configuration; there is no other way to set it up."""

    VERSION = 1

    async def async_step_import(self, import_data: dict[str, Any]) -> ConfigFlowResult:
        """Create or update the entry."""
        await self.async_set_unique_id(DOMAIN)
        self._abort_if_unique_id_configured(updates=import_data)
        return self.async_create_entry(title="Simulated batteries", data=import_data)

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Abort: the batteries are configured in configuration.yaml."""
        return self.async_abort(reason="yaml_only")
