"""Config flow of a bank: discovered or added by the user, and reconfigured."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, override

import voluptuous as vol

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
)
from homeassistant.const import CONF_NAME
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
    BooleanSelector,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
)
from homeassistant.helpers.typing import DiscoveryInfoType
from homeassistant.util.ulid import ulid_now

from ..battery.info import BatteryInfo
from ..const import CONF_INFO, CONF_INVERTER, CONF_KIND, CONF_MEMBERS, KIND_BANK
from ..data import VlrvConfigEntry
from ..entries import (
    MAX_MEMBERS,
    MIN_MEMBERS,
    async_free_batteries,
    async_name,
    is_bank,
    members_of,
)
from ..localization import async_load_translations, plain_text, translations
from .discovery import CONF_MODEL, discovery_id, model_of
from .joining import Candidate, comparison, findings


class BankSteps(ConfigFlow):
    """Steps of the config flow that add or change a bank."""

    _discovered_model: str | None = None
    _input: dict[str, Any] | None = None
    """What was entered, while the batteries are compared."""
    _compared: Collection[str] = ()
    """Addresses whose comparison the user has seen."""

    @override
    async def async_step_integration_discovery(
        self, discovery_info: DiscoveryInfoType
    ) -> ConfigFlowResult:
        """Show a discovered bank: batteries of the same model."""
        model: str = discovery_info[CONF_MODEL]
        await self.async_set_unique_id(discovery_id(model))
        self._abort_if_unique_id_configured()
        await async_load_translations(self.hass)
        self._discovered_model = model
        name = translations(self.hass).bank["name"]
        self.context["title_placeholders"] = {"name": f"{name} ({model})"}
        return await self.async_step_bank()

    async def async_step_bank(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the name and the members of a new bank."""
        await async_load_translations(self.hass)
        choice = async_free_batteries(self.hass)
        if len(choice) < MIN_MEMBERS:
            return self.async_abort(reason="too_few_batteries")
        errors: dict[str, str] = {}
        if user_input is not None:
            members: list[str] = user_input[CONF_MEMBERS]
            if (problem := _problem(choice, members)) is None:
                if (step := self._compare(choice, user_input)) is not None:
                    return step
                await self._identify(choice, members)
                return self.async_create_entry(
                    title=self._bank_title(user_input),
                    data={CONF_KIND: KIND_BANK, CONF_MEMBERS: members},
                    options={CONF_INVERTER: user_input[CONF_INVERTER]},
                )
            errors[CONF_MEMBERS] = problem
        suggested = user_input or {
            CONF_NAME: translations(self.hass).bank["name"],
            CONF_MEMBERS: [
                entry.unique_id
                for entry in choice
                if self._discovered_model in (None, model_of(entry))
                and not entry.disabled_by
            ],
        }
        return self.async_show_form(
            step_id="bank",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(  # type: ignore[arg-type]
                    {
                        vol.Required(CONF_NAME): TextSelector(),
                        vol.Required(CONF_MEMBERS): _selector(self.hass, choice),
                        vol.Required(CONF_INVERTER, default=False): BooleanSelector(),
                    }
                ),
                suggested,
            ),
            errors=errors,
        )

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for another name and other members of a bank."""
        entry = self._get_reconfigure_entry()
        if not is_bank(entry):
            return self.async_abort(
                reason="battery_not_reconfigured",
                description_placeholders={"name": entry.title},
            )
        await async_load_translations(self.hass)
        choice = async_free_batteries(self.hass, besides=entry)
        errors: dict[str, str] = {}
        if user_input is not None:
            members: list[str] = user_input[CONF_MEMBERS]
            if (problem := _problem(choice, members)) is None:
                # Those that were in the bank are connected.
                if not {*members} <= {*members_of(entry)} and (
                    (step := self._compare(choice, user_input)) is not None
                ):
                    return step
                return self.async_update_reload_and_abort(
                    entry,
                    title=self._bank_title(user_input),
                    data={**entry.data, CONF_MEMBERS: members},
                )
            errors[CONF_MEMBERS] = problem
        suggested = user_input or {
            CONF_NAME: entry.title,
            CONF_MEMBERS: list(members_of(entry)),
        }
        return self.async_show_form(
            step_id="reconfigure",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(  # type: ignore[arg-type]
                    {
                        vol.Required(CONF_NAME): TextSelector(),
                        vol.Required(CONF_MEMBERS): _selector(self.hass, choice),
                    }
                ),
                suggested,
            ),
            errors=errors,
        )

    def _compare(
        self, choice: Sequence[VlrvConfigEntry], user_input: dict[str, Any]
    ) -> ConfigFlowResult | None:
        """Return a form with what to do before the members are connected.

        None if there is nothing, or if the user has seen it.
        """
        members: list[str] = user_input[CONF_MEMBERS]
        candidates = [
            _candidate(self.hass, entry)
            for entry in choice
            if entry.unique_id in members
        ]
        found = findings(candidates)
        if not found or {*members} == {*self._compared}:
            return None
        self._input, self._compared = user_input, members
        texts = translations(self.hass).bank
        return self.async_show_form(
            step_id="join",
            description_placeholders={
                "batteries": comparison(candidates),
                "findings": "\n".join(f"- {texts[finding]}" for finding in found),
            },
        )

    async def async_step_join(
        self, _user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Go on with what was entered: the user has seen the comparison."""
        if self.source == SOURCE_RECONFIGURE:
            return await self.async_step_reconfigure(self._input)
        return await self.async_step_bank(self._input)

    def _bank_title(self, user_input: dict[str, Any]) -> str:
        return user_input[CONF_NAME].strip() or translations(self.hass).bank["name"]

    async def _identify(
        self, choice: Sequence[VlrvConfigEntry], members: Collection[str]
    ) -> None:
        """Set the unique ID of the model's discovery where it is free, else a new one.

        A bank with it is not discovered again.
        """
        if self.unique_id is None:
            model = next(
                model_of(entry) for entry in choice if entry.unique_id in members
            )
            used = self._async_current_ids(include_ignore=False)
            unique_id = discovery_id(model)
            await self.async_set_unique_id(
                f"bank_{ulid_now()}" if unique_id in used else unique_id,
                raise_on_progress=False,
            )
        self._abort_if_unique_id_configured()


