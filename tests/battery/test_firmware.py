"""Firmware: uploaded and unlocked by the owner, installed only as the battery confirms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
import errno
from functools import partial
import hashlib
from itertools import pairwise
from pathlib import Path
import shutil
from typing import Any

import pytest

from homeassistant.components.file_upload import _DATA, FileUploadData
from homeassistant.components.update import (
    ATTR_UPDATE_PERCENTAGE,
    DOMAIN as UPDATE,
    SERVICE_INSTALL,
)
from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult
from homeassistant.const import (
    ATTR_ENTITY_ID,
    EVENT_HOMEASSISTANT_STOP,
    EVENT_STATE_CHANGED,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component

from custom_components.voltgo_vlrv.battery import firmware_files
from custom_components.voltgo_vlrv.battery.firmware_files import FirmwareStore
from custom_components.voltgo_vlrv.const import CONF_FIRMWARE, DOMAIN
from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from simulator.battery import IDENTITY_START, SimulatedBattery
from simulator.clock import FastClock
from simulator.firmware import STEPS, Fault, FirmwareReceiver, Seal, build_image
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    add_discovered,
    battery,
    device_of,
    entity_id,
    set_options,
    suggested,
    value,
    wait_until,
)
from tests.harness import async_setup_battery

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
    """Upload and unlock a file, as an owner does."""
    result = await open_options(hass, entry, "firmware_upload")
    put_file(hass, tmp_path, name, data)
    result = await fill(hass, result, component)
    assert result["step_id"] == "firmware_confirm"
    result = await hass.config_entries.options.async_configure(result["flow_id"], {})
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


def firmware_frames(peripheral: Peripheral) -> list[bytes]:
    """Return the firmware frames that were written."""
    return [write.data for write in peripheral.writes if write.data[0] == 0x64]


# --- upload --------------------------------------------------------------------------


async def test_a_file_is_checked_shown_and_kept(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Name, size, version and checksum are shown before it is kept."""
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
    # Nothing is kept before the owner has seen that.
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


