"""The yes and no of a bank, from what it knows of its members; no event loop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from .test_aggregate import member
from custom_components.voltgo_vlrv.bank.aggregate import read_bank
from custom_components.voltgo_vlrv.bank.binary_sensor import (
    BINARY_SENSORS,
    LOW_BATTERY_HYSTERESIS,
)
from custom_components.voltgo_vlrv.bank.member import Presence

SENSORS = {sensor.key: sensor for sensor in BINARY_SENSORS}


def bank(*presences: Presence, **reading: Any) -> Any:
    """Return a bank whose members have these presences."""
    names = dict(zip("BCA", presences, strict=False))
    return SimpleNamespace(
        presence=names,
        low_battery=20,
        member_name=lambda address: f"Battery {address}",
        member_names=lambda wanted: [key for key in names if names[key] is wanted],
        data=SimpleNamespace(
            **{"isolated": frozenset(), "is_complete": True, **reading}
        ),
        readings=[],
        charging=SimpleNamespace(value=True),
    )


@pytest.mark.parametrize(
    ("charge", "before", "is_low"),
    [
        (None, None, None),
        (None, True, None),
        (20.0, None, True),
        (20.0, False, True),
        (20.1, False, False),
        (20.1, None, False),
        (20.0 + LOW_BATTERY_HYSTERESIS - 0.1, True, True),
        (20.0 + LOW_BATTERY_HYSTERESIS, True, False),
    ],
)
def test_bank_is_low_from_the_threshold_until_the_hysteresis(
    charge: float | None, before: bool | None, is_low: bool | None
) -> None:
    """A relay may hang on it."""
    found = SENSORS["low_battery"].value_fn(bank(state_of_charge=charge), before)
    assert found is is_low


@pytest.mark.parametrize(
    ("presences", "is_missing"),
    [
        ([Presence.REPORTING, Presence.RELEASED], False),
        ([Presence.UPDATING, Presence.RESUMING], False),
        ([Presence.REPORTING, Presence.STARTING], None),
        ([Presence.STARTING, Presence.MISSING], True),
    ],
)
def test_battery_is_missing_unless_its_absence_is_explained(
    presences: list[Presence], is_missing: bool | None
) -> None:
    """While one is starting, that is not known yet."""
    sensor = SENSORS["battery_missing"]
    found = bank(*presences)
    assert sensor.value_fn(found, None) is is_missing
    assert sensor.names_fn is not None
    assert sensor.names_fn(found) == (["C"] if is_missing else [])


@pytest.mark.parametrize(
    ("isolated", "is_complete", "expected"),
    [
        ((), True, False),
        ((), False, None),
        (("B", "A"), True, True),
        (("B", "A"), False, True),
    ],
)
def test_isolated_battery_is_named_also_while_one_does_not_report(
    isolated: tuple[str, ...], is_complete: bool, expected: bool | None
) -> None:
    """It is as dangerous then."""
    sensor = SENSORS["battery_isolated"]
    found = bank(isolated=frozenset(isolated), is_complete=is_complete)
    assert sensor.value_fn(found, None) is expected
    assert sensor.names_fn is not None
    assert sensor.names_fn(found) == [f"Battery {key}" for key in sorted(isolated)]


def test_protection_names_the_batteries_that_have_one() -> None:
    """Sorted, as the others are."""
    sensor = SENSORS["any_protection"]
    found = bank(protected=True)
    found.readings = [
        member("B", protected=True),
        member("C"),
        member("A", protected=True),
    ]
    assert sensor.value_fn(found, None) is True
    assert sensor.names_fn is not None
    assert sensor.names_fn(found) == ["Battery A", "Battery B"]


@pytest.mark.parametrize(
    ("key", "field"),
    [
        ("too_cold_to_charge", "too_cold"),
        ("charging_allowed", "may_charge"),
        ("discharging_allowed", "may_discharge"),
    ],
)
@pytest.mark.parametrize("value", [True, False, None])
def test_bank_answers_what_its_reading_says(
    key: str, field: str, value: bool | None
) -> None:
    """And whether it is charging what its own hysteresis says."""
    found = bank(**{field: value})
    assert SENSORS[key].value_fn(found, None) is value
    assert SENSORS["charging"].value_fn(found, None) is True


@pytest.mark.parametrize(
    ("current", "load", "is_isolated"),
    [(0.4, 4.0, True), (0.5, 4.0, False), (-0.5, 4.0, False), (0.0, 3.9, False)],
)
def test_member_is_isolated_only_from_others_that_clearly_carry_current(
    current: float, load: float, *, is_isolated: bool
) -> None:
    """Half an ampere of its own is one, and 2 A for each other one are a load."""
    readings = [
        member("A", protected=True, current=current),
        member("B", current=load),
        member("C", current=0.0),
    ]
    assert (read_bank(readings, 3).isolated == {"A"}) is is_isolated
