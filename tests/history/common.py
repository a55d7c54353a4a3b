"""Steps that several tests of this folder take."""

from __future__ import annotations

from typing import Any

from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant, callback

from simulator.battery import SimulatedBattery

HOUR = 3600.0
DAY = 24 * HOUR
MONTH = 365.25 / 12 * DAY


def true_minutes(pack: SimulatedBattery, key: str) -> float:
    """Return the time by the exact charge and the exact current."""
    charge = (
        pack.charge if key == "time_to_empty" else pack.capacity * 3600 - pack.charge
    )
    return charge / abs(pack.current) / 60


def changes_of(hass: HomeAssistant, name: str) -> list[tuple[float, str]]:
    """Return a list that grows with each state of an entity, and when it was written."""
    seen: list[tuple[float, str]] = []

    @callback
    def note(event: Event[Any]) -> None:
        if event.data["entity_id"] == name and event.data["new_state"] is not None:
            seen.append((hass.loop.time(), event.data["new_state"].state))

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    return seen
