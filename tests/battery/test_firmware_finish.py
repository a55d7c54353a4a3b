"""After the last step the battery restarts, with the new firmware or without."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import ATTR_ENTITY_ID, EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import entity_registry as er

from .firmware_helpers import (
    IMAGE,
    LateReceiver,
    firmware_frames,
    install,
    open_options,
    refused,
    release_notes,
    state,
    upload,
)
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.repairs import ReloadAdapterFlow
from simulator.battery import IDENTITY_START
from simulator.clock import FastClock
from simulator.firmware import STEPS, Fault, FirmwareReceiver, Seal, build_image
from simulator.peripheral import Peripheral
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, entity_id, value, wait_until
from tests.harness import async_setup_battery


async def finished(peripheral: Peripheral) -> None:
    """Wait until Finish was sent."""
    await wait_until(
        lambda: any(frame[1] == 5 for frame in firmware_frames(peripheral))
    )


@pytest.mark.parametrize(("after", "off_for"), [(2, 30), (15, 10), (15, 30)])
async def test_bms_update_with_a_slow_restart_succeeds(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    after: float,
    off_for: float,
) -> None:
    """Until the restart it answers with its old version, which proves nothing."""
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


async def test_bms_update_with_an_empty_version_waits_for_one(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A board answers zeros for registers that it does not serve yet."""
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


async def test_bms_update_without_a_restart_reports_the_old_version(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    fast_clock: FastClock,
) -> None:
    """After the time that a restart may take, and not before."""
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


async def test_bms_update_compares_with_the_version_read_right_before(
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


async def test_bms_update_with_a_late_disconnection_waits_for_the_return(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """An answer from before the restart counts for nothing."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    pack.firmware_receiver = LateReceiver()
    task = hass.async_create_task(refused(hass, pack, "firmware_not_back"))
    await finished(peripheral)
    await asyncio.sleep(2)
    # The battery has kept the connection.
    assert not peripheral.is_connected
    await asyncio.sleep(13)
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


async def test_firmware_file_uploaded_after_an_install_is_offered(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Another file, and the same one again: the user wants to install it again."""
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


async def test_firmware_file_uploaded_during_an_install_is_not_installed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """The data that were sent are recorded, not those of the new file."""
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


async def test_bms_update_without_a_version_is_confirmed_by_the_last_step(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Confirmed, it is not offered again; unconfirmed, the version is unknown."""
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
async def test_communication_board_update_unconfirmed_is_unknown(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    receive: Callable[[], FirmwareReceiver],
    is_installed: bool,
) -> None:
    """It reports no version, so the result is unknown; the last step is not repeated."""
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
async def test_bms_update_unconfirmed_is_decided_by_its_version(
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


async def test_bms_update_to_the_same_version_unconfirmed_is_unknown(
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


async def test_commands_during_an_update_are_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """No second update, no setting, no refresh is sent: the error asks to wait."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    task = hass.async_create_task(install(hass, pack))
    await wait_until(lambda: entry.runtime_data.firmware.is_running)
    with pytest.raises(HomeAssistantError) as error:
        await entry.runtime_data.firmware.async_install("comm", lambda _: None)
    assert error.value.translation_key == "firmware_in_progress"
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
        assert error.value.translation_key == "firmware_in_progress"
    # Nor is an adapter reloaded, which may be the one that carries it.
    flow = ReloadAdapterFlow("adapter")
    flow.hass, flow.handler, flow.flow_id = hass, DOMAIN, "flow"
    result = await flow.async_step_confirm({})
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "firmware_in_progress"
    assert result["description_placeholders"] == {"name": entry.title}
    await task
    result = await flow.async_step_confirm({})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize("size", [4096, 256 * 1024], ids=["restarting", "writing"])
async def test_reload_during_an_update_waits_for_its_end(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path, size: int
) -> None:
    """Home Assistant reloads half a minute after an entity was enabled."""
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


async def test_stop_during_the_restart_of_a_battery_does_not_wait(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """The connection is closed by then, so the end of the restart cannot be seen."""
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


async def test_install_pressed_twice_is_refused_at_once(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """It is not tried after the first one has failed."""
    pack = battery("idle")
    pack.firmware_receiver = FirmwareReceiver()
    pack.firmware_receiver.faults["start"] = Fault("refuse")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    presses = [hass.async_create_task(install(hass, pack)) for _ in range(2)]
    told = await asyncio.gather(*presses, return_exceptions=True)
    assert sorted(getattr(error, "translation_key", "") for error in told) == [
        "firmware_in_progress",
        "firmware_refused",
    ]
    await asyncio.sleep(30)
    sent = [STEPS[frame[1]] for frame in firmware_frames(peripheral)]
    assert sent == ["sync", "start"]


async def test_install_during_a_change_waits_for_its_confirmation(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Otherwise the battery is not asked, and the change is reported as not applied."""
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


async def test_release_notes_say_what_is_not_proven(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Plainly, before a user presses Install."""
    pack = battery("idle")
    await async_setup_battery(hass, bluetooth_env, pack)
    notes = await release_notes(hass, pack)
    assert "There is no public recording" in notes
    assert "30%" in notes


async def test_current_scale_option_divides_the_current(
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
