"""Takes the pictures of the documentation, or of any page of the demo."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import suppress
from datetime import timedelta
import json
from pathlib import Path
from typing import Final

from playwright.async_api import Error, FloatRect, Page

from homeassistant.util import dt as dt_util

from .api import UNKNOWN, HomeAssistant, Json
from .batteries import (
    BANK_MODELS,
    DOMAIN,
    DRIVING,
    MODELS,
    SIMULATOR,
    SOLAR,
    add_bank,
    add_battery,
    device_of,
    discovered,
    discovered_banks,
    entities_of,
    simulated,
)
from .chromium import browser, page_of
from .demo import run, temporary_folder
from .folder import ROOT, prepare
from .history import write_week
from .output import print_line
from .polling import wait_until
from .server import DemoError, free_port, running

WIDTH: Final = 1280  # pixels
HEIGHT: Final = 900
# So that a device's sensors, or a form, are on it from top to bottom.
LONG: Final = 1320
TALL: Final = 1080
OPTIONS_HEIGHT: Final = 1400
MARGIN: Final = 24
# What was discovered; below it is what else the demo consists of.
TOP: Final = FloatRect(x=0, y=0, width=WIDTH, height=390)
# The energy dashboard's first column; right of it is what only a house has.
COLUMN: Final = FloatRect(x=0, y=0, width=768, height=725)
# A device's entities and what happened to them.
ENTITIES: Final = FloatRect(x=592, y=72, width=WIDTH - 592, height=LONG - 72)

MAX_BYTES: Final = 200_000  # bytes
DASHBOARD: Final = "voltgo-vlrv"
IMAGES: Final = ROOT / "docs" / "images"

PAGE_TIMEOUT: Final = 60.0  # s
# Icons, graphs and animations come after the text; then nothing moves.
STILL: Final = 1.5  # s
SETTLE_TIMEOUT: Final = 30.0  # s
KNOWN_TIMEOUT: Final = 90.0  # s

PHONE: Final = "notify.demo_phone"
PHONE_WIDTH: Final = 390  # pixels
PHONE_HEIGHT: Final = 844
AUTOMATION_HEIGHT: Final = 640
ISOLATED: Final = "bank_isolated"
ISSUE_TIMEOUT: Final = 180.0  # s

UTP: Final = "charge_ut"
BANK: Final = "House bank"
FROST: Final = -10.0  # °C
STEP: Final = 15  # min
MAX_MINUTES: Final = 24 * 60  # min


class Album:
    """Opens pages and stores pictures of them."""

    def __init__(self, page: Page, api: HomeAssistant) -> None:
        """Look at a page; `log_in` comes next."""
        self.page = page
        self._api = api
        page.set_default_timeout(PAGE_TIMEOUT * 1000)

    async def log_in(self) -> None:
        """Have every page find itself logged in."""
        tokens = json.dumps(json.dumps(self._api.tokens))
        await self.page.context.add_init_script(
            f"localStorage.setItem('hassTokens', {tokens});"
        )

    async def open(
        self, path: str, *words: str, width: int = WIDTH, height: int = HEIGHT
    ) -> None:
        """Open a page and wait until it shows all these words."""
        await self.page.set_viewport_size({"width": width, "height": height})
        await self.page.goto(f"{self._api.url}{path}")
        for word in words:
            await self.page.get_by_text(word).first.wait_for()

    async def take(self, file: Path, clip: FloatRect | None = None) -> None:
        """Store a picture of the page, or of a part of it, once nothing moves."""
        # No element may look as if the mouse were over it.
        await self.page.mouse.move(0, 0)
        before, picture = b"", await self.page.screenshot(clip=clip)
        # Some pages never do.
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_TIMEOUT):
                while picture != before:
                    await asyncio.sleep(STILL)
                    before, picture = picture, await self.page.screenshot(clip=clip)
        size = len(picture)
        await asyncio.to_thread(_save, file, picture)
        print_line(f"{self.page.url} -> {file}, {size // 1000} kB")
        if size > MAX_BYTES:
            raise DemoError(f"{file} has {size} bytes, more than {MAX_BYTES}")

    async def take_dialog(self, file: Path) -> None:
        """Store a picture of the open dialog."""
        dialog = self.page.get_by_role("dialog")
        before, box = None, await dialog.bounding_box()
        # It grows while it opens.
        async with asyncio.timeout(SETTLE_TIMEOUT):
            while box is None or box != before:
                await asyncio.sleep(STILL)
                before, box = box, await dialog.bounding_box()
        await self.take(
            file,
            FloatRect(
                x=box["x"] - MARGIN,
                y=box["y"] - MARGIN,
                width=box["width"] + 2 * MARGIN,
                height=box["height"] + 2 * MARGIN,
            ),
        )


def _save(file: Path, data: bytes) -> None:
    """Write a file, wherever it is."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


