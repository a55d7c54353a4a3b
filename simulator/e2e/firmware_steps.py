"""Steps of the battery scenario: firmware."""

from __future__ import annotations

import hashlib
import re
from textwrap import shorten
from typing import Final

from .api import Json
from .batteries import device_of, texts
from .polling import check
from .shown_battery import ShownBattery
from .step_log import StepLog
from simulator.firmware import build_image

PASSWORD: Final = "zt123"  # manual, 6.3
VERSION: Final = "Z01T21"
FILE: Final = f"ZTHV-M_{VERSION}.bin"
SIZE: Final = 8 * 1024  # bytes; enough for dozens of packages
RESTART: Final = 3.0  # s
PERCENTAGES: Final = 10  # seen while it is transferred, at least

REFUSAL: Final = 70  # characters that are printed


class FirmwareSteps(StepLog):
    """Uploads and installs firmware."""

    async def test_firmware_upload(self, battery: ShownBattery) -> None:
        """Upload firmware in the options, after two mistakes."""
        image = build_image(VERSION, SIZE)
        words = await texts(self._api, "options")
        flows = "config/config_entries/options/flow"
        menu = await self._api.post(flows, {"handler": battery.entry_id})
        check("firmware_upload" in menu["menu_options"], f"the menu is {menu}")
        flow = f"{flows}/{menu['flow_id']}"
        form = await self._api.post(flow, {"next_step_id": "firmware_upload"})
        check(form["step_id"] == "firmware_upload", f"the form is {form}")

        async def submit(name: str, file_id: str, password: str) -> Json:
            data = {"component": "bms", "file": file_id, "password": password}
            answer: Json = await self._api.post(flow, data)
            return answer

        def refused(answer: Json, field: str, error: str) -> str:
            check(
                answer["type"] == "form" and answer["errors"] == {field: error},
                f"wanted is the error {error} of {field}: {answer}",
            )
            return _refusal(words[f"error.{error}"])

        file_id = await self._api.upload(FILE, image)
        async with self._step("uploads firmware, wrong password") as observed:
            answer = await submit(FILE, file_id, "voltgo")
            observed.append(refused(answer, "password", "wrong_password"))
        async with self._step("uploads firmware, wrong file name") as observed:
            name = "firmware.bin"
            other = await self._api.upload(name, image)
            answer = await submit(name, other, PASSWORD)
            observed.append(refused(answer, "file", "wrong_name"))
        async with self._step(f"uploads {FILE}, {SIZE // 1024} KiB") as observed:
            answer = await submit(FILE, file_id, PASSWORD)
            wanted = {
                "file": FILE,
                "size": str(SIZE),
                "sha256": hashlib.sha256(image).hexdigest(),
                "version": VERSION,
            }
            text = words["step.firmware_confirm.description"]
            check(
                answer.get("step_id") == "firmware_confirm"
                and answer["description_placeholders"] == wanted
                and set(re.findall(r"{(\w+)}", text)) == wanted.keys(),
                f"{text!r} is shown with {answer}, wanted is {wanted}",
            )
            observed.append(f"SHA-256 {wanted['sha256'][:8]}... to confirm")
            answer = await self._api.post(flow)
            check(answer["type"] == "create_entry", f"Submit led to {answer}")
            await battery.shows(1, bms_firmware="on")
            old, new = await self._versions(battery)
            check(new == VERSION != old, f"the update is from {old} to {new}")
            observed.append(f"update from {old} to {new} offered")

    async def _versions(self, battery: ShownBattery) -> tuple[str, str]:
        """Return the version that runs, as shown, and the one that is there."""
        attributes = (await battery.state("bms_firmware"))["attributes"]
        return attributes["installed_version"], attributes["latest_version"]

    async def test_firmware_installation(self, battery: ShownBattery) -> None:
        """Install what was uploaded, and wait until the battery is back with it."""
        async with self._step("presses Install") as observed:
            await battery.simulator("set_restart_time", seconds=RESTART)
            since = len(self._api.events)
            await battery.act("update.install", "bms_firmware")
            own = battery.entity_id("bms_firmware")
            percentages = [
                percentage
                for event in self._api.events[since:]
                if event.entity_id == own
                and (percentage := event.attributes.get("update_percentage"))
                is not None
            ]
            check(
                len(set(percentages)) >= PERCENTAGES
                and percentages == sorted(percentages),
                f"the progress is {percentages}",
            )
            observed.append(
                f"{percentages[0]} to {percentages[-1]} % in {len(percentages)} steps"
            )
            await battery.shows(1, bms_firmware="off")
            versions = await self._versions(battery)
            check(versions == (VERSION, VERSION), f"the versions are {versions}")
            shown = (await device_of(self._api, battery.address))["sw_version"]
            true = (await battery.expected_values())["firmware"]
            check(
                shown == true == VERSION,
                f"the device says {shown}, true is {true}, wanted is {VERSION}",
            )
            observed.append(f"device runs {shown}, up to date")


def _refusal(text: str) -> str:
    """Return the beginning of the message that the user reads."""
    return f'refused: "{shorten(text, REFUSAL, placeholder=" ...")}"'
