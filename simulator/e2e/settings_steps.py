"""Steps of the battery scenario: settings and heater."""

from __future__ import annotations

from textwrap import shorten
from typing import Final

from .api import CommandError
from .batteries import texts
from .polling import check, wait_until
from .server import DemoError
from .shown_battery import POLL_TIMEOUT, ShownBattery
from .step_log import StepLog

RECONNECT_TIMEOUT: Final = 30.0  # s


# Key of the text that says why the protocols cannot be set.
NEEDS_MODULE_ID: Final = "protocol_needs_module_id"

REFUSAL: Final = 70  # characters that are printed


class SettingsSteps(StepLog):
    """Sets the module ID, the protocol and the heater."""

    async def test_module_id(self, battery: ShownBattery) -> None:
        """Set the module ID, and switch the battery off and on."""
        async with self._step("sets the module ID to 2") as observed:
            await battery.act("select.select_option", "module_id", option="2")
            observed.append("confirmed")
            await battery.shows(0, module_id="1")
            observed.append("1 still shown")
            observed.append(await self._power_cycle_issue(battery, "- Module ID: 2"))
        async with self._step("switches the battery off and on") as observed:
            await self._apply(battery, module_id="2")
            observed.append("2 shown, issue gone")
            check((await battery.expected_values())["module_id"] == 2, "it is not 2")

    async def test_protocol(self, battery: ShownBattery) -> None:
        """Set the inverter, which needs the module ID to be 1."""
        async with self._step("sets the CAN protocol to Victron") as observed:
            text = (await texts(self._api, "exceptions"))[
                f"{NEEDS_MODULE_ID}.message"
            ].format(name=battery.name, setting="Inverter CAN protocol")
            check("module ID 1" in text, f"no explanation: {text}")
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
            observed.append(_refusal(text))
            await battery.shows(0, can_protocol=before)
            check(not await battery.issues(), "there is an issue for it")
        async with self._step("sets the module ID to 1, off and on") as observed:
            await battery.act("select.select_option", "module_id", option="1")
            await self._apply(battery, module_id="1")
            observed.append("1 shown, issue gone")
        async with self._step("sets the CAN protocol to Victron") as observed:
            await battery.act("select.select_option", "can_protocol", option="Victron")
            await battery.shows(0, can_protocol=before)
            observed += ["confirmed", f"{before} still shown"]
            observed.append(
                await self._power_cycle_issue(
                    battery, "- Inverter CAN protocol: Victron"
                )
            )
        async with self._step("switches the battery off and on") as observed:
            await self._apply(battery, can_protocol="Victron")
            observed.append("Victron shown, issue gone")
            check(
                (await battery.expected_values())["can_protocol"].endswith("-VCT"),
                "it is not Victron",
            )

    async def _power_cycle_issue(self, battery: ShownBattery, line: str) -> str:
        """Return the repair issue that asks for a power cycle."""
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
        await battery.shows(RECONNECT_TIMEOUT, **wanted)

        async def gone() -> bool:
            return not await battery.issues()

        await wait_until(gone, POLL_TIMEOUT, lambda: "the issue does not go away")

    async def test_heater(self, battery: ShownBattery) -> None:
        """Turn the heater on and off again."""
        for action, state in (("turn_on", "on"), ("turn_off", "off")):
            async with self._step(
                f"turns {state} the heater of the cold one"
            ) as observed:
                await battery.act(f"switch.{action}", "heater")
                # It is confirmed: nothing to wait for.
                await battery.shows(0, heater=state)
                observed.append(f"{state}, confirmed by the battery")
                await battery.shows(POLL_TIMEOUT, heating=state)
                observed.append(f"heating {state}")
                expected_values = await battery.expected_values()
                check(
                    expected_values["heating_enabled"]
                    is expected_values["heating"]
                    is (state == "on"),
                    f"the battery's heater is not {state}",
                )


def _refusal(text: str) -> str:
    """Return the beginning of the message that the user reads."""
    return f'refused: "{shorten(text, REFUSAL, placeholder=" ...")}"'
