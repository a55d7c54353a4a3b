"""The part of the check that does what the owner of a battery does with it."""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import json
import re
from textwrap import shorten
from typing import Any, Final, Self

from homeassistant.util import dt as dt_util

from .api import UNAVAILABLE, UNKNOWN, CommandError, HomeAssistant, Json
from .batteries import (
    DOMAIN,
    DRIVING,
    MODELS,
    SIMULATOR,
    SOLAR,
    WINTER,
    compare_all,
    device_of,
    enable,
    entities_of,
    holding,
    simulated,
    texts,
)
from .expected_values import FAULTS, LINK_STATUS, NO_FAULTS, TIMES, hours, is_near
from .polling import check, wait_until
from .server import DemoError
from .step_log import StepLog
from simulator.firmware import build_image

MOST_ENTITIES: Final = 30  # enabled ones, of a battery with four cells
FOUR_CELLS: Final = (SOLAR, WINTER)

POLLED: Final = 15.0  # s; a poll every 10
SETTLED: Final = 90.0  # s; a time is shown after a minute under load
RECONNECTED: Final = 30.0  # s
WRITTEN: Final = 15.0  # s until the recorder has what the logbook reads
SET_UP: Final = 45.0  # s; Home Assistant does it 30 s after an entity was enabled
OFF: Final = 0.5  # s
RELEASED: Final = 1  # min
FREED: Final = 2.0  # s

# Far from what the battery is at, and no longer than a night.
FROST: Final = -25.0  # °C
HEAT: Final = 45.0  # °C
STEP: Final = 15  # min
LONGEST: Final = 12 * 60  # min
MILD: Final = 27.0  # °C; with the next, as it was before
SUN: Final = 31.5  # A

# Key of the text that says why the protocols cannot be set.
NEEDS_MODULE_ID: Final = "protocol_needs_module_id"

PASSWORD: Final = "zt123"  # manual, 6.3
VERSION: Final = "Z01T21"
FILE: Final = f"ZTHV-M_{VERSION}.bin"
SIZE: Final = 8 * 1024  # bytes; enough for dozens of packages
RESTART: Final = 3.0  # s
PERCENTAGES: Final = 10  # seen while it is transferred, at least

REFUSAL: Final = 70  # characters that are printed

UTP: Final = FAULTS["charge_ut"]


async def run_battery_scenario(api: HomeAssistant, entries: Mapping[str, Json]) -> int:
    """Do all of it, and return how many values were compared on the way."""
    owner = BatteryScenario(api, "the owner")
    driving, solar, winter = [
        await ShownBattery.known(api, address, entries[address])
        for address in (DRIVING, SOLAR, WINTER)
    ]
    try:
        await owner.counts_entities()
        await owner.enables(solar, UTP.key)
        await owner.sets_module_id(driving)
        await owner.sets_protocol(driving)
        await owner.test_heater(winter)
        await owner.uploads_firmware(driving)
        await owner.installs_firmware(driving)
        await owner.downloads_diagnostics(driving)
        await owner.sees_how_long_it_lasts(driving)
        since = await owner.releases(driving)
        await owner.waits_for(solar, UTP.key)
        compared = await owner.test_cold_protection(solar)
        compared += await owner.lets_thaw(solar)
        await owner.test_resume(driving, since)
        await owner.switches_the_link(driving)
    finally:
        owner.tell(
            "Owner: what is done with the batteries, and what Home Assistant shows"
        )
    return compared


