"""Last full charge and recharge due date, in Home Assistant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from custom_components.voltgo_vlrv.diagnostics import async_get_config_entry_diagnostics
from custom_components.voltgo_vlrv.history.maintenance import (
    SAVE_DELAY,
    ChargeMaintenance,
)
from custom_components.voltgo_vlrv.history.runtime import SETTLING
from custom_components.voltgo_vlrv.history.store import EntryStore
from simulator.battery import SimulatedBattery
from simulator.clock import FastClock
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, battery, entity_id, value, wait_until
from tests.harness import async_setup_battery
from tests.history.common import DAY, HOUR, MONTH, changes_of, true_minutes
from tests.test_coordinator import set_interval
from tests.vlrv.samples import status

ENTRY = "01TEST"

DATES = ("last_full_charge", "recharge_due")


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Replace no storage: how a file is read and written is what counts here."""
    return {}


def file_of(hass: HomeAssistant, entry_id: str) -> Path:
    """Return where the history of an entry is stored."""
    return Path(hass.config.path(".storage", f"voltgo_vlrv.{entry_id}"))


def moment(hass: HomeAssistant, pack: SimulatedBattery, key: str) -> datetime | None:
    """Return a time that is shown."""
    state = value(hass, pack.address, key)
    assert state is not None
    return None if state == "unknown" else datetime.fromisoformat(state)


async def with_maintenance(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    pack: SimulatedBattery,
    **kwargs: Any,
) -> tuple[VlrvConfigEntry, Callable[[], Any]]:
    """Add a battery, and switch on what is off by default."""
    harness = await async_setup_battery(
        hass, bluetooth_env, pack, all_entities=True, **kwargs
    )
    entry, peripheral = harness.entry, harness.peripheral
    await wait_until(lambda: value(hass, pack.address, DATES[0]) is not None, 60)
    return entry, peripheral.stop


