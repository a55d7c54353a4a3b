"""Firmware over a local adapter, which Home Assistant resets when it receives nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant

from .environment import BluezEnvironment
from simulator.clock import FastClock
from simulator.firmware import Fault, build_image
from tests.battery.firmware_helpers import install, refused, state, upload
from tests.esphome.harness import MINUTE, async_setup_watched


def scanner(hass: HomeAssistant) -> bluetooth.BaseHaScanner:
    """Return the adapter."""
    (found,) = bluetooth.async_current_scanners(hass)
    return found


async def test_long_transfer_without_other_devices_does_not_reset_the_adapter(
    hass: HomeAssistant,
    bluetooth_env: BluezEnvironment,
    tmp_path: Path,
    fast_clock: FastClock,
) -> None:
    """It takes four minutes; after it the adapter scans as before."""
    found = await async_setup_watched(hass, bluetooth_env)
    await upload(hass, found.entry, tmp_path, data=build_image("Z01T21", 200 * 1024))
    starts = bluetooth_env.bluez.calls["StartDiscovery"]
    begun = fast_clock.now
    await install(hass, found.peripheral.battery)
    assert fast_clock.now - begun > 200
    assert bluetooth_env.reset.call_count == 0
    assert bluetooth_env.bluez.calls["StartDiscovery"] == starts + 1
    assert state(hass, found.peripheral.battery).state == "off"
    await asyncio.sleep(MINUTE)
    assert scanner(hass).scanning
    await found.wait_for_sample()
    found.assert_shown()


@pytest.mark.parametrize("step", ["start", "write", "finish_write"])
async def test_battery_silent_during_a_transfer_keeps_the_adapter(
    hass: HomeAssistant, bluetooth_env: BluezEnvironment, tmp_path: Path, step: str
) -> None:
    """The connection ends no sooner than the transfer, and the values return."""
    found = await async_setup_watched(hass, bluetooth_env)
    pack = found.peripheral.battery
    await upload(hass, found.entry, tmp_path)
    pack.firmware_receiver.faults[step] = Fault("no_answer", package=9)
    # The adapter has received nothing for as long as it ever does before.
    await asyncio.sleep(MINUTE - 5)
    before = dict(bluetooth_env.bluez.calls)
    await refused(hass, pack, "firmware_no_answer")
    calls = bluetooth_env.bluez.calls
    assert calls["Disconnect"] <= before["Disconnect"] + 1
    assert calls["RemoveDevice"] == before.get("RemoveDevice", 0)
    assert bluetooth_env.reset.call_count == 0
    await found.wait_for_sample()
    assert scanner(hass).scanning
    assert bluetooth_env.reset.call_count == 0
