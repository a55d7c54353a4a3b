"""What an owner can download and attach to an issue, whatever state the entry is in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum, Flag
import re
from typing import Any, Final

from homeassistant.components import bluetooth
from homeassistant.components.diagnostics import REDACTED, async_redact_data
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import CONF_ADDRESS
from homeassistant.core import HomeAssistant, callback

from .bank.diagnostics import bank_report
from .const import CONF_CURRENT_SCALE
from .data import VlrvConfigEntry, VlrvData
from .entries import is_bank, members_of
from .history.diagnostic_log import async_diagnostic_log
from .history.energy import DIRECTIONS
from .vlrv.registers import CURRENT_SCALE, BatteryStatus

SECRET_KEYS: Final = frozenset(
    {CONF_ADDRESS, "password", "serial", "serial_number", "unique_id"}
)

_HEX: Final = "0-9a-fA-F"
_SEPARATOR: Final = "[:_. -]"
_ANY_ADDRESS: Final = re.compile(
    f"(?<![{_HEX}])[{_HEX}]{{2}}(?:{_SEPARATOR}[{_HEX}]{{2}}){{5}}(?![{_HEX}])"
)


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: VlrvConfigEntry
) -> dict[str, Any]:
    """Return all there is to know, also when the battery could not be set up."""
    if is_bank(entry):
        report = {"entry": _entry(entry), **bank_report(hass, entry)}
        return _cleaned(hass, report, members_of(entry))
    trace, evidence = async_diagnostic_log(hass, entry.entry_id)
    await evidence.async_load()
    battery: VlrvData | None = getattr(entry, "runtime_data", None)
    found = {
        "entry": _entry(entry),
        "bluetooth": _bluetooth(hass, entry.data[CONF_ADDRESS]),
        "battery": None if battery is None else _battery(battery),
        "trace": trace.as_dict(),
        "evidence": evidence.as_dict(
            int(entry.options.get(CONF_CURRENT_SCALE, CURRENT_SCALE))
        ),
    }
    return _cleaned(hass, found, [entry.data[CONF_ADDRESS], entry.unique_id or ""])


def _cleaned(
    hass: HomeAssistant, found: dict[str, Any], addresses: Iterable[str]
) -> dict[str, Any]:
    """Return it as what JSON knows, without anything private."""
    redact = _Redaction(addresses, _sources(hass))
    cleaned: dict[str, Any] = redact(async_redact_data(_plain(found), SECRET_KEYS))
    return cleaned


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
    controls = battery.settings
    return {
        "status": None
        if battery.coordinator.data is None
        else _status(battery.coordinator.data),
        "settings": {
            "module_id": controls.module_id,
            "protocols": controls.protocols,
            "pending": controls.pending,
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
        "health": battery.statistics,
        "energy": {
            direction: battery.energy.total(direction) for direction in DIRECTIONS
        },
        "estimates": {
            "smoothed_current": battery.runtime.current.value,
            "minutes_to_empty": battery.runtime.minutes_to_empty,
            "minutes_to_full": battery.runtime.minutes_to_full,
            "last_full_charge": battery.maintenance.last_full_charge,
            "recharge_due": battery.maintenance.recharge_due,
            "used_until_recharge": battery.maintenance.elapsed_fraction,
        },
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
    """Return who hears the battery; None while Home Assistant has no Bluetooth."""
    if bluetooth.DOMAIN not in hass.config.components:
        return None
    heard = {
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
                "seconds_since_last_heard_anything": round(
                    scanner.time_since_last_detection(), 1
                ),
                "slots": _slots(scanner, address),
                "hears_the_battery_at": heard.get(
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
        "holds_the_battery": address in allocations.allocated,
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
        # As on the air: the first two bytes may be part of the address (protocol 1).
        "manufacturer_data": [
            company.to_bytes(2, "little") + data
            for company, data in info.manufacturer_data.items()
        ],
    }


# --- making it fit to be read by everybody ----------------------------------------------


def _plain(value: Any) -> Any:
    """Return a value as what JSON knows."""
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


class _Redaction:
    """Replaces addresses anywhere: in keys, names, error texts and frames.

    The battery's goes without trace. Adapters get numbers, so that it can be seen which
    of them did what. Whatever else looks like an address goes as well.
    """

    def __init__(self, addresses: Iterable[str], sources: Iterable[str]) -> None:
        """Prepare for these; names that are no addresses, such as `hci0`, may stay."""
        self._patterns = [
            (pattern, REDACTED)
            for address in addresses
            if (pattern := _pattern(address)) is not None
        ]
        # Titles and names that entries were given by earlier versions.
        self._patterns += [
            (
                re.compile(rf"(?<=VLRV )\b{end}\b|(?<=\(){end}(?=\))", re.IGNORECASE),
                REDACTED,
            )
            for address in addresses
            if (end := re.sub("[^0-9A-Fa-f]", "", address)[-4:])
        ]
        self._patterns += [
            (pattern, f"**ADAPTER {number}**")
            for number, source in enumerate(sources, 1)
            if (pattern := _pattern(source)) is not None
        ]
        self._patterns.append((_ANY_ADDRESS, REDACTED))

    def __call__(self, value: Any) -> Any:
        """Return the value without them; it is one that `_plain` returned."""
        if isinstance(value, str):
            for pattern, replacement in self._patterns:
                value = pattern.sub(replacement, value)
            return value
        if isinstance(value, dict):
            return {self(key): self(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self(item) for item in value]
        return value


def _pattern(address: str) -> re.Pattern[str] | None:
    """Return what finds an address as text, as bytes, or as text in bytes."""
    digits = re.sub(r"[^0-9a-z]", "", address.lower())
    if not re.fullmatch("(?:[0-9a-f]{2}){6,}", digits):
        return None
    octets = [digits[at : at + 2] for at in range(0, len(digits), 2)]
    as_text = "(?:3a|5f|2e|20|2d)?".join(
        "".join(
            f"(?:{digit.encode().hex()}|{digit.upper().encode().hex()})"
            for digit in octet
        )
        for octet in octets
    )
    separated = f"{_SEPARATOR}?"
    return re.compile(
        "|".join((separated.join(octets), separated.join(reversed(octets)), as_text)),
        re.IGNORECASE,
    )
