"""The firmware files that the user uploaded for one battery.

They are in Home Assistant's storage folder, so that an update of the integration does not
delete them. Before an installation, a file is compared with the hash of its upload.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from os import fsync
from pathlib import Path
import shutil
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import STORAGE_DIR

from ..const import CONF_FIRMWARE, DOMAIN
from ..entry_values import as_mapping
from ..vlrv.firmware_image import MAX_SIZE, FirmwareImage, ImageError, check_image

_RECORD_KEYS: Final = ("name", "version", "sha256")
_INSTALLED: Final = "installed"  # SHA-256; the record of a new upload has none


def stored_firmware(
    options: Mapping[str, Any], component: str
) -> Mapping[str, str] | None:
    """Return the record of the stored file for a board, None if there is none."""
    return stored_files(options).get(component)


def stored_files(options: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    """Return the valid records of stored files, by board."""
    return {
        component: record
        for component, record in as_mapping(options.get(CONF_FIRMWARE)).items()
        if isinstance(record, Mapping)
        and all(isinstance(record.get(key), str) for key in _RECORD_KEYS)
    }


def firmware_record(image: FirmwareImage) -> dict[str, str]:
    """Return the record of a file for the options."""
    return {"name": image.name, "version": image.version, "sha256": image.sha256}


def with_installed_hash(
    options: Mapping[str, Any], image: FirmwareImage
) -> dict[str, Any]:
    """Return the options with the hash of the installed file, if it is still stored."""
    component = image.component.key
    if (record := stored_firmware(options, component)) is None:
        return dict(options)
    return {
        **options,
        CONF_FIRMWARE: {
            **stored_files(options),
            component: {**record, _INSTALLED: image.sha256},
        },
    }


def is_installed(record: Mapping[str, str]) -> bool:
    """Return whether the stored file was installed since it was uploaded."""
    return record.get(_INSTALLED) == record["sha256"]


class FirmwareStore:
    """Stores the firmware files of one config entry, at most one for each board."""

    def __init__(self, hass: HomeAssistant, entry_id: str) -> None:
        """Determine the folder; nothing is read or created yet."""
        self._hass = hass
        self._folder = Path(hass.config.path(STORAGE_DIR, DOMAIN, entry_id))

    def _path(self, component: str) -> Path:
        return self._folder / f"{component}.bin"

    async def async_save(self, image: FirmwareImage) -> None:
        """Store a file in place of the earlier one for its board.

        Raises OSError; the earlier file is then unchanged.
        """

        def save() -> None:
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._path(image.component.key)
            new = path.with_suffix(".new")
            try:
                with new.open("wb") as file:
                    file.write(image.data)
                    file.flush()
                    fsync(file.fileno())  # a full disk may say so only here
                new.replace(path)
            except OSError:
                with suppress(OSError):
                    new.unlink(missing_ok=True)
                raise

        await self._hass.async_add_executor_job(save)

    async def async_load(
        self, options: Mapping[str, Any], component: str
    ) -> FirmwareImage | None:
        """Return the file for a board, None if it is missing or was changed."""
        if (record := stored_firmware(options, component)) is None:
            return None

        def load() -> FirmwareImage | None:
            try:
                with self._path(component).open("rb") as file:
                    # One byte more than an image may have, however large the file is.
                    data = file.read(MAX_SIZE + 1)
                image = check_image(record["name"], data)
            except OSError, ImageError:
                return None
            same = (image.component.key, image.sha256) == (component, record["sha256"])
            return image if same else None

        image = await self._hass.async_add_executor_job(load)
        return None if image is None else replace(image, version=record["version"])

    async def async_remove(self, component: str) -> None:
        """Delete the file for a board; never raises, as a file without record is not used."""

        def remove() -> None:
            with suppress(OSError):
                self._path(component).unlink(missing_ok=True)

        await self._hass.async_add_executor_job(remove)

    async def async_remove_all(self) -> None:
        """Delete all files."""
        await self._hass.async_add_executor_job(
            lambda: shutil.rmtree(self._folder, ignore_errors=True)
        )
