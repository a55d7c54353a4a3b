"""What Home Assistant shows of the month, compared with the truth."""

from __future__ import annotations

from typing import Final

from . import plan
from .actions import READ, RESERVE, TIME_LEFT, TOTAL, MonthActions
from .comparison import Comparison
from .environment import Entry, MonthEnvironment
from .month import HOUR, Month
from .pack import WitnessedBattery
from simulator.clock import DAY

CAPACITY: Final = 0.03


class MonthTruths:
    """Compares batteries, bank and actions at one moment."""

    def __init__(
        self, environment: MonthEnvironment, month: Month, comparison: Comparison
    ) -> None:
        """Compare nothing yet."""
        self._environment = environment
        self._month = month
        self._compare = comparison
        self._actions = MonthActions(environment, comparison)

    async def compare(self) -> None:
        """Compare all that is shown of what has passed."""
        environment = self._environment
        for entry, pack in zip(environment.entries, environment.packs, strict=True):
            pack.update()
            self._lifetime(entry, pack)
            self._extremes(entry, pack)
            self._full_charge(entry, pack)
            self._reserve(entry, [pack])
            await self._actions.compare_estimates(entry, [pack])
            await self._actions.compare_report(entry, pack)
            await self._actions.compare_maintenance(entry)
        assert environment.bank is not None
        self._reserve(environment.bank, environment.packs)
        await self._actions.compare_estimates(environment.bank, environment.packs)
        self._bank(environment.bank)
        self._capacity()
        self._margins()
        self._notices()

    # --- sensors ----------------------------------------------------------------------

    def _shown(self, entry: Entry, key: str) -> str:
        return self._environment.state(entry, key)

    def _capacity(self) -> None:
        """Compare the capacity: only the deep night, read often, can tell it."""
        self._compare.about("measured capacity")
        worn, healthy = self._environment.entries
        true = min(self._environment.packs[0].cell_capacity) / HOUR
        tolerance = CAPACITY * true
        self._compare.near(
            "capacity", self._shown(worn, "measured_capacity"), true, tolerance
        )
        self._compare.near(
            "health",
            self._shown(worn, "measured_health"),
            100 * true / plan.LABEL,
            100 * CAPACITY,
        )
        night = plan.START.timestamp() + (plan.DEEP_NIGHT + 1 - 0.5) * DAY
        for key in ("measured_capacity", "measured_health"):
            self._compare.at(
                f"date of {key}",
                self._environment.attribute(worn, key, "measured_at"),
                night,
                DAY / 2,
            )
            self._compare.equal(
                f"{key} of the other", self._shown(healthy, key), "unknown"
            )

    def _lifetime(self, entry: Entry, pack: WitnessedBattery) -> None:
        self._compare.about("lifetime figures")
        truth, name = pack.truth, pack.name
        true = truth.discharged
        self._compare.near(
            f"{name} discharged",
            self._shown(entry, "charge_discharged"),
            true,
            TOTAL * true,
        )
        self._compare.near(
            f"{name} cycles",
            self._shown(entry, "equivalent_full_cycles"),
            true / plan.LABEL,
            TOTAL * true / plan.LABEL,
        )
        for key in ("charge_discharged", "equivalent_full_cycles"):
            self._compare.at(
                f"{name} since",
                self._environment.attribute(entry, key, "counted_since"),
                entry.created_at.timestamp(),
                HOUR / 60,
            )
        self._compare.equal(
            f"{name} trips",
            self._shown(entry, "protection_trips"),
            str(len(truth.outages)),
        )
        self._compare.at(
            f"{name} last trip",
            self._environment.attribute(entry, "protection_trips", "last_trip"),
            truth.outages[-1],
            plan.COARSE + READ,
        )

    def _extremes(self, entry: Entry, pack: WitnessedBattery) -> None:
        self._compare.about("extremes and their dates")
        truth = pack.truth
        for key, seen, divisor in (
            ("lowest_state_of_charge", truth.lowest["charge"], 1),
            ("highest_cell_voltage", truth.highest["cell"], 1000),
            ("lowest_cell_voltage", truth.lowest["cell"], 1000),
            ("highest_temperature", truth.highest["temperature"], 1),
            ("lowest_temperature", truth.lowest["temperature"], 1),
        ):
            recorded = f"{key}_recorded"
            self._compare.near(
                f"{pack.name} {key}",
                self._shown(entry, recorded),
                seen.value / divisor,
                1e-6,
            )
            self._compare.at(
                f"{pack.name} date of {key}",
                self._environment.attribute(entry, recorded, "recorded_at"),
                seen.at,
                READ,
            )

    def _full_charge(self, entry: Entry, pack: WitnessedBattery) -> None:
        self._compare.about("cell difference at full charge")
        last = pack.truth.full_charges[-1]
        key = "full_charge_cell_voltage_delta"
        self._compare.near(pack.name, self._shown(entry, key), last.value, 0)
        self._compare.at(
            f"{pack.name} date",
            self._environment.attribute(entry, key, "measured_at"),
            last.at,
            READ,
        )

    def _reserve(self, entry: Entry, packs: list[WitnessedBattery]) -> None:
        """Compare the time to the reserve, and whether charging is possible."""
        self._compare.about("time to reserve")
        left = sum(pack.charge / HOUR - RESERVE / 100 * pack.capacity for pack in packs)
        true = left / -sum(pack.current for pack in packs)
        self._compare.near(
            entry.title, self._shown(entry, "time_to_reserve"), true, TIME_LEFT * true
        )

    def _bank(self, bank: Entry) -> None:
        self._compare.about("bank")
        allowed = [pack.truth.allowed for pack in self._environment.packs]
        for index, key in enumerate(("charging_allowed", "discharging_allowed")):
            is_allowed = all(each[index] for each in allowed)
            self._compare.equal(
                key, self._shown(bank, key), "on" if is_allowed else "off"
            )
        charges = [100 * pack.fraction for pack in self._environment.packs]
        self._compare.near(
            "state of charge",
            self._shown(bank, "state_of_charge"),
            sum(charges) / len(charges),
            1,
        )

    def _margins(self) -> None:
        """Compare how far the battery that reports its thresholds is from them."""
        self._compare.about("margins")
        entry, pack = self._environment.entries[0], self._environment.packs[0]
        limits, volts, probes = pack.thresholds, pack.cell_voltages, pack.probes
        for key, true, tolerance in (
            ("charge_voltage", limits["cell_ov_protection"] - max(volts), 0.003),
            ("discharge_voltage", min(volts) - limits["cell_uv_protection"], 0.003),
            ("charge_temperature", min(probes) - limits["charge_ut_protection"], 1),
            (
                "discharge_temperature",
                min(probes) - limits["discharge_ut_protection"],
                1,
            ),
        ):
            self._compare.near(
                key, self._shown(entry, f"{key}_margin"), true, tolerance
            )

    def _notices(self) -> None:
        """Compare when a full charge was asked for: within a day, and until it was done."""
        self._compare.about("notice to charge fully")
        midnight = plan.START.timestamp() - DAY / 2
        for asked, day, pack in zip(
            self._month.asked,
            (plan.DEEP_NIGHT, plan.DRIFT_DAY),
            self._environment.packs,
            strict=True,
        ):
            self._compare.equal(
                f"{pack.name} came and went",
                [is_asked for _, is_asked in asked],
                [True, False],
            )
            if len(asked) != 2:
                continue
            self._compare.near(
                f"{pack.name} came", asked[0][0], midnight + (day + 1) * DAY, DAY / 2
            )
            full = next(
                seen.at for seen in pack.truth.full_charges if seen.at > asked[0][0]
            )
            self._compare.near(f"{pack.name} went", asked[1][0], full, HOUR)
