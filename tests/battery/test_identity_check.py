"""Whether a sample is that of the battery that was added; no event loop, no radio."""

from __future__ import annotations

from dataclasses import replace

import pytest

from custom_components.voltgo_vlrv.battery.identity_check import (
    has_other_serial,
    is_proof,
    is_same_battery,
)
from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from custom_components.voltgo_vlrv.vlrv.identity import Identity
from custom_components.voltgo_vlrv.vlrv.registers import decode_status
from simulator.battery import preset, status_reply

STATUS = decode_status(status_reply(preset("idle").registers(0, 41)))
INFO = BatteryInfo.from_probe("ZT-12.8V100Ah-0001", STATUS, None)


def test_sample_of_the_known_battery_is_the_same() -> None:
    """Also where it does not report what is compared."""
    assert is_same_battery(INFO, STATUS)
    assert is_same_battery(INFO, replace(STATUS, full_capacity=None))
    assert is_same_battery(replace(INFO, full_capacity=None), STATUS)


def test_sample_with_another_cell_count_is_of_another_battery() -> None:
    """More cells or fewer."""
    assert not is_same_battery(INFO, replace(STATUS, cell_count=16))
    assert not is_same_battery(replace(INFO, cell_count=8), STATUS)


@pytest.mark.parametrize(
    ("share", "same"),
    [(0.5, False), (0.74, False), (0.76, True), (1.24, True), (2, False)],
)
def test_sample_with_another_full_capacity_is_of_another_battery(
    share: float, same: bool
) -> None:
    """An old battery has lost some percent; that makes it no other one."""
    assert INFO.full_capacity is not None
    status = replace(STATUS, full_capacity=share * INFO.full_capacity)
    assert is_same_battery(INFO, status) is same


@pytest.mark.parametrize(
    ("known", "found", "other"),
    [
        ("VG123", "VG123", False),
        ("VG123", "VG124", True),
        ("", "VG124", False),
        ("VG123", "", False),
        ("20240131", "20240201", False),
        ("20240131", "VG124", False),
        ("240131", "240201", False),
    ],
)
def test_serial_number_that_differs_is_of_another_battery(
    known: str, found: str, other: bool
) -> None:
    """But a date is no proof, and one that is not reported says nothing."""
    info = replace(INFO, serial=known)
    assert has_other_serial(info, Identity("", "", found)) is other


@pytest.mark.parametrize(
    ("serial", "proves"),
    [
        ("20240111", False),
        ("240111", False),
        ("2024-01-11", False),
        ("2024.01.11", False),
        (" 2024/01/11 ", False),
        ("", False),
        ("20241311", True),
        ("SN-240111", True),
    ],
)
def test_serial_number_that_is_a_date_proves_nothing(serial: str, proves: bool) -> None:
    """In each layout of a date that boards may have."""
    assert is_proof(serial) is proves