class ShownBattery:
    """A battery as Home Assistant shows it."""

    def __init__(
        self, api: HomeAssistant, address: str, entry: Json, entities: dict[str, Json]
    ) -> None:
        """Take what `known` found."""
        self.api = api
        self.address = address
        self.name: str = entry["title"]
        self.entry_id: str = entry["entry_id"]
        self.entities = entities

    @classmethod
    async def known(cls, api: HomeAssistant, address: str, entry: Json) -> Self:
        """Wait until Home Assistant has learnt of all that the battery has."""
        device = await device_of(api, address)
        entities: dict[str, Json] = {}

        async def complete() -> bool:
            entities.update(await entities_of(api, device))
            return "rs485_protocol" in entities

        await wait_until(complete, POLLED, lambda: f"{address} has no settings")
        return cls(api, address, entry, entities)

    def entity_id(self, key: str) -> str:
        """Return what an entity is called."""
        if (entity := self.entities.get(key)) is None:
            raise DemoError(f"{self.name} has no entity {key}")
        entity_id: str = entity["entity_id"]
        return entity_id

    async def state(self, key: str) -> Json:
        """Return the state of an entity, with its attributes."""
        state: Json | None = (await self.api.states()).get(self.entity_id(key))
        if state is None:
            raise DemoError(f"{self.entity_id(key)} is not there")
        return state

    async def shows(self, within: float, **wanted: str) -> None:
        """Wait until all of these entities, by key, show this."""
        shown: dict[str, str | None] = {}

        async def right() -> bool:
            states = await self.api.states()
            for key in wanted:
                state = states.get(self.entity_id(key))
                shown[key] = None if state is None else state["state"]
            return shown == wanted

        await wait_until(
            right, within, lambda: f"{self.name} shows {shown}, wanted is {wanted}"
        )

    async def act(self, action: str, key: str, **data: Any) -> None:
        """Run an action on an entity, as a click does."""
        await self.api.act(action, {"entity_id": self.entity_id(key), **data})

    async def simulator(self, action: str, **data: Any) -> None:
        """Do something to the battery itself."""
        await self.api.act(f"{SIMULATOR}.{action}", {"address": self.address, **data})

    async def expected_values(self) -> Json:
        """Return what is true of the battery."""
        expected_values: Json = (await simulated(self.api))[self.address][
            "expected_values"
        ]
        return expected_values

    async def issues(self) -> list[Json]:
        """Return what Home Assistant wants to have repaired of the battery."""
        answer = await self.api.call("repairs/list_issues")
        return [
            issue
            for issue in answer["issues"]
            if issue["domain"] == DOMAIN and issue["issue_id"].endswith(self.entry_id)
        ]

    async def restart(self) -> None:
        """Switch the battery off and on."""
        await self.simulator("power_cycle", off_for=OFF)