@pytest.mark.parametrize(
    ("name", "data", "component", "password", "field", "error"),
    [
        (NAME, IMAGE, "bms", "1234", "password", "wrong_password"),
        ("photo.bin", IMAGE, "bms", PASSWORD, "file", "wrong_name"),
        ("ZTHV-C_V1.bin", IMAGE, "bms", PASSWORD, "file", "wrong_component"),
        (NAME, IMAGE, "comm", PASSWORD, "file", "wrong_component"),
        (NAME, b"", "bms", PASSWORD, "file", "empty"),
        (NAME, b"\x01\x02" * 100, "bms", PASSWORD, "file", "too_small"),
        (NAME, bytes(range(256)) * 5000, "bms", PASSWORD, "file", "too_large"),
        (NAME, b"PK\x03\x04" + IMAGE, "bms", PASSWORD, "file", "archive"),
        (
            NAME,
            b"<!DOCTYPE html><html>" + b" " * 2000,
            "bms",
            PASSWORD,
            "file",
            "web_page",
        ),
        (NAME, b"hello " * 500, "bms", PASSWORD, "file", "text"),
        (NAME, b"\xff" * 4096, "bms", PASSWORD, "file", "blank"),
        ("ZTHV-M.bin", IMAGE, "bms", PASSWORD, "version", "version_missing"),
    ],
    ids=lambda item: "data" if isinstance(item, bytes) else item,
)
async def test_a_wrong_file_or_password_is_refused_with_a_reason(  # noqa: PLR0917
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    name: str,
    data: bytes,
    component: str,
    password: str,
    field: str,
    error: str,
) -> None:
    """Nothing is kept, and the page is there for another try."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    result = await open_options(hass, entry, "firmware_upload")
    put_file(hass, tmp_path, name, data)
    result = await fill(hass, result, component, password)
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
    ("name", "wrong", "right"),
    [
        (NAME, {"component": "comm"}, {"component": "bms"}),
        ("ZTHV-M.bin", {}, {"version": "Z01T21"}),
        (NAME, {"password": "1234"}, {"password": PASSWORD}),
    ],
    ids=["board", "version", "password"],
)
async def test_what_was_wrong_is_corrected_without_another_upload(  # noqa: PLR0917
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    name: str,
    wrong: dict[str, str],
    right: dict[str, str],
) -> None:
    """Home Assistant hands an upload out once, and the page suggests it again."""
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


async def test_an_upload_that_is_gone_is_asked_for_again(
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
async def test_a_file_that_does_not_fit_on_the_disk_is_not_kept(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stored_before: bool,
) -> None:
    """Nothing is left of it, the one before stays, and Submit can be pressed again."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    kept = {}
    if stored_before:
        await upload(hass, entry, tmp_path)
        kept = {"bms.bin": IMAGE}
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
    assert seen == [{**kept, "bms.new": new}]
    assert files() == kept
    assert entry.options == options
    result = await hass.config_entries.options.async_configure(result["flow_id"], {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert files() == {"bms.bin": new}


async def test_a_folder_that_cannot_be_made_is_told(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """As on a disk that takes nothing any more."""
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


async def test_a_version_can_be_typed(
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
async def test_whatever_differs_is_offered(
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


async def test_a_file_can_be_removed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """The entity goes back to what the battery runs."""
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


async def test_a_file_that_cannot_be_deleted_is_offered_no_more(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worn card says no; the owner is rid of the update all the same."""
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


async def test_a_slow_card_loses_no_option_that_is_set_meanwhile(
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


async def test_removing_the_battery_removes_its_files(
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


# --- install -------------------------------------------------------------------------


async def test_an_update_is_installed_and_compared(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """200 KiB with progress, restart, the new version, and polls after it."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    image = build_image("Z01T21", 200 * 1024)
    await upload(hass, entry, tmp_path, data=image)
    percents: list[int] = []
    states: set[str] = set()

    @callback
    def note(event: Event[Any]) -> None:
        states.add(event.data["new_state"].state)
        percent = event.data["new_state"].attributes.get(ATTR_UPDATE_PERCENTAGE)
        if percent is not None:
            percents.append(percent)

    hass.bus.async_listen(EVENT_STATE_CHANGED, note)
    polls = entry.runtime_data.statistics.polls
    await install(hass, pack)
    receiver = pack.firmware_receiver
    assert receiver is not None
    assert receiver.received == image
    assert percents == sorted(percents)
    assert set(range(0, 100, 5)) <= set(percents)
    assert "unavailable" not in states
    # Polling had paused: a transfer takes minutes.
    assert entry.runtime_data.statistics.polls - polls <= 3
    assert state(hass, pack).state == "off"
    assert state(hass, pack).attributes["installed_version"] == "Z01T21"
    assert device_of(hass, pack.address).sw_version == "Z01T21"
    samples = entry.runtime_data.statistics.samples
    await asyncio.sleep(30)
    assert entry.runtime_data.statistics.samples > samples
    writes = [write.time for write in peripheral.writes]
    assert all(b - a >= 0.1499 for a, b in pairwise(writes))


async def test_the_communication_board_takes_its_own_file(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Its version is not reported, so nothing is compared and nothing made up.

    And so there is nothing to show of it before, and after the file was removed.
    """
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    registry = er.async_get(hass)
    key = ("update", DOMAIN, f"{pack.address}_comm_firmware")
    assert registry.async_get_entity_id(*key) is None
    data = build_image("V02R01", 2048)
    await upload(hass, entry, tmp_path, "ZTHV-C_V02R01.bin", data, "comm")
    assert state(hass, pack, "comm").state == "on"
    assert state(hass, pack, "comm").attributes["installed_version"] == "not reported"
    await install(hass, pack, "comm")
    receiver = pack.firmware_receiver
    assert receiver is not None
    assert receiver.received == data
    # Confirmed, so it is not offered again; which version runs is told by nobody.
    assert state(hass, pack, "comm").state == "off"
    assert state(hass, pack, "comm").attributes["installed_version"] == "not reported"
    assert state(hass, pack, "comm").attributes["latest_version"] == "not reported"
    await hass.config_entries.async_reload(entry.entry_id)
    await wait_until(lambda: state(hass, pack, "comm").state == "off")
    assert device_of(hass, pack.address).sw_version == "Z01T20"
    for _ in range(2):
        flow = await hass.config_entries.options.async_init(entry.entry_id)
        for answer in ({"next_step_id": "firmware_remove"}, {"component": "comm"}):
            flow = await hass.config_entries.options.async_configure(
                flow["flow_id"], answer
            )
        assert flow["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done()
        assert registry.async_get_entity_id(*key) is None
        await upload(hass, entry, tmp_path, "ZTHV-C_V02R01.bin", data, "comm")
        assert state(hass, pack, "comm").state == "on"


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


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"state_of_charge": 29}, "firmware_low_charge"),
        ({"protection": 0x0400}, "firmware_protection"),
        ({"protection": 0x8000}, "firmware_protection"),
        # As a board without temperature probes was recorded: with no protection's bit.
        ({"operating_state": 4}, "firmware_protection"),
        ({"error": 0x0022}, "firmware_protection"),
    ],
)
async def test_an_update_is_refused_in_an_unsafe_state(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    change: dict[str, Any],
    key: str,
) -> None:
    """Before a single firmware frame is sent."""
    pack = battery("idle")
    pack.hold = True
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    pack.override = replace(pack.reported(), **change)
    await refused(hass, pack, key)
    assert not firmware_frames(peripheral)
    assert state(hass, pack).state == "on"


async def test_a_battery_that_is_released_is_not_taken_back_for_an_update(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Its owner may be reading it with the phone."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    await entry.runtime_data.connection.async_release()
    text = await refused(hass, pack, "firmware_released")
    assert "not started" in text
    assert entry.runtime_data.connection.is_released
    assert not firmware_frames(peripheral)
    assert state(hass, pack).state == "on"


async def test_an_update_is_refused_on_a_weak_signal(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """-81 dBm is too weak, -80 dBm is not."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack, rssi=-81)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    await refused(hass, pack, "firmware_weak_signal")
    assert not firmware_frames(peripheral)
    (adapter,) = bluetooth_env.adapters.values()
    adapter.radio.rssi[pack.address] = -80
    peripheral.drop_connection()
    await wait_until(lambda: entry.runtime_data.advertisement.signal_strength == -80)
    await wait_until(lambda: entry.runtime_data.client.is_connected)
    await install(hass, pack)


@pytest.mark.parametrize("mtu", [78, 139])
async def test_an_update_is_refused_on_a_link_with_small_packets(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path, mtu: int
) -> None:
    """A package must fit one write: 137 bytes and a header of 3."""
    pack = battery("idle")
    peripheral = await bluetooth_env.add_battery(pack, max_mtu=mtu)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    await wait_until(lambda: entry.runtime_data.client.is_connected)
    await upload(hass, entry, tmp_path)
    await refused(hass, pack, "firmware_small_packets")
    assert not firmware_frames(peripheral)


async def test_an_update_needs_no_larger_packets_than_its_own(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """The characteristic says what fits; a local adapter's `mtu_size` says 23."""
    pack = battery("idle")
    await bluetooth_env.add_battery(pack, max_mtu=140)
    await bluetooth_env.add_adapter()
    entry = await add_discovered(hass, pack.address)
    await wait_until(lambda: entry.runtime_data.client.is_connected)
    await upload(hass, entry, tmp_path)
    await install(hass, pack)
    assert state(hass, pack).attributes["installed_version"] == "Z01T21"


async def test_an_update_is_refused_while_the_battery_is_away(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Nothing is sent later by itself."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    await peripheral.stop()
    await asyncio.sleep(5)
    await refused(hass, pack, "firmware_unreachable")
    await peripheral.start()
    await asyncio.sleep(60)
    assert not firmware_frames(peripheral)


async def test_a_damaged_file_is_not_installed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """An SD card forgets."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    folder = Path(hass.config.path(".storage", "voltgo_vlrv", entry.entry_id))
    (folder / "bms.bin").write_bytes(build_image("Z01T22", 4096))
    await refused(hass, pack, "firmware_no_file")
    (folder / "bms.bin").unlink()
    await refused(hass, pack, "firmware_no_file")
    assert not firmware_frames(peripheral)
    store = FirmwareStore(hass, entry.entry_id)
    assert await store.async_load({}, "bms") is None


@pytest.mark.parametrize(
    ("step", "fault", "key"),
    [
        ("sync", Fault("no_answer"), "firmware_no_answer"),
        ("sync", Fault("refuse"), "firmware_refused"),
        ("start", Fault("wrong_length"), "firmware_no_answer"),
        ("start", Fault("disconnect"), "firmware_connection_lost"),
        ("write", Fault("wrong_package", package=3), "firmware_wrong_package"),
        ("write", Fault("bad_crc", package=5), "firmware_no_answer"),
        ("finish_write", Fault("refuse"), "firmware_refused"),
        ("finish", Fault("refuse"), "firmware_refused"),
    ],
)
async def test_a_failed_step_is_named_and_the_battery_polled_again(  # noqa: PLR0917
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    step: str,
    fault: Fault,
    key: str,
) -> None:
    """Whatever goes wrong, the values come back without anybody."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    receiver = pack.firmware_receiver
    assert receiver is not None
    receiver.faults[step] = fault
    await refused(hass, pack, key)
    assert not receiver.installed
    samples = entry.runtime_data.statistics.samples
    sent = len(firmware_frames(peripheral))
    await asyncio.sleep(60)
    assert entry.runtime_data.statistics.samples > samples
    assert len(firmware_frames(peripheral)) == sent
    assert value(hass, pack.address, "voltage") != "unavailable"
    assert state(hass, pack).attributes["in_progress"] is False
    # And the next try works.
    receiver.faults.clear()
    await install(hass, pack)
    assert state(hass, pack).state == "off"


async def test_a_battery_without_this_way_of_updating_gets_no_more_than_a_handshake(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """The format is inferred: an unanswered handshake ends it."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    pack.firmware_receiver = None
    await refused(hass, pack, "firmware_no_answer")
    assert len(firmware_frames(peripheral)) == 1


@pytest.mark.parametrize(
    ("comes_back", "key"),
    [("old", "firmware_same_version"), ("never", "firmware_not_back")],
)
async def test_a_restart_that_brings_nothing_is_told(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    comes_back: str,
    key: str,
) -> None:
    """The version is read back and compared."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    receiver = pack.firmware_receiver
    assert receiver is not None
    receiver.comes_back = comes_back  # type: ignore[assignment]
    await refused(hass, pack, key)


class BadMark(FirmwareReceiver):
    """Answers the handshake with another mark than it was asked with."""

    def handle(self, body: bytes, seal: Seal) -> bytes | None:
        """Seal it, so that only the layout is wrong."""
        reply = super().handle(body, seal)
        if reply is None or STEPS.get(body[1]) != "sync":
            return reply
        return seal(reply[:2] + b"\x02" + reply[3:-2])


async def test_a_reply_of_another_layout_ends_an_update(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """It may be a protocol that nobody has described."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    pack.firmware_receiver = BadMark()
    await refused(hass, pack, "firmware_bad_reply")
    assert len(firmware_frames(peripheral)) == 1


async def test_another_version_than_the_file_should_have_is_told(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Named Z01T21, it holds Z01T29; what runs is shown, and the rest is not claimed."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path, data=build_image("Z01T29", 4096))
    text = await refused(hass, pack, "firmware_other_version")
    assert "version Z01T29 now, not Z01T21" in text
    assert state(hass, pack).attributes["installed_version"] == "Z01T29"
    assert state(hass, pack).state == "on"


class Mute(FirmwareReceiver):
    """Runs a firmware that tells no version any more."""

    def boot(self, firmware: str) -> str:
        """Start with that."""
        super().boot(firmware)
        return ""


async def test_a_version_that_is_not_told_any_more_is_another_one(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """And is named so, in place of nothing."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    pack.firmware_receiver = Mute()
    text = await refused(hass, pack, "firmware_other_version")
    assert "version not reported now" in text


class LateReceiver(FirmwareReceiver):
    """Answers Finish and keeps the link; the restart is the test's to make."""

    def take_outage(self) -> float | None:
        """Stay."""
        return None


async def finished(peripheral: Peripheral) -> None:
    """Wait until Finish was sent."""
    await wait_until(
        lambda: any(frame[1] == 5 for frame in firmware_frames(peripheral))
    )


@pytest.mark.parametrize(("after", "off_for"), [(2, 30), (15, 10), (15, 30)])
async def test_a_bms_may_take_its_time_to_restart(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    after: float,
    off_for: float,
) -> None:
    """Until it does it answers with its old version, which says nothing yet."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    pack.firmware_receiver = LateReceiver()
    task = hass.async_create_task(install(hass, pack))
    await finished(peripheral)
    await asyncio.sleep(after)
    assert not task.done()
    await peripheral.power_cycle(off_for)
    await task
    assert state(hass, pack).state == "off"
    assert state(hass, pack).attributes["installed_version"] == "Z01T21"


async def test_a_bms_that_tells_nothing_yet_is_waited_for(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Zeros are what a board answers for registers that it does not serve yet."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    task = hass.async_create_task(install(hass, pack))
    await finished(peripheral)
    asked: list[int] = []
    registers = pack.registers

    def starting(start: int, count: int) -> list[int]:
        if start == IDENTITY_START and len(asked) < 2:
            asked.append(start)
            return [0] * count
        return registers(start, count)

    monkeypatch.setattr(pack, "registers", starting)
    await task
    assert len(asked) == 2
    assert state(hass, pack).attributes["installed_version"] == "Z01T21"


async def test_a_bms_that_never_restarts_has_its_old_version(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    fast_clock: FastClock,
) -> None:
    """That is said after the time that a restart may take, and not before."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    pack.firmware_receiver = LateReceiver()
    task = hass.async_create_task(refused(hass, pack, "firmware_same_version"))
    await finished(peripheral)
    start = fast_clock.now
    await task
    assert 60 <= fast_clock.now - start < 90
    assert state(hass, pack).state == "on"


async def test_the_version_before_is_what_the_bms_tells_right_before(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Another device may have changed it since Home Assistant has read it."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    pack.identity.firmware = "Z01T19"
    pack.firmware_receiver = deaf_to_finish()
    text = await refused(hass, pack, "firmware_same_version")
    assert "Z01T19" in text


async def test_a_bms_that_goes_late_and_stays_away_is_not_back(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """That it answered before it went counts for nothing."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    pack.firmware_receiver = LateReceiver()
    task = hass.async_create_task(refused(hass, pack, "firmware_not_back"))
    await finished(peripheral)
    await asyncio.sleep(15)
    await peripheral.stop()
    await task


class DeafToFinish(FirmwareReceiver):
    """Neither answers nor takes the last step."""

    def handle(self, body: bytes, seal: Seal) -> bytes | None:
        """Answer all the others."""
        return None if STEPS.get(body[1]) == "finish" else super().handle(body, seal)


def deaf_to_finish() -> FirmwareReceiver:
    """Return one that never starts the new firmware."""
    return DeafToFinish()


def failing_at_finish(fault: Fault) -> FirmwareReceiver:
    """Return one that starts the new firmware, and does not say so."""
    receiver = FirmwareReceiver()
    receiver.faults["finish"] = fault
    return receiver


UNCONFIRMED = [
    pytest.param(deaf_to_finish, False, id="not taken"),
    *(
        pytest.param(partial(failing_at_finish, Fault(kind)), True, id=kind)
        for kind in ("no_answer", "disconnect", "bad_crc", "wrong_length")
    ),
]


async def test_a_file_uploaded_after_an_install_is_offered(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Another one, and the same once more: its owner wants it again."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    for name, version in (
        ("ZTHV-C_V02R01.bin", "V02R01"),
        ("ZTHV-C_V02R02.bin", "V02R02"),
        ("ZTHV-C_V02R02.bin", "V02R02"),
    ):
        data = build_image(version, 2048)
        await upload(hass, entry, tmp_path, name, data, "comm")
        assert state(hass, pack, "comm").state == "on"
        assert state(hass, pack, "comm").attributes["latest_version"] == version
        await install(hass, pack, "comm")
        assert state(hass, pack, "comm").state == "off"


async def test_a_file_uploaded_during_an_install_is_not_taken_for_installed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """What was sent is noted, not what lies there by then."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    first = build_image("V02R01", 2048)
    await upload(hass, entry, tmp_path, "ZTHV-C_V02R01.bin", first, "comm")
    task = hass.async_create_task(install(hass, pack, "comm"))
    await finished(peripheral)
    second = build_image("V02R02", 2048)
    await upload(hass, entry, tmp_path, "ZTHV-C_V02R02.bin", second, "comm")
    await task
    assert state(hass, pack, "comm").state == "on"
    assert state(hass, pack, "comm").attributes["latest_version"] == "V02R02"


async def test_a_bms_without_a_version_is_treated_alike(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Confirmed, it is not offered again; unconfirmed, nobody knows."""
    pack = battery("idle", firmware="")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    silent = IMAGE[:0x100] + b"\xff" * 6 + IMAGE[0x106:]
    await upload(hass, entry, tmp_path, data=silent)
    pack.firmware_receiver = deaf_to_finish()
    await refused(hass, pack, "firmware_not_confirmed")
    assert state(hass, pack).state == "on"
    pack.firmware_receiver = FirmwareReceiver()
    await install(hass, pack)
    assert state(hass, pack).state == "off"
    assert state(hass, pack).attributes["installed_version"] == "not reported"


@pytest.mark.parametrize(("receive", "is_installed"), UNCONFIRMED)
async def test_an_unconfirmed_update_of_the_communication_board_is_not_done(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    receive: Callable[[], FirmwareReceiver],
    is_installed: bool,
) -> None:
    """It tells no version, so nobody knows; and the last step is not sent again."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    data = build_image("V02R01", 2048)
    await upload(hass, entry, tmp_path, "ZTHV-C_V02R01.bin", data, "comm")
    pack.firmware_receiver = receiver = receive()
    await refused(hass, pack, "firmware_not_confirmed", "comm")
    assert bool(receiver.installed) is is_installed
    finishes = [frame for frame in firmware_frames(peripheral) if frame[1] == 5]
    assert len(finishes) == 1
    assert state(hass, pack, "comm").state == "on"


@pytest.mark.parametrize(("receive", "is_installed"), UNCONFIRMED)
async def test_an_unconfirmed_update_of_the_bms_is_told_by_its_version(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    receive: Callable[[], FirmwareReceiver],
    is_installed: bool,
) -> None:
    """The new version after the restart confirms it, the old one denies it."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    pack.firmware_receiver = receive()
    if is_installed:
        await install(hass, pack)
        assert state(hass, pack).state == "off"
    else:
        await refused(hass, pack, "firmware_same_version")
        assert state(hass, pack).state == "on"


async def test_a_version_that_was_there_before_confirms_nothing(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """The same firmware once more, whose last step is not confirmed."""
    pack = battery("idle", firmware="Z01T21")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    pack.firmware_receiver = deaf_to_finish()
    with pytest.raises(HomeAssistantError) as error:
        await entry.runtime_data.firmware.async_install("bms", lambda _: None)
    assert error.value.translation_key == "firmware_not_confirmed"


async def test_nothing_else_is_sent_during_an_update(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """No second update, no setting, no refresh: each is told to wait."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    task = hass.async_create_task(install(hass, pack))
    await wait_until(lambda: entry.runtime_data.firmware.is_running)
    with pytest.raises(HomeAssistantError) as error:
        await entry.runtime_data.firmware.async_install("comm", lambda _: None)
    assert error.value.translation_key == "firmware_under_way"
    for domain, service, key in (
        ("switch", "turn_on", "heater"),
        ("button", "press", "refresh"),
    ):
        with pytest.raises(HomeAssistantError) as error:
            await hass.services.async_call(
                domain,
                service,
                {ATTR_ENTITY_ID: entity_id(hass, pack.address, key, domain)},
                blocking=True,
            )
        assert error.value.translation_key == "firmware_under_way"
    await task


@pytest.mark.parametrize("size", [4096, 256 * 1024], ids=["restarting", "writing"])
async def test_a_reload_waits_for_the_end_of_an_update(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path, size: int
) -> None:
    """Home Assistant reloads half a minute after an entity was switched on."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    image = build_image("Z01T21", size)
    await upload(hass, entry, tmp_path, data=image)
    before = entry.runtime_data
    er.async_get(hass).async_update_entity(
        entity_id(hass, pack.address, "bluetooth_name", "text"), disabled_by=None
    )
    await install(hass, pack)
    receiver = pack.firmware_receiver
    assert receiver is not None
    assert receiver.received == image
    await wait_until(lambda: entry.state is ConfigEntryState.LOADED, 60)
    await wait_until(lambda: entry.runtime_data is not before, 60)
    await wait_until(lambda: value(hass, pack.address, "voltage") != "unavailable")
    await wait_until(lambda: state(hass, pack).state == "off")


async def test_an_update_that_waits_for_the_restart_does_not_hold_up_the_stop(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """The link is closed by then: nobody would find out whether the battery is back."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    installing = hass.async_create_task(install(hass, pack))
    await wait_until(lambda: not peripheral.is_connected)
    assert entry.runtime_data.firmware.is_running
    began = hass.loop.time()
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    with pytest.raises(HomeAssistantError):
        await installing
    assert hass.loop.time() - began < 10


async def test_a_second_press_installs_nothing_after_the_first_has_failed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """It is told to wait at once, and does not try again by itself."""
    pack = battery("idle")
    pack.firmware_receiver = FirmwareReceiver()
    pack.firmware_receiver.faults["start"] = Fault("refuse")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    presses = [hass.async_create_task(install(hass, pack)) for _ in range(2)]
    told = await asyncio.gather(*presses, return_exceptions=True)
    assert sorted(getattr(error, "translation_key", "") for error in told) == [
        "firmware_refused",
        "firmware_under_way",
    ]
    await asyncio.sleep(30)
    sent = [STEPS[frame[1]] for frame in firmware_frames(peripheral)]
    assert sent == ["sync", "start"]


async def test_an_update_waits_for_a_change_to_be_confirmed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Else nobody would ask the battery, and the change be called unmade."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    heater = {ATTR_ENTITY_ID: entity_id(hass, pack.address, "heater", "switch")}
    assert value(hass, pack.address, "heater", "switch") == "off"
    change = hass.async_create_task(
        hass.services.async_call("switch", "turn_on", heater, blocking=True)
    )
    await asyncio.sleep(0)
    await install(hass, pack)
    await change
    assert value(hass, pack.address, "heater", "switch") == "on"


async def test_the_release_notes_say_what_is_not_proven(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Plainly, before anybody presses Install."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    assert await async_setup_component(hass, UPDATE, {})
    component = hass.data["entity_components"][UPDATE]
    entity = component.get_entity(entity_id(hass, pack.address, "bms_firmware", UPDATE))
    assert entity is not None
    notes = await entity.async_release_notes()
    assert "No public recording" in notes
    assert "30 %" in notes


async def test_the_current_can_be_told_to_count_finer(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Should a firmware count 0.01 A over Bluetooth as it does on RS485."""
    pack = battery("idle")
    pack.hold = True
    pack.override = replace(pack.reported(), current=123.0)
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    assert value(hass, pack.address, "current") == "123.0"
    result = await open_options(hass, entry, "general")
    await hass.config_entries.options.async_configure(
        result["flow_id"], {"low_battery": 20, "current_scale": "100"}
    )
    await asyncio.sleep(11)
    assert value(hass, pack.address, "current") == "12.3"
    assert peripheral.connections == 2
