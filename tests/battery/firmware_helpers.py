"""Steps that tests of firmware share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from homeassistant.components.file_upload import _DATA, FileUploadData
from homeassistant.components.update import DOMAIN as UPDATE, SERVICE_INSTALL
from homeassistant.config_entries import ConfigFlowResult
from homeassistant.const import ATTR_ENTITY_ID
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError

from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from simulator.battery import SimulatedBattery
from simulator.firmware import FirmwareReceiver, build_image
from simulator.peripheral import Peripheral
from tests.common import entity_id

PASSWORD = "zt123"
FILE_ID = "0123456789abcdef0123456789abcdef"
OTHER_FILE_ID = "fedcba9876543210fedcba9876543210"
NAME = "ZTHV-M_Z01T21.bin"
IMAGE = build_image("Z01T21", 4096)


def put_file(
    hass: HomeAssistant, tmp_path: Path, name: str, data: bytes, file_id: str = FILE_ID
) -> None:
    """Leave behind what Home Assistant's upload page does: it can be taken once."""
    uploads = hass.data.setdefault(_DATA, FileUploadData(tmp_path, {}))
    uploads.file_dir(file_id).mkdir(exist_ok=True)
    uploads.files[file_id] = name
    uploads.file_path(file_id).write_bytes(data)


async def open_options(
    hass: HomeAssistant, entry: VlrvConfigEntry, step: str
) -> ConfigFlowResult:
    """Open one page of the options."""
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["type"] is FlowResultType.MENU
    return await hass.config_entries.options.async_configure(
        result["flow_id"], {"next_step_id": step}
    )


async def fill(
    hass: HomeAssistant,
    result: ConfigFlowResult,
    component: str = "bms",
    password: str = PASSWORD,
    file: str = FILE_ID,
    **more: str,
) -> ConfigFlowResult:
    """Fill in the upload page."""
    return await hass.config_entries.options.async_configure(
        result["flow_id"],
        {"component": component, "file": file, "password": password, **more},
    )


async def upload(  # noqa: PLR0917
    hass: HomeAssistant,
    entry: VlrvConfigEntry,
    tmp_path: Path,
    name: str = NAME,
    data: bytes = IMAGE,
    component: str = "bms",
) -> None:
    """Upload and unlock a file, as a user does."""
    result = await open_options(hass, entry, "firmware_upload")
    put_file(hass, tmp_path, name, data)
    result = await fill(hass, result, component)
    insist = {}
    if result["step_id"] == "firmware_unfamiliar":
        insist = {"unfamiliar": True}
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], insist
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


async def install(
    hass: HomeAssistant, pack: SimulatedBattery, board: str = "bms"
) -> None:
    """Press Install."""
    await hass.services.async_call(
        UPDATE,
        SERVICE_INSTALL,
        {ATTR_ENTITY_ID: entity_id(hass, pack.address, f"{board}_firmware", UPDATE)},
        blocking=True,
    )


def state(hass: HomeAssistant, pack: SimulatedBattery, board: str = "bms") -> Any:
    """Return the update entity."""
    return hass.states.get(entity_id(hass, pack.address, f"{board}_firmware", UPDATE))


async def release_notes(
    hass: HomeAssistant, pack: SimulatedBattery, board: str = "bms"
) -> str:
    """Return what the update entity says before an installation."""
    own = entity_id(hass, pack.address, f"{board}_firmware", UPDATE)
    entity = hass.data["entity_components"][UPDATE].get_entity(own)
    assert entity is not None
    notes: str = await entity.async_release_notes()
    return notes


def firmware_frames(peripheral: Peripheral) -> list[bytes]:
    """Return the firmware frames that were written."""
    return [write.data for write in peripheral.writes if write.data[0] == 0x64]


async def refused(
    hass: HomeAssistant, pack: SimulatedBattery, key: str, board: str = "bms"
) -> str:
    """Press Install, expect to be told why not, and return it."""
    with pytest.raises(HomeAssistantError) as error:
        await install(hass, pack, board)
    assert error.value.translation_key == key
    text = str(error.value)
    assert pack.name in text
    assert "{" not in text
    return text


class LateReceiver(FirmwareReceiver):
    """Answers Finish and keeps the connection; the restart is the test's to make."""

    def take_outage(self) -> float | None:
        """Stay."""
        return None