# --- pictures -------------------------------------------------------------------------


async def take_discovery(album: Album, flows: list[Json]) -> None:
    """Take the discovered batteries."""
    names = [flow["context"]["title_placeholders"]["name"] for flow in flows]
    await album.open("/config/integrations/dashboard", "Discovered", *names)
    await album.take(IMAGES / "discovery.png", TOP)


async def take_device(album: Album, device: Json) -> None:
    """Show a battery's page."""
    path = f"/config/devices/device/{device['id']}"
    await album.open(path, "State of charge", "Voltage", height=LONG)
    await album.take(IMAGES / "device.png")


async def take_dashboard(album: Album, api: HomeAssistant) -> None:
    """Choose ours in "Add dashboard"; these are the commands that follow from it."""
    await api.call(
        "lovelace/dashboards/create", url_path=DASHBOARD, title="Voltgo VLRV"
    )
    await api.call(
        "lovelace/config/save",
        url_path=DASHBOARD,
        config={"strategy": {"type": "custom:voltgo-vlrv"}},
    )
    name = (await simulated(api))[DRIVING]["name"]
    (view,) = (
        entry["entry_id"].lower()
        for entry in await api.call("config_entries/get", domain=DOMAIN)
        if entry["title"] == name
    )
    await album.open(
        f"/{DASHBOARD}/{view}", "Cells", "Cell voltage difference", "History"
    )
    await album.take(IMAGES / "dashboard.png")
    await album.open(
        f"/{DASHBOARD}/{view}",
        "Status",
        width=PHONE_WIDTH,
        height=PHONE_HEIGHT,
    )
    await album.take(IMAGES / "dashboard_phone.png")
    await album.open(f"/{DASHBOARD}/report", "Serial number")
    await album.take(IMAGES / "dashboard_report.png")


async def take_options(album: Album) -> None:
    """Show the form behind the gear."""
    await album.open(
        f"/config/integrations/integration/{DOMAIN}", height=OPTIONS_HEIGHT
    )
    await album.page.get_by_role("button", name="Configure").first.click()
    await album.page.get_by_text("General", exact=True).click()
    await album.page.get_by_role("spinbutton").first.wait_for()
    await album.take_dialog(IMAGES / "options.png")


async def take_energy(album: Album, api: HomeAssistant) -> None:
    """Show yesterday on the energy dashboard, as one battery lived through it."""
    entities = await entities_of(api, await device_of(api, SOLAR))
    sensors = {
        meter: entities[meter]["entity_id"]
        for meter in ("energy_charged", "energy_discharged")
    }
    await api.call(
        "energy/save_prefs",
        energy_sources=[
            {
                "type": "battery",
                "stat_energy_from": sensors["energy_discharged"],
                "stat_energy_to": sensors["energy_charged"],
            }
        ],
    )
    await album.open("/energy/electricity")
    await album.page.get_by_role("button", name="Previous").click()
    today = dt_util.start_of_local_day()
    day, *_ = (
        await api.call(
            "recorder/statistics_during_period",
            start_time=(today - timedelta(days=1)).isoformat(),
            end_time=today.isoformat(),
            statistic_ids=[sensors["energy_discharged"]],
            period="day",
            types=["change"],
        )
    )[sensors["energy_discharged"]]
    yesterday = round(day["change"], 2)
    await album.page.get_by_role("cell", name=f"{yesterday} kWh").wait_for()
    await album.take(IMAGES / "energy.png", COLUMN)


async def take_automation(album: Album, api: HomeAssistant) -> None:
    """Show the first automation of README.md in its editor."""
    device = await device_of(api, DRIVING)
    await api.post(
        "config/automation/config/low",
        {
            "alias": "Battery is low",
            "triggers": [
                {
                    "trigger": "battery.became_low",
                    "target": {"device_id": device["id"]},
                }
            ],
            "actions": [
                {
                    "action": "notify.send_message",
                    "target": {"entity_id": PHONE},
                    "data": {"message": "The battery is low."},
                }
            ],
        },
    )
    await album.open(
        "/config/automation/edit/low", "When", "Then do", height=AUTOMATION_HEIGHT
    )
    await album.take(IMAGES / "automation.png")


async def take_repair(album: Album, api: HomeAssistant) -> None:
    """Show the repair issue about a battery that left its bank."""
    address = next(iter(BANK_MODELS))
    await api.act(f"{SIMULATOR}.cut_off", {"address": address, "cut_off": True})

    async def told() -> bool:
        issues = (await api.call("repairs/list_issues"))["issues"]
        return any(issue["translation_key"] == ISOLATED for issue in issues)

    await wait_until(told, ISSUE_TIMEOUT, lambda: "no issue about the bank")
    await album.open("/config/repairs", "disconnected itself", height=TALL)
    await album.page.get_by_text("disconnected itself").first.click()
    await album.take_dialog(IMAGES / "repair.png")


