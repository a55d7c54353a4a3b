"""Energy: counted from valid samples, never falling, right by the battery's meter."""

from __future__ import annotations

import asyncio
from dataclasses import replace
import json
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

from hypothesis import given, strategies as st
import pytest

from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from custom_components.voltgo_vlrv.history.energy import (
    CHARGED,
    DIRECTIONS,
    DISCHARGED,
    MAX_TOTAL,
    EnergyCounter,
    is_total,
)
from custom_components.voltgo_vlrv.history.store import EntryStore
from custom_components.voltgo_vlrv.history.totals import (
    SAVE_DELAY,
    TotalLimit,
    flow_between,
)
from custom_components.voltgo_vlrv.vlrv.registers import decode_status
from simulator.battery import SimulatedBattery, preset
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import (
    POLL_INTERVAL,
    STATUS_READ,
    add_discovered,
    battery,
    entity_id,
    value,
    wait_until,
)
from tests.harness import async_setup_battery
from tests.history.common import RecordedStore

ENTRY = "01TEST"
HOUR = 3600.0
TOLERANCE = 0.005  # of the battery's own meter
POWERS = st.floats(-20_000, 20_000)


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Replace no storage: how a file is read and written is what counts here."""
    return {}


def file_of(hass: HomeAssistant, entry_id: str) -> Path:
    """Return where the totals of an entry are stored."""
    return Path(hass.config.path(".storage", f"voltgo_vlrv.{entry_id}"))


def totals(counter: EnergyCounter) -> list[float]:
    """Return both totals in kWh."""
    return [counter.total(direction) for direction in DIRECTIONS]


# --- the arithmetic --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "charged", "discharged"),
    [
        (1000, 1000, 1.0, 0.0),
        (-1000, -1000, 0.0, 1.0),
        (0, 1000, 0.5, 0.0),
        (-500, 0, 0.0, 0.25),
        (1000, -1000, 0.25, 0.25),
        (-1000, 3000, 1.125, 0.125),
        (0, 0, 0.0, 0.0),
    ],
)
def test_energy_of_an_hour_between_two_powers_is_the_trapezoid(
    before: float, after: float, charged: float, discharged: float
) -> None:
    """Each side of a change of sign counts for its own direction."""
    assert flow_between(HOUR, before, after) == pytest.approx((charged, discharged))


@given(POWERS, POWERS, st.floats(0.001, 10_000))
def test_energy_of_any_powers_is_not_negative_and_adds_up(
    before: float, after: float, seconds: float
) -> None:
    """The difference of both directions is the trapezoid."""
    flow = flow_between(seconds, before, after)
    assert min(flow) >= 0
    net = (before + after) / 2 * seconds / 3.6e6
    assert flow.charged - flow.discharged == pytest.approx(net, abs=1e-9)


async def test_energy_of_any_samples_never_falls_and_counts_no_gap(
    hass: HomeAssistant,
) -> None:
    """A gap counts nothing, and neither does a time that stays or goes back."""
    counter_store = EntryStore(hass, ENTRY)
    counter = EnergyCounter(hass, counter_store)
    counter.add(0, 3600, 60)
    assert totals(counter) == [0, 0]
    counter.add(60, 3600, 60)
    assert totals(counter) == pytest.approx([0.06, 0])
    for time in (120.001, 120.001, 7.0, 7300):
        counter.add(time, 3600, 60)
        assert totals(counter) == pytest.approx([0.06, 0])
    counter.add(7310, -3600, 60)
    assert totals(counter) == pytest.approx([0.0625, 0.0025])
    await counter_store.async_save()
    await counter_store.async_remove()


async def test_energy_of_a_week_agrees_with_the_meter_of_the_battery(
    hass: HomeAssistant,
) -> None:
    """Half a percent, from what a battery reports every ten seconds of seven days."""
    now = 0.0
    pack = preset("idle", clock=lambda: now)
    pack.reset_energy()
    counter_store = EntryStore(hass, ENTRY)
    counter = EnergyCounter(hass, counter_store)
    for step in range(7 * 24 * 360):
        if not step % 180:  # each half hour
            pack.demand_current = (25.0, -12.5, 40.0, 0.0, -33.0, 7.0, -26.0)[
                step // 180 % 7
            ]
        reply = pack.handle(STATUS_READ)
        assert reply is not None
        status = decode_status(reply)
        counter.add(now, status.voltage * status.current, 60)
        now += POLL_INTERVAL
    expected_values = pack.expected_values()
    assert expected_values["charge_energy_kwh"] > 20
    assert expected_values["discharge_energy_kwh"] > 20
    assert counter.total(CHARGED) == pytest.approx(
        expected_values["charge_energy_kwh"], rel=TOLERANCE
    )
    assert counter.total(DISCHARGED) == pytest.approx(
        expected_values["discharge_energy_kwh"], rel=TOLERANCE
    )
    await counter_store.async_remove()


# --- what is stored --------------------------------------------------------------------


async def test_energy_after_a_restart_continues(hass: HomeAssistant) -> None:
    """To the last watt second."""
    counter_store = EntryStore(hass, ENTRY)
    counter = EnergyCounter(hass, counter_store)
    counter.add(0, 1234, 60)
    counter.add(60, -777, 60)
    await counter_store.async_save()
    other_store = EntryStore(hass, ENTRY)
    other = EnergyCounter(hass, other_store)
    await other_store.async_load()
    other.load()
    assert totals(other) == totals(counter)
    assert min(totals(other)) > 0


@pytest.mark.parametrize(
    "content",
    [
        "",
        '{"version": 1, "da',
        "[]",
        '{"version": 1, "minor_version": 1, "key": "k", "data": [1, 2]}',
        '{"version": 1, "minor_version": 1, "key": "k", "data": {"charged": "x"}}',
        '{"version": 1, "minor_version": 1, "key": "k", "data": {"energy": {"totals": {"charged": null}}}}',
        '{"version": 1, "minor_version": 1, "key": "k", "data": {"energy": {"limits": {}, "totals": {"charged": -1, "discharged": 1}}}}',
        '{"version": 1, "minor_version": 1, "key": "k", "data": {"energy": {"limits": {}, "totals": {"charged": 1e9, "discharged": 1}}}}',
        '{"version": 9, "minor_version": 1, "key": "k", "data": {"energy": {"limits": {}, "totals": {"charged": 1, "discharged": 1}}}}',
    ],
)
async def test_energy_with_a_damaged_file_starts_at_zero(
    hass: HomeAssistant, content: str
) -> None:
    """Nothing raises, and no number is taken that can be no total."""

    def put() -> None:
        path = file_of(hass, ENTRY)
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)

    await hass.async_add_executor_job(put)
    counter_store = EntryStore(hass, ENTRY)
    counter = EnergyCounter(hass, counter_store)
    await counter_store.async_load()
    counter.load()
    assert totals(counter) == [0, 0]
    counter.add(0, 3600, 60)
    counter.add(60, 3600, 60)
    await counter_store.async_save()
    stored = json.loads(
        await hass.async_add_executor_job(file_of(hass, ENTRY).read_text)
    )
    assert stored["data"]["energy"]["totals"]["charged"] == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("total", "possible"),
    [
        (0.0, True),
        (MAX_TOTAL, True),
        (MAX_TOTAL + 1, False),
        (-0.1, False),
        (float("nan"), False),
    ],
)
def test_total_is_possible_from_zero_to_the_maximum(
    total: float, *, possible: bool
) -> None:
    """What a file says is no total merely because it is a number."""
    assert is_total(total) is possible


def test_energy_reset_is_of_one_direction_and_counts_on_from_zero() -> None:
    """Also the limit that is stored with the total."""
    counter = EnergyCounter(Mock(), Mock())
    for time in (0.0, 3600.0):
        counter.add(time, 1000.0, 3600.0)
    for time in (3600.0, 7200.0):
        counter.add(time, -1000.0, 3600.0)
    charged, discharged = totals(counter)
    assert charged > 0
    assert discharged > 0
    counter.reset(CHARGED)
    assert totals(counter) == [0, discharged]
    counter.add(7200.0, 1000.0, 3600.0)
    counter.add(10800.0, 1000.0, 3600.0)
    assert totals(counter) == [pytest.approx(1.0), discharged]


def test_energy_over_an_interruption_is_not_counted() -> None:
    """What flows while the battery is released is not known."""
    counter = EnergyCounter(Mock(), Mock())
    counter.add(0.0, 3600.0, 60.0)
    counter.interrupt()
    counter.add(60.0, 3600.0, 60.0)
    assert totals(counter) == [0, 0]
    counter.add(120.0, 3600.0, 60.0)
    assert totals(counter) == pytest.approx([0.06, 0])


def test_energy_is_saved_at_once_only_where_the_file_does_not_cover_it() -> None:
    """In either direction; at rest nothing is saved, and none has a limit at the end."""
    time = 0.0
    hass: Any = SimpleNamespace(loop=SimpleNamespace(time=lambda: time))
    store: Any = RecordedStore()
    counter = EnergyCounter(hass, store)
    section = store.sections["energy"]
    assert section.delay == SAVE_DELAY
    for power in (1000.0, -1000.0):
        counter.interrupt()
        saved = []
        for _ in range(4):
            counter.add(time, power, 60.0)
            saved.append(store.saved.get("energy"))
            section.as_stored()
            time += 60.0
        assert saved == [None, [True], [False], [False]]
    counter.interrupt()
    for _ in range(2):
        counter.add(time, 0.0, 60.0)
        time += 60.0
    assert store.saved == {}
    assert section.as_stored()["limits"].keys() == {*DIRECTIONS}
    counter.close()
    assert section.as_stored()["limits"] == {}


# --- after a power cut -----------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.floats(0, 0.5), st.floats(1, SAVE_DELAY)), min_size=1, max_size=60
    )
)
def test_total_limit_never_below_what_was_shown(
    steps: list[tuple[float, float]],
) -> None:
    """At each moment the file covers the total, whatever flows."""
    limit = TotalLimit()
    total = time = 0.0
    stored = 0.0
    due = SAVE_DELAY
    for flow, seconds in steps:
        total += flow
        time += seconds
        if limit.is_beyond(total) or time >= due:
            limit.update(total, time)
            stored, due = limit.value, time + SAVE_DELAY
        assert stored >= total


def test_total_limit_steady_flow_is_saved_at_the_usual_interval() -> None:
    """Saving at each step would wear out an SD card."""
    limit = TotalLimit()
    saves = 0
    due = SAVE_DELAY
    for time in range(0, 36_000, 10):
        total = 2.0 * time / 3600
        if limit.is_beyond(total) or time >= due:
            limit.update(total, time)
            saves, due = saves + 1, time + SAVE_DELAY
    assert saves <= 36_000 / SAVE_DELAY + 4


def test_total_limit_exceeds_the_total_by_five_minutes_of_flow_at_most() -> None:
    """After a power cut the total waits there until counting has caught up."""
    limit = TotalLimit()
    for time in range(0, 3600, 300):
        limit.update(2.0 * time / 3600, time)
        assert limit.value <= 2.0 * (time + SAVE_DELAY) / 3600 + 1e-9


# --- in Home Assistant -----------------------------------------------------------------


async def test_total_after_power_cut_does_not_fall_and_is_not_counted_twice(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, rng: Random
) -> None:
    """A total that falls would be a reset of the meter for the energy dashboard."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    pack.demand_current = -80.0
    path = file_of(hass, entry.entry_id)
    most = 80.0 * pack.expected_values()["voltage"] * SAVE_DELAY / 3.6e6
    for _ in range(6):
        await asyncio.sleep(rng.uniform(30, 900))
        counted = entry.runtime_data.history.energy.total(DISCHARGED)
        shown = float(value(hass, pack.address, "energy_discharged") or "")
        stored = await hass.async_add_executor_job(path.read_text)
        # The stop saves the exact total; a power cut leaves the file as it is.
        await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_add_executor_job(path.write_text, stored)
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        after = float(value(hass, pack.address, "energy_discharged") or "")
        assert shown <= after <= counted + most


