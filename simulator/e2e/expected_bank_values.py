"""Compares what Home Assistant shows of a bank with the expected values."""

from __future__ import annotations

from collections.abc import Mapping
from math import fsum
from typing import Any, Final, NamedTuple

from .api import UNKNOWN, Json
from .expected_values import (
    LOW_BATTERY,
    NOMINAL_CELL_VOLTAGE,
    ROUNDING,
    STORED_ENERGY,
    TIMES,
    Comparison,
    Difference,
    expected,
    hours,
    is_near,
    one_step,
)

# Known only while every battery reports.
EXTENSIVE: Final = frozenset(
    {
        "charge_power",
        "charging",
        "current",
        "current_imbalance",
        "discharge_power",
        "full_capacity",
        "power",
        "remaining_capacity",
        "energy_capacity",
        "stored_energy",
        *TIMES,
    }
)
# The sum of the batteries' counters, not of what is true: `compare_bank` looks there.
ENERGY: Final = ("energy_charged", "energy_discharged")

# Half of the last digit, where the true value has more of them.
TOLERANCES: Final = {
    "state_of_charge": 0.05,
    "remaining_capacity": 0.05,
    "full_capacity": 0.05,
    "energy_capacity": 0.5,
}
IMBALANCE: Final = 4.0  # %; an average over minutes, in which it drifts
MIN_IMBALANCE_CURRENT: Final = 5.0  # A
ENERGY_STEP: Final = 0.01  # kWh; the batteries' counters are cut, not rounded


class Bank(NamedTuple):
    """Expected values of a bank, from the members that report."""

    expected_values: Mapping[str, Any]
    """See `simulator.bank.ParallelBank.expected_values`."""
    parts: Mapping[str, Mapping[str, Any]]
    """Expected values of each battery that reports, by address."""
    names: Mapping[str, str]
    """Of all batteries, by address."""

    @property
    def isolated(self) -> list[str]:
        """Return the addresses of the members that report and have cut themselves off."""
        return [
            address
            for address in self.expected_values["isolated"]
            if address in self.parts
        ]

    @property
    def missing(self) -> list[str]:
        """Return the addresses of the members that do not report."""
        return [address for address in self.names if address not in self.parts]

    def _named(self, addresses: list[str]) -> list[str]:
        return sorted(self.names[address] for address in addresses)

    def expected(self) -> dict[str, Any]:
        """Return what each entity should show, by its key."""
        parts = list(self.parts.values())
        probes = [
            value
            for part in parts
            for key, value in part.items()
            if key.startswith("probe_") and value is not None
        ]
        charges = [part["state_of_charge"] for part in parts]
        protected = [address for address in self.parts if self._is_protected(address)]
        charge, voltage = self._charge_and_voltage()
        return {
            "state_of_charge": charge,
            "bank_voltage": voltage,
            "low_battery": charge <= LOW_BATTERY,
            **self._cells(),
            "bank_cell_voltage_delta": max(
                part["cell_voltage_delta"] for part in parts
            ),
            "highest_temperature": max(
                *probes, *(part["max_cell_temperature"] for part in parts)
            ),
            "lowest_temperature": min(probes),
            "bank_state_of_health": min(part["state_of_health"] for part in parts),
            "state_of_charge_spread": (
                max(charges) - min(charges) if len(charges) > 1 else None
            ),
            "batteries_reporting": len(parts),
            "battery_missing": bool(self.missing),
            "battery_isolated": True if self.isolated else self._unless_missing(False),
            "any_protection": True if protected else self._unless_missing(False),
            "too_cold_to_charge": self._unless_missing(False),
            "charging_allowed": self._is_allowed("charging_allowed"),
            "discharging_allowed": self._is_allowed("discharging_allowed"),
            # No battery of the demo is in storage.
            "usage": "in_use",
            "storage_advice": "in_use",
            **self._sums(),
        }

    def attributes(self) -> dict[str, list[str]]:
        """Return the battery names that each entity should have as attribute, by key."""
        return {
            "battery_missing": self._named(self.missing),
            "battery_isolated": self._named(self.isolated),
            "any_protection": self._named(
                [address for address in self.parts if self._is_protected(address)]
            ),
        }

    def _is_protected(self, address: str) -> bool:
        part = self.parts[address]
        return bool(part["protections"]) or part["operating_state"] == "protection"

    def _is_allowed(self, key: str) -> bool | None:
        """Return whether each battery allows it."""
        codes = {"error_code": 0, "warning_code": 0}
        allowed = [expected({**codes, **part})[key] for part in self.parts.values()]
        if False in allowed:
            return False
        return None if None in allowed else self._unless_missing(True)

    def _unless_missing(self, value: Any) -> Any:
        return None if self.missing else value

    def _charge_and_voltage(self) -> tuple[float, float]:
        if not self.missing:
            return self.expected_values["state_of_charge"], self.expected_values[
                "voltage"
            ]
        (part,) = self.parts.values()
        return part["state_of_charge"], part["voltage"]

    def _cells(self) -> dict[str, Any]:
        cells = [
            (part[f"cell_{number}"], address, number)
            for address, part in self.parts.items()
            for number in range(1, _cell_count(part) + 1)
        ]
        shown: dict[str, Any] = {}
        for key, (voltage, address, number) in (
            ("highest_cell", min(cells, key=lambda cell: (-cell[0], *cell[1:]))),
            ("lowest_cell", min(cells)),
        ):
            shown[f"{key}_voltage"] = voltage
            shown[key] = f"{self.names[address]}, cell {number}"
        return shown

    def _sums(self) -> dict[str, Any]:
        if self.missing:
            return dict.fromkeys(EXTENSIVE)
        parts = self.parts.values()
        power = self.expected_values["power"]
        joined = {
            key: fsum(
                part[key]
                for address, part in self.parts.items()
                if address not in self.isolated
            )
            for key in ("remaining_capacity", "full_capacity")
        }
        joined["current"] = self.expected_values["current"]
        return {
            "current": self.expected_values["current"],
            "charging": self.expected_values["charging"],
            "power": power,
            "charge_power": max(power, 0),
            "discharge_power": max(-power, 0),
            "remaining_capacity": fsum(part["remaining_capacity"] for part in parts),
            "full_capacity": fsum(part["full_capacity"] for part in parts),
            "stored_energy": fsum(
                part["remaining_capacity"] * _cell_count(part) * NOMINAL_CELL_VOLTAGE
                for part in parts
            ),
            "energy_capacity": fsum(
                part["full_capacity"] * _cell_count(part) * NOMINAL_CELL_VOLTAGE
                for part in parts
            ),
            "current_imbalance": self._imbalance(),
            **{key: hours(joined, sign) for key, sign in TIMES.items()},
        }

    def _imbalance(self) -> float | None:
        """Return the largest deviation from a fair share of the current, in %."""
        currents: Mapping[str, float] = self.expected_values["currents"]
        total, whole = fsum(currents.values()), self.expected_values["full_capacity"]
        if len(currents) < 2 or abs(total) < MIN_IMBALANCE_CURRENT:
            return None
        shares = {
            key: total * self.parts[key]["full_capacity"] / whole for key in currents
        }
        off: float = max(abs(currents[key] / shares[key] - 1) for key in currents)
        return 100 * off


