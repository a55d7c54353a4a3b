"""The end of the month: one battery is stored, and advised on."""

from __future__ import annotations

import asyncio
from typing import Final

from .comparison import Comparison
from .environment import MonthEnvironment
from .month import HOUR

READS: Final = 2.2 * HOUR  # s; two readings of a stored battery
MILD, WARM, COLD = 21.0, 42.0, 2.0  # °C
# Charge in %, temperature in °C, and what the manual says of it (5.1.3, 5.2.1).
STATES: Final = (
    (80.0, MILD, "discharge"),
    (60.0, MILD, "fine"),
    (60.0, WARM, "too_warm"),
    (60.0, COLD, "too_cold"),
    (35.0, MILD, "charge"),
)


async def compare_storage(
    environment: MonthEnvironment, comparison: Comparison
) -> None:
    """Store the healthy battery in several ways, and compare the advice."""
    comparison.about("storage advice")
    used, stored = environment.entries
    pack = environment.packs[1]
    await environment.act(
        "select",
        "select_option",
        environment.entity_id(stored, "usage"),
        option="stored",
    )
    pack.update()
    pack.demand_current = 0.0
    reads, began = pack.truth.reads, environment.unix_time
    for charge, temperature, advice in STATES:
        pack.update()
        pack.ambient = temperature
        pack.cell_temperatures = [temperature] * pack.probe_count
        pack.charge = charge / 100 * pack.capacity * HOUR
        pack.cell_charge = [charge / 100 * own for own in pack.cell_capacity]
        await asyncio.sleep(READS)
        comparison.equal(
            f"{charge:.0f} % at {temperature:.0f} °C",
            environment.state(stored, "storage_advice"),
            advice,
        )
    comparison.equal(
        "battery in use", environment.state(used, "storage_advice"), "in_use"
    )
    hours = (environment.unix_time - began) / HOUR
    comparison.near("readings", pack.truth.reads - reads, hours, 2)
