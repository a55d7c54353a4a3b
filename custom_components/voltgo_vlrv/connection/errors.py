"""Why a battery could not be reached or read, in the words of strings.json."""

from __future__ import annotations

from typing import Final

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant, callback

from ..vlrv.errors import (
    ConnectionLostError,
    ImplausibleError,
    NoAnswerError,
    NoSlotError,
    NotReachableError,
    NotVlrvError,
    RefusedError,
    VlrvError,
)

_REASONS: Final[tuple[tuple[type[VlrvError], str], ...]] = (
    (NotVlrvError, "not_vlrv"),
    (NoSlotError, "no_slot"),
    (ConnectionLostError, "connection_lost"),
    (NoAnswerError, "no_answer"),
    (RefusedError, "refused"),
    (ImplausibleError, "implausible"),
)


class ReleasedError(VlrvError):
    """The user has released the battery and not resumed."""


@callback
def error_reason(hass: HomeAssistant, address: str, err: VlrvError) -> str:
    """Return the key of the text that tells an owner what happened."""
    for kind, reason in _REASONS:
        if isinstance(err, kind):
            return reason
    if not bluetooth.async_scanner_count(hass, connectable=True):
        return "no_bluetooth"
    # A battery that is connected to something else is silent, and some minutes go by
    # before it counts as gone: one that is heard and yet not reached is most likely that.
    present = bluetooth.async_address_present(hass, address, connectable=True)
    return "busy" if present and isinstance(err, NotReachableError) else "out_of_range"


@callback
def error_detail(hass: HomeAssistant, address: str, err: VlrvError) -> dict[str, str]:
    """Return what the text may name, for the screen: it may hold adapter addresses."""
    return {
        "adapters": describe_adapters(hass, address),
        "detail": bluetooth.async_address_reachability_diagnostics(
            hass, address, bluetooth.BluetoothReachabilityIntent.CONNECTION
        ),
        "error": str(err),
    }


@callback
def describe_adapters(hass: HomeAssistant, address: str) -> str:
    """Return who hears the battery, and how many of its connections each has in use."""
    hearing = bluetooth.async_scanner_devices_by_address(hass, address, True)
    return ", ".join(_describe(device.scanner) for device in hearing) or "–"


def _describe(scanner: bluetooth.BaseHaScanner) -> str:
    if (allocations := scanner.get_allocations()) is None:
        return scanner.name
    used = allocations.slots - allocations.free
    return f"{scanner.name} ({used}/{allocations.slots})"