def _candidate(hass: HomeAssistant, entry: VlrvConfigEntry) -> Candidate:
    """Return what is known of a battery; what it last reported only while it is fresh."""
    status = None
    info = BatteryInfo.from_data(entry.data.get(CONF_INFO))
    if entry.state is ConfigEntryState.LOADED:
        battery = entry.runtime_data
        if battery.coordinator.has_values:
            status = battery.coordinator.data
    return Candidate(
        plain_text(async_name(hass, entry)),
        info,
        None if status is None else status.state_of_charge,
        None if status is None else status.voltage,
    )


def _problem(choice: Sequence[VlrvConfigEntry], members: Collection[str]) -> str | None:
    """Return the key of the error if `members` cannot be a bank, else None."""
    chosen = [entry for entry in choice if entry.unique_id in members]
    if len(chosen) < len(set(members)):
        return "members_changed"
    if len(chosen) < MIN_MEMBERS:
        return "too_few_members"
    if len(chosen) > MAX_MEMBERS:
        return "too_many_members"
    cells = {
        BatteryInfo.from_data(entry.data.get(CONF_INFO)).cell_count for entry in chosen
    }
    return "different_voltage" if len(cells) > 1 else None


def _selector(hass: HomeAssistant, choice: Sequence[VlrvConfigEntry]) -> SelectSelector:
    return SelectSelector(
        SelectSelectorConfig(
            options=[
                SelectOptionDict(
                    value=str(entry.unique_id),
                    label=f"{async_name(hass, entry)} ({model_of(entry)})",
                )
                for entry in choice
            ],
            multiple=True,
            mode=SelectSelectorMode.LIST,
        )
    )
