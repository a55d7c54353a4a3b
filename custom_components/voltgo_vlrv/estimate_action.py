"""The action that estimates what a load would leave in batteries and banks."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any, Final

import voluptuous as vol

from homeassistant.auth.permissions.const import POLICY_READ
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import Platform
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError, Unauthorized, UnknownUser
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.service import async_extract_config_entry_ids
from homeassistant.util import dt as dt_util

from .bank.coordinator import BankCoordinator
from .const import DOMAIN
from .data import VlrvData
from .entries import async_banks, async_batteries, async_name
from .history.charge import NOMINAL_CELL_VOLTAGE, Charge, charge_of
from .history.estimate import Contents, estimate
from .history.runtime import Runtime

ESTIMATE: Final = "estimate"
POWER: Final = "power"
DURATION: Final = "duration"
UNTIL: Final = "until"
INCLUDE_PRESENT: Final = "include_present"

MAX_POWER: Final = 100_000  # W
MAX_DURATION: Final = timedelta(days=31)


@callback
def async_setup_estimate_action(hass: HomeAssistant) -> None:
    """Register the action."""
    hass.services.async_register(
        DOMAIN,
        ESTIMATE,
        _estimate,
        # Home Assistant replaces the voluptuous types at run time.
        schema=vol.All(  # type: ignore[arg-type]
            cv.make_entity_service_schema(
                {
                    vol.Required(POWER): vol.All(
                        vol.Coerce(float), vol.Range(-MAX_POWER, MAX_POWER)
                    ),
                    vol.Exclusive(DURATION, "end"): vol.All(
                        cv.positive_time_period, vol.Range(max=MAX_DURATION)
                    ),
                    vol.Exclusive(UNTIL, "end"): cv.time,
                    vol.Optional(INCLUDE_PRESENT, default=False): cv.boolean,
                }
            ),
            cv.has_at_least_one_key(DURATION, UNTIL),
        ),
        supports_response=SupportsResponse.ONLY,
    )


async def _estimate(call: ServiceCall) -> ServiceResponse:
    """Return an estimate for each target, by the entity of its state of charge."""
    hass = call.hass
    found = await async_extract_config_entry_ids(call)
    entries = [
        entry
        for entry in (*async_batteries(hass), *async_banks(hass))
        if entry.entry_id in found
    ]
    if not entries:
        raise ServiceValidationError(
            translation_domain=DOMAIN, translation_key="no_battery_or_bank"
        )
    now = dt_util.now()
    end = _end(now, call.data.get(DURATION), call.data.get(UNTIL))
    return {
        await async_readable_entity_id(call, entry): _estimate_of(entry, call, now, end)
        for entry in entries
    }


# Python's arithmetic with local times goes by the clock, which is an hour off over a
# change to or from daylight saving time.


def after(now: datetime, duration: timedelta) -> datetime:
    """Return the local time after a duration."""
    return dt_util.as_local(dt_util.as_utc(now) + duration)


def seconds_between(begin: datetime, end: datetime) -> float:
    """Return the time from one local time to another in s."""
    return (dt_util.as_utc(end) - dt_util.as_utc(begin)).total_seconds()


def _end(now: datetime, duration: timedelta | None, until: time | None) -> datetime:
    """Return the end of the load; a time of the day that has passed is tomorrow's."""
    if until is None:
        return after(now, duration or timedelta())
    end = now.replace(
        hour=until.hour, minute=until.minute, second=until.second, microsecond=0
    )
    return end if end > now else end + timedelta(days=1)


async def async_readable_entity_id(call: ServiceCall, entry: ConfigEntry[Any]) -> str:
    """Return the entity of the state of charge, which the caller may read.

    Raises UnknownUser or Unauthorized.
    """
    # A bank has no unique ID of its own.
    identifier = entry.entry_id if entry in async_banks(call.hass) else entry.unique_id
    entity_id = er.async_get(call.hass).async_get_entity_id(
        Platform.SENSOR, DOMAIN, f"{identifier}_state_of_charge"
    )
    if call.context.user_id:
        user = await call.hass.auth.async_get_user(call.context.user_id)
        if user is None:
            raise UnknownUser(context=call.context)
        if not user.is_admin and (
            entity_id is None
            or not user.permissions.check_entity(entity_id, POLICY_READ)
        ):
            raise Unauthorized(
                context=call.context, entity_id=entity_id, permission=POLICY_READ
            )
    return entity_id or entry.entry_id


def _estimate_of(
    entry: ConfigEntry[Any], call: ServiceCall, now: datetime, end: datetime
) -> dict[str, Any]:
    """Return the estimate for a battery or a bank; raises ServiceValidationError."""
    contents, present, reserve = _source(call.hass, entry)
    power = -call.data[POWER]
    if call.data[INCLUDE_PRESENT]:
        power += present
    seconds = seconds_between(now, end)
    result = estimate(contents, power, seconds, reserve)
    at = result.seconds_to_reserve
    return {
        "state_of_charge_now": round(result.state_of_charge_now, 1),
        "state_of_charge": round(result.state_of_charge, 1),
        "reserve": reserve,
        "is_enough": at is None,
        "reserve_at": None
        if at is None
        else after(now, timedelta(seconds=at)).isoformat(),
        "end": end.isoformat(),
        "net_power": round(power),
    }


def _source(
    hass: HomeAssistant, entry: ConfigEntry[Any]
) -> tuple[Contents, float, int]:
    """Return the contents, the present power in W (+ charging), and the reserve in %.

    Raises ServiceValidationError where the charge is not known now.
    """
    charge: Charge | None = None
    power: int | None = None
    if entry.state is ConfigEntryState.LOADED:
        device: VlrvData | BankCoordinator = entry.runtime_data
        if isinstance(device, BankCoordinator):
            runtime, reserve = device.trend.runtime, device.reserve
            if device.has_values:
                charge, power = device.data.usable, device.data.power
            cells = max((len(item.cells) for item in device.readings), default=0)
        else:
            runtime, reserve = device.history.runtime, device.options.reserve
            cells = device.info.cell_count
            if device.coordinator.has_values:
                status = device.coordinator.data
                charge, power = charge_of(status), status.power
        if charge is not None and charge.full and power is not None and cells:
            voltage = cells * NOMINAL_CELL_VOLTAGE
            contents = Contents(_left(charge, runtime), charge.full, voltage)
            average = runtime.current.value
            return contents, power if average is None else average * voltage, reserve
    raise ServiceValidationError(
        translation_domain=DOMAIN,
        translation_key="charge_unknown",
        translation_placeholders={"name": async_name(hass, entry)},
    )


def _left(charge: Charge, runtime: Runtime) -> float:
    """Return what is left in Ah, more finely than it is reported where that is known."""
    left = runtime.charge_left
    if left is None or not charge.low <= left <= charge.high:
        left = (charge.low + charge.high) / 2
    return min(max(left, 0.0), charge.full or left)
