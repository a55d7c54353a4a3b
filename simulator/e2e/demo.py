"""The demo: a real Home Assistant, three simulated batteries, and a user or a check."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
import shutil
import signal
import tempfile
from typing import Final
from zipfile import is_zipfile

from .api import HomeAssistant
from .batteries import MODELS, discovered
from .check import LOST, run_checks
from .folder import HOST, PASSWORD, ROOT, USERNAME, installed, prepare
from .history import write_week
from .log import complaints
from .output import print_error, print_line
from .polling import check
from .server import (
    CONSOLE,
    DATABASE,
    RESTART,
    DemoError,
    console_tail,
    free_port,
    is_free,
    running,
)

DEFAULT_PORT: Final = 8123
INTRODUCTION: Final = """\
Three batteries are discovered under Settings > Devices & services in
a few seconds; click Add. What can be done to them is under Settings >
Developer tools > Actions, 'Voltgo battery simulator'. Ctrl-C ends it.
'Add a bank' there brings two more, in parallel."""
ATTENTION: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def show(folder: Path, port: int, archive: Path | None) -> int:
    """Run Home Assistant until it is stopped or ends by itself."""
    while True:
        prepare(folder, port, archive)
        has_history = (folder / DATABASE).exists()
        async with running(folder) as process:
            print_line(f"Starting Home Assistant in {folder} ...")
            async with HomeAssistant.connected(port, process) as api:
                print_line(f"\n  {api.url}   login: {USERNAME} / {PASSWORD}\n")
                print_line(INTRODUCTION)
                if not has_history:
                    await discovered(api, set(MODELS))
                    await write_week(api)
                    print_line("The batteries have a simulated week of history.")
            code = await process.wait()
        if code != RESTART:
            return code


async def run_check(folder: Path, port: int, archive: Path | None) -> int:
    """Run Home Assistant and the check, and say what became of it."""
    prepare(folder, port, archive)
    try:
        async with (
            running(folder) as process,
            HomeAssistant.connected(port, process) as api,
        ):
            summary = await run_checks(api)
            # Home Assistant keeps compiled files beside what it has really run.
            check(
                archive is None or (installed(folder) / "__pycache__").is_dir(),
                f"what ran was not what came out of {archive}",
            )
    except DemoError as err:
        print_error(f"\ndemo check: FAILED: {err}")
        print_error(f"\nThe end of what Home Assistant wrote:\n{console_tail(folder)}")
        return 1
    # Last, as stopping may complain, too.
    if found := complaints(folder, LOST):
        print_error("\ndemo check: FAILED: the log has complaints\n" + "\n".join(found))
        return 1
    print_line("\nLog: neither warnings nor errors of the integration")
    print_line(f"\ndemo check: {summary}")
    return 0


@asynccontextmanager
async def temporary_folder() -> AsyncGenerator[Path]:
    """Create a folder, and delete it afterwards."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="voltgo_demo_"))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def choose_folder(given: Path | None, port: int, *, fresh: bool) -> Path:
    """Return the configuration directory that is kept."""
    folder = given or ROOT / ".demo" / str(port)
    if fresh:
        if folder.exists() and any(folder.iterdir()):
            raise DemoError(f"{folder} is not empty; the check needs a fresh directory")
    elif not is_free(port):
        raise DemoError(f"port {port} is in use; choose another one with --port")
    elif given is None:
        # Fresh at every start, so that there is something to discover.
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


async def demo(options: argparse.Namespace) -> int:
    """Do what the command line asks for."""
    archive: Path | None = options.zip
    if archive is not None and not is_zipfile(archive):
        raise DemoError(f"{archive} is no zip; script/release builds one")
    if not options.check:
        port = options.port or DEFAULT_PORT
        folder = choose_folder(options.dir, port, fresh=False)
        return await show(folder, port, archive)
    port = options.port or free_port()
    if options.dir is not None:
        folder = choose_folder(options.dir, port, fresh=True)
        return await run_check(folder, port, archive)
    async with temporary_folder() as folder:
        return await run_check(folder, port, archive)


def run(work: Coroutine[None, None, int]) -> int:
    """Run until done, or until a signal says to stop; nothing is left behind."""

    async def main() -> int:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in ATTENTION:
            loop.add_signal_handler(number, task.cancel)
        await asyncio.wait({task})
        return 130 if task.cancelled() else task.result()

    try:
        return asyncio.run(main())
    except DemoError as err:
        print_error(f"demo: {err}")
        return 1


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="script/demo",
        description="Start a Home Assistant with three simulated batteries to add.",
        epilog=f"Home Assistant listens on {HOST} only; its output is in {CONSOLE}.",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="do it all by Home Assistant's API, compare every value, and end",
    )
    parser.add_argument(
        "--port", type=int, help=f"default {DEFAULT_PORT}, with --check a free one"
    )
    parser.add_argument(
        "--dir",
        type=lambda text: Path(text).absolute(),
        help="keep the configuration directory here (default: a fresh one each time)",
    )
    parser.add_argument(
        "--zip",
        type=lambda text: Path(text).absolute(),
        metavar="FILE",
        help="take the integration from the zip of a release (default: this repository)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(run(demo(parse())))
