"""The demo's check of a bank sees what is wrong, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.bank import ParallelBank, pair
from simulator.e2e.expected_bank_values import (
    ENERGY,
    EXTENSIVE,
    IMBALANCE,
    Bank,
    compare_bank,
)

COUNTERS = {key: [f"sensor.one_{key}", f"sensor.two_{key}"] for key in ENERGY}


def seen(parallel: ParallelBank, *, without: int | None = None) -> Bank:
    """Return what is true of the two, or without one of them that is not heard."""
    return Bank(
        {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in parallel.expected_values().items()
        },
        {
            battery.address: battery.expected_values()
            for number, battery in enumerate(parallel.batteries)
            if number != without
        },
        {battery.address: battery.name for battery in parallel.batteries},
    )


def shown(bank: Bank) -> dict[str, dict[str, Any]]:
    """Return states that are right, by entity ID."""
    names = bank.attributes()
    states = {
        f"sensor.{key}": {
            "state": rightly(value),
            "attributes": {"batteries": names[key]} if key in names else {},
        }
        for key, value in bank.expected().items()
    }
    for key, counters in COUNTERS.items():
        states[f"sensor.{key}"] = {"state": "3.0", "attributes": {}}
        for counter in counters:
            states[counter] = {"state": "1.5", "attributes": {}}
    return states


def rightly(value: object) -> str:
    """Return what an entity shows of a value."""
    match value:
        case None:
            return "unknown"
        case bool():
            return "on" if value else "off"
        case _:
            return str(value)


def wrongly(value: object) -> str:
    """Return a state that is not right, and not far from it."""
    match value:
        case None:
            return "0"
        case bool():
            return "off" if value else "on"
        case int() | float():
            return str(value * 1.2 + 2 * IMBALANCE)
        case _:
            return f"{value}1"


def differences(
    bank: Bank, states: dict[str, dict[str, Any]], *, steady: bool = True
) -> set[str]:
    """Return the keys of the entities that are not right."""
    entities = {
        key: {"entity_id": f"sensor.{key}", "disabled_by": None}
        for key in (*bank.expected(), *ENERGY)
    }
    found = compare_bank(bank, entities, states, COUNTERS, steady=steady)
    assert found.compared == len(entities)
    return {item.entity_id.removeprefix("sensor.") for item in found.differences}


def banks() -> dict[str, Bank]:
    """Return a bank in each of the situations of the check."""
    parallel = pair(clock=lambda: 0.0)
    whole = seen(parallel)
    lost = seen(parallel, without=1)
    parallel.cut_off(parallel.batteries[0])
    return {"whole": whole, "lost": lost, "isolated": seen(parallel)}


@pytest.mark.parametrize("situation", ["whole", "lost", "isolated"])
def test_wrong_value_of_any_kind_is_found(situation: str) -> None:
    """Also the one that a sum has without the battery that is out of range."""
    bank = banks()[situation]
    states = shown(bank)
    assert differences(bank, states) == set()
    for key, value in (bank.expected() | dict.fromkeys(ENERGY, 3.0)).items():
        wrong = wrongly(value)
        altered = states | {
            f"sensor.{key}": {**states[f"sensor.{key}"], "state": wrong}
        }
        assert differences(bank, altered) == {key}, key
    for key in bank.attributes():
        altered = states | {
            f"sensor.{key}": {
                **states[f"sensor.{key}"],
                "attributes": {"batteries": ["another"]},
            }
        }
        assert differences(bank, altered) == {key}, key


@pytest.mark.parametrize(
    ("key", "step"),
    [
        ("bank_voltage", 0.01),
        ("current", 0.1),
        ("highest_cell_voltage", 0.001),
        ("bank_cell_voltage_delta", 1),
        # 0.1 A and 0.01 V at 26.38 V and 24.0 A.
        ("power", 3),
        ("discharge_power", 3),
        ("state_of_charge", 0),
        ("remaining_capacity", 0),
        ("lowest_temperature", 0),
    ],
)
def test_value_may_be_one_step_of_the_resolution_off_and_no_more(
    key: str, step: float
) -> None:
    """Such a value is shown after a minute only."""
    bank = banks()["whole"]
    states = shown(bank)
    state = states[f"sensor.{key}"]
    right = float(state["state"])
    for sign in (1, -1):
        for off, wrong in ((step, set()), (step + 0.1 * (step or 6), {key})):
            states[f"sensor.{key}"] = {**state, "state": str(right + sign * off)}
            assert differences(bank, states) == wrong, off


def test_value_that_takes_minutes_may_be_unknown_at_first_only() -> None:
    """And nothing else may be."""
    bank = banks()["whole"]
    states = {
        key: {**state, "state": "unknown"} if "sensor.one" not in key else state
        for key, state in shown(bank).items()
        if not key.startswith(("sensor.one_", "sensor.two_"))
    } | {
        counter: {"state": "1.5", "attributes": {}}
        for counters in COUNTERS.values()
        for counter in counters
    }
    everything = {*bank.expected(), *ENERGY} - {"time_to_full"}
    assert differences(bank, states) == everything
    assert differences(bank, states, steady=False) == everything - {
        "time_to_empty",
        "time_to_reserve",
        "current_imbalance",
    }


def test_values_left_out_in_each_situation_are_the_unknown_ones() -> None:
    """Of a battery that is lost no sum is known; an isolated one still has its charge."""
    found = banks()
    whole, lost, isolated = (
        found[situation].expected() for situation in ("whole", "lost", "isolated")
    )
    assert {key for key, value in lost.items() if value is None} == {
        *EXTENSIVE,
        "any_protection",
        "battery_isolated",
        "charging_allowed",
        "discharging_allowed",
        "state_of_charge_spread",
        "too_cold_to_charge",
    }
    assert isolated["remaining_capacity"] == whole["remaining_capacity"]
    assert isolated["time_to_empty"] < whole["time_to_empty"]
    assert isolated["current_imbalance"] is None
    assert isolated["state_of_charge"] == lost["state_of_charge"] - 3
    assert found["isolated"].attributes()["battery_isolated"] == ["ZT-25.6V100Ah-1301"]
    assert found["lost"].attributes()["battery_missing"] == ["ZT-25.6V100Ah-1302"]


def test_entity_too_many_and_one_too_few_are_found() -> None:
    """A value without an expected one counts as different."""
    bank = banks()["whole"]
    entities = {
        key: {"entity_id": f"sensor.{key}", "disabled_by": None}
        for key in (*bank.expected(), *ENERGY, "mood")
        if key != "power"
    }
    found = compare_bank(bank, entities, shown(bank), COUNTERS, steady=True)
    assert {item.entity_id for item in found.differences} == {"sensor.mood", "power"}
