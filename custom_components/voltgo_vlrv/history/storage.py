"""What a battery in storage needs, by the manual (5.1.3, 5.2.1, 6.6); pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from ..vlrv.registers import BatteryStatus

LEAST_CHARGE: Final = 50
MOST_CHARGE: Final = 70
"""% for a storage of more than three months (5.1.3)."""
LEAST_TEMPERATURE: Final = 10
MOST_TEMPERATURE: Final = 35
"""°C: the least of any storage (5.2.1), the most of a long one (5.1.3)."""
CHARGE_HYSTERESIS: Final = 2  # %
TEMPERATURE_HYSTERESIS: Final = 2  # °C


class StorageAdvice(StrEnum):
    """What to do for a battery in storage, the most urgent first."""

    RECHARGE_DUE = "recharge_due"
    TOO_WARM = "too_warm"
    CHARGE = "charge"
    DISCHARGE = "discharge"
    TOO_COLD = "too_cold"
    FINE = "fine"
    IN_USE = "in_use"
    """It is not in storage."""


def storage_advice(
    status: BatteryStatus, before: str | None, *, recharge_is_due: bool
) -> StorageAdvice:
    """Return what a stored battery needs, from its last sample.

    `before` is the advice until now: it changes only when a value has left its range by
    the hysteresis, or is back inside of it.
    """

    def slack(hysteresis: int, advice: StorageAdvice) -> int:
        """Return by how much a value may be outside of its range."""
        return 0 if before == advice else hysteresis

    coldest = min(status.temperatures, default=None)
    hottest = max(status.temperatures, default=None)
    charge = status.state_of_charge
    if recharge_is_due:
        return StorageAdvice.RECHARGE_DUE
    warm = slack(TEMPERATURE_HYSTERESIS, StorageAdvice.TOO_WARM)
    if hottest is not None and hottest > MOST_TEMPERATURE + warm:
        return StorageAdvice.TOO_WARM
    if charge < LEAST_CHARGE - slack(CHARGE_HYSTERESIS, StorageAdvice.CHARGE):
        return StorageAdvice.CHARGE
    if charge > MOST_CHARGE + slack(CHARGE_HYSTERESIS, StorageAdvice.DISCHARGE):
        return StorageAdvice.DISCHARGE
    cold = slack(TEMPERATURE_HYSTERESIS, StorageAdvice.TOO_COLD)
    if coldest is not None and coldest < LEAST_TEMPERATURE - cold:
        return StorageAdvice.TOO_COLD
    return StorageAdvice.FINE
