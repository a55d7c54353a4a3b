"""What the actions and the maintenance list say, compared with the truth."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, date, datetime
import json
from typing import Any, Final

from . import plan
from .comparison import Comparison
from .environment import Entry, MonthEnvironment
from .month import HOUR
from .pack import WitnessedBattery
from custom_components.voltgo_vlrv.const import DOMAIN

TOTAL: Final = 0.03
"""Of what was discharged: the current between two readings is assumed."""
READ: Final = 5.0  # s between a reading and its use
TIME_LEFT: Final = 0.06
RESERVE: Final = 20  # %
ESTIMATE: Final = 2.0  # points
SHORT, LONG = (60, 5.0), (300, 3.0)  # W and h
# Manual, table 7-2: months by item.
MAINTENANCE: Final = {
    "power_cables": 6,
    "communication_cables": 12,
    "cleanliness": 12,
    "system_status": 6,
    "charge_test": 6,
}
PROTECTIONS: Final = {"pack_uv": "pack_uvp", "charge_ut": "charge_utp"}
"""Names of the integration by those of the simulator."""


class MonthActions:
    """Performs actions at one moment, and compares their responses."""

    def __init__(self, environment: MonthEnvironment, comparison: Comparison) -> None:
        """Compare nothing yet."""
        self._environment = environment
        self._compare = comparison

    async def compare_estimates(
        self, entry: Entry, packs: list[WitnessedBattery]
    ) -> None:
        """Compare what loads would leave with a copy of each battery that has them."""
        self._compare.about("estimate")
        for power, hours in (SHORT, LONG):
            response = await self._environment.act(
                DOMAIN,
                "estimate",
                self._environment.entity_id(entry, "state_of_charge"),
                power=power * len(packs),
                duration={"hours": hours},
            )
            results = [_run(pack, power, hours) for pack in packs]
            charge = sum(left for left, _ in results) / len(results)
            self._compare.near(
                f"{entry.title} {power} W",
                response["state_of_charge"],
                charge,
                ESTIMATE,
            )
            at = [when for _, when in results if when is not None]
            self._compare.equal(
                f"{entry.title} is enough", response["is_enough"], not at
            )
            if at:
                seconds = sum(at) / len(at)
                self._compare.at(
                    f"{entry.title} reserve",
                    response["reserve_at"],
                    self._environment.unix_time + seconds,
                    TIME_LEFT * seconds,
                )

    async def compare_report(self, entry: Entry, pack: WitnessedBattery) -> None:
        """Compare the report on a battery."""
        self._compare.about("report")
        report = await self._environment.act(
            DOMAIN, "report", self._environment.entity_id(entry, "state_of_charge")
        )
        truth, name = pack.truth, pack.name
        self._compare.near(
            f"{name} discharged",
            report["charge_discharged"],
            truth.discharged,
            TOTAL * truth.discharged,
        )
        self._compare.equal(
            f"{name} protections",
            {key: item["count"] for key, item in report["protections"].items()},
            {PROTECTIONS[key]: len(at) for key, at in truth.trips.items()},
        )
        for key, at in truth.trips.items():
            self._compare.at(
                f"{name} {key}",
                report["protections"][PROTECTIONS[key]]["last"],
                at[-1],
                plan.COARSE + READ,
            )
        self._compare.equal(
            f"{name} full charges",
            [item["difference"] for item in report["full_charges"]],
            [truth.full_charges[-1].value],
        )
        self._compare.equal(
            f"{name} capacities",
            len(report["measured_capacities"]),
            int(pack is self._environment.packs[0]),
        )
        self._compare.equal(
            f"{name} firmware", report["firmware"], pack.identity.firmware
        )
        text = json.dumps(report)
        self._compare.holds(
            f"{name} address", pack.address not in text, "the report has it"
        )

    async def compare_maintenance(self, entry: Entry) -> None:
        """Compare all dates, tick an item off, and compare its next date."""
        self._compare.about("maintenance list")
        entity_id = self._environment.entity_id(entry, "maintenance")
        began = entry.created_at.date()
        due = await self._due(entity_id)
        for key, months in MAINTENANCE.items():
            self._compare.equal(key, due.get(key), str(_later(began, months)))
        await self._environment.act(
            "todo", "update_item", entity_id, item="charge_test", status="completed"
        )
        today = datetime.fromtimestamp(self._environment.unix_time, UTC).date()
        due = await self._due(entity_id)
        self._compare.equal(
            "charge test, done", due.get("charge_test"), str(_later(today, 6))
        )

    async def _due(self, entity_id: str) -> dict[str, Any]:
        """Return the date of each item."""
        response = await self._environment.act(
            "todo", "get_items", entity_id, status=["needs_action", "completed"]
        )
        return {item["uid"]: item["due"] for item in response["items"]}


def _later(day: date, months: int) -> date:
    """Return the same day some months later; not for the last ones of a month."""
    years, month = divmod(day.month - 1 + months, 12)
    return day.replace(year=day.year + years, month=month + 1)


def _run(
    pack: WitnessedBattery, power: float, hours: float
) -> tuple[float, float | None]:
    """Let a copy of a battery deliver a power (W) for hours.

    Returns its state of charge (%) then, and after how many s it was at the reserve.
    """
    copy = deepcopy(pack)
    at = None
    for minute in range(round(60 * hours)):
        copy.demand_current = -power / sum(copy.cell_voltages)
        copy.advance(HOUR / 60)
        if at is None and 100 * copy.fraction <= RESERVE:
            at = HOUR / 60 * (minute + 1)
    return 100 * copy.fraction, at
