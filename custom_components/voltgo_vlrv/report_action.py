"""The action that reports what is known of batteries: for a warranty claim or a sale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.service import async_extract_config_entry_ids
from homeassistant.util import dt as dt_util

from .battery.identity_check import is_proof
from .const import DOMAIN
from .data import VlrvConfigEntry, VlrvData
from .entries import async_banks, async_batteries, async_name, members_of
from .estimate_action import async_readable_entity_id
from .history.care import BatteryCare
from .history.lifetime import CYCLES, DISCHARGED, past_time

REPORT: Final = "report"


@callback
def async_setup_report_action(hass: HomeAssistant) -> None:
    """Register the action."""
    hass.services.async_register(
        DOMAIN,
        REPORT,
        _report,
        schema=cv.make_entity_service_schema({}),
        supports_response=SupportsResponse.ONLY,
    )


async def _report(call: ServiceCall) -> ServiceResponse:
    """Return a report on each target battery, by the entity of its state of charge.

    A bank means its batteries.
    """
    hass = call.hass
    found = await async_extract_config_entry_ids(call)
    members = {
        address
        for bank in async_banks(hass)
        if bank.entry_id in found
        for address in members_of(bank)
    }
    entries: list[VlrvConfigEntry] = [
        entry
        for entry in async_batteries(hass)
        if entry.entry_id in found or entry.unique_id in members
    ]
    if not entries:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="no_battery_or_bank"
        )
    reports: dict[str, Any] = {}
    for entry in entries:
        entity_id = await async_readable_entity_id(call, entry)
        if entry.state is not ConfigEntryState.LOADED:
            raise ServiceValidationError(
                translation_domain=DOMAIN,
                translation_key="not_loaded",
                translation_placeholders={"name": async_name(hass, entry)},
            )
        reports[entity_id] = battery_report(hass, entry.runtime_data, entry)
    return reports


def battery_report(
    hass: HomeAssistant, battery: VlrvData, entry: VlrvConfigEntry
) -> dict[str, Any]:
    """Return what is known of a battery as JSON data; None where something is not.

    Without its address.
    """
    info, care = battery.info, battery.history.care
    now = dt_util.utcnow()
    status = battery.coordinator.data
    return {
        "name": async_name(hass, entry),
        "model": info.model,
        "serial_number": info.serial if is_proof(info.serial) else None,
        # Some boards report the date of production in place of a serial number.
        "production_date": None if is_proof(info.serial) else info.serial or None,
        "firmware": info.firmware or None,
        "cells": info.cell_count,
        "label_capacity": info.label_capacity,
        "reported_at": now.isoformat(),
        "added_at": entry.created_at.isoformat(),
        "reported_health": None if status is None else status.state_of_health,
        "reported_cycles": None if status is None else status.cycles,
        "last_full_charge": _text(battery.history.maintenance.last_full_charge, now),
        "counted_since": _text(care.since, now),
        "charge_discharged": round(care.total(DISCHARGED), 1),
        "equivalent_full_cycles": round(care.total(CYCLES), 1),
        "extremes": {
            key: {"value": item.value, "at": _text(item.at, now)}
            for key, item in sorted(care.lifetime.extremes.items())
        },
        "protection_trips": care.trips.count,
        "protections": {
            key: {"count": item.count, "last": _text(item.last, now)}
            for key, item in sorted(care.lifetime.trips.items())
        },
        **_readings(care, now),
    }


def _readings(care: BatteryCare, now: datetime) -> Mapping[str, Any]:
    """Return the measured capacities and the full charges, the oldest first."""

    def plain(items: Iterable[Any]) -> list[dict[str, Any]]:
        return [item._asdict() | {"at": _text(item.at, now)} for item in items]

    return {
        "measured_capacities": plain(care.capacity.readings),
        "full_charges": plain(care.full_charges.readings),
    }


def _text(when: datetime | None, now: datetime) -> str | None:
    known = past_time(when, now)
    return None if known is None else known.isoformat()
