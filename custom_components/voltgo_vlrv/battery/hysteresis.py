"""States that a relay may follow: they change once, not with each step of a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..vlrv.registers import BatteryStatus
from .info import BatteryInfo

CHARGING_HOLD: Final = 60.0
"""s for which a small current has to keep its new direction."""
CLEAR_CURRENT: Final = 2.0
"""A; from here on the direction of a current is beyond its resolution of about 1 A."""
CLEAR_STEP: Final = 3.0
"""A between two samples; more than a current varies by its resolution, like 1 to -1."""
WARM_HOLD: Final = 300.0
"""s for which it has to be warm enough before charging counts as possible again."""
CLEAR_MARGIN: Final = 2.0
"""°C above the threshold; a probe near it alternates between two steps of 1 °C."""


@dataclass(slots=True)
class Hysteresis:
    """A state that changes at once if the reading is clear, else after a hold time."""

    hold_on: float
    """s for which a reading has to be true before the state is."""
    hold_off: float
    value: bool | None = None
    """The state; None while the reading is unknown."""
    _differs_since: float | None = None

    def update(self, now: float, value: bool | None, *, clear: bool = False) -> None:
        """Use a reading at `now` (monotonic, s); `clear` applies it at once."""
        if value is None or self.value is None or value is self.value:
            self.value, self._differs_since = value, None
            return
        if self._differs_since is None:
            self._differs_since = now
        hold = self.hold_on if value else self.hold_off
        if clear or now - self._differs_since >= hold:
            self.value, self._differs_since = value, None


@dataclass(slots=True)
class ChargingState:
    """Whether current flows into a battery or a bank."""

    _state: Hysteresis = field(
        default_factory=lambda: Hysteresis(CHARGING_HOLD, CHARGING_HOLD)
    )
    _current: float = 0.0

    @property
    def value(self) -> bool | None:
        """Return the state; None while the current is unknown."""
        return self._state.value

    def update(self, now: float, current: float | None, members: int = 1) -> None:
        """Use a current in A, + charging, of `members` batteries, at `now` (s)."""
        if current is None:
            self._state.update(now, None)
            return
        clear = (
            abs(current) >= CLEAR_CURRENT * members
            or abs(current - self._current) >= CLEAR_STEP * members
        )
        self._current = current
        self._state.update(now, current > 0, clear=clear)


class ChargeStates:
    """*Charging* and *Too cold to charge* of one battery, with hysteresis."""

    def __init__(self) -> None:
        """Initialize without samples."""
        self._charging = ChargingState()
        # Too cold is dangerous, so it is true at once.
        self._too_cold = Hysteresis(hold_on=0.0, hold_off=WARM_HOLD)

    def add_sample(self, status: BatteryStatus, info: BatteryInfo, now: float) -> None:
        """Use a sample at `now` (monotonic, s)."""
        self._charging.update(now, status.current)
        margin = info.charge_temperature_margin(status)
        self._too_cold.update(
            now,
            info.too_cold_to_charge(status),
            clear=margin is not None and margin >= CLEAR_MARGIN,
        )

    def charging(self, status: BatteryStatus) -> bool:
        """Return whether the battery charges; of a restored sample what it says itself."""
        value = self._charging.value
        return status.charging if value is None else value

    def too_cold(self, status: BatteryStatus, info: BatteryInfo) -> bool | None:
        """Return whether it is too cold to charge; None without any probe."""
        value = self._too_cold.value
        return info.too_cold_to_charge(status) if value is None else value
