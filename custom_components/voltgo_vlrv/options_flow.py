"""Options flow of a battery: polling, thresholds and firmware files."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import voluptuous as vol

from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.config_entries import ConfigFlowResult
from homeassistant.const import CONF_PASSWORD, PERCENTAGE, UnitOfTime
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.selector import (
    BooleanSelector,
    FileSelector,
    FileSelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectSelector,
    SelectSelectorConfig,
    TextSelector,
    TextSelectorConfig,
    TextSelectorType,
)
from homeassistant.util.hass_dict import HassKey

from .battery.firmware_files import FirmwareStore, firmware_record, stored_files
from .capacity_flow import CapacityTestSteps
from .connection import ConnectionMode
from .const import (
    CONF_CONNECTION,
    CONF_CURRENT_SCALE,
    CONF_FIRMWARE,
    CONF_INTERVAL,
    CONF_LOW_BATTERY,
    CONF_MAX_AGE,
    CONF_RECORD_EVERY_CHANGE,
    CONF_RESERVE,
    DEFAULT_LOW_BATTERY,
    DEFAULT_RESERVE,
    DOMAIN,
    MAX_AGE_OPTION,
    MAX_INTERVAL,
    MAX_RESERVE,
    MIN_AGE_INTERVALS,
    MIN_AGE_OPTION,
    MIN_INTERVAL,
    POLL_INTERVAL,
)
from .entries import async_name
from .localization import plain_text
from .vlrv.firmware_image import (
    COMPONENTS,
    MAX_SIZE,
    FirmwareImage,
    ImageError,
    ImageProblem,
    check_image,
)
from .vlrv.registers import CURRENT_SCALE, CURRENT_SCALES

# Printed in the manual (6.3). It protects nothing: it makes sure that a user who installs
# firmware has read that chapter.
FIRMWARE_PASSWORD: Final = "zt123"

CONF_FILE: Final = "file"
CONF_COMPONENT: Final = "component"
CONF_UNFAMILIAR: Final = "unfamiliar"
CONF_VERSION: Final = "version"
MAX_VERSION_LENGTH: Final = 32

_STORE_LOCK: HassKey[asyncio.Lock] = HassKey(f"{DOMAIN}_firmware_store_lock")

_COMPONENTS: Final = {component.key: component for component in COMPONENTS}


def charge_fields(options: Mapping[str, Any]) -> dict[vol.Marker, NumberSelector]:
    """Return the fields of the low-battery threshold and the reserve, both in %."""
    return {
        vol.Required(key, default=options.get(key, default)): NumberSelector(
            NumberSelectorConfig(
                min=lowest,
                max=highest,
                step=1,
                unit_of_measurement=PERCENTAGE,
                mode=NumberSelectorMode.BOX,
            )
        )
        for key, default, lowest, highest in (
            (CONF_LOW_BATTERY, DEFAULT_LOW_BATTERY, 1, 99),
            (CONF_RESERVE, DEFAULT_RESERVE, 0, MAX_RESERVE),
        )
    }


def record_field(options: Mapping[str, Any]) -> dict[vol.Marker, BooleanSelector]:
    """Return the field that asks whether each change is recorded."""
    recorded = options.get(CONF_RECORD_EVERY_CHANGE, False)
    return {vol.Required(CONF_RECORD_EVERY_CHANGE, default=recorded): BooleanSelector()}


class VlrvOptionsFlow(CapacityTestSteps):
    """Change the options of a battery, and add or remove its firmware files."""

    def __init__(self) -> None:
        """Initialize the flow without a file."""
        self._upload: _Upload | None = None
        self._image: FirmwareImage | None = None

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the menu; removing is possible while a file is stored."""
        steps = ["general", "capacity_test", "firmware_upload"]
        if stored_files(self.config_entry.options):
            steps.append("firmware_remove")
        return self.async_show_menu(
            step_id="init",
            menu_options=steps,
            description_placeholders={"name": async_name(self.hass, self.config_entry)},
        )

    async def async_step_general(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for polling, the connection mode, thresholds, the scale and the rows."""
        options = self.config_entry.options
        errors: dict[str, str] = {}
        if user_input is not None:
            if (
                user_input.get(CONF_MAX_AGE, MAX_AGE_OPTION.total_seconds())
                < MIN_AGE_INTERVALS * user_input[CONF_INTERVAL]
            ):
                errors[CONF_MAX_AGE] = "max_age_too_short"
            else:
                # The input does not contain a field that the user cleared.
                unchanged = {
                    key: value for key, value in options.items() if key != CONF_MAX_AGE
                }
                return self.async_create_entry(data={**unchanged, **user_input})
        suggested = options if user_input is None else user_input
        return self.async_show_form(
            step_id="general",
            # Home Assistant replaces the voluptuous types at run time.
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(  # type: ignore[arg-type]
                    {
                        vol.Required(
                            CONF_INTERVAL,
                            default=options.get(
                                CONF_INTERVAL, POLL_INTERVAL.total_seconds()
                            ),
                        ): NumberSelector(
                            NumberSelectorConfig(
                                min=MIN_INTERVAL.total_seconds(),
                                max=MAX_INTERVAL.total_seconds(),
                                step=1,
                                unit_of_measurement=UnitOfTime.SECONDS,
                                mode=NumberSelectorMode.BOX,
                            )
                        ),
                        vol.Required(
                            CONF_CONNECTION,
                            default=options.get(
                                CONF_CONNECTION, ConnectionMode.AUTOMATIC
                            ),
                        ): SelectSelector(
                            SelectSelectorConfig(
                                options=list(ConnectionMode),
                                translation_key=CONF_CONNECTION,
                            )
                        ),
                        vol.Optional(CONF_MAX_AGE): NumberSelector(
                            NumberSelectorConfig(
                                min=MIN_AGE_OPTION.total_seconds(),
                                max=MAX_AGE_OPTION.total_seconds(),
                                step=1,
                                unit_of_measurement=UnitOfTime.SECONDS,
                                mode=NumberSelectorMode.BOX,
                            )
                        ),
                        **charge_fields(options),
                        vol.Required(
                            CONF_CURRENT_SCALE,
                            default=options.get(CONF_CURRENT_SCALE, str(CURRENT_SCALE)),
                        ): SelectSelector(
                            SelectSelectorConfig(
                                options=[str(scale) for scale in CURRENT_SCALES],
                                translation_key=CONF_CURRENT_SCALE,
                            )
                        ),
                        **record_field(options),
                    }
                ),
                suggested,
            ),
            errors=errors,
        )

    # --- firmware -------------------------------------------------------------------

    async def async_step_firmware_upload(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for a file, check it, and ask for the password of the manual."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if user_input[CONF_PASSWORD] != FIRMWARE_PASSWORD:
                errors[CONF_PASSWORD] = "wrong_password"
            elif (
                upload := await self._async_read_upload(user_input[CONF_FILE])
            ) is None:
                errors[CONF_FILE] = "file_gone"
            else:
                try:
                    image = await self.hass.async_add_executor_job(
                        check_image,
                        upload.name,
                        upload.data,
                        _COMPONENTS[user_input[CONF_COMPONENT]],
                    )
                except ImageError as err:
                    errors[CONF_FILE] = err.reason
                else:
                    entered = user_input.get(CONF_VERSION, "").strip()
                    if version := (entered or image.version):
                        self._image = replace(
                            image, version=version[:MAX_VERSION_LENGTH]
                        )
                        if image.is_familiar:
                            return await self.async_step_firmware_confirm()
                        return await self.async_step_firmware_unfamiliar()
                    errors[CONF_VERSION] = "version_missing"
            if errors.get(CONF_FILE) not in (None, ImageProblem.WRONG_COMPONENT):
                # The user has to upload another file.
                self._upload = None
                del user_input[CONF_FILE]
        return self.async_show_form(
            step_id="firmware_upload",
            data_schema=self.add_suggested_values_to_schema(
                vol.Schema(  # type: ignore[arg-type]
                    {
                        vol.Required(CONF_COMPONENT): SelectSelector(
                            SelectSelectorConfig(
                                options=list(_COMPONENTS),
                                translation_key=CONF_COMPONENT,
                            )
                        ),
                        vol.Required(CONF_FILE): FileSelector(
                            FileSelectorConfig(accept=".bin,application/octet-stream")
                        ),
                        vol.Optional(CONF_VERSION): TextSelector(),
                        vol.Required(CONF_PASSWORD): TextSelector(
                            TextSelectorConfig(type=TextSelectorType.PASSWORD)
                        ),
                    }
                ),
                user_input,
            ),
            errors=errors,
        )

    async def _async_read_upload(self, file_id: str) -> _Upload | None:
        """Return an uploaded file, None if it no longer exists.

        Home Assistant deletes it after the first read, but the user may have to correct
        another field of the form.
        """
        if self._upload is None or self._upload.file_id != file_id:
            try:
                self._upload = await self.hass.async_add_executor_job(
                    _read_upload, self.hass, file_id
                )
            except ValueError, OSError:
                self._upload = None
        return self._upload

    async def async_step_firmware_confirm(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show the uploaded file, and store it."""
        if user_input is None:
            return self._show_file("firmware_confirm", {})
        return await self._async_store("firmware_confirm")

    async def async_step_firmware_unfamiliar(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Show a file that is unlike any known image, and store it if the user insists."""
        if user_input is None:
            return self._show_file("firmware_unfamiliar", {})
        if not user_input[CONF_UNFAMILIAR]:
            errors = {CONF_UNFAMILIAR: "unfamiliar"}
            return self._show_file("firmware_unfamiliar", errors)
        return await self._async_store("firmware_unfamiliar")

    def _show_file(self, step_id: str, errors: dict[str, str]) -> ConfigFlowResult:
        """Show the uploaded file, with a checkbox if it is unlike any known image."""
        image = self._image
        assert image is not None
        checkbox = {vol.Required(CONF_UNFAMILIAR, default=False): BooleanSelector()}
        return self.async_show_form(
            step_id=step_id,
            data_schema=vol.Schema({} if image.is_familiar else checkbox),  # type: ignore[arg-type]
            description_placeholders={
                "file": image.name,
                "size": str(image.size),
                "sha256": image.sha256,
                "version": plain_text(image.version),
            },
            errors=errors,
        )

    async def _async_store(self, step_id: str) -> ConfigFlowResult:
        """Store the uploaded file; show it again if the disk refuses."""
        image = self._image
        assert image is not None
        # Another dialog must not store its file between this file and its record.
        async with self.hass.data.setdefault(_STORE_LOCK, asyncio.Lock()):
            store = FirmwareStore(self.hass, self.config_entry.entry_id)
            try:
                await store.async_save(image)
            except OSError:
                return self._show_file(step_id, {"base": "not_stored"})
            return self._async_record_firmware(image)

    @callback
    def _async_record_firmware(self, image: FirmwareImage) -> ConfigFlowResult:
        """Record the stored file in the options, as they are now."""
        options = self.config_entry.options
        data = {
            **options,
            CONF_FIRMWARE: {
                **stored_files(options),
                image.component.key: firmware_record(image),
            },
        }
        self.hass.config_entries.async_update_entry(self.config_entry, options=data)
        return self.async_create_entry(data=data)

    async def async_step_firmware_remove(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Delete an uploaded file."""
        options = self.config_entry.options
        stored = stored_files(options)
        if user_input is not None:
            component = user_input[CONF_COMPONENT]
            store = FirmwareStore(self.hass, self.config_entry.entry_id)
            await store.async_remove(component)
            return self.async_create_entry(
                data={
                    **options,
                    CONF_FIRMWARE: {
                        key: record
                        for key, record in stored.items()
                        if key != component
                    },
                }
            )
        return self.async_show_form(
            step_id="firmware_remove",
            data_schema=vol.Schema(  # type: ignore[arg-type]
                {
                    vol.Required(CONF_COMPONENT): SelectSelector(
                        SelectSelectorConfig(
                            options=list(stored),
                            translation_key=CONF_COMPONENT,
                        )
                    )
                }
            ),
        )


class _Upload(NamedTuple):
    """An uploaded file that is not checked yet."""

    file_id: str
    name: str
    data: bytes


def _read_upload(hass: HomeAssistant, file_id: str) -> _Upload:
    """Read an uploaded file, at most one byte more than an image may have.

    Raises ValueError or OSError if it no longer exists.
    """
    with process_uploaded_file(hass, file_id) as path, Path(path).open("rb") as file:
        return _Upload(file_id, plain_text(path.name), file.read(MAX_SIZE + 1))
