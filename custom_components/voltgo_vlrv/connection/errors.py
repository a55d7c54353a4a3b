"""Why a battery could not be reached or read, by the keys of strings.json."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import logging
from typing import Final

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

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
from .slots import SlotMonitor

_LOGGER = logging.getLogger(__name__)

_REASONS: Final[tuple[tuple[type[VlrvError], str], ...]] = (
    (NotVlrvError, "not_vlrv"),
    (ConnectionLostError, "connection_lost"),
    (NoAnswerError, "no_answer"),
    (RefusedError, "refused"),
    (ImplausibleError, "implausible"),
)


# A battery without an advertisement for this long does not advertise. It sends about one
# in a second, but an adapter receives none while it connects.
ADVERTISING_WITHIN: Final = 30.0  # s

OTHER_BATTERY: Final = "other_battery"


class ReleasedError(VlrvError):
    """Raised while the battery is released by the user."""


class OtherBatteryError(ImplausibleError):
    """Raised when the battery under the known address is not that of the entry."""

    def __init__(self) -> None:
        """Initialize with the reason under which the sample is counted as rejected."""
        super().__init__((OTHER_BATTERY,))


# Unexpected errors that were logged: type and operation.
_reported: set[tuple[type[Exception], str]] = set()


def as_vlrv_error(err: Exception, operation: str) -> VlrvError:
    """Return an error of a radio call as a VlrvError, an unexpected one as a lost connection.

    An unexpected error is a fault of the program: it is logged with its traceback, once
    for each kind, and the battery is connected again like any other.
    """
    if isinstance(err, VlrvError):
        return err
    if (key := (type(err), operation)) not in _reported:
        _reported.add(key)
        _LOGGER.error("Unexpected error while %s", operation, exc_info=err)
    return ConnectionLostError(f"{type(err).__name__}: {err}")


@contextmanager
def typed_errors(doing: str) -> Iterator[None]:
    """Turn what is raised in the block into a VlrvError, see `as_vlrv_error`.

    A HomeAssistantError is meant for the user, and stays.
    """
    try:
        yield
    except VlrvError, HomeAssistantError:
        raise
    except Exception as err:
        raise as_vlrv_error(err, doing) from err


@callback
def error_reason(hass: HomeAssistant, address: str, err: VlrvError) -> str:
    """Return the key of the text that tells the user what happened.

    Decided by the adapters' slots and advertisements, not by the text of an error: a
    Bluetooth stack reports "no slot" or "not found" for many causes.
    """
    if isinstance(err, OtherBatteryError):
        return OTHER_BATTERY
    for kind, reason in _REASONS:
        if isinstance(err, kind):
            return reason
    if not bluetooth.async_scanner_count(hass, connectable=True):
        return "no_bluetooth"
    slots = SlotMonitor(hass, address)
    if slots.all_slots_taken() or (
        isinstance(err, NoSlotError) and not slots.has_free_slot()
    ):
        return "no_slot"
    info = bluetooth.async_last_service_info(hass, address, True)
    if info is None or not isinstance(err, NotReachableError):
        passive = bluetooth.async_address_present(hass, address, connectable=False)
        return "receive_only" if passive and info is None else "out_of_range"
    # A battery that is connected to another device does not advertise; Home Assistant
    # keeps its last advertisement for some minutes.
    is_advertising = hass.loop.time() - info.time < ADVERTISING_WITHIN
    return "connect_failed" if is_advertising else "busy"


@callback
def error_detail(hass: HomeAssistant, address: str, err: VlrvError) -> dict[str, str]:
    """Return the placeholders of the text; for the screen only, as addresses may be in it."""
    return {
        "adapters": describe_adapters(hass, address),
        "detail": bluetooth.async_address_reachability_diagnostics(
            hass, address, bluetooth.BluetoothReachabilityIntent.CONNECTION
        ),
        "error": str(err),
    }


@callback
def describe_adapters(hass: HomeAssistant, address: str) -> str:
    """Return the adapters in range, each with its used and available slots."""
    in_range = bluetooth.async_scanner_devices_by_address(hass, address, True)
    return ", ".join(_describe(device.scanner) for device in in_range) or "–"


def _describe(scanner: bluetooth.BaseHaScanner) -> str:
    if (allocations := scanner.get_allocations()) is None:
        return scanner.name
    used = allocations.slots - allocations.free
    return f"{scanner.name} ({used}/{allocations.slots})"
