"""Firmware is installed step by step, and nothing is sent twice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from homeassistant.components.update import ATTR_UPDATE_PERCENTAGE
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er

from .firmware_helpers import firmware_frames, install, refused, state, upload
from custom_components.voltgo_vlrv.battery.firmware_files import FirmwareStore
from custom_components.voltgo_vlrv.connection import errors
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.update import VlrvUpdate
from custom_components.voltgo_vlrv.vlrv.client import VlrvClient
from custom_components.voltgo_vlrv.vlrv.firmware import RESTART_LIMIT
from custom_components.voltgo_vlrv.vlrv.transport import Transport
from simulator.firmware import STEPS, Fault, FirmwareReceiver, Seal, build_image
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import add_discovered, battery, device_of, value, wait_until
from tests.harness import async_setup_battery


async def test_install_of_a_bms_file_succeeds_and_shows_the_version(
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


async def test_install_of_a_communication_board_file_succeeds(
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
    began = hass.loop.time()
    await install(hass, pack, "comm")
    # No other version of the BMS is waited for.
    assert hass.loop.time() - began < RESTART_LIMIT
    receiver = pack.firmware_receiver
    assert receiver is not None
    assert receiver.received == data
    # Confirmed, so it is not offered again; the running version is not reported.
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
async def test_install_in_an_unsafe_state_is_refused(
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


async def test_install_on_a_released_battery_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """The user may be reading it with the phone."""
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


async def test_install_on_a_weak_signal_is_refused(
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
async def test_install_on_a_connection_with_small_packets_is_refused(
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


async def test_install_with_packets_of_its_own_size_succeeds(
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


async def test_install_on_an_absent_battery_is_refused(
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


async def test_install_of_a_damaged_file_is_refused(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """An SD card may lose data."""
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
async def test_install_with_a_failed_step_names_it_and_resumes_polling(  # noqa: PLR0917
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    step: str,
    fault: Fault,
    key: str,
) -> None:
    """After any failure, the values return without an action of the user."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    receiver = pack.firmware_receiver
    assert receiver is not None
    receiver.faults[step] = fault
    text = await refused(hass, pack, key)
    assert (f"(code {fault.code})" in text) is (fault.kind == "refuse")
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


async def test_install_without_an_answer_sends_only_the_handshake(
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
async def test_install_with_an_unchanged_version_is_reported(
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


async def test_install_with_a_reply_of_another_layout_ends(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """It may be another protocol."""
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    await upload(hass, entry, tmp_path)
    pack.firmware_receiver = BadMark()
    await refused(hass, pack, "firmware_bad_reply")
    assert len(firmware_frames(peripheral)) == 1


async def test_install_with_another_version_than_expected_is_reported(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """Named Z01T21, it holds Z01T29; what runs is shown, and the rest is not claimed."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path, data=build_image("Z01T29", 4096))
    text = await refused(hass, pack, "firmware_other_version")
    assert "version Z01T29 instead of Z01T21" in text
    assert state(hass, pack).attributes["installed_version"] == "Z01T29"
    assert state(hass, pack).state == "on"


class Mute(FirmwareReceiver):
    """Runs a firmware that tells no version any more."""

    def boot(self, firmware: str) -> str:
        """Start with that."""
        super().boot(firmware)
        return ""


async def test_install_with_no_version_reported_afterwards_is_reported(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, tmp_path: Path
) -> None:
    """The error says so, instead of leaving the version empty."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await upload(hass, entry, tmp_path)
    pack.firmware_receiver = Mute()
    text = await refused(hass, pack, "firmware_other_version")
    assert "version not reported instead" in text


@pytest.mark.parametrize(
    ("method", "key"),
    [
        ("read_status", "firmware_unreachable"),
        ("measure_write_size", "firmware_not_started"),
        ("exchange", "firmware_unexpected"),
        ("progress", None),
        ("restart", "firmware_not_confirmed"),
    ],
)
async def test_install_with_an_unexpected_error_says_what_the_battery_is_left_with(  # noqa: PLR0917
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    method: str,
    key: str | None,
) -> None:
    """A programming error at any time; its traceback is logged once."""
    monkeypatch.setattr(errors, "_reported", set())
    pack = battery("idle")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    await upload(hass, harness.entry, tmp_path)
    installer = harness.entry.runtime_data.firmware
    broken = Mock(side_effect=KeyError("bug"))
    target: dict[str, tuple[Any, str]] = {
        "read_status": (VlrvClient, "read_status"),
        "measure_write_size": (VlrvClient, "measure_write_size"),
        "progress": (VlrvUpdate, "_show_progress"),
        "restart": (installer, "_on_restart"),
    }
    with monkeypatch.context() as patch:
        if method == "exchange":
            send_once = Transport.send_once

            async def send(*args: Any, **kwargs: Any) -> bytes:
                if args[1][:2] == b"\x64\x03":
                    broken()
                return await send_once(*args, **kwargs)

            patch.setattr(Transport, "send_once", send)
        else:
            patch.setattr(*target[method], broken)
        caplog.clear()
        if key is None:
            await install(hass, pack)
            assert state(hass, pack).state == "off"
        else:
            await refused(hass, pack, key)
    assert broken.called
    tracebacks = [record for record in caplog.records if record.exc_info]
    assert [record.levelname for record in tracebacks] == ["ERROR"]
    assert state(hass, pack).attributes["in_progress"] is False
    assert not installer.is_running
