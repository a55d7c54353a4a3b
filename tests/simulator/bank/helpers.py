"""Steps that tests of simulated banks share."""

from collections.abc import Callable
from typing import Any

from hypothesis import settings

from simulator.bank import ParallelBank
from simulator.battery import SimulatedBattery, read_request
from tests.simulator.battery.helpers import Clock

STATUS = read_request(0, 41)
HOUR = 3600.0
thorough = settings(max_examples=200, deadline=None, derandomize=True)
TINY = 1e-9  # V or A


def build(
    *options: dict[str, Any], clock: Callable[[], float] | None = None, **bank: Any
) -> ParallelBank:
    """Return a bank of batteries with these options, each at its own address."""
    clock = clock or Clock()
    return ParallelBank(
        [
            SimulatedBattery(
                **{"address": f"A4:C1:37:00:01:{number:02}", "seed": number} | one,
                clock=clock,
            )
            for number, one in enumerate(options)
        ],
        clock=clock,
        **bank,
    )


def currents(bank: ParallelBank) -> list[float]:
    """Return what flows into each battery, A."""
    return [battery.current for battery in bank.batteries]


def bus_voltages(bank: ParallelBank) -> list[float]:
    """Return the voltage at the poles of each battery, V."""
    return [sum(battery.cell_voltages) for battery in bank.batteries]


def block(battery: SimulatedBattery, *directions: str) -> None:
    """Make its protection hold back a direction, by a limit that is passed now."""
    for direction in directions:
        battery.thresholds[f"{direction}_ot_protection"] = -50.0
        battery.thresholds[f"{direction}_ot_recovery"] = -60.0


def unblock(battery: SimulatedBattery, *directions: str) -> None:
    """Put the limits of `block` where they were."""
    for direction in directions:
        battery.thresholds[f"{direction}_ot_protection"] = 75.0
        battery.thresholds[f"{direction}_ot_recovery"] = 65.0
