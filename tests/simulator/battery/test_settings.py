"""Settings of the simulated battery take effect after a power cycle."""

import pytest

from .helpers import Clock, ask, pick
from simulator.battery import (
    CAN_PROTOCOLS,
    ZT_2024_CAN_PROTOCOLS,
    ZT_2024_RS485_PROTOCOLS,
    SimulatedBattery,
)


def test_settings_are_reported_after_power_cycle(battery: SimulatedBattery) -> None:
    """Module ID, protocols and name wait for the switch."""
    assert ask(battery, 0x06, b"\x04") == b"\x00"
    assert ask(battery, 0x05, b"\x02") == b"\x00"
    assert ask(battery, 0x07, b"\x03") == b"\x00"
    assert ask(battery, 0x09, b"House 2") == b"\x00"
    keys = ("module_id", "rs485_protocol", "can_protocol")
    assert pick(battery, *keys) == [1, "P01-GRW", "P01-GRW"]
    assert battery.name == "ZT-25.6V100Ah-1238"

    battery.power_cycle()

    assert pick(battery, *keys) == [3, "P03-SCH", "P05-VCT"]
    assert ask(battery, 0x02) == b"\x03"
    assert battery.name == "House 2"


def test_protocols_are_refused_while_module_id_is_not_1() -> None:
    """What counts is the module ID in effect, not the one that waits."""
    battery = SimulatedBattery(module_id=2, clock=Clock())

    assert ask(battery, 0x07, b"\x01") == b"\x00"
    assert ask(battery, 0x05, b"\x01") == b"\x01"
    assert ask(battery, 0x06, b"\x00") == b"\x01"
    battery.power_cycle()
    assert ask(battery, 0x05, b"\x01") == b"\x00"


@pytest.mark.parametrize(
    ("function", "data"),
    [
        (0x05, b"\x05"),
        (0x06, b"\x0b"),
        (0x07, b"\x00"),
        (0x07, b"\x11"),
        (0x09, b""),
        (0x09, b"n" * 23),
        (0x09, b"M\xc3\xbc"),
        (0x09, b"a\nb"),
    ],
)
def test_values_out_of_range_are_refused(
    battery: SimulatedBattery, function: int, data: bytes
) -> None:
    """A refused value never takes effect."""
    before = battery.expected_values(), battery.name

    assert ask(battery, function, data) == b"\x01"
    battery.power_cycle()
    assert (battery.expected_values(), battery.name) == before


def test_protocols_of_other_batteries_are_offered() -> None:
    """The ZT of 2024 has an empty list and one of a single name."""
    battery = SimulatedBattery(
        rs485_protocols=ZT_2024_RS485_PROTOCOLS,
        can_protocols=ZT_2024_CAN_PROTOCOLS,
        clock=Clock(),
    )

    assert ask(battery, 0x03) == b"\x00\x00"
    assert ask(battery, 0x04) == b"\x00\x01P01-GRW\0\0\0"
    assert ask(battery, 0x05, b"\x00") == b"\x01"
    assert battery.expected_values()["rs485_protocol"] is None

    noark = SimulatedBattery(can_protocols=(*CAN_PROTOCOLS, "P12-NOA"), clock=Clock())
    assert len(ask(noark, 0x04) or b"") == 2 + 12 * 10
