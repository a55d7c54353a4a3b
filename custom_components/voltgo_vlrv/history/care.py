"""What a battery is worth over years, stored over restarts."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from homeassistant.core import HomeAssistant, callback
from homeassistant.util import dt as dt_util

from ..vlrv.registers import BatteryStatus
from .capacity import CapacityMeasurement, CapacityReading
from .capacity_cycles import CapacityTest
from .charge_trust import ChargeTrust
from .full_charges import FullCharge, FullCharges
from .lifetime import TOTALS, Extreme, Lifetime, Trips, as_total, past_time
from .store import EntryStore
from .totals import SAVE_DELAY, TotalLimit

RARE_SAVE_DELAY: Final = 15 * 60.0
"""s from a change that no total depends on to its saving."""


class BatteryCare:
    """Lifetime figures, cell differences and measured capacity of one battery."""

    def __init__(self, hass: HomeAssistant, store: EntryStore) -> None:
        """Start empty; `load` restores what was stored."""
        self._hass = hass
        self._lifetime_section = store.section(
            "lifetime", self._lifetime_as_stored, SAVE_DELAY
        )
        self._charges_section = store.section(
            "full_charges", self._charges_as_stored, RARE_SAVE_DELAY
        )
        self._capacity_section = store.section(
            "capacity", self._capacity_as_stored, RARE_SAVE_DELAY
        )
        self._test_section = store.section(
            "capacity_test",
            lambda: self.capacity_test.as_stored(),  # noqa: PLW0108, it is replaced
            RARE_SAVE_DELAY,
        )
        self._trust_section = store.section(
            "charge_trust", self._trust_as_stored, RARE_SAVE_DELAY
        )
        self.lifetime = Lifetime()
        self.full_charges = FullCharges()
        self.capacity = CapacityMeasurement()
        self.capacity_test = CapacityTest()
        self.trust = ChargeTrust()
        # What may have been shown before a power cut.
        self._floor = dict.fromkeys(TOTALS, 0.0)
        self._limits = {key: TotalLimit() for key in TOTALS}

    # --- for entities ---------------------------------------------------------------

    def total(self, key: str) -> float:
        """Return a total of TOTALS since counting began; it never falls."""
        return max(self.lifetime.totals[key], self._floor[key])

    def extreme(self, key: str) -> Extreme | None:
        """Return the highest or lowest value that was read, None without any."""
        extreme = self.lifetime.extremes.get(key)
        if extreme is None or extreme.at is None or extreme.at <= dt_util.utcnow():
            return extreme
        # The clock was fast.
        return Extreme(extreme.value, None)

    @property
    def since(self) -> datetime | None:
        """Return when counting began, None if that is not known."""
        return past_time(self.lifetime.since, dt_util.utcnow())

    @property
    def trips(self) -> Trips:
        """Return how often a protection has tripped, and when last."""
        trips = self.lifetime.any_trip
        return Trips(trips.count, past_time(trips.last, dt_util.utcnow()))

    @property
    def last_full_charge(self) -> FullCharge | None:
        """Return the latest full charge whose cells were read, None without any."""
        last = self.full_charges.last
        if last is None:
            return None
        return last._replace(at=past_time(last.at, dt_util.utcnow()))

    @property
    def last_capacity(self) -> CapacityReading | None:
        """Return the latest measured capacity, None if none was possible."""
        last = self.capacity.last
        if last is None:
            return None
        return last._replace(at=past_time(last.at, dt_util.utcnow()))

    # --- changes by the user --------------------------------------------------------

    @callback
    def start_capacity_test(self) -> None:
        """Start a capacity test with the next full charge."""
        # What was measured until now is not part of it, and would count as its first cycle.
        self._end_measurement()
        self.capacity_test.start()
        self._test_section.save_later(at_once=True)

    @callback
    def stop_capacity_test(self) -> None:
        """Stop the capacity test."""
        self.capacity_test.stop()
        self._test_section.save_later(at_once=True)

    # --- counting -------------------------------------------------------------------

    @callback
    def add(
        self, status: BatteryStatus, when: datetime, time: float, longest: float
    ) -> None:
        """Add a valid sample of `when` (UTC) and `time` (monotonic, s).

        Nothing is counted since the previous sample if more than `longest` s passed.
        """
        before = (dict(self.lifetime.totals), dict(self.lifetime.extremes))
        has_tripped = self.lifetime.add(status, when, time, longest)
        if has_tripped or before != (self.lifetime.totals, self.lifetime.extremes):
            # A trip is rare, and power is often cut right after it.
            self._lifetime_section.save_later(
                at_once=has_tripped or self._is_beyond_limits()
            )
        if self.full_charges.add(status, when, time, longest):
            self._charges_section.save_later()
        if self.capacity.add(status, when, time):
            self._handle_capacity()
        if self.trust.add(status, time, longest):
            self._trust_section.save_later()

    @callback
    def interrupt(self) -> None:
        """Count nothing until the next sample, because what flows is unknown."""
        self.lifetime.interrupt()
        self._end_measurement()

    def _end_measurement(self) -> None:
        if self.capacity.interrupt():
            self._handle_capacity()

    def _handle_capacity(self) -> None:
        """Save a measured capacity, which may be a cycle of a test."""
        self._capacity_section.save_later()
        if (last := self.capacity.last) is not None and self.capacity_test.is_running:
            self.capacity_test.add(last.capacity)
            self._test_section.save_later()

    def _is_beyond_limits(self) -> bool:
        return any(
            limit.is_beyond(self.total(key)) for key, limit in self._limits.items()
        )

    # --- storing --------------------------------------------------------------------

    @callback
    def load(self) -> None:
        """Restore what was stored; invalid data is ignored, and counting starts again."""
        if (stored := self._lifetime_section.loaded(_lifetime_from_stored)) is not None:
            self.lifetime, self._floor = stored
        charges = self._charges_section.loaded(FullCharges.from_stored)
        self.full_charges = charges or self.full_charges
        capacity = self._capacity_section.loaded(CapacityMeasurement.from_stored)
        self.capacity = capacity or self.capacity
        test = self._test_section.loaded(CapacityTest.from_stored)
        self.capacity_test = test or self.capacity_test
        self.trust = self._trust_section.loaded(ChargeTrust.from_stored) or self.trust

    @callback
    def close(self) -> None:
        """Let the next save store exactly what is shown."""
        self._end_measurement()
        self._limits = {}

    def as_stored(self) -> dict[str, Any]:
        """Return all of it as JSON data, for the diagnostics."""
        return {
            "lifetime": {
                **self.lifetime.as_stored(),
                "totals": {key: self.total(key) for key in TOTALS},
            },
            "full_charges": self.full_charges.as_stored(),
            "capacity": self.capacity.as_stored(),
            "capacity_test": self.capacity_test.as_stored(),
            "charge_trust": self.trust.as_stored(),
        }

    @callback
    def _charges_as_stored(self) -> dict[str, Any]:
        return self.full_charges.as_stored()

    @callback
    def _capacity_as_stored(self) -> dict[str, Any]:
        return self.capacity.as_stored()

    @callback
    def _trust_as_stored(self) -> dict[str, Any]:
        return self.trust.as_stored()

    @callback
    def _lifetime_as_stored(self) -> dict[str, Any]:
        time = self._hass.loop.time()
        for key, limit in self._limits.items():
            limit.update(self.total(key), time)
        return {
            **self.lifetime.as_stored(),
            "limits": {key: limit.value for key, limit in self._limits.items()},
        }


def _lifetime_from_stored(stored: Any) -> tuple[Lifetime, dict[str, float]]:
    """Return the figures and the limits of totals; raises INVALID_DATA_ERRORS."""
    limits = {key: as_total(stored["limits"].get(key, 0.0)) for key in TOTALS}
    return Lifetime.from_stored(stored), limits