def _cell_count(part: Mapping[str, Any]) -> int:
    return sum(key.startswith("cell_") and key[5:].isdigit() for key in part)


def compare_bank(
    bank: Bank,
    entities: Mapping[str, Json],
    states: Mapping[str, Json],
    counters: Mapping[str, list[str]],
    *,
    steady: bool,
) -> Comparison:
    """Compare every entity that there is, and miss every one that should be.

    `entities` are those of the bank in the registry by key, `states` all states by
    entity ID, `counters` the entity IDs of the batteries' energies by key. Unless
    `steady`, what takes minutes to be known may be unknown.
    """
    wanted = bank.expected()
    wanted |= {
        key: fsum(float(states[counter]["state"]) for counter in counters[key])
        for key in ENERGY
    }
    names = bank.attributes()
    differences = [
        Difference(key, "nothing: there is no such entity", wanted[key])
        for key in wanted.keys() - entities.keys()
    ]
    compared = 0
    for key, entity in entities.items():
        entity_id = entity["entity_id"]
        if key not in wanted:
            differences.append(Difference(entity_id, "a value", "not expected"))
            continue
        if entity["disabled_by"] is not None:
            continue
        compared += 1
        state = states.get(entity_id)
        shown = "nothing" if state is None else state["state"]
        if not _is_shown(shown, wanted[key], key, bank, steady=steady):
            differences.append(Difference(entity_id, shown, wanted[key]))
        elif state is not None and key in names:
            named = state["attributes"]["batteries"]
            if named != names[key]:
                differences.append(Difference(entity_id, f"{named}", names[key]))
    return Comparison(compared, differences)


def _is_shown(shown: str, true: object, key: str, bank: Bank, *, steady: bool) -> bool:
    """Return whether a state of a bank is the expected one, at most one step off."""
    if true is None:
        return shown == UNKNOWN
    if isinstance(true, bool):
        return shown == ("on" if true else "off")
    if isinstance(true, str):
        return shown == true
    assert isinstance(true, int | float)
    if shown == UNKNOWN and not steady and key in {*TIMES, "current_imbalance"}:
        return True
    if key in TIMES:
        return is_near(shown, true)
    count = len(bank.parts)
    tolerance = ROUNDING + one_step(key, bank.expected_values)
    tolerance += (
        IMBALANCE
        if key == "current_imbalance"
        else STORED_ENERGY * count
        if key == "stored_energy"
        else ENERGY_STEP * count
        if key in ENERGY
        else TOLERANCES.get(key, 0.0)
    )
    try:
        return abs(float(shown) - true) <= tolerance
    except ValueError:
        return False
