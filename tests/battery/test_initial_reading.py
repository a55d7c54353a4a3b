"""The first reading of a battery, from the config flow to its entry; no event loop."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from custom_components.voltgo_vlrv.battery.initial_reading import (
    InitialReading,
    store_initial_reading,
    take_initial_reading,
)
from custom_components.voltgo_vlrv.const import MAX_AGE
from custom_components.voltgo_vlrv.vlrv.identity import Identity
from tests.vlrv.samples import status

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
AGE = MAX_AGE.total_seconds()
PROBE: Any = SimpleNamespace(status=status(), identity=Identity("TC-8S100", "", ""))


class Home:
    """As much of Home Assistant as holds a reading."""

    def __init__(self) -> None:
        """Begin with none."""
        self.data: dict[Any, Any] = {}
        self.now = 1000.0
        self.loop = SimpleNamespace(time=lambda: self.now)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a Home Assistant at NOW."""
    monkeypatch.setattr("homeassistant.util.dt.utcnow", lambda: NOW)
    return Home()


def test_initial_reading_is_taken_once_by_its_address(home: Any) -> None:
    """With the time at which it was read."""
    assert take_initial_reading(home, "A") is None
    store_initial_reading(home, "A", PROBE)
    assert take_initial_reading(home, "B") is None
    found = take_initial_reading(home, "A")
    assert found == InitialReading(PROBE.status, PROBE.identity, NOW, 1000.0)
    assert take_initial_reading(home, "A") is None


@pytest.mark.parametrize(("age", "is_fresh"), [(AGE, True), (AGE + 0.1, False)])
def test_initial_reading_is_used_while_it_would_be_shown(
    home: Any, age: float, *, is_fresh: bool
) -> None:
    """The user may leave the dialog open."""
    store_initial_reading(home, "A", PROBE)
    home.now += age
    assert (take_initial_reading(home, "A") is not None) is is_fresh


def test_initial_readings_that_nothing_takes_are_deleted(home: Any) -> None:
    """With the next one, as of another battery; a fresh one stays."""
    for address in ("A", "B"):
        store_initial_reading(home, address, PROBE)
        home.now += AGE
    store_initial_reading(home, "C", PROBE)
    (readings,) = home.data.values()
    assert readings.keys() == {"B", "C"}