async def take_fault(album: Album, api: HomeAssistant) -> None:
    """Show what a user sees of a battery that became too cold to charge."""
    await api.act(
        f"{SIMULATOR}.set_surroundings",
        {"address": SOLAR, "ambient": FROST, "demand_current": 0},
    )
    for _ in range(MAX_MINUTES // STEP):
        if UTP in (await simulated(api))[SOLAR]["expected_values"]["protections"]:
            break
        await api.act(f"{SIMULATOR}.advance", {"address": SOLAR, "minutes": STEP})
    device = await device_of(api, SOLAR)
    path = f"/config/devices/device/{device['id']}"
    # At the protection's event, in the words of the logbook.
    await album.open(path, "Charge under-temperature protection tripped", height=LONG)
    await album.take(IMAGES / "fault.png", ENTITIES)


async def take_bank(album: Album, api: HomeAssistant) -> None:
    """Add the discovered bank, of two batteries that are wired in parallel."""
    await add_bank(api)
    for flow in await discovered(api, set(BANK_MODELS)):
        await add_battery(api, flow)
    page = album.page
    await album.open("/config/integrations/dashboard", "Discovered", height=TALL)
    await page.get_by_role("button", name="Add", exact=True).click()
    await page.get_by_text(
        "Show batteries that are connected in parallel as one"
    ).wait_for()
    await page.get_by_role("textbox", name="Name").fill(BANK)
    # Of the same model, but not wired to them.
    other = (await simulated(api))[DRIVING]["name"]
    await page.get_by_text(other).last.click()
    await album.take_dialog(IMAGES / "bank_offer.png")
    (flow,) = await discovered_banks(api)
    result = await api.post(
        f"config/config_entries/flow/{flow['flow_id']}",
        {"name": BANK, "members": [*BANK_MODELS], "inverter": False},
    )
    if result.get("step_id") == "join":
        # Their states of charge differ, and they are connected.
        result = await api.post(f"config/config_entries/flow/{flow['flow_id']}", {})
    if result["type"] != "create_entry":
        raise DemoError(f"the bank led to {result}")
    entry = result["result"]["entry_id"]
    await _time_known(api, entry, "time_to_empty")
    device = await device_of(api, entry)
    path = f"/config/devices/device/{device['id']}"
    await album.open(path, "State of charge", "Voltage", height=LONG)
    await album.take(IMAGES / "bank.png")


async def take_all(options: argparse.Namespace) -> int:
    """Start a demo, take the pictures, and stop it."""
    port = free_port()
    async with temporary_folder() as folder:
        prepare(folder, port)
        async with (
            running(folder) as process,
            HomeAssistant.connected(port, process) as api,
            browser() as chromium,
            page_of(chromium, WIDTH, HEIGHT) as page,
        ):
            try:
                await _take(options, Album(page, api), api)
            except Error as err:
                raise DemoError(f"{page.url}: {err}") from None
    return 0


async def _take(options: argparse.Namespace, album: Album, api: HomeAssistant) -> None:
    await album.log_in()
    flows = await discovered(api, set(MODELS))
    await write_week(api)
    if options.path is None:
        await take_discovery(album, flows)
    for flow in flows:
        await add_battery(api, flow)
    device = await device_of(api, DRIVING)
    if options.path is not None:
        await asyncio.sleep(options.wait)
        await album.open(options.path.format(device=device["id"]))
        await album.take(options.out)
        return
    await _time_known(api, DRIVING, "time_to_empty")
    await _time_known(api, SOLAR, "time_to_full")
    await take_device(album, device)
    await take_dashboard(album, api)
    await take_options(album)
    await take_energy(album, api)
    await take_automation(album, api)
    # Late, as it takes the sun away.
    await take_fault(album, api)
    await take_bank(album, api)
    await take_repair(album, api)


async def _time_known(api: HomeAssistant, address: str, key: str) -> None:
    """Wait for the time that is left, which takes a minute under load to be known."""
    entities = await entities_of(api, await device_of(api, address))
    sensor = entities[key]["entity_id"]

    async def known() -> bool:
        return bool((await api.states())[sensor]["state"] != UNKNOWN)

    await wait_until(known, KNOWN_TIMEOUT, lambda: f"{sensor} stays unknown")


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
        help="seconds that the batteries are followed before --path (default: 15)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(run(take_all(parse())))
