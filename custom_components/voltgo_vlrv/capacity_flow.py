"""Options flow of a battery: the capacity test."""

from __future__ import annotations

from typing import Any

from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult, OptionsFlow

from .history.capacity_cycles import CYCLES
from .history.care import BatteryCare
from .localization import async_load_translations, translations


class CapacityTestSteps(OptionsFlow):
    """Steps that show, start and stop a capacity test."""

    @property
    def _care(self) -> BatteryCare | None:
        """Return what is measured; None while the battery is not loaded."""
        entry = self.config_entry
        if entry.state is not ConfigEntryState.LOADED:
            return None
        care: BatteryCare = entry.runtime_data.history.care
        return care

    async def async_step_capacity_test(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show how far the test is, and what to do next."""
        if (care := self._care) is None:
            return self.async_abort(reason="not_loaded")
        await async_load_translations(self.hass)
        test = care.capacity_test
        texts = translations(self.hass).capacity_test
        if test.is_running:
            lines = [texts["cycle"], texts[care.capacity.phase]]
        else:
            lines = [texts["off" if test.result is None else "done"]]
        if test.capacities:
            lines.append(texts["found"])
        state = "\n\n".join(lines).format(
            cycle=len(test.capacities) + 1,
            cycles=CYCLES,
            found=", ".join(f"{capacity:.1f}" for capacity in test.capacities),
            capacity="" if test.result is None else f"{test.result:.1f}",
        )
        return self.async_show_menu(
            step_id="capacity_test",
            menu_options=[
                "capacity_test_stop" if test.is_running else "capacity_test_start"
            ],
            description_placeholders={"state": state},
        )

    async def async_step_capacity_test_start(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Start a test and show what to do."""
        if (care := self._care) is not None:
            care.start_capacity_test()
        return await self.async_step_capacity_test()

    async def async_step_capacity_test_stop(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Stop the test."""
        if (care := self._care) is not None:
            care.stop_capacity_test()
        return await self.async_step_capacity_test()
