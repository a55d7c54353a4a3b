"""A headless Chromium of the system, driven by Playwright."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
import os
import shutil
from typing import Final

from playwright.async_api import Browser, Error, Page, async_playwright

from .output import print_error, print_line
from .server import DemoError

PROGRAMS: Final = (
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
)
PACKAGE: Final = "chromium"


@asynccontextmanager
async def browser() -> AsyncGenerator[Browser]:
    """Run the system's Chromium; Playwright's own is never downloaded."""
    program = await find_program()
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=program, args=["--disable-gpu"]
        )
        try:
            yield chromium
        finally:
            # Ctrl-C reaches the browser, too, and it may be gone by now.
            with suppress(Error):
                await chromium.close()


@asynccontextmanager
async def page_of(chromium: Browser, width: int, height: int) -> AsyncGenerator[Page]:
    """Open a page in English, without anything stored in the browser.

    Width and height are in pixels, of which one is one on the picture.
    """
    context = await chromium.new_context(
        viewport={"width": width, "height": height},
        locale="en-US",
        # As in the demo's Home Assistant.
        timezone_id="UTC",
        # Without it, what slides in may be caught on its way.
        reduced_motion="reduce",
    )
    try:
        yield await context.new_page()
    finally:
        with suppress(Error):
            await context.close()


async def find_program() -> str:
    """Return the path of the system's Chromium, installed if that is up to us.

    Raises DemoError where there is none.
    """
    for install in (False, True):
        if install:
            await _install()
        for program in PROGRAMS:
            if path := shutil.which(program):
                return path
    raise DemoError(f"none of {', '.join(PROGRAMS)} is there, also after installing it")


async def _install() -> None:
    """Install Chromium from the distribution's packages."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise DemoError(
            f"a browser is needed, one of {', '.join(PROGRAMS)}: please install it"
        )
    print_line("Installing Chromium ...")
    for arguments in (
        ("update",),
        ("install", "--yes", "--no-install-recommends", PACKAGE),
    ):
        process = await asyncio.create_subprocess_exec(
            "apt-get",
            "--quiet",
            *arguments,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdout=asyncio.subprocess.DEVNULL,
        )
        if await process.wait():
            raise DemoError(
                f"the package {PACKAGE} could not be installed;"
                f" please install one of {', '.join(PROGRAMS)}"
            )


if __name__ == "__main__":
    try:
        print_line(asyncio.run(find_program()))
    except DemoError as err:
        print_error(str(err))
        raise SystemExit(1) from None
