"""Why a battery could not be reached or read, in the words of strings.json."""

from __future__ import annotations

import logging
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

_LOGGER = logging.getLogger(__name__)

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


# Kinds of unexpected errors that were logged, with what was done.
_reported: set[tuple[type[Exception], str]] = set()


def as_vlrv_error(err: Exception, doing: str) -> VlrvError:
    """Return an error of a radio call as a VlrvError, an unexpected one as a lost connection.

    An unexpected error is a fault of the program: it is logged with its traceback, once
    for each kind, and the battery is connected again like any other.
    """
    if isinstance(err, VlrvError):
        return err
    if (key := (type(err), doing)) not in _reported:
        _reported.add(key)
        _LOGGER.error("Unexpected error while %s", doing, exc_info=err)
    return ConnectionLostError(f"{type(err).__name__}: {err}")


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
