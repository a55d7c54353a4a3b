"""Presets are what their names say."""

import pytest

from .helpers import Clock, pick
from simulator.battery import PRESETS, SimulatedBattery, preset


@pytest.mark.parametrize(
    ("name", "state", "protections", "charge"),
    [
        ("idle", "standby", (), (80, 90)),
        ("solar_charging", "charging", (), (60, 80)),
        ("driving_load", "discharging", (), (60, 80)),
        ("winter", "protection", ("charge_ut",), (40, 60)),
        ("full", "charge_limit", (), (100, 100)),
        ("empty", "protection", ("pack_uv",), (0, 0)),
        ("failing_cell", "discharging", (), (30, 50)),
    ],
)
def test_presets_show_the_case_of_their_name(
    name: str, state: str, protections: tuple[str, ...], charge: tuple[int, int]
) -> None:
    """Each shows its case by physics, with plausible values and fresh meters."""
    battery = preset(name, clock=Clock())
    expected_values = battery.expected_values()

    assert expected_values["operating_state"] == state
    assert expected_values["protections"] == protections
    assert charge[0] <= pick(battery, "state_of_charge")[0] <= charge[1]
    assert 2.3 < pick(battery, "lowest_cell_voltage")[0] < 3.6
    assert (
        expected_values["charge_energy_kwh"]
        == expected_values["discharge_energy_kwh"]
        == 0
    )
    assert battery.registers(36, 1) == [battery.cell_count]
    nominal = f"{3.2 * battery.cell_count:.1f}V{battery.capacity:.0f}Ah"
    assert battery.name.startswith(f"ZT-{nominal}-")


def test_presets_differ_in_name_and_address() -> None:
    """All of them can be on the air together."""
    batteries = [preset(name, clock=Clock()) for name in PRESETS]

    assert len({battery.name for battery in batteries}) == len(PRESETS)
    assert len({battery.address for battery in batteries}) == len(PRESETS)


def test_winter_is_minus_eight_and_charger_waits() -> None:
    """Charging is wanted and blocked."""
    battery = preset("winter", clock=Clock())

    assert pick(battery, "probe_1", "probe_2", "ambient_temperature") == [-8] * 3
    assert battery.demand_current > 0
    assert battery.expected_values()["current"] == 0.0


def test_failing_cell_stands_out() -> None:
    """One of 16 cells sags under load."""
    battery = preset("failing_cell", clock=Clock())

    assert pick(battery, "lowest_cell")[0] == 11
    assert pick(battery, "cell_voltage_delta")[0] > 100


def test_preset_can_be_changed() -> None:
    """Options given win over those of the preset."""
    battery = preset("idle", name="Bow", seed=3, state_of_charge=50.0, clock=Clock())

    assert battery.name == "Bow"
    assert battery.expected_values()["state_of_charge"] == 50


def test_seed_decides_cells() -> None:
    """The same seed gives the same battery."""
    one, same, other = (SimulatedBattery(seed=n, clock=Clock()) for n in (1, 1, 2))

    assert one.expected_values() == same.expected_values()
    assert one.cell_voltages != other.cell_voltages


def test_packs_that_do_not_exist_are_refused() -> None:
    """VLRV packs have 4, 8 or 16 cells in series."""
    with pytest.raises(ValueError):
        SimulatedBattery(cell_count=7)
