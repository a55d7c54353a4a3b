"""Each row of manual table 6-1 can be caused, and ends with what caused it."""

from __future__ import annotations

import pytest

from .helpers import Clock
from simulator.battery import SimulatedBattery
from simulator.battery.causes import CAUSES, cause_fault, recover

# What has the same cause, or a weaker one.
WITH = {
    "charge_ot": {"discharge_ot"},
    "discharge_ot": {"charge_ot"},
    "discharge_ut": {"charge_ut"},
}
FULL = {"full_charge": (100, "charge_limit"), "full_discharge": (0, "standby")}


@pytest.mark.parametrize("cells", [4, 8, 16])
@pytest.mark.parametrize("name", CAUSES)
def test_cause_leads_to_its_row_and_to_no_other(name: str, cells: int) -> None:
    """The protections follow from measurements, and stay for at least half a minute."""
    battery = SimulatedBattery(cell_count=cells, clock=Clock())
    cause_fault(battery, "charge_ut")

    cause_fault(battery, name)

    for seconds in (0, 30):
        battery.advance(seconds)
        values = battery.expected_values()
        if name in FULL:
            assert (values["state_of_charge"], values["operating_state"]) == FULL[name]
            assert values["protections"] == ()
        else:
            assert set(values["protections"]) == {name} | WITH.get(name, set())


def test_recovered_battery_reports_nothing() -> None:
    """It is 60 % full and idle."""
    battery = SimulatedBattery(clock=Clock())
    cause_fault(battery, "cell_uv")

    recover(battery)
    battery.advance(60)

    values = battery.expected_values()
    assert (values["protections"], values["warnings"]) == ((), ())
    assert (values["state_of_charge"], values["operating_state"]) == (60, "standby")
