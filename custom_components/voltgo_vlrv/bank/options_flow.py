"""Options of a bank."""

from __future__ import annotations

from typing import Any

import voluptuous as vol

from homeassistant.config_entries import ConfigFlowResult, OptionsFlowWithReload
from homeassistant.helpers.selector import BooleanSelector

from ..const import CONF_INVERTER
from ..entries import async_name
from ..options_flow import charge_fields, record_field


class BankOptionsFlow(OptionsFlowWithReload):
    """Asks for what the bank is connected to, its thresholds, and what is recorded."""

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the only form; its name is not that of a battery's, as its texts differ."""
        return await self.async_step_bank(user_input)

    async def async_step_bank(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the inverter, the low-battery threshold, the reserve and the rows."""
        options = self.config_entry.options
        if user_input is not None:
            return self.async_create_entry(data={**options, **user_input})
        return self.async_show_form(
            step_id="bank",
            description_placeholders={"name": async_name(self.hass, self.config_entry)},
            data_schema=vol.Schema(  # type: ignore[arg-type]
                {
                    vol.Required(
                        CONF_INVERTER, default=options.get(CONF_INVERTER, False)
                    ): BooleanSelector(),
                    **charge_fields(options),
                    **record_field(options),
                }
            ),
        )
