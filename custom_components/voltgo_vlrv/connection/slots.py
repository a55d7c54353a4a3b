"""Which adapter holds the connection to a battery."""

from __future__ import annotations

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant, callback


@callback
def connected_scanner(
    hass: HomeAssistant, address: str
) -> bluetooth.BaseHaScanner | None:
    """Return the adapter that holds a connection to `address`, None if none does.

    Taken from the allocations of the connection slots: the Bluetooth client does not
    tell which adapter it chose.
    """
    for scanner in bluetooth.async_current_scanners(hass):
        allocations = scanner.get_allocations()
        if allocations is not None and address in allocations.allocated:
            return scanner
    return None
