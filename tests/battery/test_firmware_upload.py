"""Firmware files are uploaded, checked and stored."""

from __future__ import annotations

import asyncio
import errno
import hashlib
from os import truncate
from pathlib import Path
from random import Random
import shutil
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType

from .firmware_helpers import (
    FILE_ID,
    IMAGE,
    NAME,
    OTHER_FILE_ID,
    PASSWORD,
    fill,
    install,
    open_options,
    put_file,
    release_notes,
    state,
    upload,
)
from custom_components.voltgo_vlrv.battery import firmware_files
from custom_components.voltgo_vlrv.battery.firmware_files import (
    FirmwareStore,
    firmware_record,
)
from custom_components.voltgo_vlrv.const import CONF_FIRMWARE
from custom_components.voltgo_vlrv.vlrv.firmware_image import check_image
from simulator.firmware import build_image
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, set_options, suggested, wait_until
from tests.harness import async_setup_battery


async def test_upload_of_a_valid_file_is_confirmed_and_stored(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Name, size, version and checksum are shown before it is stored."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    assert state(hass, pack).state == "off"
    result = await open_options(hass, entry, "firmware_upload")
    put_file(hass, tmp_path, NAME, IMAGE)
    result = await fill(hass, result)
    assert result["description_placeholders"] == {
        "file": NAME,
        "size": str(len(IMAGE)),
        "sha256": hashlib.sha256(IMAGE).hexdigest(),
        "version": "Z01T21",
    }
    # Nothing is stored before the user has seen that.
    assert state(hass, pack).state == "off"
    await hass.config_entries.options.async_configure(result["flow_id"], {})
    await hass.async_block_till_done()
    assert state(hass, pack).state == "on"
    assert state(hass, pack).attributes["installed_version"] == "Z01T20"
    assert state(hass, pack).attributes["latest_version"] == "Z01T21"
    folder = Path(hass.config.path(".storage", "voltgo_vlrv", entry.entry_id))
    assert (folder / "bms.bin").read_bytes() == IMAGE
    # A reload, as after an update of the integration, keeps it.
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_until(lambda: state(hass, pack).state == "on")


async def test_upload_with_a_wrong_file_or_password_shows_the_error(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Nothing is stored, and the form is shown for another try."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    result = await open_options(hass, entry, "firmware_upload")
    cases = (
        (NAME, IMAGE, "bms", "1234", "password", "wrong_password"),
        ("photo.bin", IMAGE, "bms", PASSWORD, "file", "wrong_name"),
        ("ZTHV-C_V1.bin", IMAGE, "bms", PASSWORD, "file", "wrong_component"),
        (NAME, IMAGE, "comm", PASSWORD, "file", "wrong_component"),
        (NAME, b"PK\x03\x04" + IMAGE, "bms", PASSWORD, "file", "archive"),
        (NAME, Random(0).randbytes(60_000), "bms", PASSWORD, "file", "noise"),
        ("ZTHV-M.bin", IMAGE, "bms", PASSWORD, "version", "version_missing"),
    )
    for number, (name, data, component, password, field, error) in enumerate(cases):
        file_id = f"{number:032x}"
        put_file(hass, tmp_path, name, data, file_id)
        result = await fill(hass, result, component, password, file_id)
        assert (result["type"], result["step_id"]) == (
            FlowResultType.FORM,
            "firmware_upload",
        )
        assert result["errors"] == {field: error}
        assert not entry.options
        # What can only be replaced is not suggested again.
        assert ("file" in suggested(result)) is (
            error in ("wrong_password", "wrong_component", "version_missing")
        )
    put_file(hass, tmp_path, NAME, IMAGE, OTHER_FILE_ID)
    result = await fill(hass, result, file=OTHER_FILE_ID)
    assert result["step_id"] == "firmware_confirm"


@pytest.mark.parametrize(
    ("component", "name", "data"),
    [
        ("comm", "ZTHV-C_V03R04.bin", IMAGE),
        ("bms", NAME, b"\xff" * 1024 + Random(0).randbytes(3072)),
    ],
)
async def test_upload_of_an_unfamiliar_file_needs_a_checkbox(  # noqa: PLR0917
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    component: str,
    name: str,
    data: bytes,
) -> None:
    """What the form says about it is said again in the release notes."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    result = await open_options(hass, entry, "firmware_upload")
    put_file(hass, tmp_path, name, data)
    result = await fill(hass, result, component)
    for _ in range(2):
        assert result["step_id"] == "firmware_unfamiliar"
        assert result["description_placeholders"]["file"] == name
        result = await hass.config_entries.options.async_configure(
            result["flow_id"], {"unfamiliar": False}
        )
        assert result["errors"] == {"unfamiliar": "unfamiliar"}
    assert not entry.options
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"unfamiliar": True}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    notes = await release_notes(hass, pack, component)
    assert notes.startswith("**Home Assistant could not tell")
    if component == "bms":
        await upload(hass, entry, tmp_path)
        assert (await release_notes(hass, pack)).startswith("This installs")


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        (NAME, {"component": "comm"}, {"component": "bms"}),
        ("ZTHV-M.bin", {}, {"version": "Z01T21"}),
        (NAME, {"password": "1234"}, {"password": PASSWORD}),
    ],
    ids=["board", "version", "password"],
)
async def test_upload_with_corrected_input_needs_no_second_upload(  # noqa: PLR0917
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    name: str,
    wrong: dict[str, str],
    right: dict[str, str],
) -> None:
    """Home Assistant hands an upload out once, and the form suggests it again."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    result = await open_options(hass, entry, "firmware_upload")
    put_file(hass, tmp_path, name, IMAGE)
    for _ in range(2):
        result = await fill(hass, result, **wrong)
        assert result["errors"]
        assert suggested(result)["file"] == FILE_ID
    result = await fill(hass, result, **right)
    assert result["step_id"] == "firmware_confirm"
    assert result["description_placeholders"] == {
        "file": name,
        "size": str(len(IMAGE)),
        "sha256": hashlib.sha256(IMAGE).hexdigest(),
        "version": "Z01T21",
    }


async def test_upload_that_is_gone_is_requested_again(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """As after a restart of Home Assistant; and its folder may have been cleaned."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    result = await open_options(hass, entry, "firmware_upload")
    result = await fill(hass, result)
    assert result["errors"] == {"file": "file_gone"}
    assert "file" not in suggested(result)
    put_file(hass, tmp_path, NAME, IMAGE)
    shutil.rmtree(tmp_path / FILE_ID)
    result = await fill(hass, result)
    assert result["errors"] == {"file": "file_gone"}
    put_file(hass, tmp_path, NAME, IMAGE, OTHER_FILE_ID)
    result = await fill(hass, result, file=OTHER_FILE_ID)
    assert result["step_id"] == "firmware_confirm"


@pytest.mark.parametrize("stored_before", [False, True])
async def test_upload_to_a_full_disk_stores_nothing(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stored_before: bool,
) -> None:
    """Nothing is left of it, the previous file stays, and Submit can be pressed again."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    stored = {}
    if stored_before:
        await upload(hass, entry, tmp_path)
        stored = {"bms.bin": IMAGE}
    options = entry.options
    folder = Path(hass.config.path(".storage", "voltgo_vlrv", entry.entry_id))
    new = build_image("Z01T22", 4096)
    seen: list[dict[str, bytes]] = []

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    def full(_file: int) -> None:
        seen.append(files())
        raise OSError(errno.ENOSPC, "No space left on device")

    result = await open_options(hass, entry, "firmware_upload")
    put_file(hass, tmp_path, "ZTHV-M_Z01T22.bin", new, OTHER_FILE_ID)
    result = await fill(hass, result, file=OTHER_FILE_ID)
    with monkeypatch.context() as disk:
        disk.setattr(firmware_files, "fsync", full)
        result = await hass.config_entries.options.async_configure(
            result["flow_id"], {}
        )
    assert result["step_id"] == "firmware_confirm"
    assert result["errors"] == {"base": "not_stored"}
    # It was all written when the disk was asked for it, and the one before was there.
    assert seen == [{**stored, "bms.new": new}]
    assert files() == stored
    assert entry.options == options
    result = await hass.config_entries.options.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert files() == {"bms.bin": new}


async def test_upload_without_a_writable_folder_shows_the_error(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """As on a disk that is read-only."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    folder = Path(hass.config.path(".storage", "voltgo_vlrv", entry.entry_id))
    folder.parent.mkdir(parents=True, exist_ok=True)
    await hass.async_add_executor_job(folder.touch)
    result = await open_options(hass, entry, "firmware_upload")
    put_file(hass, tmp_path, NAME, IMAGE)
    result = await fill(hass, result)
    result = await hass.config_entries.options.async_configure(result["flow_id"], {})
    assert result["errors"] == {"base": "not_stored"}
    assert CONF_FIRMWARE not in entry.options


async def test_upload_with_a_typed_version_uses_it(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """For files whose name has none."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    result = await open_options(hass, entry, "firmware_upload")
    put_file(hass, tmp_path, "ZTHV-M.bin", IMAGE)
    result = await fill(hass, result, version=" Z01T21 ")
    await hass.config_entries.options.async_configure(result["flow_id"], {})
    await hass.async_block_till_done()
    assert state(hass, pack).attributes["latest_version"] == "Z01T21"


@pytest.mark.parametrize(
    ("installed", "version"),
    [("06", "05"), ("06", "07"), ("Z01T20", "Z01T10"), ("V03R04", "05")],
)
async def test_firmware_file_of_any_other_version_is_offered(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    installed: str,
    version: str,
) -> None:
    """A dealer may hand out an older one on purpose; and then it can be installed."""
    pack = battery("idle", firmware=installed)
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    result = await open_options(hass, entry, "firmware_upload")
    put_file(hass, tmp_path, "ZTHV-M.bin", build_image(version, 4096))
    result = await fill(hass, result, version=version)
    await hass.config_entries.options.async_configure(result["flow_id"], {})
    await hass.async_block_till_done()
    assert state(hass, pack).state == "on"
    await install(hass, pack)
    assert state(hass, pack).state == "off"
    assert state(hass, pack).attributes["installed_version"] == version


async def test_firmware_file_that_is_removed_is_not_offered(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """The entity returns to the running version."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    result = await open_options(hass, entry, "firmware_remove")
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"component": "bms"}
    )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert state(hass, pack).state == "off"
    folder = Path(hass.config.path(".storage", "voltgo_vlrv", entry.entry_id))
    assert await hass.async_add_executor_job(lambda: list(folder.glob("*.bin"))) == []


async def test_firmware_file_that_cannot_be_deleted_is_not_offered(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worn card refuses; the update disappears nevertheless."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    result = await open_options(hass, entry, "firmware_remove")

    def unlink(self: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", unlink)
        result = await hass.config_entries.options.async_configure(
            result["flow_id"], {"component": "bms"}
        )
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert state(hass, pack).state == "off"
    await hass.config_entries.async_reload(entry.entry_id)
    assert state(hass, pack).state == "off"


async def test_upload_on_a_slow_card_keeps_options_set_meanwhile(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In another window, while the file is being written."""
    entry = (await async_setup_battery(hass, bluetooth_env, battery("idle"))).entry
    result = await open_options(hass, entry, "firmware_upload")
    put_file(hass, tmp_path, NAME, IMAGE)
    result = await fill(hass, result)
    save = FirmwareStore.async_save

    async def slow(store: FirmwareStore, image: Any) -> None:
        await asyncio.sleep(5)
        await save(store, image)

    monkeypatch.setattr(FirmwareStore, "async_save", slow)
    confirming = hass.async_create_task(
        hass.config_entries.options.async_configure(result["flow_id"], {})
    )
    await asyncio.sleep(1)
    await set_options(hass, entry, interval=30)
    result = await confirming
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options["interval"] == 30
    assert "bms" in entry.options[CONF_FIRMWARE]


async def test_uploads_that_are_confirmed_at_once_store_one_file_with_its_record(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two dialogs, of which the first takes longer after its file is stored."""
    entry = (await async_setup_battery(hass, bluetooth_env, battery("idle"))).entry
    confirm = []
    files = ((FILE_ID, IMAGE), (OTHER_FILE_ID, build_image("Z01T22", 4096)))
    for file_id, data in files:
        result = await open_options(hass, entry, "firmware_upload")
        put_file(hass, tmp_path, NAME, data, file_id)
        confirm.append((await fill(hass, result, file=file_id))["flow_id"])
    delays = [5, 0]
    save = FirmwareStore.async_save

    async def slow(store: FirmwareStore, image: Any) -> None:
        await save(store, image)
        await asyncio.sleep(delays.pop(0))

    monkeypatch.setattr(FirmwareStore, "async_save", slow)
    results = await asyncio.gather(
        *(hass.config_entries.options.async_configure(flow, {}) for flow in confirm)
    )
    assert {each["type"] for each in results} == {FlowResultType.CREATE_ENTRY}
    store = FirmwareStore(hass, entry.entry_id)
    assert await store.async_load(entry.options, "bms") is not None


async def test_firmware_file_that_grew_to_gigabytes_is_not_read_whole(
    hass: HomeAssistant, tmp_path: Path
) -> None:
    """It is no longer the one that was uploaded, whatever it holds."""
    hass.config.config_dir = str(tmp_path)
    store = FirmwareStore(hass, "01TEST")
    image = check_image(NAME, IMAGE)
    await store.async_save(image)
    options = {CONF_FIRMWARE: {"bms": firmware_record(image)}}
    assert await store.async_load(options, "bms") is not None
    path = store._path("bms")
    await hass.async_add_executor_job(truncate, path, 1 << 40)
    assert await store.async_load(options, "bms") is None


async def test_firmware_files_of_a_removed_battery_are_removed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Nothing of it is left behind."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    folder = Path(hass.config.path(".storage", "voltgo_vlrv", entry.entry_id))
    assert await hass.async_add_executor_job(folder.exists)
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert not await hass.async_add_executor_job(folder.exists)
