"""A headless Chromium, driven by its debugging protocol."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
import os
from pathlib import Path
import shutil
import signal
import tempfile
from typing import Any, Final, Self

import aiohttp

from .output import say
from .server import DemoError

PROGRAMS: Final = (
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
)
START_TIMEOUT: Final = 30.0  # s
COMMAND_TIMEOUT: Final = 30.0  # s
PAGE_TIMEOUT: Final = 60.0  # s
PORT_FILE: Final = "DevToolsActivePort"

# All text on the page, also what is inside of web components.
PAGE_TEXT: Final = """
(() => {
  const seen = [];
  const walk = node => {
    if (node.shadowRoot) walk(node.shadowRoot);
    for (const child of node.childNodes) {
      if (child.nodeType === 3) seen.push(child.textContent.trim());
      else if (!['STYLE', 'SCRIPT'].includes(child.tagName)) walk(child);
    }
  };
  walk(document.body);
  return seen.filter(text => text).join(' | ');
})()
"""


class Page:
    """One page in the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Belong to a connection."""
        self._socket = socket
        self._last_id = 0

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command of the protocol and return its result."""
        self._last_id += 1
        await self._socket.send_json(
            {"id": self._last_id, "method": method, "params": parameters}
        )
        async with asyncio.timeout(COMMAND_TIMEOUT):
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == self._last_id:
                    if "error" in message:
                        raise DemoError(f"{method}: {message['error']['message']}")
                    result: dict[str, Any] = message["result"]
                    return result

    async def run(self, script: str) -> Any:
        """Run JavaScript and return its value."""
        result = await self.command(
            "Runtime.evaluate", expression=script, returnByValue=True
        )
        return result["result"].get("value")

    async def open(self, url: str, *words: str) -> None:
        """Open a page and wait until it shows all these words."""
        await self.command("Page.navigate", url=url)
        text = ""
        try:
            async with asyncio.timeout(PAGE_TIMEOUT):
                while not all(word in text for word in words):
                    await asyncio.sleep(0.25)
                    text = await self.run(PAGE_TEXT) or ""
        except TimeoutError:
            missing = [word for word in words if word not in text]
            raise DemoError(
                f"{url} never showed {missing}, but: {text[:600]}"
            ) from None

    async def picture(self) -> bytes:
        """Return what is shown as a PNG file."""
        shot = await self.command("Page.captureScreenshot", format="png")
        return base64.b64decode(shot["data"])

    @classmethod
    @asynccontextmanager
    async def opened(cls, width: int, height: int) -> AsyncGenerator[Self]:
        """Run a browser with one page of this size meanwhile."""
        program = await _find_program()
        profile = Path(
            await asyncio.to_thread(tempfile.mkdtemp, prefix="voltgo_chromium_")
        )
        process = await asyncio.create_subprocess_exec(
            program,
            *("--headless=new", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--hide-scrollbars", "--lang=en-US"),
            *("--disable-background-networking", "--disable-component-update"),
            *("--disable-extensions", "--remote-debugging-port=0"),
            # Chromium refuses to run as root in its sandbox.
            *(("--no-sandbox",) if os.geteuid() == 0 else ()),
            f"--user-data-dir={profile}",
            f"--window-size={width},{height}",
            "about:blank",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            async with aiohttp.ClientSession() as session:
                url = await _debugger_url(session, profile, process)
                async with session.ws_connect(url, max_msg_size=0) as socket:
                    page = cls(socket)
                    await page.command("Page.enable")
                    await page.command(
                        "Emulation.setDeviceMetricsOverride",
                        width=width,
                        height=height,
                        deviceScaleFactor=1,
                        mobile=False,
                    )
                    yield page
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            # Its helpers may still be writing to the profile.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(shutil.rmtree, profile, ignore_errors=True)


async def _debugger_url(
    session: aiohttp.ClientSession, profile: Path, process: asyncio.subprocess.Process
) -> str:
    """Wait for the browser and return the address of its page's debugger."""
    file = profile / PORT_FILE
    with suppress(TimeoutError):
        async with asyncio.timeout(START_TIMEOUT):
            while process.returncode is None:
                with suppress(OSError, IndexError, aiohttp.ClientError):
                    text = await asyncio.to_thread(file.read_text, encoding="ascii")
                    port = text.split(maxsplit=1)[0]
                    async with session.get(f"http://127.0.0.1:{port}/json") as response:
                        for target in await response.json():
                            if target["type"] == "page":
                                url: str = target["webSocketDebuggerUrl"]
                                return url
                await asyncio.sleep(0.1)
    raise DemoError("Chromium does not start")


async def _find_program() -> str:
    for install in (False, True):
        if install:
            await _install()
        for program in PROGRAMS:
            if path := shutil.which(program):
                return path
    raise DemoError("there is no Chromium, also after installing it")


async def _install() -> None:
    """Install Chromium from the distribution's packages, if that is up to us."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise DemoError("Chromium is needed for pictures; please install it")
    say("Installing Chromium ...")
    for arguments in (
        ("update",),
        ("install", "--yes", "--no-install-recommends", "chromium"),
    ):
        process = await asyncio.create_subprocess_exec(
            "apt-get",
            "--quiet",
            *arguments,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdout=asyncio.subprocess.DEVNULL,
        )
        if await process.wait():
            raise DemoError("Chromium could not be installed")
