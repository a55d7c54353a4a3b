"""Takes the pictures of the documentation, or of any page of the demo."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Final

from .batteries import DRIVING, MODELS, add_battery, device_of, discovered
from .chromium import Page
from .client import HomeAssistant
from .demo import run, temporary_folder
from .folder import ROOT, prepare
from .output import say
from .server import DemoError, free_port, running

WIDTH: Final = 1280
HEIGHT: Final = 900
LARGEST: Final = 200_000  # bytes
DASHBOARD: Final = "voltgo-vlrv"
IMAGES: Final = ROOT / "docs" / "images"
# For what is drawn after the text is there: icons, graphs, the end of a transition.
SETTLE: Final = 3.0  # s


async def log_in(page: Page, api: HomeAssistant) -> None:
    """Have every page find itself logged in, and in English."""
    tokens = json.dumps(json.dumps(api.tokens))
    await page.command(
        "Page.addScriptToEvaluateOnNewDocument",
        source=f"localStorage.setItem('hassTokens', {tokens});"
        "localStorage.setItem('selectedLanguage', '\"en\"');",
    )


def save(file: Path, data: bytes) -> None:
    """Write a file, wherever it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


async def take(
    page: Page, api: HomeAssistant, path: str, file: Path, *words: str
) -> None:
    """Save the picture of a page that shows these words."""
    await page.open(f"{api.url}{path}", *words)
    await asyncio.sleep(SETTLE)
    picture = await page.picture()
    size = len(picture)
    await asyncio.to_thread(save, file, picture)
    say(f"{path} -> {file}, {size // 1000} kB")
    if size > LARGEST:
        raise DemoError(f"{file} has {size} bytes, more than {LARGEST}")


async def add_dashboard(api: HomeAssistant) -> None:
    """Choose ours in "Add dashboard"; these are the commands that follow from it."""
    await api.call(
        "lovelace/dashboards/create", url_path=DASHBOARD, title="Voltgo VLRV"
    )
    await api.call(
        "lovelace/config/save",
        url_path=DASHBOARD,
        config={"strategy": {"type": "custom:voltgo-vlrv"}},
    )


async def take_all(options: argparse.Namespace) -> int:
    """Start a demo, take the pictures, and stop it."""
    port = free_port()
    async with temporary_folder() as folder:
        prepare(folder, port)
        async with (
            running(folder) as process,
            HomeAssistant.connected(port, process) as api,
            Page.opened(WIDTH, HEIGHT) as page,
        ):
            await log_in(page, api)
            flows = await discovered(api, set(MODELS))
            if options.path is None:
                names = [
                    flow["context"]["title_placeholders"]["name"] for flow in flows
                ]
                await take(
                    page,
                    api,
                    "/config/integrations/dashboard",
                    IMAGES / "discovery.png",
                    "Discovered",
                    *names,
                )
            for flow in flows:
                await add_battery(api, flow)
            device = await device_of(api, DRIVING)
            # A minute of history makes no graph, but a few changes to list.
            await asyncio.sleep(options.wait)
            if options.path is None:
                await take(
                    page,
                    api,
                    f"/config/devices/device/{device['id']}",
                    IMAGES / "device.png",
                    "State of charge",
                    "Pack voltage",
                )
                await add_dashboard(api)
                await take(
                    page,
                    api,
                    f"/{DASHBOARD}",
                    IMAGES / "dashboard.png",
                    "Cells",
                    "Cell voltage difference",
                    "Faults",
                )
            else:
                path = options.path.format(device=device["id"])
                await take(page, api, path, options.out)
    return 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="script/screenshot",
        description="Take the pictures in docs/images with a headless Chromium.",
    )
    parser.add_argument(
        "--path",
        help="take this page instead, as in /history; {device} is a battery's device",
    )
    parser.add_argument(
        "--out",
        type=lambda text: Path(text).absolute(),
        default=Path("page.png").absolute(),
        help="where the picture of --path goes (default: page.png)",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=15.0,
        help="seconds that the batteries are followed before (default: 15)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(run(take_all(parse())))