class BatteryScenario(StepLog):
    """Who owns the three batteries."""

    # --- entities -------------------------------------------------------------------

    async def counts_entities(self) -> None:
        """See that a battery that was just added does not bury its owner."""
        async with self._does("looks at the entities of a new battery") as seen:
            for address in MODELS:
                entities = await entities_of(
                    self._api, await device_of(self._api, address)
                )
                enabled = sum(not entity["disabled_by"] for entity in entities.values())
                cells = len([key for key in entities if re.match(r"cell_\d+$", key)])
                seen.append(f"{cells} cells: {enabled} of {len(entities)} enabled")
                check(
                    address not in FOUR_CELLS
                    or (cells == 4 and enabled <= MOST_ENTITIES),
                    f"{address} with {cells} cells has {enabled} entities enabled,"
                    f" wanted are at most {MOST_ENTITIES}",
                )

    async def enables(self, battery: ShownBattery, key: str) -> None:
        """Switch on what is off; Home Assistant brings it some time later."""
        async with self._does(
            f'enables "{battery.entities[key]["original_name"]}"'
        ) as seen:
            check(
                battery.entities[key]["disabled_by"] == "integration",
                "it is not off by default",
            )
            await enable(self._api, [battery.entities[key]])
            seen.append("accepted")

    async def waits_for(self, battery: ShownBattery, key: str) -> None:
        """Wait until Home Assistant has set up the battery anew for an entity."""
        async with self._does("waits for the enabled entity") as seen:
            await _wait_for_reload(battery, key)
            seen.append("there, off")

    # --- settings -------------------------------------------------------------------

    async def sets_module_id(self, battery: ShownBattery) -> None:
        """Set the module ID, and switch the battery off and on."""
        async with self._does("sets the module ID to 2") as seen:
            await battery.act("select.select_option", "module_id", option="2")
            seen.append("confirmed")
            await battery.shows(0, module_id="1")
            seen.append("1 still shown")
            seen.append(await self._power_cycle_issue(battery, "- Module ID: 2"))
        async with self._does("switches the battery off and on") as seen:
            await self._apply(battery, module_id="2")
            seen.append("2 shown, issue gone")
            check((await battery.expected_values())["module_id"] == 2, "it is not 2")

    async def sets_protocol(self, battery: ShownBattery) -> None:
        """Set the inverter, which needs the module ID to be 1."""
        async with self._does("sets the CAN protocol to Victron") as seen:
            text = (await texts(self._api, "exceptions"))[
                f"{NEEDS_MODULE_ID}.message"
            ].format(name=battery.name, setting="CAN protocol")
            check("module ID is 1" in text, f"no explanation: {text}")
            before = (await battery.state("can_protocol"))["state"]
            try:
                await battery.act(
                    "select.select_option", "can_protocol", option="Victron"
                )
            except CommandError as err:
                # Home Assistant takes the last full stop off.
                check(
                    err.key == NEEDS_MODULE_ID and text.rstrip(".") in str(err),
                    f"{err!s} is not {text!r}",
                )
            else:
                raise DemoError("it is not refused while the module ID is 2")
            seen.append(_refusal(text))
            await battery.shows(0, can_protocol=before)
            check(not await battery.issues(), "there is an issue for it")
        async with self._does("sets the module ID to 1, off and on") as seen:
            await battery.act("select.select_option", "module_id", option="1")
            await self._apply(battery, module_id="1")
            seen.append("1 shown, issue gone")
        async with self._does("sets the CAN protocol to Victron") as seen:
            await battery.act("select.select_option", "can_protocol", option="Victron")
            await battery.shows(0, can_protocol=before)
            seen += ["confirmed", f"{before} still shown"]
            seen.append(
                await self._power_cycle_issue(battery, "- CAN protocol: Victron")
            )
        async with self._does("switches the battery off and on") as seen:
            await self._apply(battery, can_protocol="Victron")
            seen.append("Victron shown, issue gone")
            check(
                (await battery.expected_values())["can_protocol"].endswith("-VCT"),
                "it is not Victron",
            )

    async def _power_cycle_issue(self, battery: ShownBattery, line: str) -> str:
        """Return what asks the owner to switch the battery off and on."""
        issues = await battery.issues()
        wanted = {"name": battery.name, "settings": line}
        check(
            len(issues) == 1
            and issues[0]["translation_key"] == "power_cycle"
            and issues[0]["translation_placeholders"] == wanted,
            f"the issues are {issues}, wanted is one with {wanted}",
        )
        return f'issue "{line.removeprefix("- ")}" to be applied'

    async def _apply(self, battery: ShownBattery, **wanted: str) -> None:
        """Switch off and on, and wait until this is shown and nothing is to be done."""
        await battery.restart()
        await battery.shows(RECONNECTED, **wanted)

        async def gone() -> bool:
            return not await battery.issues()

        await wait_until(gone, POLLED, lambda: "the issue does not go away")

    # --- heater ---------------------------------------------------------------------

    async def test_heater(self, battery: ShownBattery) -> None:
        """Let the battery heat itself, and forbid it again."""
        for action, state in (("turn_on", "on"), ("turn_off", "off")):
            async with self._does(f"turns {state} the heater of the cold one") as seen:
                await battery.act(f"switch.{action}", "heater")
                # It is confirmed: nothing to wait for.
                await battery.shows(0, heater=state)
                seen.append(f"{state}, confirmed by the battery")
                await battery.shows(POLLED, heating=state)
                seen.append(f"heating {state}")
                expected_values = await battery.expected_values()
                check(
                    expected_values["heating_enabled"]
                    is expected_values["heating"]
                    is (state == "on"),
                    f"the battery's heater is not {state}",
                )

    # --- the link -------------------------------------------------------------------

    async def releases(self, battery: ShownBattery) -> int:
        """Let go of the battery for a minute; return where the events begin."""
        async with self._does("releases a battery for a minute") as seen:
            since = len(self._api.events)
            await battery.act(
                f"{DOMAIN}.release_connection",
                "voltage",
                duration={"minutes": RELEASED},
            )
            await battery.shows(
                0, **{LINK_STATUS: "released", "bluetooth_connection": "off"}
            )
            await self._link(battery, connected=False, within=FREED)
            seen.append("released, free for the phone app")
            until_ = (await battery.state(LINK_STATUS))["attributes"]["released_until"]
            left = (
                dt_util.parse_datetime(until_, raise_on_error=True) - dt_util.utcnow()
            )
            check(0 < left.total_seconds() <= 60 * RELEASED, f"{left} are left")
            seen.append(f"until {until_[11:19]} UTC")
        return since

    async def test_resume(self, battery: ShownBattery, since: int) -> None:
        """See the battery come back by itself; nothing was unavailable meanwhile."""
        async with self._does("gets the released battery back") as seen:
            await self._link(
                battery, connected=True, within=60 * RELEASED + RECONNECTED
            )
            await battery.shows(
                POLLED, **{LINK_STATUS: "connected", "bluetooth_connection": "on"}
            )
            seen.append("connected by itself")
            own = {entity["entity_id"] for entity in battery.entities.values()}
            lost = [
                event.entity_id
                for event in self._api.events[since:]
                if event.entity_id in own and event.state == UNAVAILABLE
            ]
            check(not lost, f"unavailable meanwhile: {lost}")
            seen.append("nothing was unavailable")

    async def switches_the_link(self, battery: ShownBattery) -> None:
        """Let go by the switch, and take the battery back by it."""
        for action, status in (("turn_off", "released"), ("turn_on", "connected")):
            async with self._does(f'uses "Bluetooth connection": {action}') as seen:
                await battery.act(f"switch.{action}", "bluetooth_connection")
                await battery.shows(RECONNECTED, **{LINK_STATUS: status})
                await self._link(
                    battery, connected=status == "connected", within=RECONNECTED
                )
                seen.append(status)

    async def _link(
        self, battery: ShownBattery, *, connected: bool, within: float
    ) -> None:
        async def right() -> bool:
            simulated_ = (await simulated(self._api))[battery.address]
            return bool(simulated_["connected"] is connected)

        await wait_until(
            right, within, lambda: f"the battery is not {connected=} in {within:g} s"
        )

    # --- protections ----------------------------------------------------------------

    async def test_cold_protection(self, battery: ShownBattery) -> int:
        """Leave a warm battery in the frost, and return how much was compared."""
        async with self._does(f"leaves it at {FROST:g} °C, no sun") as seen:
            return await self._protection(
                battery, seen, FROST, tripped=True, active=UTP.name
            )

    async def lets_thaw(self, battery: ShownBattery) -> int:
        """Warm it, and return how much was compared."""
        async with self._does(f"warms it at {HEAT:g} °C") as seen:
            compared = await self._protection(
                battery, seen, HEAT, tripped=False, active=NO_FAULTS
            )
            await battery.simulator(
                "set_surroundings", ambient=MILD, demand_current=SUN
            )
            return compared

    async def _protection(
        self,
        battery: ShownBattery,
        seen: list[str],
        ambient: float,
        *,
        tripped: bool,
        active: str,
    ) -> int:
        """Let time pass until charging in the cold is blocked, or no longer blocked."""
        start = dt_util.utcnow()
        await battery.simulator("set_surroundings", ambient=ambient, demand_current=0)
        minutes = 0
        while (
            "charge_ut" in (await battery.expected_values())["protections"]
        ) is not tripped:
            check(minutes < LONGEST, f"nothing in {LONGEST} minutes")
            await battery.simulator("advance", minutes=STEP)
            minutes += STEP
        async with holding(self._api):
            state = "on" if tripped else "off"
            await battery.shows(POLLED, problem=state, active_faults=active)
            seen.append(f'active faults "{active}" after {minutes / 60:g} h')
            await battery.shows(
                0, **{UTP.key: state, "too_cold_to_charge": state, "problem": state}
            )
            seen.append(f"{UTP.key}, problem and too_cold {state}")
            wanted = f"{UTP.key}_{'tripped' if tripped else 'cleared'}"
            event = (await battery.state("protection"))["attributes"]["event_type"]
            check(event == wanted, f"the event is {event}, wanted is {wanted}")
            seen.append(f"event {event}")
            expected_values = await battery.expected_values()
            compared = (
                await compare_all(
                    self._api,
                    expected_values,
                    await entities_of(
                        self._api, await device_of(self._api, battery.address)
                    ),
                    POLLED,
                )
            ).compared
        await self._logged(battery, start.isoformat(), wanted, state)
        seen += ["both in the logbook", f"{compared} entities right"]
        return compared

    async def _logged(
        self, battery: ShownBattery, start: str, event: str, state: str
    ) -> None:
        """Wait until the logbook has the event and the change of the binary sensor."""
        wanted = {
            (battery.entity_id("protection"), event),
            (battery.entity_id(UTP.key), state),
        }
        found: set[tuple[str, str]] = set()

        async def there() -> bool:
            entity_ids = ",".join(entity_id for entity_id, _ in wanted)
            lines = await self._api.get(f"logbook/{start}?entity={entity_ids}")
            found.clear()
            for line in lines:
                word = line.get("attributes", {}).get("event_type", line["state"])
                found.add((line["entity_id"], word))
            return wanted <= found

        await wait_until(
            there, WRITTEN, lambda: f"the logbook has {found}, wanted is {wanted}"
        )

    # --- firmware -------------------------------------------------------------------

    async def uploads_firmware(self, battery: ShownBattery) -> None:
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
        async with self._does("uploads firmware, wrong password") as seen:
            answer = await submit(FILE, file_id, "voltgo")
            seen.append(refused(answer, "password", "wrong_password"))
        async with self._does("uploads firmware, wrong file name") as seen:
            name = "firmware.bin"
            other = await self._api.upload(name, image)
            answer = await submit(name, other, PASSWORD)
            seen.append(refused(answer, "file", "wrong_name"))
        async with self._does(f"uploads {FILE}, {SIZE // 1024} KiB") as seen:
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
            seen.append(f"SHA-256 {wanted['sha256'][:8]}... to confirm")
            answer = await self._api.post(flow)
            check(answer["type"] == "create_entry", f"Submit led to {answer}")
            await battery.shows(1, bms_firmware="on")
            old, new = await self._versions(battery)
            check(new == VERSION != old, f"the update is from {old} to {new}")
            seen.append(f"update from {old} to {new} offered")

    async def _versions(self, battery: ShownBattery) -> tuple[str, str]:
        """Return the version that runs, as shown, and the one that is there."""
        attributes = (await battery.state("bms_firmware"))["attributes"]
        return attributes["installed_version"], attributes["latest_version"]

    async def installs_firmware(self, battery: ShownBattery) -> None:
        """Install what was uploaded, and wait until the battery is back with it."""
        async with self._does("presses Install") as seen:
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
            seen.append(
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
            seen.append(f"device runs {shown}, up to date")

    # --- times ----------------------------------------------------------------------

    async def sees_how_long_it_lasts(self, battery: ShownBattery) -> None:
        """Look at the time to empty; it is under the same load since it was added."""
        async with self._does("looks how long it lasts") as seen:

            async def known() -> bool:
                return bool((await battery.state("time_to_empty"))["state"] != UNKNOWN)

            await wait_until(known, SETTLED, lambda: "the time to empty stays unknown")
            shown = (await battery.state("time_to_empty"))["state"]
            true = hours(await battery.expected_values(), TIMES["time_to_empty"])
            check(
                true is not None and is_near(shown, true),
                f"the time to empty is {shown} h, true is {true}",
            )
            seen.append(f"{float(shown):.2f} h to empty, true {true:.2f} h")

    # --- diagnostics ----------------------------------------------------------------

    async def downloads_diagnostics(self, battery: ShownBattery) -> None:
        """Download what is attached to a report; the address is nobody's business."""
        async with self._does("downloads the diagnostics") as seen:
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
            seen.append(f"{len(text) // 1024} KiB, no address in it")


def _refusal(text: str) -> str:
    """Return the beginning of what the owner reads."""
    return f'refused: "{shorten(text, REFUSAL, placeholder=" ...")}"'


async def _wait_for_reload(battery: ShownBattery, key: str) -> None:
    """Wait until an entity that was enabled has a value, which it has after a reload."""

    async def there() -> bool:
        state = (await battery.api.states()).get(battery.entity_id(key))
        return state is not None and state["state"] in {"on", "off"}

    await wait_until(there, SET_UP, lambda: f"{battery.entity_id(key)} does not come")
