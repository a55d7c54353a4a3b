"""The part of the check that uses two batteries in parallel as a user does."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from .api import UNKNOWN, HomeAssistant, Json
from .batteries import (
    BANK_MODELS,
    DRIVING,
    PORT,
    SIMULATOR,
    STARBOARD,
    add_bank,
    add_battery,
    device_of,
    discovered,
    discovered_banks,
    enable,
    entities_of,
    expected_bank_values,
    holding,
    wait_for_poll,
)
from .expected_bank_values import ENERGY, EXTENSIVE, Bank, compare_bank
from .expected_values import Comparison
from .polling import check, wait_until
from .server import DemoError
from .shown_battery import ShownBattery
from .step_log import StepLog

NAME: Final = "House bank"

DISCOVERY_WAIT: Final = 15.0  # s
# A poll every 10 s, and half as much again for one whose poll phase was moved.
POLL_TIMEOUT: Final = 30.0
# When a battery leaves or joins, the others are read up to a poll and a half later, and
# until then a sum is of both times. The time to empty, an average with a constant of
# three minutes, has forgotten that after four, as far as it shows.
SHOWN_TIMEOUT: Final = 240.0  # s
STALE_TIMEOUT: Final = 120.0  # s; a minute after the last sample
RESUME_TIMEOUT: Final = 90.0  # s
SETTLE_TIMEOUT: Final = 150.0  # s; an average of a minute, once it is set up
MINUTE: Final = 1
MAX_MINUTES: Final = 60  # min until a board has cooled down

# What takes that long.
AVERAGED: Final = ("time_to_empty", "current_imbalance")


async def build(api: HomeAssistant) -> BankScenario:
    """Add two batteries and the bank that Home Assistant discovers for them."""
    scenario = BankScenario(api, "the user")
    await scenario.add_batteries()
    await scenario.add_discovered_bank()
    return scenario


async def run_bank_scenario(scenario: BankScenario) -> int:
    """Run the other steps, and return how many values were compared."""
    try:
        compared = await scenario.compare_new_bank()
        await scenario.enable_entities()
        compared += await scenario.test_missing_battery(STARBOARD)
        compared += await scenario.test_resume(STARBOARD)
        compared += await scenario.test_isolation(PORT)
        compared += await scenario.test_isolation_end(PORT)
    except DemoError:
        scenario.report()
        raise
    return compared


class BankScenario(StepLog):
    """What a user does with two batteries in parallel."""

    bank: ShownBattery
    names: dict[str, str]
    counters: dict[str, list[str]]

    def report(self) -> None:
        """Print what was done."""
        self.print(
            "Bank: two batteries in parallel, and what Home Assistant shows of them"
        )

    # --- adding ---------------------------------------------------------------------

    async def add_batteries(self) -> None:
        """Switch two batteries on, and add them."""
        async with self._step("adds two batteries in parallel") as observed:
            await add_bank(self._api)
            self.names = {}
            for flow in await discovered(self._api, set(BANK_MODELS)):
                entry = await add_battery(self._api, flow)
                self.names[flow["context"]["unique_id"]] = entry["title"]
            observed += self.names.values()

    async def add_discovered_bank(self) -> None:
        """Add the bank that Home Assistant has discovered, of these two."""
        async with self._step("adds the bank that is discovered") as observed:
            flow = await self._discovered_bank()
            name = flow["context"]["title_placeholders"]["name"]
            observed.append(f'"{name}" offered')
            form = await self._api.get(f"config/config_entries/flow/{flow['flow_id']}")
            fields = {field["name"]: field for field in form["data_schema"]}
            offered = {
                option["value"]
                for option in fields["members"]["selector"]["select"]["options"]
            }
            # The third of the same model is in another place.
            check(
                form["step_id"] == "bank"
                and offered >= {*BANK_MODELS, DRIVING}
                and set(fields["members"]["description"]["suggested_value"])
                == {*BANK_MODELS, DRIVING},
                f"the form is {form}",
            )
            result = await self._api.post(
                f"config/config_entries/flow/{flow['flow_id']}",
                {"name": NAME, "members": list(BANK_MODELS), "inverter": False},
            )
            if result.get("step_id") == "join":
                # Their states of charge differ, and they are connected.
                result = await self._api.post(
                    f"config/config_entries/flow/{flow['flow_id']}", {}
                )
            check(result["type"] == "create_entry", f"Submit led to {result}")
            entry = result["result"]
            device = await device_of(self._api, entry["entry_id"])
            entities = await entities_of(self._api, device)
            self.bank = ShownBattery(self._api, "", entry, entities)
            await self._knows_the_members(device)
            enabled = sum(not entity["disabled_by"] for entity in entities.values())
            observed.append(f"{device['model']}: {enabled} of {len(entities)} enabled")

    async def _discovered_bank(self) -> Json:
        """Wait until a bank is discovered, and return its flow."""
        found: list[Json] = []

        async def there() -> bool:
            found[:] = await discovered_banks(self._api)
            return bool(found)

        await wait_until(there, DISCOVERY_WAIT, lambda: "no bank is discovered")
        check(len(found) == 1, f"it is discovered more than once: {found}")
        return found[0]

    async def _knows_the_members(self, device: Json) -> None:
        """Check that the batteries belong to the bank; store their energy counters."""
        self.counters = {key: [] for key in ENERGY}
        for address in BANK_MODELS:
            member = await device_of(self._api, address)
            check(
                member["via_device_id"] == device["id"],
                f"{address} is not shown as a part of the bank",
            )
            entities = await entities_of(self._api, member)
            for key, counters in self.counters.items():
                counters.append(entities[key]["entity_id"])

    # --- comparing ------------------------------------------------------------------

    async def compare_new_bank(self) -> int:
        """Compare what is shown at first; return how many values were compared."""
        async with self._step("looks at the new bank") as observed:
            return await self._compare(observed, steady=False)

    async def enable_entities(self) -> None:
        """Enable all entities; they exist before a battery counts as missing."""
        async with self._step("enables the other entities") as observed:
            hidden = [
                entity
                for entity in self.bank.entities.values()
                if entity["disabled_by"] == "integration"
            ]
            await enable(self._api, hidden)
            observed.append(f"{len(hidden)} accepted")

    async def _bank(self, missing: Collection[str]) -> Bank:
        batteries = await wait_for_poll(
            self._api, [one for one in BANK_MODELS if one not in missing], POLL_TIMEOUT
        )
        return Bank(
            await expected_bank_values(self._api),
            {
                address: batteries[address]["expected_values"]
                for address in BANK_MODELS
                if address not in missing
            },
            self.names,
        )

    async def _compare(
        self, observed: list[str], *, missing: Collection[str] = (), steady: bool = True
    ) -> int:
        """Compare every entity after a poll of each battery; return how many."""
        entities = await entities_of(
            self._api, await device_of(self._api, self.bank.entry_id)
        )
        results: list[Comparison] = []
        async with holding(self._api):
            bank = await self._bank(missing)

            async def right() -> bool:
                results[:] = [
                    compare_bank(
                        bank,
                        entities,
                        await self._api.states(),
                        self.counters,
                        steady=steady,
                    )
                ]
                return not results[0].differences

            await wait_until(
                right,
                SHOWN_TIMEOUT,
                lambda: (
                    "differences:\n  " + "\n  ".join(map(str, results[0].differences))
                ),
            )
        observed.append(f"{results[0].compared} entities right")
        return results[0].compared

    async def _known(self, *keys: str) -> None:
        """Wait until the values that need a minute of the same load are known."""
        missing: list[str] = []

        async def known() -> bool:
            missing[:] = [
                key for key in keys if (await self.bank.state(key))["state"] == UNKNOWN
            ]
            return not missing

        await wait_until(
            known, SETTLE_TIMEOUT, lambda: f"still unknown: {', '.join(missing)}"
        )

    async def _shown(self, *keys: str) -> str:
        """Return the states of some entities by key."""
        units = {"state_of_charge": " %", "current": " A", "current_imbalance": " %"}
        states = [(await self.bank.state(key))["state"] for key in keys]
        return ", ".join(
            f"{key} {state}{units.get(key, '')}"
            for key, state in zip(keys, states, strict=True)
        )

    # --- one of them ----------------------------------------------------------------

    async def _simulator(self, action: str, address: str, **data: Any) -> None:
        await self._api.act(f"{SIMULATOR}.{action}", {"address": address, **data})

    async def _read_members(self) -> None:
        """Have both batteries read at once.

        Otherwise a sum is of two times for up to a poll, which an average of minutes keeps.
        """
        await self._api.act(
            "homeassistant.update_entity", {"entity_id": self.counters[ENERGY[0]]}
        )

    async def test_missing_battery(self, address: str) -> int:
        """Move one battery out of range: sums are unknown, other values are the other's."""
        async with self._step("is out of range of one") as observed:
            await self._simulator("advertise", address, advertise=False)
            await self._simulator("drop_connection", address)
            await self.bank.shows(
                STALE_TIMEOUT,
                battery_missing="on",
                batteries_reporting="1",
                **dict.fromkeys(EXTENSIVE, UNKNOWN),
            )
            observed.append(f"battery_missing on, {len(EXTENSIVE)} sums unknown")
            observed.append(f"{await self._names('battery_missing')} named")
            observed.append(await self._shown("state_of_charge"))
            return await self._compare(observed, missing=[address])

    async def test_resume(self, address: str) -> int:
        """Move it back into range, and wait for the values that need a minute."""
        async with self._step("is back in range") as observed:
            await self._simulator("advertise", address, advertise=True)
            await self.bank.shows(
                RESUME_TIMEOUT,
                battery_missing="off",
                batteries_reporting=str(len(BANK_MODELS)),
            )
            observed.append("battery_missing off")
            await self._known(*AVERAGED)
            shown = await self._shown("current", "current_imbalance")
            observed.append(f"{shown}, {await self._time()} h to empty")
            return await self._compare(observed)

    async def test_isolation(self, address: str) -> int:
        """Let a board overheat; the repair issue two minutes later is not awaited."""
        async with self._step("has one cut itself off") as observed:
            await self._simulator("cut_off", address, cut_off=True)
            await self._read_members()
            await self.bank.shows(
                POLL_TIMEOUT, battery_isolated="on", current_imbalance=UNKNOWN
            )
            observed.append("battery_isolated on, current_imbalance unknown")
            observed.append(f"{await self._names('battery_isolated')} named")
            compared = await self._compare(observed)
            shown = await self._shown("state_of_charge", "current")
            observed.insert(-1, f"{shown}, {await self._time()} h to empty")
            return compared

    async def test_isolation_end(self, address: str) -> int:
        """Let the board cool down; the battery is active again."""
        async with self._step("has it cooled down") as observed:
            await self._simulator("cut_off", address, cut_off=False)
            minutes = 0
            while address in (await expected_bank_values(self._api))["isolated"]:
                check(minutes < MAX_MINUTES, f"nothing in {MAX_MINUTES} minutes")
                await self._simulator("advance", address, minutes=MINUTE)
                minutes += MINUTE
            await self._read_members()
            await self.bank.shows(
                POLL_TIMEOUT, battery_isolated="off", any_protection="off"
            )
            observed.append(f"battery_isolated off after {minutes} min")
            compared = await self._compare(observed, steady=False)
            observed.insert(-1, await self._shown("state_of_charge", "current"))
            return compared

    async def _names(self, key: str) -> str:
        return ", ".join((await self.bank.state(key))["attributes"]["batteries"])

    async def _time(self) -> str:
        return f"{float((await self.bank.state('time_to_empty'))['state']):.2f}"
