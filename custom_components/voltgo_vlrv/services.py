"""Actions: release the connection of a battery, and reset totals of energy."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any, Final, NamedTuple

import voluptuous as vol

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import HomeAssistant, ServiceCall, callback
from homeassistant.exceptions import ServiceValidationError, Unauthorized, UnknownUser
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.service import (
    async_extract_config_entry_ids,
    async_extract_entity_ids,
    async_register_admin_service,
)

from .bank.coordinator import BankCoordinator
from .bank.energy import BankEnergy
from .const import DEFAULT_RELEASE, DOMAIN, MAX_RELEASE, MIN_RELEASE
from .coordinator import VlrvCoordinator
from .data import VlrvConfigEntry, VlrvData
from .entries import async_banks, async_batteries, async_name, members_of
from .estimate_action import async_setup_estimate_action
from .history.energy import DIRECTIONS, EnergyCounter
from .history.store import EntryStore
from .report_action import async_setup_report_action
from .switch import CONNECTION_SWITCH

RELEASE_CONNECTION: Final = "release_connection"
DURATION: Final = "duration"
RESET_ENERGY: Final = "reset_energy"

# By the translation key of the sensor that shows it.
_ENERGY_TOTALS: Final = {f"energy_{direction}": direction for direction in DIRECTIONS}


@callback
def async_setup_actions(hass: HomeAssistant) -> None:
    """Register the actions, also while no battery is set up."""
    hass.services.async_register(
        DOMAIN,
        RELEASE_CONNECTION,
        _release_connection,
        schema=cv.make_entity_service_schema(
            {vol.Optional(DURATION, default=DEFAULT_RELEASE): cv.positive_time_period}
        ),
    )
    async_setup_estimate_action(hass)
    async_setup_report_action(hass)
    async_register_admin_service(
        hass,
        DOMAIN,
        RESET_ENERGY,
        _reset_energy,
        schema=cv.make_entity_service_schema({}),
    )


async def _reset_energy(call: ServiceCall) -> None:
    """Set the totals that the target sensors show to zero, or none if one cannot be.

    For Home Assistant's statistics a fall to zero is the reset of a meter, so that they
    stay as they are and count on from there. With any other value they would add it.
    """
    registry = er.async_get(call.hass)
    resets: list[tuple[_CountedEnergy, str]] = []
    for entity_id in await async_extract_entity_ids(call):
        entity = registry.async_get(entity_id)
        if entity is None or entity.platform != DOMAIN:
            continue
        direction = _ENERGY_TOTALS.get(entity.translation_key or "")
        entry = call.hass.config_entries.async_get_entry(entity.config_entry_id or "")
        if direction is not None and entry is not None:
            _check_loaded(call.hass, entry)
            resets.append((_counted_energy(entry.runtime_data), direction))
    if not resets:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="no_energy_total"
        )
    for energy, direction in resets:
        energy.counter.reset(direction)
        # First: after a power cut the old total would be added to the statistics.
        await energy.store.async_save(force=True)
        energy.coordinator.async_update_listeners()


class _CountedEnergy(NamedTuple):
    """The energy totals of a battery or a bank, and who stores and shows them."""

    counter: EnergyCounter | BankEnergy
    store: EntryStore
    coordinator: VlrvCoordinator | BankCoordinator


def _counted_energy(device: VlrvData | BankCoordinator) -> _CountedEnergy:
    if isinstance(device, BankCoordinator):
        return _CountedEnergy(device.energy, device.store, device)
    history = device.history
    return _CountedEnergy(history.energy, history.store, device.coordinator)


async def _release_connection(call: ServiceCall) -> None:
    """Release the target batteries; none of them if one cannot be released."""
    duration: timedelta = call.data[DURATION]
    if not MIN_RELEASE <= duration <= MAX_RELEASE:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="release_duration"
        )
    batteries = await _batteries(call)
    for battery in batteries:
        battery.firmware.check_not_running()
    # Begin all releases first: a disconnect may take seconds, in which an installation of
    # firmware could begin on another battery.
    for battery in batteries:
        battery.connection.async_begin_release(duration)
    await asyncio.gather(
        *(battery.connection.async_finish_release() for battery in batteries)
    )


async def _check_permission(call: ServiceCall, entries: list[VlrvConfigEntry]) -> None:
    """Check that the caller may control the connection switch of each battery.

    As Home Assistant does it for the actions of entities: without a user, as from an
    automation, everything is allowed. Raises UnknownUser or Unauthorized.
    """
    if not call.context.user_id:
        return
    user = await call.hass.auth.async_get_user(call.context.user_id)
    if user is None:
        raise UnknownUser(context=call.context)
    if user.is_admin:
        return
    registry = er.async_get(call.hass)
    for entry in entries:
        entity_id = registry.async_get_entity_id(
            Platform.SWITCH, DOMAIN, f"{entry.unique_id}_{CONNECTION_SWITCH.key}"
        )
        if entity_id is None or not user.permissions.check_entity(
            entity_id, POLICY_CONTROL
        ):
            raise Unauthorized(
                context=call.context, entity_id=entity_id, permission=POLICY_CONTROL
            )


async def _batteries(call: ServiceCall) -> list[VlrvData]:
    found = await async_extract_config_entry_ids(call)
    # The target "bank" means all its members.
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
    await _check_permission(call, entries)
    # A disabled battery is not connected.
    entries = [entry for entry in entries if not entry.disabled_by] or entries
    for entry in entries:
        _check_loaded(call.hass, entry)
    return [entry.runtime_data for entry in entries]


def _check_loaded(hass: HomeAssistant, entry: ConfigEntry[Any]) -> None:
    """Raise ServiceValidationError for an entry that is not set up."""
    if entry.state is not ConfigEntryState.LOADED:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="not_loaded",
            translation_placeholders={"name": async_name(hass, entry)},
        )
