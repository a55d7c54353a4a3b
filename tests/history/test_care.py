"""What a battery is worth over years, in Home Assistant."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.util import dt as dt_util

from custom_components.voltgo_vlrv.care_sensor import CARE_SENSORS
from custom_components.voltgo_vlrv.diagnostics import async_get_config_entry_diagnostics
from custom_components.voltgo_vlrv.history.care import BatteryCare
from custom_components.voltgo_vlrv.history.charge_trust import REST_TIME
from custom_components.voltgo_vlrv.history.lifetime import (
    DISCHARGED,
    LOWEST_CELL_VOLTAGE,
    TOTALS,
    Extreme,
    Trips,
)
from custom_components.voltgo_vlrv.history.store import EntryStore
from custom_components.voltgo_vlrv.history.totals import SAVE_DELAY
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, enable_all, value, wait_until
from tests.harness import async_setup_battery
from tests.vlrv.samples import status

ENTRY = "01TEST"
NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)
GAP = 300.0

pytestmark = pytest.mark.usefixtures("fast_clock")


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Replace no storage: how a file is read and written is what counts here."""
    return {}


def stored_file(hass: HomeAssistant) -> Path:
    """Return where the entry is stored."""
    return Path(hass.config.path(".storage", f"voltgo_vlrv.{ENTRY}"))


async def loaded(hass: HomeAssistant) -> tuple[EntryStore, BatteryCare]:
    """Return the care of a battery as it is stored."""
    store = EntryStore(hass, ENTRY)
    care = BatteryCare(hass, store)
    await store.async_load()
    care.load()
    return store, care


def read(hass: HomeAssistant, care: BatteryCare, **changes: Any) -> None:
    """Read the battery now."""
    time = hass.loop.time()
    care.add(status(**changes), NOW + timedelta(seconds=time), time, GAP)


async def test_care_totals_after_a_power_cut_do_not_fall(hass: HomeAssistant) -> None:
    """Statistics would take a fall for a reset of the meter."""
    store, care = await loaded(hass)
    for _ in range(40):
        read(hass, care, current=-80.0)
        await asyncio.sleep(60)
    before = {key: care.total(key) for key in TOTALS}
    assert before[DISCHARGED] == pytest.approx(80 * 39 / 60, rel=0.01)
    # Without a stop: the file is as the power cut left it.
    _, after = await loaded(hass)
    for key in TOTALS:
        assert before[key] <= after.total(key) <= before[key] * 1.15
    await store.async_remove()


@pytest.mark.parametrize("years", [5, -5])
async def test_care_while_the_clock_jumps_counts_the_same(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch, years: int
) -> None:
    """Time is measured, not read off a clock; what a wrong clock dated has no date."""
    monkeypatch.setattr(dt_util, "utcnow", lambda: NOW)
    store, care = await loaded(hass)
    for minute in range(60):
        time = hass.loop.time()
        when = NOW + timedelta(days=365 * years) if 20 <= minute < 40 else NOW
        changes = {"cell_voltages": (2.9,) * 4} if minute == 30 else {}
        protection = {"protection": 0x0008} if minute == 30 else {}
        sample = status(current=-60.0, **changes, **protection)
        care.add(sample, when, time, GAP)
        await asyncio.sleep(60)
    assert care.total(DISCHARGED) == pytest.approx(59.0)
    assert care.trips == Trips(1, None)
    lowest = care.extreme(LOWEST_CELL_VOLTAGE)
    assert lowest == Extreme(2900, None)
    assert care.since == NOW
    await store.async_remove()


async def test_care_of_a_restored_backup_goes_on_from_there(
    hass: HomeAssistant,
) -> None:
    """What came after it is not known, and nothing of it is counted twice."""
    store, care = await loaded(hass)
    read(hass, care, current=-60.0)
    await asyncio.sleep(60)
    read(hass, care, current=-60.0, protection=0x0008, operating_state=4)
    await store.async_save(force=True)
    path = stored_file(hass)
    backup = await hass.async_add_executor_job(path.read_text)
    for _ in range(30):
        await asyncio.sleep(60)
        read(hass, care, current=-60.0, cell_voltages=(2.9,) * 4)
    later = care.total(DISCHARGED)
    care.close()
    await store.async_close(force=True)
    await hass.async_add_executor_job(path.write_text, backup)
    store, restored = await loaded(hass)
    began = restored.total(DISCHARGED)
    assert 1.0 <= began < later
    assert restored.trips.count == 1
    lowest = restored.extreme(LOWEST_CELL_VOLTAGE)
    assert lowest is not None
    assert lowest.value > 2900
    # The protection of the backup is still active, and no new one.
    read(hass, restored, current=-60.0, protection=0x0008, operating_state=4)
    assert restored.total(DISCHARGED) == began
    assert restored.trips.count == 1
    await store.async_remove()


