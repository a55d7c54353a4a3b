"""The bank's energy: what its members counted, without a step and without a fall."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import Store

from .harness import async_add_bank, async_setup_bank, async_setup_batteries, packs
from custom_components.voltgo_vlrv.bank.energy import BankEnergy
from custom_components.voltgo_vlrv.history.energy import (
    CHARGED,
    DIRECTIONS,
    DISCHARGED,
    in_steps,
)
from custom_components.voltgo_vlrv.history.store import EntryStore
from custom_components.voltgo_vlrv.history.totals import SAVE_DELAY, Flow
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, settle
from tests.harness import BatteryHarness

ENTRY = "01BANK"


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Replace no storage: how a file is read and written is what counts here."""
    return {}


@pytest.fixture
async def energy_store(hass: HomeAssistant) -> AsyncGenerator[EntryStore]:
    """Return the file of a new bank."""
    store = EntryStore(hass, ENTRY, "bank")
    yield store
    await store.async_remove()


@pytest.fixture
async def energy(hass: HomeAssistant, energy_store: EntryStore) -> BankEnergy:
    """Return the energy of a new bank."""
    energy = BankEnergy(hass, energy_store)
    await energy_store.async_load()
    energy.load()
    return energy


def file_of(hass: HomeAssistant, entry_id: str) -> Path:
    """Return where the totals of a bank are stored."""
    return Path(hass.config.path(".storage", f"voltgo_vlrv.bank.{entry_id}"))


def totals(energy: BankEnergy) -> list[float]:
    """Return both totals in kWh."""
    return [energy.total(direction) for direction in DIRECTIONS]


async def test_bank_energy_of_a_new_bank_is_the_sum(energy: BankEnergy) -> None:
    """Of the members that report; one that reports later makes no step."""
    assert totals(energy) == [0, 0]
    energy.update("ABC", {})
    energy.update("ABC", {"A": Flow(5, 4), "B": Flow(1, 2)})
    assert totals(energy) == [6, 6]
    energy.update("ABC", {"A": Flow(5, 4), "C": Flow(100, 50)})
    assert totals(energy) == [6, 6]
    energy.update("ABC", {"C": Flow(101, 50), "B": Flow(1, 4)})
    assert totals(energy) == [7, 8]


async def test_bank_energy_with_members_that_change_makes_no_step(
    energy: BankEnergy,
) -> None:
    """Only what a battery counts while it belongs to the bank is added."""
    energy.update("AB", {"A": Flow(5, 4), "B": Flow(1, 2)})
    energy.update("A", {"A": Flow(5, 4)})
    assert totals(energy) == [6, 6]
    energy.update("A", {"A": Flow(6, 4)})
    energy.update("AB", {"B": Flow(50, 70)})
    assert totals(energy) == [7, 6]
    energy.update("AB", {"B": Flow(51, 71)})
    assert totals(energy) == [8, 7]


async def test_bank_energy_after_a_counter_fell_continues_from_there(
    energy: BankEnergy,
) -> None:
    """A battery whose file was lost, or whose last minutes a power cut took."""
    energy.update("AB", {"A": Flow(5, 4), "B": Flow(1, 2)})
    energy.update("AB", {"A": Flow(0, 0)})
    assert totals(energy) == [6, 6]
    energy.update("AB", {"A": Flow(0.5, 0.25)})
    assert totals(energy) == [6.5, 6.25]


MEMBERS = "ABCD"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from(MEMBERS)),
            st.dictionaries(
                st.sampled_from(MEMBERS),
                st.builds(Flow, st.floats(0, 10_000), st.floats(0, 10_000)),
            ),
        ),
        max_size=30,
    )
)
async def test_bank_energy_with_any_events_never_falls(
    hass: HomeAssistant,
    steps: list[tuple[set[str], dict[str, Flow]]],
) -> None:
    """Members are added, removed, unresponsive, or start at zero."""
    energy_store = EntryStore(hass, ENTRY, "bank")
    energy = BankEnergy(hass, energy_store)
    before = [0.0, 0.0]
    for members, counters in steps:
        energy.update(
            members, {key: flow for key, flow in counters.items() if key in members}
        )
        now = totals(energy)
        assert all(b >= a - 1e-6 for a, b in zip(before, now, strict=True))
        before = now
    await energy_store.async_remove()


