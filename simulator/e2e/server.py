"""Run Home Assistant as a separate process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
import os
from pathlib import Path
import signal
import socket
import sys
import tempfile
from typing import Final

from .folder import HOST, ROOT, STUBS

RESTART: Final = 100  # exit code with which Home Assistant asks to be started again
STOP_TIMEOUT: Final = 30.0  # s
LOG: Final = "home-assistant.log"
CONSOLE: Final = "console.log"
DATABASE: Final = "home-assistant_v2.db"
BUS_ADDRESS: Final = "DBUS_SYSTEM_BUS_ADDRESS"
"""Environment variable with the address of the message bus."""
BUS_TRANSPORT: Final = "unix:path="
"""What the address of a socket's path begins with."""


class DemoError(Exception):
    """An error that is printed without a traceback."""


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Return whether a port is free."""
    with socket.socket() as probe:
        # What a server that ended a moment ago leaves behind is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


@asynccontextmanager
async def running(folder: Path) -> AsyncGenerator[asyncio.subprocess.Process]:
    """Run Home Assistant."""
    # The path of a socket is short, that of the folder may be long.
    with tempfile.TemporaryDirectory(prefix="voltgo_bus_") as bus:
        async with _running(folder, Path(bus, "socket")) as process:
            yield process


@asynccontextmanager
async def _running(
    folder: Path, bus: Path
) -> AsyncGenerator[asyncio.subprocess.Process]:
    # Home Assistant puts uploads into one folder for the whole machine, and deletes it.
    temporary = folder / "tmp"
    temporary.mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "TMPDIR": str(temporary),
        BUS_ADDRESS: f"{BUS_TRANSPORT}{bus}",
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(STUBS))),
    }
    # Without bytecode each start takes three times as long.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # No `with`: the console is the process's from now on.
    console = await asyncio.to_thread((folder / CONSOLE).open, "wb")
    with console:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", f"{__package__}", "--skip-pip", "--log-no-color"),
            *("-c", str(folder)),
            env=environment,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=console,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C reaches us alone, and we stop it in order.
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


def console_tail(folder: Path, lines: int = 20) -> str:
    """Return the last lines of Home Assistant's output."""
    try:
        text = (folder / CONSOLE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
