"""Updates: the firmware of the BMS and of the communication board."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, override

from homeassistant.components.update import (
    UpdateDeviceClass,
    UpdateEntity,
    UpdateEntityDescription,
    UpdateEntityFeature,
)
from homeassistant.const import EntityCategory, Platform
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .battery.firmware import BMS, COMM
from .battery.firmware_files import is_installed, stored_firmware
from .battery.info import BatteryInfo
from .battery.slow_values import SLOW
from .const import DOMAIN
from .data import VlrvConfigEntry
from .entity import VlrvEntity
from .localization import translations

# Not limited: a second installation is refused. One that waited for its turn would start
# by itself after the first had failed.
PARALLEL_UPDATES = 0

UPDATES: Final = tuple(
    UpdateEntityDescription(
        key=f"{component}_firmware",
        translation_key=f"{component}_firmware",
        device_class=UpdateDeviceClass.FIRMWARE,
        entity_category=EntityCategory.CONFIG,
    )
    for component in (BMS, COMM)
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the BMS, and the communication board while a file for it is stored.

    That board reports no version, so without a file there is nothing to show.
    """
    battery = entry.runtime_data
    bms, comm = UPDATES
    async_add_entities([VlrvUpdate(battery, bms, SLOW)])
    registry = er.async_get(hass)
    is_added = False
    known_options: Mapping[str, Any] | None = None

    @callback
    def update_comm_entity() -> None:
        nonlocal is_added, known_options
        if entry.options is known_options:
            return
        known_options = entry.options
        if stored_firmware(entry.options, COMM) is not None:
            if not is_added:
                async_add_entities([VlrvUpdate(battery, comm, SLOW)])
            is_added = True
            return
        is_added = False
        if known := registry.async_get_entity_id(
            Platform.UPDATE, DOMAIN, f"{battery.address}_{comm.key}"
        ):
            registry.async_remove(known)

    update_comm_entity()
    entry.async_on_unload(battery.coordinator.async_add_listener(update_comm_entity))


class VlrvUpdate(VlrvEntity, UpdateEntity):
    """The firmware of one board: the reported version, and the file of the user.

    No server is asked: without a file there is no update. No known register holds the
    version of the communication board, so it is unknown (protocol 5).
    """

    _attr_supported_features = (
        UpdateEntityFeature.INSTALL
        | UpdateEntityFeature.PROGRESS
        | UpdateEntityFeature.RELEASE_NOTES
    )
    _attr_installed_version: str | None = None
    _attr_latest_version: str | None = None
    # What the versions were taken from.
    _sources: tuple[Mapping[str, Any], BatteryInfo] | None = None

    @property
    def _component(self) -> str:
        return self.entity_description.key.removesuffix("_firmware")

    @override
    def _update_attrs(self) -> bool:
        coordinator = self.coordinator
        options, info = coordinator.config_entry.options, self.battery.info
        if (options, info) == self._sources:
            return False
        self._sources = (options, info)
        record = stored_firmware(options, self._component)
        reported = info.firmware if self._component == BMS else ""
        installed = latest = reported or None
        if record is not None:
            if not reported:
                # Home Assistant offers an update only if both versions are known.
                installed = latest = translations(coordinator.hass).versions[
                    "not_reported"
                ]
            if reported or not is_installed(record):
                latest = record["version"]
        shown = (self._attr_installed_version, self._attr_latest_version)
        if (installed, latest) == shown:
            return False
        self._attr_installed_version = installed
        self._attr_latest_version = latest
        return True

    @override
    def version_is_newer(self, latest_version: str, installed_version: str) -> bool:
        """Return whether they differ: a dealer may supply an older version on purpose."""
        return latest_version != installed_version

    @override
    async def async_install(
        self, version: str | None, backup: bool, **kwargs: Any
    ) -> None:
        """Transfer the uploaded file and wait for the battery to restart with it."""
        try:
            await self.battery.firmware.async_install(
                self._component, self._show_progress
            )
        finally:
            self._attr_in_progress = False
            self._attr_update_percentage = None
            self._update_attrs()
            self.async_write_ha_state()
            await self.coordinator.async_request_refresh()

    @callback
    def _show_progress(self, percent: int) -> None:
        self._attr_in_progress = True
        self._attr_update_percentage = percent
        self.async_write_ha_state()

    @override
    async def async_release_notes(self) -> str:
        """Return what a user should know before an installation."""
        texts = translations(self.hass).versions
        image = await self.battery.firmware.store.async_load(
            self.coordinator.config_entry.options, self._component
        )
        if image is None or image.is_familiar:
            return texts["release_notes"]
        return f"{texts['unfamiliar']}\n\n{texts['release_notes']}"