# --- what is stored --------------------------------------------------------------------


async def test_bank_energy_after_a_restart_continues(
    hass: HomeAssistant, energy_store: EntryStore, energy: BankEnergy
) -> None:
    """What the members count meanwhile is not lost."""
    energy.update("AB", {"A": Flow(5, 4), "B": Flow(1, 2)})
    energy.update("A", {"A": Flow(5, 4)})
    await energy_store.async_save()
    other_store = EntryStore(hass, ENTRY, "bank")
    other = BankEnergy(hass, other_store)
    await other_store.async_load()
    other.load()
    assert totals(other) == [6, 6]
    other.update("A", {"A": Flow(7, 4)})
    assert totals(other) == [8, 6]


async def test_bank_energy_after_a_power_cut_neither_falls_nor_counts_twice(
    hass: HomeAssistant, energy_store: EntryStore, energy: BankEnergy
) -> None:
    """The file is minutes old; the members' totals are newer, or lost as well."""
    energy.update("AB", {"A": Flow(5, 0), "B": Flow(1, 0)})
    await energy_store.async_save()
    other_store = EntryStore(hass, ENTRY, "bank")
    other = BankEnergy(hass, other_store)
    await other_store.async_load()
    other.load()
    other.update("AB", {"A": Flow(5.1, 0)})
    assert other.total(CHARGED) == pytest.approx(6.1)
    other.update("AB", {"A": Flow(5.1, 0), "B": Flow(1.3, 0)})
    assert other.total(CHARGED) == pytest.approx(6.4)
    await other_store.async_remove()


@pytest.mark.parametrize(
    "data",
    [
        "",
        "[1]",
        "{}",
        '{"limits": {}, "offset": {"charged": 1, "discharged": "x"}, "members": {}}',
        '{"limits": {}, "offset": {"charged": 1, "discharged": 1}, "members": [1]}',
        '{"limits": {}, "offset": {"charged": -9, "discharged": 1}, "members": {}}',
        (
            '{"limits": {}, "offset": {"charged": 9, "discharged": 1}, "members":'
            ' {"A": {"charged": -2, "discharged": 1}}}'
        ),
        '{"limits": {}, "offset": {"charged": 1e99, "discharged": 1}, "members": {}}',
        (
            '{"limits": {}, "offset": {"charged": 9, "discharged": 1}, "members":'
            ' {"A": {"charged": 1e308, "discharged": 1},'
            ' "B": {"charged": 1e308, "discharged": 1}}}'
        ),
        (
            '{"limits": {}, "offset": {"charged": 9, "discharged": 1}, "members":'
            ' {"A": {"charged": "inf", "discharged": 1},'
            ' "B": {"charged": "-inf", "discharged": 1}}}'
        ),
    ],
)
async def test_bank_energy_with_a_damaged_file_starts_empty(
    hass: HomeAssistant, data: str
) -> None:
    """Nothing raises, and no number is taken that can be no total."""

    def put() -> None:
        path = file_of(hass, ENTRY)
        path.parent.mkdir(exist_ok=True)
        content = f'{{"version": 1, "minor_version": 1, "key": "k", "data": {{"energy": {data}}}}}'
        path.write_text(content if data else "{")

    await hass.async_add_executor_job(put)
    energy_store = EntryStore(hass, ENTRY, "bank")
    energy = BankEnergy(hass, energy_store)
    await energy_store.async_load()
    energy.load()
    assert totals(energy) == [0, 0]
    energy.update("A", {"A": Flow(2, 1)})
    assert totals(energy) == [2, 1]
    await energy_store.async_save()
    stored = json.loads(
        await hass.async_add_executor_job(file_of(hass, ENTRY).read_text)
    )
    assert stored["data"]["energy"]["members"] == {"A": {"charged": 2, "discharged": 1}}
    await energy_store.async_remove()


