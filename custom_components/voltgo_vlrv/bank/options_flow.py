"""Options of a bank."""

from __future__ import annotations

from typing import Any

import voluptuous as vol

from homeassistant.config_entries import ConfigFlowResult, OptionsFlowWithReload
from homeassistant.const import PERCENTAGE
from homeassistant.helpers.selector import (
    BooleanSelector,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
)

from ..const import (
    CONF_INVERTER,
    CONF_LOW_BATTERY,
    CONF_RESERVE,
    DEFAULT_LOW_BATTERY,
    DEFAULT_RESERVE,
    MAX_RESERVE,
)
from ..entries import async_name


class BankOptionsFlow(OptionsFlowWithReload):
    """Asks for the inverter of the bank, when it counts as low, and for its reserve."""

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the only form; its name is not that of a battery's, as its texts differ."""
        return await self.async_step_bank(user_input)

    async def async_step_bank(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the inverter, the low-battery threshold and the reserve in %."""
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
                    vol.Required(
                        CONF_LOW_BATTERY,
                        default=options.get(CONF_LOW_BATTERY, DEFAULT_LOW_BATTERY),
                    ): NumberSelector(
                        NumberSelectorConfig(
                            min=1,
                            max=99,
                            step=1,
                            unit_of_measurement=PERCENTAGE,
                            mode=NumberSelectorMode.BOX,
                        )
                    ),
                    vol.Required(
                        CONF_RESERVE,
                        default=options.get(CONF_RESERVE, DEFAULT_RESERVE),
                    ): NumberSelector(
                        NumberSelectorConfig(
                            min=0,
                            max=MAX_RESERVE,
                            step=1,
                            unit_of_measurement=PERCENTAGE,
                            mode=NumberSelectorMode.BOX,
                        )
                    ),
                }
            ),
        )