async def test_maintenance_dates_after_a_full_charge_are_set(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Unknown before; then they stay while the battery is away."""
    pack = battery("full", state_of_charge=90.0)
    pack.full = False
    pack.charge = pack.capacity * 3600 * 0.9
    pack.demand_current = 0.0
    _, stop = await with_maintenance(hass, bluetooth_env, pack)
    assert [moment(hass, pack, key) for key in DATES] == [None, None]
    pack.full = True
    pack.charge = pack.capacity * 3600
    began = dt_util.utcnow()
    await asyncio.sleep(2 * POLL_INTERVAL)
    last, due = (moment(hass, pack, key) for key in DATES)
    assert last is not None
    assert due is not None
    assert timedelta() <= last - began <= timedelta(seconds=POLL_INTERVAL + 1)
    # Cells above 20 °C.
    assert 181 <= (due - last).days <= 183
    assert dt_util.as_local(due).hour == 12
    await stop()
    await asyncio.sleep(180)
    assert value(hass, pack.address, "stored_energy") == "unavailable"
    assert [moment(hass, pack, key) for key in DATES] == [last, due]


async def test_last_full_charge_on_a_float_charger_changes_once_an_hour(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Although each sample is one of a full battery that is charged."""
    pack = battery("full")
    entry, _ = await with_maintenance(hass, bluetooth_env, pack)
    await set_interval(hass, entry, 60)
    changes = changes_of(hass, entity_id(hass, pack.address, "last_full_charge"))
    moved = changes_of(hass, entity_id(hass, pack.address, "recharge_due"))
    await asyncio.sleep(3 * HOUR + 60)
    assert len(changes) == 3
    assert len(moved) <= 1
    last = moment(hass, pack, "last_full_charge")
    assert last is not None
    assert dt_util.utcnow() - last < timedelta(minutes=10)


async def test_maintenance_dates_after_a_restart_and_a_winter_are_restored(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fast_clock: FastClock
) -> None:
    """Home Assistant off for three months: half of the six without a temperature."""
    pack = battery("full")
    entry, stop = await with_maintenance(hass, bluetooth_env, pack)
    last = moment(hass, pack, "last_full_charge")
    assert last is not None
    await stop()
    await asyncio.sleep(180)
    await hass.config_entries.async_unload(entry.entry_id)
    fast_clock.epoch += 3 * MONTH
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    again, due = (moment(hass, pack, key) for key in DATES)
    assert due is not None
    assert again is not None
    assert abs(again - last) < timedelta(hours=1)
    left = (due - dt_util.utcnow()).total_seconds()
    assert left == pytest.approx(3 * MONTH, abs=1.1 * DAY)


async def test_recharge_due_of_an_absent_battery_uses_no_temperature(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fast_clock: FastClock
) -> None:
    """After a day its temperature is unknown: six months, no longer nine."""
    fast_clock.limit = 2 * DAY
    pack = battery("full", temperature=15.0, ambient=15.0)
    pack.cell_temperatures = [15.0, 15.0]
    _, stop = await with_maintenance(hass, bluetooth_env, pack)
    due = moment(hass, pack, "recharge_due")
    assert due is not None
    assert (due - dt_util.utcnow()).total_seconds() == pytest.approx(9 * MONTH, abs=DAY)
    await stop()
    left = dt_util.utcnow()
    await asyncio.sleep(1.1 * DAY)
    due = moment(hass, pack, "recharge_due")
    assert due is not None
    assert (due - left).total_seconds() == pytest.approx(6 * MONTH, abs=1.6 * DAY)


async def test_diagnostics_of_maintenance_contain_its_inputs(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """For a report of a time that is wrong."""
    pack = battery("driving_load")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await asyncio.sleep(2 * SETTLING)
    found = (await async_get_config_entry_diagnostics(hass, entry))["battery"]
    runtime = found["runtime"]
    assert runtime["smoothed_current"] == pytest.approx(pack.current, rel=0.01)
    assert runtime["minutes_to_empty"] == pytest.approx(
        true_minutes(pack, "time_to_empty"), rel=0.02
    )
    assert runtime["minutes_to_full"] is None
    assert found["charge_history"]["last_full_charge"] is None


@pytest.mark.parametrize("jump", [-30 * DAY, -600.0, 30 * DAY])
async def test_last_full_charge_after_a_clock_change_is_not_in_the_future(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    fast_clock: FastClock,
    jump: float,
) -> None:
    """It moves with the clock it was taken by."""
    pack = battery("full")
    await with_maintenance(hass, bluetooth_env, pack)
    pack.demand_current = 0.0
    await asyncio.sleep(60)
    fast_clock.epoch += jump
    await asyncio.sleep(2 * POLL_INTERVAL)
    last = moment(hass, pack, "last_full_charge")
    assert last is not None
    assert timedelta() <= dt_util.utcnow() - last < timedelta(hours=1)


STORED = {
    "last_full": "2026-01-01T00:00:00+00:00",
    "elapsed_fraction": 0.1,
    "elapsed": 1e6,
    "until": "2026-02-01T00:00:00+00:00",
    "months": 6,
    "full": False,
}


def as_file(data: Any) -> str:
    """Return what Home Assistant would have written."""
    content = {"charge_history": data}
    return json.dumps({"version": 1, "minor_version": 1, "key": "k", "data": content})


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"version": 1, "da',
        "[]",
        as_file([1, 2]),
        as_file({}),
        as_file(STORED | {"last_full": 7}),
        as_file(STORED | {"last_full": "yesterday"}),
        as_file(STORED | {"until": "2026-13-01"}),
        as_file(STORED | {"elapsed_fraction": -1}),
        as_file(STORED | {"elapsed_fraction": "x"}),
        as_file(STORED | {"elapsed_fraction": 1e300}),
        as_file(STORED | {"elapsed_fraction": 1e-300}),
        as_file(STORED | {"elapsed": None}),
        as_file(STORED | {"elapsed": 1e300}),
        as_file(STORED | {"months": 7}),
        as_file(STORED | {"full": "no"}),
        '{"version": 9, "minor_version": 1, "key": "k", "data": {}}',
    ],
)
async def test_maintenance_with_a_damaged_file_starts_empty(
    hass: HomeAssistant, content: str
) -> None:
    """Nothing raises, and no date is taken that can be none."""

    def put() -> None:
        path = file_of(hass, ENTRY)
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)

    await hass.async_add_executor_job(put)
    store = EntryStore(hass, ENTRY)
    maintenance = ChargeMaintenance(hass, store)
    await store.async_load()
    maintenance.load()
    assert maintenance.last_full_charge is None
    assert maintenance.recharge_due is None
    full = status(state_of_charge=100, operating_state=1, current=5.0)
    maintenance.add(full, hass.loop.time())
    assert maintenance.last_full_charge is not None
    await store.async_save(force=True)
    other_store = EntryStore(hass, ENTRY)
    other = ChargeMaintenance(hass, other_store)
    await other_store.async_load()
    other.load()
    assert other.recharge_due == maintenance.recharge_due


async def test_maintenance_with_an_intact_file_is_restored(hass: HomeAssistant) -> None:
    """The damaged files are variants of this one."""

    def put() -> None:
        path = file_of(hass, ENTRY)
        path.parent.mkdir(exist_ok=True)
        path.write_text(as_file(STORED))

    await hass.async_add_executor_job(put)
    store = EntryStore(hass, ENTRY)
    maintenance = ChargeMaintenance(hass, store)
    await store.async_load()
    maintenance.load()
    assert maintenance.last_full_charge == datetime(2026, 1, 1, tzinfo=UTC)


async def test_full_charge_is_saved_within_the_delay(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """And the time since then when Home Assistant stops."""
    pack = battery("full")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await set_interval(hass, entry, 60)
    path = file_of(hass, entry.entry_id)

    async def stored() -> dict[str, Any]:
        text = await hass.async_add_executor_job(path.read_text)
        history: dict[str, Any] = json.loads(text)["data"]["charge_history"]
        return history

    await asyncio.sleep(SAVE_DELAY + 60)
    first = await stored()
    assert first["last_full"]
    await asyncio.sleep(3 * HOUR)
    await entry.runtime_data.async_shutdown()
    assert (await stored())["until"] > first["until"]


async def test_maintenance_file_of_a_removed_battery_is_removed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nothing of it is left behind."""
    pack = battery("full")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await entry.runtime_data.history.store.async_save(force=True)
    path = file_of(hass, entry.entry_id)
    assert await hass.async_add_executor_job(path.exists)
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert not await hass.async_add_executor_job(path.exists)