# --- in Home Assistant -----------------------------------------------------------------


async def test_bank_energy_file_is_restored_and_removed_with_the_entry(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """With a lost file, counting continues from the last state."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    before = bank.coordinator.energy.total(DISCHARGED)
    await bank.unload()
    path = file_of(hass, bank.entry.entry_id)
    assert await hass.async_add_executor_job(path.exists)
    await bank.setup()
    await settle(hass)
    assert bank.coordinator.energy.total(DISCHARGED) >= before
    await bank.coordinator.store.async_save()
    assert await hass.async_add_executor_job(path.exists)
    await bank.remove()
    await settle(hass)
    assert not await hass.async_add_executor_job(path.exists)


async def drained_pair(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, seconds: float
) -> list[BatteryHarness]:
    """Return two batteries that were added and have delivered 40 A each for a while."""
    pair = await async_setup_batteries(hass, bluetooth_env, packs(2))
    for battery in pair:
        battery.pack.demand_current = -40.0
    await asyncio.sleep(seconds)
    return pair


async def test_bank_energy_of_disabled_batteries_begins_without_a_step(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """From zero to what they have counted so far would be energy of one moment."""
    pair = await drained_pair(hass, bluetooth_env, 600)
    for battery in pair:
        await battery.set_disabled(True)
    bank = await async_add_bank(hass, pair)
    assert bank.shown("energy_discharged") == "unknown"
    for battery in pair:
        await battery.set_disabled(False)
        await settle(hass)
        assert float(bank.shown("energy_discharged") or "") == pytest.approx(
            pair[0].entry.runtime_data.history.energy.total(DISCHARGED),
            abs=0.02,
        )


async def test_bank_energy_read_during_removal_leaves_no_file(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An SD card is slow, and the batteries count meanwhile."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    for battery in bank.batteries:
        battery.pack.demand_current = -40.0
    await asyncio.sleep(60)
    write = Store.async_save

    async def write_slowly(store: Store[Any], data: Any) -> None:
        await write(store, data)
        await asyncio.sleep(2 * POLL_INTERVAL)

    monkeypatch.setattr(Store, "async_save", write_slowly)
    await bank.remove()
    monkeypatch.undo()
    await asyncio.sleep(2 * SAVE_DELAY)
    assert not await hass.async_add_executor_job(
        file_of(hass, bank.entry.entry_id).exists
    )


async def test_bank_energy_after_an_early_power_cut_makes_no_step(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Without a file, the bank would begin with the first battery that loads."""
    pair = await drained_pair(hass, bluetooth_env, 1200)
    bank = await async_add_bank(hass, pair)
    before = float(bank.shown("energy_discharged") or "")
    assert before > 0.3
    path = file_of(hass, bank.entry.entry_id)
    at_once = await hass.async_add_executor_job(path.read_text)
    for entry in bank.entries:
        await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_add_executor_job(path.write_text, at_once)
    for entry in bank.entries:
        assert await hass.config_entries.async_setup(entry.entry_id)
        await settle(hass)
        total = float(bank.shown("energy_discharged") or "")
        assert before <= total < before + 0.03


async def test_bank_energy_of_a_new_bank_with_a_used_name_starts_apart(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Home Assistant remembers states by their names, also those of a deleted bank."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3))
    for battery in bank.batteries:
        battery.pack.demand_current = -40.0
    await asyncio.sleep(600)
    before = bank.entity_id("energy_discharged")
    total = float(bank.shown("energy_discharged") or "")
    await bank.remove()
    await settle(hass)
    pair = bank.batteries[:2]
    bank = await async_add_bank(hass, pair)
    assert bank.entity_id("energy_discharged") == before
    counted = sum(
        battery.entry.runtime_data.history.energy.total(DISCHARGED) for battery in pair
    )
    assert total > counted + 0.05
    energy = bank.coordinator.energy
    assert energy.total(DISCHARGED) == pytest.approx(counted, abs=1e-9)
    assert bank.shown("energy_discharged") == str(in_steps(counted))
