"""The command over BlueZ: what it reads is what the battery has, and it writes nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

# After conftest has put the package on the path.
from vlrv_ble import NotReachableError, scan
from vlrv_cli import commands
from vlrv_cli.dump import read_everything
from vlrv_cli.explain import explain
from vlrv_cli.recordings import frames_of_file

from .conftest import ADDRESS, Radio
from simulator.battery import SimulatedBattery

READS = {0x01: {0x03}, 0x10: {0x02, 0x03, 0x04}}
"""Functions that only read, by the first byte of a frame."""


def assert_only_read(radio: Radio) -> None:
    """Check that nothing was sent that could change anything."""
    assert radio.peripheral.writes
    for write in radio.peripheral.writes:
        assert write.data[1] in READS[write.data[0]], write.data.hex()


async def test_scan_over_bluez_finds_the_battery(radio: Radio) -> None:
    """By its name."""
    (found,) = await scan(5.0)
    assert (found.name, found.device.address) == ("ZT-25.6V100Ah-1238", ADDRESS)
    assert found.score >= 5


async def test_read_over_bluez_shows_what_the_battery_has(radio: Radio) -> None:
    """Every part, and afterwards the battery is free."""
    found = await commands._read(ADDRESS, 10.0)
    expected = radio.battery.expected_values()
    for key in ("state_of_charge", "voltage", "current", "power", "state_of_health"):
        assert found["status"][key] == expected[key]
    assert found["identity"]["model"] == "TC-8S100-V1.0"
    assert found["identity"]["model_by_size"] == "VLRV2560B"
    assert found["settings"]["module_id"] == 1
    assert found["settings"]["can"]["names"][0] == "P01-GRW"
    assert json.loads(json.dumps(found)).keys() == found.keys()
    assert_only_read(radio)
    await asyncio.sleep(1)
    assert not radio.peripheral.is_connected


async def test_read_of_a_battery_that_is_away_says_so(radio: Radio) -> None:
    """Within the time that was given."""
    await radio.peripheral.stop()
    before = radio.clock.now
    with pytest.raises(NotReachableError, match="does not advertise"):
        await commands._read("A4:C1:37:00:00:99", 5.0)
    assert radio.clock.now - before < 7


async def test_watch_over_bluez_goes_on_after_a_lost_connection(radio: Radio) -> None:
    """One sample for each interval."""
    times: list[float] = []

    def show(_status: Any) -> None:
        times.append(radio.clock.now)
        if len(times) == 2:
            radio.peripheral.drop_connection()

    await commands._watch(ADDRESS, 10.0, 10.0, 4, show)
    assert len(times) == 4
    assert times[1] - times[0] == pytest.approx(10, abs=1)
    assert_only_read(radio)


async def test_dump_over_bluez_has_all_registers_and_nothing_private(
    radio: Radio,
) -> None:
    """Neither the serial number nor the address; what it holds can be decoded."""
    steps: list[str] = []
    async with await commands._client(ADDRESS, 10.0) as client:
        dump = await read_everything(client, ADDRESS, steps.append)
    registers = dump["registers"]
    status = radio.battery.registers(0, 41)
    assert [registers[str(number)] for number in range(41)] == status
    assert [registers[str(number)] for number in range(120, 128)] == [None] * 8
    assert dump["settings"]["module_id"] == 1
    assert dump["unanswered"] == []
    text = json.dumps(dump)
    assert "2024-01-11" not in text
    assert ADDRESS not in text
    assert "1238" not in text
    assert steps[0] == "registers 0-40"
    frames = list(frames_of_file(text.encode()))
    titles = [explain(each.frame, sent=each.sent).title for each in frames]
    assert titles[:2] == ["request: status, registers 0-40", "status, registers 0-40"]
    assert_only_read(radio)


async def test_dump_of_a_battery_with_fewer_registers_names_what_is_missing(
    radio: Radio,
) -> None:
    """A board that answers 39 status registers and no thresholds."""
    handle = SimulatedBattery.handle
    battery = radio.battery

    def handle_less(frame: bytes) -> bytes | None:
        if frame[0] == 1 and frame[2:6] != bytes((0, 0, 0, 39)):
            return None
        return handle(battery, frame)

    battery.handle = handle_less  # type: ignore[method-assign]
    async with await commands._client(ADDRESS, 10.0) as client:
        dump = await read_everything(client, ADDRESS, lambda _step: None)
    assert sorted(map(int, dump["registers"])) == list(range(39))
    assert dump["unanswered"] == [
        "registers 45-75",
        "registers 76-104",
        "registers 105-127",
        "registers 128-150",
    ]
