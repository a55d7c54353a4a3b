"""Turns what configuration.yaml says into the one config entry of the simulator."""

from __future__ import annotations

from typing import Any

from homeassistant.config_entries import ConfigFlow, ConfigFlowResult

from .const import DOMAIN


class SimulatorConfigFlow(ConfigFlow, domain=DOMAIN):
    """Takes the YAML and nothing else."""

    VERSION = 1

    async def async_step_import(self, import_data: dict[str, Any]) -> ConfigFlowResult:
        """Make the entry, or bring it up to date."""
        await self.async_set_unique_id(DOMAIN)
        self._abort_if_unique_id_configured(updates=import_data)
        return self.async_create_entry(title="Simulated batteries", data=import_data)

    async def async_step_user(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Refuse: which batteries there are is said in configuration.yaml."""
        return self.async_abort(reason="yaml_only")