async def test_care_without_a_file_says_what_is_not_known(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Totals begin at zero, dates with now, and the rest is unknown."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await enable_all(hass, pack.address)
    await wait_until(lambda: value(hass, pack.address, "protection_trips") == "0", 60)
    await hass.config_entries.async_unload(entry.entry_id)
    path = Path(hass.config.path(".storage", f"voltgo_vlrv.{entry.entry_id}"))
    await hass.async_add_executor_job(path.unlink)
    before = dt_util.utcnow()
    await hass.config_entries.async_setup(entry.entry_id)
    care = entry.runtime_data.history.care
    await wait_until(lambda: care.since is not None, 60)
    shown = {
        sensor.key: value(hass, pack.address, sensor.key) for sensor in CARE_SENSORS
    }
    for key in (
        "measured_capacity",
        "measured_health",
        "full_charge_cell_voltage_delta",
    ):
        assert shown[key] == "unknown"
    assert float(shown["charge_discharged"] or "nan") == 0
    assert care.since is not None
    assert care.since >= before


async def test_trip_is_saved_at_once(hass: HomeAssistant) -> None:
    """A battery that protects itself often takes the power away."""
    store, care = await loaded(hass)
    read(hass, care)
    await asyncio.sleep(SAVE_DELAY + 1)
    read(hass, care, protection=0x0008, operating_state=4)
    await asyncio.sleep(1)
    _, after = await loaded(hass)
    assert after.trips.count == 1
    assert after.lifetime.trips["cell_uvp"].count == 1
    await store.async_remove()


async def test_care_with_a_damaged_section_keeps_the_others(
    hass: HomeAssistant,
) -> None:
    """Each is read by itself."""
    store, care = await loaded(hass)
    read(hass, care, current=-80.0)
    await store.async_close(force=True)
    path = stored_file(hass)
    content = json.loads(await hass.async_add_executor_job(path.read_text))
    content["data"]["full_charges"] = {"readings": 7}
    await hass.async_add_executor_job(path.write_text, json.dumps(content))
    _, after = await loaded(hass)
    assert after.lifetime.extremes == care.lifetime.extremes
    assert after.full_charges.last is None
    content["data"]["lifetime"]["limits"] = {DISCHARGED: float("nan")}
    await hass.async_add_executor_job(path.write_text, json.dumps(content))
    _, after = await loaded(hass)
    assert after.lifetime.extremes == {}
    await store.async_remove()


async def test_full_charge_is_asked_for_until_it_is_done(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Empty cells at 60 %; the doubt outlives a restart, and ends with the entry."""
    pack = battery("idle")
    pack.hold = True
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry

    def is_asked() -> bool:
        issue_id = f"full_charge_needed_{entry.entry_id}"
        return ir.async_get(hass).async_get_issue("voltgo_vlrv", issue_id) is not None

    await asyncio.sleep(2 * REST_TIME)
    assert not is_asked()
    healthy = pack.reported()
    empty = replace(healthy, cell_voltages=(3.1, 3.1, 3.1, 3.1))
    pack.override = empty
    await wait_until(is_asked, 2 * REST_TIME)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await asyncio.sleep(60)
    assert is_asked()
    pack.override = replace(
        healthy,
        cell_voltages=(3.5, 3.5, 3.5, 3.5),
        state_of_charge=100,
        remaining_capacity=100.0,
        current=5.0,
        operating_state=1,
    )
    await wait_until(lambda: not is_asked(), 60)
    pack.override = empty
    await wait_until(is_asked, 2 * REST_TIME)
    await hass.config_entries.async_remove(entry.entry_id)
    assert not is_asked()


async def test_care_sensors_show_what_was_read_and_when(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A trip counts, the extremes are those of the samples, and the download has all."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await enable_all(hass, pack.address)
    await wait_until(
        lambda: value(hass, pack.address, "protection_trips") is not None, 60
    )
    assert value(hass, pack.address, "protection_trips") == "0"
    lowest = pack.expected_values()["lowest_cell_voltage"]
    pack.demand_current = -300.0
    await wait_until(lambda: value(hass, pack.address, "protection_trips") == "1", 120)
    pack.demand_current = 0.0
    recorded = value(hass, pack.address, "lowest_cell_voltage_recorded")
    assert float(recorded or "nan") <= lowest
    assert value(hass, pack.address, "full_charge_cell_voltage_delta") == "unknown"
    for sensor in CARE_SENSORS:
        assert value(hass, pack.address, sensor.key) is not None
    report = await async_get_config_entry_diagnostics(hass, entry)
    lifetime = report["battery"]["care"]["lifetime"]
    assert lifetime["any_trip"]["count"] == 1
    assert lifetime["trips"]
