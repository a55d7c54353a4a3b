"""Steps that several tests of this folder take."""

from __future__ import annotations

from collections.abc import Callable
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


class RecordedSection:
    """A section of a file that is never written: it notes how it would be saved."""

    def __init__(self, as_stored: Callable[[], Any], delay: float) -> None:
        """Begin with nothing saved or stored."""
        self.as_stored = as_stored
        self.delay = delay
        self.saved: list[bool] = []
        """Whether at once, of each save."""
        self.stored: Any = None

    def save_later(self, *, at_once: bool = False) -> None:
        """Note it."""
        self.saved.append(at_once)

    def loaded(self, from_stored: Callable[[Any], Any]) -> Any:
        """Return what is stored as it is read, None without anything."""
        return None if self.stored is None else from_stored(self.stored)


class RecordedStore:
    """A file that is never written, for decisions without an event loop."""

    def __init__(self) -> None:
        """Begin without sections."""
        self.sections: dict[str, RecordedSection] = {}

    def section(
        self, name: str, as_stored: Callable[[], Any], delay: float
    ) -> RecordedSection:
        """Add a section."""
        self.sections[name] = RecordedSection(as_stored, delay)
        return self.sections[name]

    @property
    def saved(self) -> dict[str, list[bool]]:
        """Return how each section that changed was saved since the last call."""
        found = {name: item.saved for name, item in self.sections.items() if item.saved}
        for item in self.sections.values():
            item.saved = []
        return found
