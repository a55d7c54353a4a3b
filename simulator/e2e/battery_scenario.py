"""The part of the check that uses three batteries as a user does."""

from __future__ import annotations

from collections.abc import Mapping
import json
import re
from typing import Final

from .api import UNKNOWN, HomeAssistant, Json
from .batteries import DRIVING, MODELS, SOLAR, WINTER, device_of, enable, entities_of
from .connection_steps import ConnectionSteps
from .expected_values import FAULTS, NOT_IN_THE_MANUAL, TIMES, hours, is_near
from .firmware_steps import FirmwareSteps
from .polling import check, wait_until
from .protection_steps import ProtectionSteps
from .settings_steps import SettingsSteps
from .shown_battery import ShownBattery, wait_for_reload

# Disabled by default: no row of the manual's table 6-1.
ENABLED_BY_USER: Final = "mos_otp"

SETTLE_TIMEOUT: Final = 90.0  # s; a time is shown after a minute under load


async def run_battery_scenario(api: HomeAssistant, entries: Mapping[str, Json]) -> int:
    """Run all steps, and return how many values were compared."""
    scenario = BatteryScenario(api, "the user")
    driving, solar, winter = [
        await ShownBattery.known(api, address, entries[address])
        for address in (DRIVING, SOLAR, WINTER)
    ]
    try:
        await scenario.check_entity_count()
        await scenario.enable_entity(solar, ENABLED_BY_USER)
        await scenario.test_module_id(driving)
        await scenario.test_protocol(driving)
        await scenario.test_heater(winter)
        await scenario.test_firmware_upload(driving)
        await scenario.test_firmware_installation(driving)
        await scenario.test_diagnostics(driving)
        await scenario.test_time_to_empty(driving)
        since = await scenario.test_release(driving)
        await scenario.wait_for_entity(solar, ENABLED_BY_USER)
        compared = await scenario.test_cold_protection(solar)
        compared += await scenario.test_thawing(solar)
        await scenario.test_resume(driving, since)
        await scenario.test_connection_switch(driving)
    finally:
        scenario.print(
            "User: what is done with the batteries, and what Home Assistant shows"
        )
    return compared


class BatteryScenario(SettingsSteps, ConnectionSteps, ProtectionSteps, FirmwareSteps):
    """What a user does with three batteries."""

    async def check_entity_count(self) -> None:
        """See that each protection of the manual can be chosen at once."""
        async with self._step("looks at the entities of a new battery") as observed:
            for address in MODELS:
                entities = await entities_of(
                    self._api, await device_of(self._api, address)
                )
                enabled = sum(not entity["disabled_by"] for entity in entities.values())
                cells = len([key for key in entities if re.match(r"cell_\d+$", key)])
                observed.append(f"{cells} cells: {enabled} of {len(entities)} enabled")
                missing = [
                    fault.key
                    for name, fault in FAULTS.items()
                    if name not in NOT_IN_THE_MANUAL
                    and entities[fault.key]["disabled_by"]
                ]
                check(not missing, f"{address} has {missing} disabled")

    async def enable_entity(self, battery: ShownBattery, key: str) -> None:
        """Enable an entity; Home Assistant adds it after a reload."""
        async with self._step(
            f'enables "{battery.entities[key]["original_name"]}"'
        ) as observed:
            check(
                battery.entities[key]["disabled_by"] == "integration",
                "it is not off by default",
            )
            await enable(self._api, [battery.entities[key]])
            observed.append("accepted")

    async def wait_for_entity(self, battery: ShownBattery, key: str) -> None:
        """Wait until Home Assistant has reloaded the battery for an entity."""
        async with self._step("waits for the enabled entity") as observed:
            await wait_for_reload(battery, key)
            observed.append("there, off")

    async def test_time_to_empty(self, battery: ShownBattery) -> None:
        """Look at the time to empty; it is under the same load since it was added."""
        async with self._step("looks how long it lasts") as observed:

            async def known() -> bool:
                return bool((await battery.state("time_to_empty"))["state"] != UNKNOWN)

            await wait_until(
                known, SETTLE_TIMEOUT, lambda: "the time to empty stays unknown"
            )
            shown = (await battery.state("time_to_empty"))["state"]
            true = hours(await battery.expected_values(), TIMES["time_to_empty"])
            check(
                true is not None and is_near(shown, true),
                f"the time to empty is {shown} h, true is {true}",
            )
            observed.append(f"{float(shown):.2f} h to empty, true {true:.2f} h")

    async def test_diagnostics(self, battery: ShownBattery) -> None:
        """Download the diagnostics; they must not contain the address."""
        async with self._step("downloads the diagnostics") as observed:
            answer = await self._api.get(f"diagnostics/config_entry/{battery.entry_id}")
            text = json.dumps(answer)
            check(bool(answer["data"]), "they are empty")
            lower = text.lower()
            pairs = battery.address.lower().split(":")
            found = [
                word
                for pair in (pairs, pairs[::-1])
                for separator in (":", "-", "_", " ", "")
                if (word := separator.join(pair)) in lower
            ]
            check(not found, f"the address is in it: {found}")
            observed.append(f"{len(text) // 1024} KiB, no address in it")
