"""Event: a protection has tripped or cleared; each is a line in the logbook."""

from __future__ import annotations

from typing import Final, override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .data import VlrvConfigEntry
from .entity import VlrvEntity, keep_on_new_entity_id
from .vlrv.faults import FAULTS, UNKNOWN_BIT, active_faults

# Events are derived from the coordinator's data; no request is sent.
PARALLEL_UPDATES = 0

# One event type for each direction, so that an automation needs no template and the
# logbook shows the difference.
TRIPPED: Final = "tripped"
CLEARED: Final = "cleared"
UNKNOWN: Final = "unknown_bit"

PROTECTION: Final = EventEntityDescription(
    key="protection",
    translation_key="protection",
    event_types=[
        f"{key}_{direction}"
        for key in (*(fault.key for fault in FAULTS), UNKNOWN)
        for direction in (TRIPPED, CLEARED)
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

    After a restart, the first sample is compared with the stored one. Protections that
    are active when the battery is added, before any event, are reported as tripped.
    """

    _active: frozenset[str] | None = None

    @property
    @override
    def available(self) -> bool:
        """Return True: the last event stays valid while the battery is unavailable."""
        return True

    async_entity_id_changed = keep_on_new_entity_id

    @override
    async def async_added_to_hass(self) -> None:
        """Subscribe; without an earlier event, report active protections next."""
        await super().async_added_to_hass()
        if self.state is None:
            self._active = frozenset()

    @override
    def _update_attrs(self) -> bool:
        if self.coordinator.data is not None and self._active is None:
            self._active = active_faults(self.coordinator.data.protections)
        return False

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        previous = self._active
        if self.coordinator.data is None or previous is None:
            self._update_attrs()
            return
        self._active = active = active_faults(self.coordinator.data.protections)
        if active == previous:
            return
        # The last event stays shown: one that is active, rather than one that is over.
        for keys, direction in (
            (previous - active, CLEARED),
            (active - previous, TRIPPED),
        ):
            for key in sorted(keys):
                if key.startswith(UNKNOWN_BIT):
                    bit = int(key.removeprefix(UNKNOWN_BIT))
                    self._trigger_event(f"{UNKNOWN}_{direction}", {"bit": bit})
                else:
                    self._trigger_event(f"{key}_{direction}")
                self.async_write_ha_state()
