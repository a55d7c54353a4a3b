"""A phone to notify: what it receives is shown under Notifications."""

from __future__ import annotations

from homeassistant.components import persistent_notification
from homeassistant.components.notify import NotifyEntity, NotifyEntityFeature
from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant
from homeassistant.helpers.device_registry import DeviceInfo
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .const import DOMAIN

NAME = "Demo phone"


async def async_setup_entry(
    _hass: HomeAssistant,
    _entry: ConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the phone."""
    async_add_entities([DemoPhone()])


class DemoPhone(NotifyEntity):
    """A phone that shows each message as a notification of Home Assistant."""

    _attr_has_entity_name = True
    _attr_name = None
    _attr_unique_id = "phone"
    _attr_supported_features = NotifyEntityFeature.TITLE
    _attr_device_info = DeviceInfo(
        identifiers={(DOMAIN, "phone")}, name=NAME, model="Simulated phone"
    )

    async def async_send_message(self, message: str, title: str | None = None) -> None:
        """Show a message, headed by the phone's name and the title if there is one."""
        heading = NAME if title is None else f"{NAME}: {title}"
        persistent_notification.async_create(self.hass, message, heading)
