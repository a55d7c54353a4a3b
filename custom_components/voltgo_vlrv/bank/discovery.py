"""Discover a bank: two or more batteries of the same model that are in no bank.

A user who deletes a bank does not want it again. That is stored with each battery of the
model, so that only a further battery leads to another discovery.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from homeassistant.config_entries import (
    SOURCE_INTEGRATION_DISCOVERY,
    ConfigEntry,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import discovery_flow

from ..battery.info import BatteryInfo
from ..const import CONF_INFO, DOMAIN
from ..data import VlrvConfigEntry
from ..entries import MIN_MEMBERS, async_batteries, async_free_batteries, members_of

CONF_MODEL: Final = "model"
CONF_DISMISSED: Final = "bank_dismissed"
"""Key in a battery's data: a bank of its model was deleted while it was added."""


def discovery_id(model: str) -> str:
    """Return the unique ID of a discovery.

    There is one for each model, so that Home Assistant remembers an ignored one.
    """
    return f"bank_{model}"


def model_of(entry: VlrvConfigEntry) -> str:
    """Return the model of a battery, whether it is loaded or not."""
    if entry.state is ConfigEntryState.LOADED:
        return entry.runtime_data.info.model
    return BatteryInfo.from_data(entry.data.get(CONF_INFO)).model


@callback
def async_update_discovery(hass: HomeAssistant) -> None:
    """Start a discovery flow for each possible bank; end those that are not possible."""
    free = [entry for entry in async_free_batteries(hass) if not entry.disabled_by]
    free_models = list(map(model_of, free))
    models = Counter(free_models)
    new = {
        model
        for entry, model in zip(free, free_models, strict=True)
        if not entry.data.get(CONF_DISMISSED)
    }
    possible = {
        discovery_id(model): model
        for model, count in models.items()
        if count >= MIN_MEMBERS and model in new
    }
    existing = {entry.unique_id for entry in hass.config_entries.async_entries(DOMAIN)}
    pending = {
        flow["context"].get("unique_id"): flow["flow_id"]
        for flow in hass.config_entries.flow.async_progress_by_handler(
            DOMAIN, match_context={"source": SOURCE_INTEGRATION_DISCOVERY}
        )
    }
    # A flow whose entry exists is about to end by itself.
    for unique_id in pending.keys() - possible.keys() - existing:
        hass.config_entries.flow.async_abort(pending[unique_id])
    # The flow ends by itself where the bank exists or its discovery is ignored.
    for unique_id in possible.keys() - pending.keys():
        discovery_flow.async_create_flow(
            hass,
            DOMAIN,
            context={"source": SOURCE_INTEGRATION_DISCOVERY},
            data={CONF_MODEL: possible[unique_id]},
        )


@callback
def async_dismiss(hass: HomeAssistant, bank: ConfigEntry[Any]) -> None:
    """Store with all batteries of the members' models that their bank was deleted."""
    batteries = async_batteries(hass)
    members = members_of(bank)
    models = {model_of(entry) for entry in batteries if entry.unique_id in members}
    for entry in batteries:
        if model_of(entry) in models and not entry.data.get(CONF_DISMISSED):
            hass.config_entries.async_update_entry(
                entry, data={**entry.data, CONF_DISMISSED: True}
            )
