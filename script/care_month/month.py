"""The month as it passes, with what is compared on the way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final

from . import plan
from .comparison import Comparison
from .environment import Entry, MonthEnvironment
from .pack import WitnessedBattery

STEP: Final = 1800  # s; how often surroundings change
FINE_STEP: Final = 600  # s, at the end of a charge
HOUR: Final = 3600


class Month:
    """Lets the days pass, and compares each hour what may change with each sample."""

    def __init__(self, environment: MonthEnvironment, comparison: Comparison) -> None:
        """Start on the first day."""
        self._environment = environment
        self._compare = comparison
        self.asked: list[list[tuple[float, bool]]] = [[], []]
        """For both batteries: when the notice to charge fully came and went."""

    async def pass_until(self, day: int, hour: float) -> None:
        """Let time pass until an hour of a day of the month."""
        while self.now < (day, hour):
            self._surround()
            is_fine = self.now[0] in plan.FULL_DAYS and 8 <= self.now[1] < 17
            await asyncio.sleep(FINE_STEP if is_fine else STEP)
            self._follow()

    @property
    def now(self) -> tuple[int, float]:
        """Return the day of the month, from 0, and the hour."""
        now = datetime.fromtimestamp(self._environment.unix_time, UTC)
        return (now.date() - plan.START.date()).days, now.hour + now.minute / 60

    def _surround(self) -> None:
        """Set what flows, how cold it is, and how often each battery is read."""
        day, hour = self.now
        for number, pack in enumerate(self._environment.packs):
            is_worn = number == 0
            pack.update()
            pack.ambient = plan.ambient(day, hour)
            pack.demand_current = plan.demand(pack, day, hour, is_worn=is_worn)
            self._environment.set_options(
                self._environment.entries[number],
                interval=plan.interval(pack, day, hour, is_worn=is_worn),
            )

    async def restart(self) -> None:
        """Load both batteries again; no total falls, nor rises by more than some Ah."""
        environment = self._environment
        self._compare.about("restart")
        for entry in environment.entries:
            keys = ("charge_discharged", "equivalent_full_cycles", "protection_trips")
            before = [float(environment.state(entry, key)) for key in keys]
            await environment.hass.config_entries.async_reload(entry.entry_id)
            await asyncio.sleep(FINE_STEP)
            for key, value in zip(keys, before, strict=True):
                self._compare.near(key, environment.state(entry, key), value + 1, 1)

    def drift(self) -> None:
        """Let the counter of the healthy battery be off."""
        pack = self._environment.packs[1]
        pack.update()
        added = plan.DRIFT / 100 * pack.capacity * HOUR
        pack.charge = min(pack.charge + added, pack.capacity * HOUR)

    def _follow(self) -> None:
        """Record notices, and compare what each battery allows."""
        environment = self._environment
        for number, (entry, pack) in enumerate(
            zip(environment.entries, environment.packs, strict=True)
        ):
            is_asked = environment.is_charge_asked_for(entry)
            asked = self.asked[number]
            if is_asked != (bool(asked) and asked[-1][1]):
                asked.append((environment.unix_time, is_asked))
            self._compare_allowed(entry, pack)

    def _compare_allowed(self, entry: Entry, pack: WitnessedBattery) -> None:
        """Compare whether it may be charged and discharged, as of its last reading."""
        self._compare.about("may be charged or discharged")
        allowed = pack.truth.allowed
        for key, is_allowed in zip(
            ("charging_allowed", "discharging_allowed"), allowed, strict=True
        ):
            self._compare.equal(
                f"{pack.name} {key} at {self.now}",
                self._environment.state(entry, key),
                "on" if is_allowed else "off",
            )
