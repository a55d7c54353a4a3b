"""Actions: let go of a battery for a while."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import voluptuous as vol

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_extract_config_entry_ids

from .const import DEFAULT_RELEASE, DOMAIN, MAX_RELEASE, MIN_RELEASE
from .data import VlrvData
from .entries import async_banks, async_batteries, async_name, members_of

RELEASE_CONNECTION: Final = "release_connection"
DURATION: Final = "duration"


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions, also while no battery is set up."""
    hass.services.async_register(
        DOMAIN,
        RELEASE_CONNECTION,
        _release_link,
        schema=cv.make_entity_service_schema(
            {vol.Optional(DURATION, default=DEFAULT_RELEASE): cv.positive_time_period}
        ),
    )


async def _release_link(call: ServiceCall) -> None:
    """Let go of the batteries named, all of them or, where one cannot be, none."""
    duration: timedelta = call.data[DURATION]
    if not MIN_RELEASE <= duration <= MAX_RELEASE:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="release_duration"
        )
    batteries = await _batteries(call)
    for battery in batteries:
        if battery.firmware.is_running:
            raise HomeAssistantError(
                translation_domain=DOMAIN,
                translation_key="firmware_under_way",
                translation_placeholders={"name": battery.coordinator.name},
            )
    # All of them before the first link has ended, which may take seconds: time enough
    # for firmware to begin on another one.
    for battery in batteries:
        battery.connection.async_begin_release(duration)
    await asyncio.gather(
        *(battery.connection.async_finish_release() for battery in batteries)
    )


async def _batteries(call: ServiceCall) -> list[VlrvData]:
    found = await async_extract_config_entry_ids(call)
    # A bank stands for its members.
    members = {
        address
        for bank in async_banks(call.hass)
        if bank.entry_id in found
        for address in members_of(bank)
    }
    entries = [
        entry
        for entry in async_batteries(call.hass)
        if entry.entry_id in found or entry.unique_id in members
    ]
    if not entries:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="no_battery"
        )
    # Nobody holds a link to one that is switched off.
    entries = [entry for entry in entries if not entry.disabled_by] or entries
    for entry in entries:
        if entry.state is not ConfigEntryState.LOADED:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="not_loaded",
                translation_placeholders={"name": async_name(call.hass, entry)},
            )
    return [entry.runtime_data for entry in entries]
