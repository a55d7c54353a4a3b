"""Diagnostics: what a user can download and attach to a report, in any entry state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum, Flag
from typing import Any, Final

from homeassistant.components import bluetooth
from homeassistant.components.diagnostics import async_redact_data
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant, callback

from .bank.diagnostics import bank_report
from .battery.settings import NAME
from .const import CONF_INFO, CONF_PENDING
from .data import VlrvConfigEntry, VlrvData
from .entries import async_batteries, async_name, is_bank, members_of
from .entry_values import as_mapping
from .history.diagnostic_log import async_diagnostic_log
from .history.energy import DIRECTIONS
from .options import BatteryOptions
from .redaction import Redactor
from .vlrv.registers import BatteryStatus

SECRET_KEYS: Final = frozenset(
    {CONF_ADDRESS, "password", "serial", "serial_number", "unique_id"}
)


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: VlrvConfigEntry
) -> dict[str, Any]:
    """Return the diagnostics, also if the entry could not be set up."""
    if is_bank(entry):
        members = members_of(entry)
        entries = [
            other for other in async_batteries(hass) if other.unique_id in members
        ]
        report = {"entry": _entry(entry), **bank_report(hass, entry)}
        return _redacted(hass, report, [entry, *entries], members)
    trace, observations = async_diagnostic_log(hass, entry.entry_id)
    await observations.async_load()
    battery: VlrvData | None = getattr(entry, "runtime_data", None)
    report = {
        "entry": _entry(entry),
        "bluetooth": _bluetooth(hass, entry.data[CONF_ADDRESS]),
        "battery": None if battery is None else _battery(battery),
        "trace": trace.as_dict(),
        "observations": observations.as_dict(BatteryOptions(entry).current_scale),
    }
    addresses = [entry.data[CONF_ADDRESS], entry.unique_id or ""]
    return _redacted(hass, report, [entry], addresses)


def _redacted(
    hass: HomeAssistant,
    report: dict[str, Any],
    entries: Iterable[ConfigEntry[Any]],
    addresses: Iterable[str],
) -> dict[str, Any]:
    """Return a report as JSON types, without what identifies a battery or a user."""
    entries = [*entries]
    redact = Redactor(
        addresses,
        _sources(hass),
        serial_numbers=[
            serial
            for entry in entries
            if isinstance(
                serial := as_mapping(entry.data.get(CONF_INFO)).get("serial"), str
            )
        ],
        names=[
            name
            for entry in entries
            for name in _names(hass, entry)
            if isinstance(name, str)
        ],
    )
    redacted: dict[str, Any] = redact(async_redact_data(_plain(report), SECRET_KEYS))
    return redacted


def _names(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Iterator[object]:
    """Yield the names of a battery or a bank, present, former and pending ones."""
    yield entry.title
    yield async_name(hass, entry)
    yield as_mapping(entry.data.get(CONF_INFO)).get("name")
    yield as_mapping(entry.data.get(CONF_PENDING)).get(NAME)
    if not is_bank(entry) and bluetooth.DOMAIN in hass.config.components:
        address = entry.data[CONF_ADDRESS]
        if info := bluetooth.async_last_service_info(hass, address, False):
            yield info.name


def _entry(entry: ConfigEntry[Any]) -> dict[str, Any]:
    return {
        "title": entry.title,
        "version": f"{entry.version}.{entry.minor_version}",
        "source": entry.source,
        "state": entry.state,
        "reason": entry.reason,
        "disabled_by": entry.disabled_by,
        "created_at": entry.created_at,
        "data": entry.data,
        "options": entry.options,
    }


def _battery(battery: VlrvData) -> dict[str, Any]:
    client = battery.client
    settings = battery.settings
    return {
        "status": None
        if battery.coordinator.data is None
        else _status(battery.coordinator.data),
        "settings": {
            "module_id": settings.module_id,
            "protocols": settings.protocols,
            "pending": settings.pending,
        },
        "connection": {
            "connected": client.is_connected,
            "state": battery.connection.status.state,
            "mode": battery.connection.mode,
            "released_until": battery.connection.status.released_until,
            "last_failure": battery.coordinator.last_failure,
            "signal_strength": battery.advertisement.signal_strength,
            "discarded_bytes": client.discarded_bytes,
            **_plain(client.counters),
        },
        "statistics": battery.statistics,
        "energy": {
            direction: battery.history.energy.total(direction)
            for direction in DIRECTIONS
        },
        "runtime": {
            "smoothed_current": battery.history.runtime.current.value,
            "minutes_to_empty": battery.history.runtime.minutes_to_empty,
            "minutes_to_full": battery.history.runtime.minutes_to_full,
        },
        "charge_history": {
            "last_full_charge": battery.history.maintenance.last_full_charge,
            "recharge_due": battery.history.maintenance.recharge_due,
            "elapsed_fraction": battery.history.maintenance.elapsed_fraction,
        },
        "care": battery.history.care.as_stored(),
        "routine_maintenance": battery.history.routine.as_stored(),
    }


def _status(status: BatteryStatus) -> dict[str, Any]:
    return {**_plain(status), "power": status.power, "registers": status.registers}


# --- what Home Assistant's Bluetooth knows ----------------------------------------------


@callback
def _scanners(hass: HomeAssistant) -> list[bluetooth.BaseHaScanner]:
    if bluetooth.DOMAIN not in hass.config.components:
        return []
    return bluetooth.async_current_scanners(hass)


def _sources(hass: HomeAssistant) -> list[str]:
    return sorted({scanner.source for scanner in _scanners(hass)})


@callback
def _bluetooth(hass: HomeAssistant, address: str) -> dict[str, Any] | None:
    """Return the adapters and the last advertisement; None without Bluetooth."""
    if bluetooth.DOMAIN not in hass.config.components:
        return None
    rssi = {
        (device.scanner.source, connectable): device.advertisement.rssi
        for connectable in (False, True)
        for device in bluetooth.async_scanner_devices_by_address(
            hass, address, connectable
        )
    }
    return {
        "advertisement": _advertisement(
            hass, bluetooth.async_last_service_info(hass, address, False)
        ),
        "adapters": [
            {
                "source": scanner.source,
                "name": scanner.name,
                "adapter": scanner.adapter,
                "connectable": scanner.connectable,
                "scanning": scanner.scanning,
                "mode": scanner.current_mode,
                "seconds_since_last_detection": round(
                    scanner.time_since_last_detection(), 1
                ),
                "slots": _slots(scanner, address),
                "battery_signal_strength": rssi.get(
                    (scanner.source, scanner.connectable)
                ),
            }
            for scanner in _scanners(hass)
        ],
        "reachability": bluetooth.async_address_reachability_diagnostics(
            hass, address, bluetooth.BluetoothReachabilityIntent.CONNECTION
        ),
    }


def _slots(scanner: bluetooth.BaseHaScanner, address: str) -> dict[str, Any] | None:
    if (allocations := scanner.get_allocations()) is None:
        return None
    return {
        "total": allocations.slots,
        "free": allocations.free,
        "battery_connected": address in allocations.allocated,
    }


def _advertisement(
    hass: HomeAssistant, info: bluetooth.BluetoothServiceInfoBleak | None
) -> dict[str, Any] | None:
    if info is None:
        return None
    return {
        "name": info.name,
        "source": info.source,
        "signal_strength": info.rssi,
        "connectable": info.connectable,
        "seconds_ago": round(hass.loop.time() - info.time, 1),
        "service_uuids": info.service_uuids,
        "service_data": info.service_data,
        # As transmitted: the first two bytes may be part of the address (protocol 1).
        "manufacturer_data": [
            company.to_bytes(2, "little") + data
            for company, data in info.manufacturer_data.items()
        ],
    }


# --- JSON -------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Return a value as JSON types."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Flag):
        return {"word": f"0x{value.value:04x}", "names": value.name or ""}
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return str(value)
