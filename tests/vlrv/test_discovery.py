"""Advertisements sort a list of devices; they prove nothing."""

from __future__ import annotations

from typing import Any

import bleak
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError
import pytest

from custom_components.voltgo_vlrv.vlrv import NotReachableError, is_likely, scan
from custom_components.voltgo_vlrv.vlrv.discovery import match_score

FF00 = "0000ff00-0000-1000-8000-00805f9b34fb"
OTHER = "0000180a-0000-1000-8000-00805f9b34fb"


@pytest.mark.parametrize(
    ("name", "address", "services", "score"),
    [
        ("ZT-25.6V100Ah-1238", "A4:C1:37:00:00:01", [FF00], 7),
        ("ZT-25.6V100Ah-1238", "11:22:33:00:00:01", [], 4),
        ("Z122002264", "80:6F:B0:00:00:01", [], 5),
        ("House", "A4:C1:37:00:00:01", [FF00], 3),
        ("House", "a4:c1:38:00:00:01", [], 1),
        ("Bat1", "CC:45:A5:00:00:01", [], 1),
        ("JBD-SP04", "A5:C2:37:00:00:01", [FF00], 2),
        ("Kettle", "11:22:33:00:00:01", [OTHER], 0),
        ("", "", [], 0),
    ],
)
def test_match_score_of_an_advertisement_adds_up_what_fits(
    name: str, address: str, services: list[str], score: int
) -> None:
    """Name before service before address."""
    assert match_score(name, address, services) == score
    assert is_likely(name, address, services) is bool(score)


def advertised(
    address: str, name: str | None, rssi: int, *services: str
) -> tuple[BLEDevice, AdvertisementData]:
    """Return what a scanner returns for one device."""
    return (
        BLEDevice(address, None, None),
        AdvertisementData(name, {}, {}, list(services), None, rssi, ()),
    )


async def test_scan_with_several_devices_returns_likely_ones_in_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The likeliest first, of equal ones the nearest; names can be shown."""
    found = [
        advertised("11:22:33:00:00:01", "Kettle", -30),
        advertised("A4:C1:37:00:00:01", None, -50, FF00),
        advertised("A4:C1:37:00:00:02", "ZT-1\0\0", -80, FF00),
        advertised("A4:C1:37:00:00:03", "ZT-2", -60, FF00),
    ]

    async def discover(duration: float, *, return_adv: bool) -> dict[str, Any]:
        assert (duration, return_adv) == (5.0, True)
        return {device.address: (device, data) for device, data in found}

    monkeypatch.setattr(bleak.BleakScanner, "discover", discover)
    assert [(result.name, result.rssi, result.score) for result in await scan(5.0)] == [
        ("ZT-2", -60, 7),
        ("ZT-1", -80, 7),
        ("", -50, 3),
    ]


async def test_scan_without_an_adapter_raises_not_reachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the stack says."""

    async def discover(*_args: Any, **_options: Any) -> None:
        raise BleakError("No Bluetooth adapters found.")

    monkeypatch.setattr(bleak.BleakScanner, "discover", discover)
    with pytest.raises(NotReachableError, match="No Bluetooth adapters found"):
        await scan()
