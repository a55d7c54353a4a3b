"""Options of one battery; none of them touches the link."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import voluptuous as vol

from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.config_entries import ConfigFlowResult, OptionsFlow
from homeassistant.const import CONF_PASSWORD, PERCENTAGE, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.helpers.selector import (
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

from .battery.firmware_files import FirmwareStore, note_of
from .connection import ConnectionMode
from .const import (
    CONF_AVAILABILITY,
    CONF_CONNECTION,
    CONF_CURRENT_SCALE,
    CONF_FIRMWARE,
    CONF_INTERVAL,
    CONF_LOW_BATTERY,
    DEFAULT_LOW_BATTERY,
    MAX_AGE_OPTION,
    MAX_INTERVAL,
    MIN_AGE_INTERVALS,
    MIN_AGE_OPTION,
    MIN_INTERVAL,
    POLL_INTERVAL,
)
from .localization import plain_text
from .vlrv.firmware import (
    COMPONENTS,
    MAX_SIZE,
    FirmwareImage,
    ImageError,
    ImageProblem,
    check_image,
)
from .vlrv.registers import CURRENT_SCALE, CURRENT_SCALES

# The one that the manual prints (6.3): it keeps nobody out, it makes sure that whoever
# installs firmware has read that chapter.
FIRMWARE_PASSWORD: Final = "zt123"

CONF_FILE: Final = "file"
CONF_COMPONENT: Final = "component"
CONF_VERSION: Final = "version"
VERSION_MAX: Final = 32  # characters

_COMPONENTS: Final = {component.key: component for component in COMPONENTS}


class VlrvOptionsFlow(OptionsFlow):
    """Asks for what the owner wants to be different."""

    def __init__(self) -> None:
        """Start without a file."""
        self._upload: _Upload | None = None
        self._image: FirmwareImage | None = None

    async def async_step_init(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Let the owner choose what to change."""
        steps = ["general", "firmware_upload"]
        if self.config_entry.options.get(CONF_FIRMWARE):
            steps.append("firmware_remove")
        return self.async_show_menu(step_id="init", menu_options=steps)

    async def async_step_general(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask how often to read, for thresholds and for how the battery counts."""
        options = self.config_entry.options
        errors: dict[str, str] = {}
        if user_input is not None:
            if (
                user_input.get(CONF_AVAILABILITY, MAX_AGE_OPTION.total_seconds())
                < MIN_AGE_INTERVALS * user_input[CONF_INTERVAL]
            ):
                errors[CONF_AVAILABILITY] = "availability_too_short"
            else:
                # A field that was cleared is not in the input.
                kept = {
                    key: value
                    for key, value in options.items()
                    if key != CONF_AVAILABILITY
                }
                return self.async_create_entry(data={**kept, **user_input})
        suggested = options if user_input is None else user_input
        return self.async_show_form(
            step_id="general",
            # At run time Home Assistant has its own engine behind this name.
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
                        vol.Optional(CONF_AVAILABILITY): NumberSelector(
                            NumberSelectorConfig(
                                min=MIN_AGE_OPTION.total_seconds(),
                                max=MAX_AGE_OPTION.total_seconds(),
                                step=1,
                                unit_of_measurement=UnitOfTime.SECONDS,
                                mode=NumberSelectorMode.BOX,
                            )
                        ),
                        vol.Required(
                            CONF_LOW_BATTERY,
                            default=options.get(CONF_LOW_BATTERY, DEFAULT_LOW_BATTERY),
                        ): NumberSelector(
                            NumberSelectorConfig(
                                min=1,
                                max=99,
                                step=1,
                                unit_of_measurement=PERCENTAGE,
                                mode=NumberSelectorMode.BOX,
                            )
                        ),
                        vol.Required(
                            CONF_CURRENT_SCALE,
                            default=options.get(CONF_CURRENT_SCALE, str(CURRENT_SCALE)),
                        ): SelectSelector(
                            SelectSelectorConfig(
                                options=[str(scale) for scale in CURRENT_SCALES],
                                translation_key=CONF_CURRENT_SCALE,
                            )
                        ),
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
        """Take a file, check it, and have it unlocked with the manual's password."""
        errors: dict[str, str] = {}
        if user_input is not None:
            if user_input[CONF_PASSWORD] != FIRMWARE_PASSWORD:
                errors[CONF_PASSWORD] = "wrong_password"
            elif (upload := await self._take_upload(user_input[CONF_FILE])) is None:
                errors[CONF_FILE] = "file_gone"
            else:
                try:
                    image = check_image(
                        upload.name,
                        upload.data,
                        _COMPONENTS[user_input[CONF_COMPONENT]],
                    )
                except ImageError as err:
                    errors[CONF_FILE] = err.reason
                else:
                    typed = user_input.get(CONF_VERSION, "").strip()
                    if version := (typed or image.version):
                        self._image = replace(image, version=version[:VERSION_MAX])
                        return await self.async_step_firmware_confirm()
                    errors[CONF_VERSION] = "version_missing"
            if errors.get(CONF_FILE) not in (None, ImageProblem.WRONG_COMPONENT):
                # Only another file can be right.
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

    async def _take_upload(self, file_id: str) -> _Upload | None:
        """Return an uploaded file, None when it is gone.

        Home Assistant hands it out once, and deletes it; a correction on the same page
        needs it again.
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
        """Show what was uploaded, and keep it."""
        image = self._image
        assert image is not None
        errors: dict[str, str] = {}
        if user_input is not None:
            store = FirmwareStore(self.hass, self.config_entry.entry_id)
            try:
                await store.async_save(image)
            except OSError:
                errors["base"] = "not_stored"
            else:
                # Not earlier: the other dialog may have been filled in meanwhile.
                options = self.config_entry.options
                return self.async_create_entry(
                    data={
                        **options,
                        CONF_FIRMWARE: {
                            **options.get(CONF_FIRMWARE, {}),
                            image.component.key: note_of(image),
                        },
                    }
                )
        return self.async_show_form(
            step_id="firmware_confirm",
            description_placeholders={
                "file": image.name,
                "size": str(image.size),
                "sha256": image.sha256,
                "version": plain_text(image.version),
            },
            errors=errors,
        )

    async def async_step_firmware_remove(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Delete an uploaded file."""
        options = self.config_entry.options
        stored = options.get(CONF_FIRMWARE, {})
        if user_input is not None:
            component = user_input[CONF_COMPONENT]
            store = FirmwareStore(self.hass, self.config_entry.entry_id)
            await store.async_remove(component)
            return self.async_create_entry(
                data={
                    **options,
                    CONF_FIRMWARE: {
                        key: note for key, note in stored.items() if key != component
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
    """A file as it was uploaded, not checked yet."""

    file_id: str
    name: str
    data: bytes


def _read_upload(hass: HomeAssistant, file_id: str) -> _Upload:
    """Read an uploaded file, no more of it than shows that it is too large.

    Raises ValueError or OSError when it is gone.
    """
    with process_uploaded_file(hass, file_id) as path, Path(path).open("rb") as file:
        return _Upload(file_id, plain_text(path.name), file.read(MAX_SIZE + 1))