async def test_total_after_reload_goes_on_exactly(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A planned stop loses nothing and adds nothing."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    pack.demand_current = 50.0
    await asyncio.sleep(300)
    before = totals(entry.runtime_data.history.energy)
    assert before[0] > 0.05
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert totals(entry.runtime_data.history.energy) >= before
    assert entry.runtime_data.history.energy.total(CHARGED) < before[0] + 0.01


def met(
    entry: VlrvConfigEntry, pack: SimulatedBattery, start: dict[str, float]
) -> None:
    """Compare with the battery's own meters since `start`."""
    expected_values = pack.expected_values()
    for direction, key in ((CHARGED, "charge"), (DISCHARGED, "discharge")):
        moved = expected_values[f"{key}_energy_kwh"] - start[f"{key}_energy_kwh"]
        assert entry.runtime_data.history.energy.total(direction) == pytest.approx(
            moved, rel=TOLERANCE, abs=0.002
        )


async def test_energy_state_at_steady_power_changes_in_steps_of_ten_watt_hours(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Although samples that are all equal change nothing else."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    assert value(hass, pack.address, "energy_charged") == "0.0"
    pack.demand_current = -50.0
    await asyncio.sleep(2 * POLL_INTERVAL)
    pack.hold = True
    start = entry.runtime_data.history.energy.total(DISCHARGED)
    power = -pack.expected_values()["power"]
    await asyncio.sleep(600)
    moved = entry.runtime_data.history.energy.total(DISCHARGED) - start
    assert moved == pytest.approx(power * 600 / 3.6e6, rel=0.02)
    shown = float(value(hass, pack.address, "energy_discharged") or "")
    assert 0 <= start + moved - shown < 0.01
    assert value(hass, pack.address, "energy_charged") == "0.0"


async def test_energy_during_a_gap_of_two_hours_is_not_counted(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """What flowed without samples is not guessed; before and after counts."""
    pack = battery("driving_load")
    harness = await async_setup_battery(hass, bluetooth_env, pack)
    entry, peripheral = harness.entry, harness.peripheral
    pack.demand_current = -20.0
    await asyncio.sleep(600)
    before = totals(entry.runtime_data.history.energy)
    assert before[1] > 0.05
    await peripheral.stop()
    await asyncio.sleep(20)  # a sample that was under way
    held = totals(entry.runtime_data.history.energy)
    await asyncio.sleep(2 * HOUR)
    assert totals(entry.runtime_data.history.energy) == held
    assert value(hass, pack.address, "voltage") == "unavailable"
    assert value(hass, pack.address, "energy_discharged") != "unavailable"
    await peripheral.start()
    samples = entry.runtime_data.statistics.samples
    await wait_until(lambda: entry.runtime_data.statistics.samples > samples, 60)
    assert totals(entry.runtime_data.history.energy) == held
    expected_values = pack.expected_values()
    start = {
        "charge_energy_kwh": expected_values["charge_energy_kwh"] - held[0],
        "discharge_energy_kwh": expected_values["discharge_energy_kwh"] - held[1],
    }
    await asyncio.sleep(600)
    met(entry, pack, start)


async def test_energy_of_an_implausible_sample_is_not_counted(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A spike of 3200 A is no energy."""
    pack = battery("idle")
    pack.hold = True
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    before = totals(entry.runtime_data.history.energy)
    pack.override = replace(pack.reported(), current=3200.0)
    await asyncio.sleep(2 * POLL_INTERVAL)
    pack.override = None
    await asyncio.sleep(2 * POLL_INTERVAL)
    assert entry.runtime_data.statistics.rejected["current"] >= 1
    assert totals(entry.runtime_data.history.energy) == before


async def test_energy_of_a_battery_with_a_used_name_starts_apart(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Home Assistant remembers states by their names, also of one that was replaced."""
    old = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, old)).entry
    old.demand_current = -50.0
    await asyncio.sleep(300)
    name = entity_id(hass, old.address, "energy_discharged")
    assert float(value(hass, old.address, "energy_discharged") or "") >= 0.05
    await bluetooth_env.peripherals[old.address].stop()
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    new = battery("idle", name=old.name, address="A4:C1:37:00:0A:99")
    await bluetooth_env.add_battery(new)
    entry = await add_discovered(hass, new.address)
    assert entity_id(hass, new.address, "energy_discharged") == name
    assert value(hass, new.address, "energy_discharged") == "0.0"
    assert totals(entry.runtime_data.history.energy) == [0, 0]


async def test_energy_file_of_a_removed_battery_is_removed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Nothing of it is left behind."""
    pack = battery("driving_load")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await asyncio.sleep(3 * POLL_INTERVAL)
    await entry.runtime_data.history.store.async_save()
    path = file_of(hass, entry.entry_id)
    assert await hass.async_add_executor_job(path.exists)
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert not await hass.async_add_executor_job(path.exists)
