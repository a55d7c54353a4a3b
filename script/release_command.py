"""Runs the installed command as a process of its own against a simulated battery.

`script/release --check` starts it in an environment without Home Assistant: the battery
is behind a simulated BlueZ on a socket that the process finds through its environment, as
it finds the machine's own. Takes some seconds of real time.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
import sys
import tempfile
from typing import Final, NamedTuple

from simulator.battery import SimulatedBattery
from simulator.bluez.daemon import Bluez
from simulator.gatt.peripheral import GattMedium, GattPeripheral

ADDRESS: Final = "A4:C1:37:00:00:01"
ABSENT: Final = "A4:C1:37:00:00:02"
MAX_SECONDS: Final = 60
"""Real time that one run of the command may take on a busy machine."""
READS: Final = {0x01: {0x03}, 0x10: {0x02, 0x03, 0x04}}
"""Functions that only read, by the first byte of a frame."""


class CommandError(Exception):
    """The command did something else than it should."""


class Result(NamedTuple):
    """How a run of the command ended."""

    code: int | None
    out: str
    err: str


class Check:
    """The command with a battery to talk to."""

    def __init__(self, command: str, bus: Path, folder: Path) -> None:
        """Prepare; `bus` is the socket of the simulated D-Bus."""
        self._command = command
        self._environment = {
            **os.environ,
            "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus}",
            "PYTHONPATH": "",
            "COLUMNS": "200",
        }
        self._folder = folder
        self.battery = SimulatedBattery(
            name="ZT-25.6V100Ah-1238", address=ADDRESS, clock=lambda: 0.0
        )

    async def run(self, *arguments: str, code: int = 0) -> Result:
        """Run the command; raises CommandError if it ends with another code."""
        process = await asyncio.create_subprocess_exec(
            self._command,
            *arguments,
            env=self._environment,
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(MAX_SECONDS):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            raise CommandError(f"vlrv {' '.join(arguments)} does not end") from None
        result = Result(process.returncode, out.decode(), err.decode())
        if result.code != code:
            raise CommandError(
                f"vlrv {' '.join(arguments)} ended with {result.code}, not {code}:\n"
                f"{result.out}{result.err}"
            )
        return result

    async def check(self) -> str:
        """Run every subcommand; return what was seen. Raises CommandError."""
        found = json.loads((await self.run("scan", "--seconds", "2", "--json")).out)
        expect([each["address"] for each in found] == [ADDRESS], f"scan: {found}")

        read = json.loads((await self.run("read", ADDRESS, "--json")).out)
        expected = self.battery.expected_values()
        for key in ("state_of_charge", "voltage", "current", "remaining_capacity"):
            shown = read["status"][key]
            expect(
                shown == expected[key], f"read: {key} is {shown}, not {expected[key]}"
            )
        expect(read["identity"]["firmware"] == "Z01T20", f"read: {read['identity']}")

        lines = (
            await self.run("watch", ADDRESS, "--interval", "1", "--count", "2", "--csv")
        ).out.splitlines()
        soc = str(expected["state_of_charge"])
        expect(len(lines) == 3 and lines[2].split(",")[1] == soc, f"watch: {lines}")

        await self.run("dump", ADDRESS, "-o", "dump.json")
        text = (await self.run("decode", "dump.json")).out
        expect(f"voltage: {expected['voltage']:.2f} V" in text, f"decode: {text}")

        lost = await self.run("read", ABSENT, "--timeout", "1", code=1)
        expect(
            lost.err.startswith(f"vlrv: {ABSENT} does not advertise")
            and lost.err.count("\n") == 1,
            f"a battery that is away: {lost.err}",
        )
        return f"scan, read, watch, dump and decode of {found[0]['name']}, {soc} %"


def expect(condition: bool, message: str) -> None:
    """Raise CommandError unless the condition holds."""
    if not condition:
        raise CommandError(message)


async def main(command: str) -> str:
    """Check a command; return what was seen. Raises CommandError."""
    with tempfile.TemporaryDirectory() as folder:
        bus = Path(folder, "bus")
        bluez = Bluez(bus, GattMedium())
        await bluez.start()
        check = Check(command, bus, Path(folder))
        peripheral = GattPeripheral(bluez.medium, check.battery)
        await peripheral.start()
        try:
            seen = await check.check()
            for write in peripheral.writes:
                expect(
                    write.data[1] in READS[write.data[0]],
                    f"sent to the battery: {write.data.hex()}",
                )
            expect(not peripheral.is_connected, "the battery is still connected")
            return f"{seen}; {len(peripheral.writes)} reads and no write"
        finally:
            await bluez.stop()
            await peripheral.stop()


if __name__ == "__main__":
    try:
        print(asyncio.run(main(sys.argv[1])))
    except CommandError as failure:
        sys.exit(str(failure))
