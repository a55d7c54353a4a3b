"""Event: a protection has tripped or cleared, so that it stands in the logbook."""

from __future__ import annotations

from typing import Final, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .data import VlrvConfigEntry
from .entity import VlrvEntity
from .vlrv.faults import FAULTS, UNKNOWN_BIT, active_faults

# Events follow what the coordinator holds; nothing is sent for them.
PARALLEL_UPDATES = 0

# A type of its own for each way, so that an automation can wait for one of them without
# a template, and the logbook tells them apart.
TRIPPED: Final = "tripped"
CLEARED: Final = "cleared"
UNKNOWN: Final = "unknown_bit"

PROTECTION: Final = EventEntityDescription(
    key="protection",
    translation_key="protection",
    event_types=[
        f"{key}_{way}"
        for key in (*(fault.key for fault in FAULTS), UNKNOWN)
        for way in (TRIPPED, CLEARED)
    ],
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the event."""
    async_add_entities([VlrvProtectionEvent(entry.runtime_data, PROTECTION)])


class VlrvProtectionEvent(VlrvEntity, EventEntity):
    """Fires once for each protection that trips or clears between two samples.

    What is on in the first sample ever has not just tripped, and is not fired. After a
    restart the sample that was kept is the one before.
    """

    _active: frozenset[str] | None = None

    @property
    @override
    def available(self) -> bool:
        """Return True: the last event stays the last event while the battery is away."""
        return True

    @override
    def _update_attrs(self) -> bool:
        if self.coordinator.data is not None and self._active is None:
            self._active = active_faults(self.coordinator.data.protections)
        return False

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        before = self._active
        if self.coordinator.data is None or before is None:
            self._update_attrs()
            return
        self._active = active = active_faults(self.coordinator.data.protections)
        if active == before:
            return
        for keys, way in ((active - before, TRIPPED), (before - active, CLEARED)):
            for key in sorted(keys):
                if key.startswith(UNKNOWN_BIT):
                    bit = int(key.removeprefix(UNKNOWN_BIT))
                    self._trigger_event(f"{UNKNOWN}_{way}", {"bit": bit})
                else:
                    self._trigger_event(f"{key}_{way}")
                self.async_write_ha_state()
