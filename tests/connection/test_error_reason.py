"""The text about a failed attempt follows what was observed, not the words of an error."""

from __future__ import annotations

import asyncio
from unittest.mock import Mock

import pytest

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.connection.errors import (
    OtherBatteryError,
    error_reason,
)
from custom_components.voltgo_vlrv.vlrv.errors import (
    ConnectionLostError,
    ImplausibleError,
    NoAnswerError,
    NoSlotError,
    NotReachableError,
    NotVlrvError,
    RefusedError,
)
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery


@pytest.mark.parametrize(
    "message", ["0x08", "0x3E", "0x85", "0x100", "No backend with an available slot"]
)
async def test_reason_battery_that_advertises_is_a_failed_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, message: str
) -> None:
    """A battery that the phone app holds does not advertise."""
    pack = battery("idle")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter(slots=3)
    await bluetooth_env.heard(pack.address)
    error = NotReachableError(message)
    assert error_reason(hass, pack.address, error) == "connect_failed"


async def test_reason_slots_are_free_is_not_a_lack_of_slots(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The stack words many failures that way; the allocations know."""
    pack = battery("idle")
    await bluetooth_env.add_battery(pack)
    adapter = await bluetooth_env.add_adapter(slots=3)
    await bluetooth_env.heard(pack.address)
    assert error_reason(hass, pack.address, NoSlotError("x")) == "connect_failed"
    adapter.faults.out_of_slots = True
    assert error_reason(hass, pack.address, NoSlotError("x")) == "no_slot"
    # And where the error does not say so.
    assert error_reason(hass, pack.address, NotReachableError("x")) == "no_slot"


async def test_reason_battery_that_fell_silent_is_busy_and_later_out_of_range(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Home Assistant forgets it after some minutes."""
    pack = battery("idle")
    peripheral = await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter()
    await bluetooth_env.heard(pack.address)
    await asyncio.sleep(10)  # a discovered battery is read once
    await peripheral.stop()
    error = NotReachableError("x")
    await asyncio.sleep(20)
    assert error_reason(hass, pack.address, error) == "connect_failed"
    await asyncio.sleep(15)
    assert error_reason(hass, pack.address, error) == "busy"
    await asyncio.sleep(20 * 60)
    assert error_reason(hass, pack.address, error) == "out_of_range"


async def test_reason_without_an_adapter_is_no_bluetooth(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Whatever the stack says."""
    for error in (NotReachableError("x"), NoSlotError("x")):
        assert error_reason(hass, "A4:C1:37:00:00:01", error) == "no_bluetooth"


@pytest.mark.parametrize(
    ("is_received", "reason"), [(True, "receive_only"), (False, "out_of_range")]
)
def test_reason_battery_that_no_connecting_adapter_receives(
    monkeypatch: pytest.MonkeyPatch, is_received: bool, reason: str
) -> None:
    """One that only receives may hear it: then a battery is there."""
    hass, address = Mock(), "A4:C1:37:00:00:01"
    counts = {(hass, True): 1}
    last = {(hass, address, True): None}
    present = {(hass, address, False): is_received}
    monkeypatch.setattr(
        bluetooth,
        "async_scanner_count",
        lambda hass, connectable: counts[hass, connectable],
    )
    monkeypatch.setattr(
        bluetooth, "async_scanner_devices_by_address", lambda *_args: []
    )
    monkeypatch.setattr(bluetooth, "async_last_service_info", lambda *args: last[args])
    monkeypatch.setattr(
        bluetooth,
        "async_address_present",
        lambda hass, address, connectable: present[hass, address, connectable],
    )
    assert error_reason(hass, address, NotReachableError("x")) == reason


def test_reason_lack_of_slots_of_an_adapter_that_does_not_count_them_is_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the error tells then."""
    path = Mock()
    path.scanner.get_allocations.return_value = None
    monkeypatch.setattr(bluetooth, "async_scanner_count", lambda *_args, **_kwargs: 1)
    monkeypatch.setattr(
        bluetooth, "async_scanner_devices_by_address", lambda *_args: [path]
    )
    assert error_reason(Mock(), "A4:C1:37:00:00:01", NoSlotError("x")) == "no_slot"


async def test_reason_after_connecting_is_what_the_battery_did(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The adapters have nothing to do with it."""
    adapter = await bluetooth_env.add_adapter()
    adapter.faults.out_of_slots = True
    address = "A4:C1:37:00:00:01"
    for error, reason in (
        (NotVlrvError("x"), "not_vlrv"),
        (ConnectionLostError("x"), "connection_lost"),
        (NoAnswerError("x"), "no_answer"),
        (RefusedError(2), "refused"),
        (ImplausibleError(("zeros",)), "implausible"),
        (OtherBatteryError(), "other_battery"),
    ):
        assert error_reason(hass, address, error) == reason
    assert OtherBatteryError().reasons == ("other_battery",)
