"""Steps of the battery scenario: a protection trips and is released."""

from __future__ import annotations

from typing import Final

from homeassistant.util import dt as dt_util

from .batteries import compare_all, device_of, entities_of, holding
from .expected_values import FAULTS, NO_FAULTS
from .polling import check, wait_until
from .shown_battery import POLL_TIMEOUT, ShownBattery
from .step_log import StepLog

RECORDER_TIMEOUT: Final = 15.0  # s until the recorder has what the logbook reads

# Far from what the battery is at, and no longer than a night.
FROST: Final = -25.0  # °C
HEAT: Final = 45.0  # °C
STEP: Final = 15  # min
MAX_MINUTES: Final = 12 * 60  # min
MILD: Final = 27.0  # °C; with the next, as it was before
SUN: Final = 31.5  # A


UTP: Final = FAULTS["charge_ut"]


class ProtectionSteps(StepLog):
    """Cools a battery down until it blocks charging, and warms it again."""

    async def test_cold_protection(self, battery: ShownBattery) -> int:
        """Cool a warm battery down; return how many values were compared."""
        async with self._step(f"leaves it at {FROST:g} °C, no sun") as observed:
            return await self._protection(
                battery, observed, FROST, tripped=True, active=UTP.name
            )

    async def test_thawing(self, battery: ShownBattery) -> int:
        """Warm it again; return how many values were compared."""
        async with self._step(f"warms it at {HEAT:g} °C") as observed:
            compared = await self._protection(
                battery, observed, HEAT, tripped=False, active=NO_FAULTS
            )
            await battery.simulator(
                "set_surroundings", ambient=MILD, demand_current=SUN
            )
            return compared

    async def _protection(
        self,
        battery: ShownBattery,
        observed: list[str],
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
            check(minutes < MAX_MINUTES, f"nothing in {MAX_MINUTES} minutes")
            await battery.simulator("advance", minutes=STEP)
            minutes += STEP
        async with holding(self._api):
            state = "on" if tripped else "off"
            await battery.shows(POLL_TIMEOUT, problem=state, active_faults=active)
            observed.append(f'active faults "{active}" after {minutes / 60:g} h')
            await battery.shows(
                0, **{UTP.key: state, "too_cold_to_charge": state, "problem": state}
            )
            observed.append(f"{UTP.key}, problem and too_cold {state}")
            wanted = f"{UTP.key}_{'tripped' if tripped else 'cleared'}"
            event = (await battery.state("protection"))["attributes"]["event_type"]
            check(event == wanted, f"the event is {event}, wanted is {wanted}")
            observed.append(f"event {event}")
            expected_values = await battery.expected_values()
            compared = (
                await compare_all(
                    self._api,
                    expected_values,
                    await entities_of(
                        self._api, await device_of(self._api, battery.address)
                    ),
                    POLL_TIMEOUT,
                )
            ).compared
        await self._logged(battery, start.isoformat(), wanted, state)
        observed += ["both in the logbook", f"{compared} entities right"]
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
            there,
            RECORDER_TIMEOUT,
            lambda: f"the logbook has {found}, wanted is {wanted}",
        )
