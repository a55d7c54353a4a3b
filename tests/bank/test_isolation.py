"""A battery that cut itself off: the warning stays until the battery says otherwise."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from homeassistant.config_entries import SOURCE_RECONFIGURE
from homeassistant.core import HomeAssistant

from .common import (
    AGE,
    async_setup_bank,
    attribute,
    packs,
    set_reported,
    settle,
    shown,
    wait_for_poll,
)
from .test_entities import EXTENSIVE, PROTECTED
from .test_notices import issues
from custom_components.voltgo_vlrv.bank.coordinator import BankConfigEntry
from custom_components.voltgo_vlrv.bank.isolation import SAVE_DELAY, Isolation
from custom_components.voltgo_vlrv.bank.notices import ISOLATED_FOR
from custom_components.voltgo_vlrv.entries import async_batteries
from custom_components.voltgo_vlrv.history.store import EntryStore
from simulator.battery import SimulatedBattery
from simulator.clock import FastClock
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, wait_until

NOTICE = {"bank_isolated": {"bank": "House bank", "name": "ZT-12.8V100Ah-0003"}}


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Replace no storage: how a file is read and written is what counts here."""
    return {}


def file_of(hass: HomeAssistant, bank: BankConfigEntry) -> Path:
    """Return where is stored who is isolated."""
    name = f"voltgo_vlrv.bank.{bank.entry_id}"
    return Path(hass.config.path(".storage", name))


async def parted(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> tuple[BankConfigEntry, list[SimulatedBattery]]:
    """Return a bank of which the third battery has cut itself off at 0 %."""
    trio = packs(3)
    bank = await async_setup_bank(hass, bluetooth_env, trio)
    for pack in trio[:2]:
        set_reported(pack, current=-20.0, state_of_charge=70)
    set_reported(trio[2], **PROTECTED, state_of_charge=0)
    await asyncio.sleep(200)
    still_isolated(hass, bank)
    return bank, trio


def still_isolated(hass: HomeAssistant, bank: BankConfigEntry) -> None:
    """Make sure that the third battery is named, and counts for nothing."""
    assert issues(hass) == NOTICE
    assert shown(bank, hass, "battery_isolated") == "on"
    assert attribute(bank, hass, "battery_isolated", "batteries") == [
        "ZT-12.8V100Ah-0003"
    ]
    assert shown(bank, hass, "state_of_charge") == "70.0"


async def rest(trio: list[SimulatedBattery]) -> None:
    """Have the others carry nothing any more."""
    for pack in trio[:2]:
        set_reported(pack, current=0.0, state_of_charge=70)
    await wait_for_poll()


async def test_isolated_battery_out_of_range_stays_isolated(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Out of range or switched off as the issue says; also when it is back at rest."""
    bank, trio = await parted(hass, bluetooth_env)
    caplog.clear()
    peripheral = bluetooth_env.peripherals[trio[2].address]
    await peripheral.stop()
    await asyncio.sleep(AGE + POLL_INTERVAL)
    still_isolated(hass, bank)
    assert shown(bank, hass, "batteries_reporting") == "2"
    for key in EXTENSIVE[:2]:
        assert shown(bank, hass, key) == "unknown"
    await rest(trio)
    still_isolated(hass, bank)
    await peripheral.start()
    await wait_until(lambda: shown(bank, hass, "batteries_reporting") == "3", 300)
    await asyncio.sleep(200)
    still_isolated(hass, bank)
    assert "is active again" not in caplog.text
    # Its own word ends it.
    trio[2].override = None
    await wait_for_poll()
    assert issues(hass) == {}
    assert shown(bank, hass, "battery_isolated") == "off"
    assert "ZT-12.8V100Ah-0003 is active again" in caplog.text


async def test_isolated_battery_that_is_released_or_off_stays_isolated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The user releases it to look at it with the app; and none may be in range."""
    bank, trio = await parted(hass, bluetooth_env)
    (entry,) = (e for e in async_batteries(hass) if e.unique_id == trio[2].address)
    await entry.runtime_data.connection.async_release()
    await settle(hass)
    still_isolated(hass, bank)
    for pack in trio[:2]:
        await bluetooth_env.peripherals[pack.address].stop()
    await asyncio.sleep(AGE + POLL_INTERVAL)
    assert issues(hass) == NOTICE
    assert shown(bank, hass, "battery_isolated") == "on"
    assert shown(bank, hass, "state_of_charge") == "unavailable"


async def test_isolation_after_a_reload_at_rest_is_remembered(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Options, another name or a restart change nothing that a battery has reported."""
    bank, trio = await parted(hass, bluetooth_env)
    await rest(trio)
    await hass.config_entries.async_reload(bank.entry_id)
    await settle(hass)
    # The two minutes do not start again.
    still_isolated(hass, bank)
    await asyncio.sleep(200)
    still_isolated(hass, bank)
    entries = async_batteries(hass)
    for entry in (bank, *entries):
        await hass.config_entries.async_unload(entry.entry_id)
    for entry in (bank, *entries):
        assert await hass.config_entries.async_setup(entry.entry_id)
    await wait_until(lambda: shown(bank, hass, "batteries_reporting") == "3", 60)
    await wait_for_poll()
    still_isolated(hass, bank)


async def test_isolation_issue_after_a_reload_still_waits_two_minutes(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A protection that releases by itself raises no issue, also not after a restart."""
    pair = packs(2)
    bank = await async_setup_bank(hass, bluetooth_env, pair)
    set_reported(pair[0], current=-20.0)
    set_reported(pair[1], **PROTECTED)
    await wait_until(lambda: bank.runtime_data.data.isolated, 60)
    await asyncio.sleep(40)
    await hass.config_entries.async_reload(bank.entry_id)
    await asyncio.sleep(ISOLATED_FOR - 60)
    assert issues(hass) == {}
    await asyncio.sleep(30)
    assert "bank_isolated" in issues(hass)


async def test_isolation_is_stored_at_once_and_removed_with_the_bank(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """An empty bank means that the power is about to fail."""
    pair = packs(2)
    bank = await async_setup_bank(hass, bluetooth_env, pair)
    set_reported(pair[0], current=-20.0)
    set_reported(pair[1], **PROTECTED)
    await wait_until(lambda: bank.runtime_data.data.isolated, 60)
    await asyncio.sleep(SAVE_DELAY + 1)
    path = file_of(hass, bank)
    stored = json.loads(await hass.async_add_executor_job(path.read_text))
    assert list(stored["data"]["isolation"]["since"]) == [pair[1].address]
    await hass.config_entries.async_remove(bank.entry_id)
    await settle(hass)
    assert not await hass.async_add_executor_job(path.exists)


async def test_isolation_of_each_battery_has_its_own_time(
    hass: HomeAssistant, fast_clock: FastClock
) -> None:
    """Also when it is stored again because of another battery."""
    first_store = EntryStore(hass, "01BANK", "bank")
    first = Isolation(hass, first_store)
    now = hass.loop.time()
    first.update({"A"}, now - 500)
    first.update({"A", "B"}, now - 100)
    await first_store.async_save()
    other_store = EntryStore(hass, "01BANK", "bank")
    other = Isolation(hass, other_store)
    await other_store.async_load()
    other.load()
    assert other.since == pytest.approx({"A": now - 500, "B": now - 100}, abs=2)
    other.update({"B"}, now)
    assert other.since.keys() == {"B"}
    await other_store.async_save()
    await first_store.async_load()
    first.load()
    assert first.since == pytest.approx({"B": now - 100}, abs=2)
    await first_store.async_remove()


async def test_isolation_of_a_former_member_ends(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Also while it is out of range; as a member again, it has to be found out again."""
    bank, trio = await parted(hass, bluetooth_env)
    await rest(trio)
    await bluetooth_env.peripherals[trio[2].address].stop()
    for members in (trio[:2], trio):
        result = await hass.config_entries.flow.async_init(
            "voltgo_vlrv",
            context={"source": SOURCE_RECONFIGURE, "entry_id": bank.entry_id},
        )
        await hass.config_entries.flow.async_configure(
            result["flow_id"],
            {"name": "House bank", "members": [pack.address for pack in members]},
        )
        await settle(hass)
        assert issues(hass) == {}
        assert bank.runtime_data.data.isolated == frozenset()


@pytest.mark.parametrize(
    ("data", "isolated"),
    [
        ("", []),
        ("[1]", []),
        ("{}", []),
        ('{"since": [1]}', []),
        ('{"since": {"A4:C1:37:00:0A:02": "yesterday"}}', []),
        ('{"since": {"A4:C1:37:00:0A:02": 5}}', []),
        ('{"since": {"A4:C1:37:00:0A:02": null}}', []),
        ('{"since": {"A4:C1:37:00:0A:99": "2026-01-01T00:00:00+00:00"}}', []),
        # Set back since, as the clock of a computer without a battery may be.
        ('{"since": {"A4:C1:37:00:0A:02": "2999-01-01T00:00:00+00:00"}}', [2]),
        ('{"since": {"A4:C1:37:00:0A:02": "2026-01-01T00:00:00"}}', [2]),
    ],
)
async def test_isolation_with_a_damaged_file_is_empty(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    data: str,
    isolated: list[int],
) -> None:
    """Nothing raises, and unknown members are left out."""
    pair = packs(2)
    bank = await async_setup_bank(hass, bluetooth_env, pair)
    for entry in (bank, *async_batteries(hass)):
        await hass.config_entries.async_unload(entry.entry_id)

    def put() -> None:
        content = f'{{"version": 1, "minor_version": 1, "key": "k", "data": {{"isolation": {data}}}}}'
        file_of(hass, bank).write_text(content if data else "{")

    await hass.async_add_executor_job(put)
    assert await hass.config_entries.async_setup(bank.entry_id)
    await settle(hass)
    assert bank.runtime_data.data.isolated == {
        pair[number - 1].address for number in isolated
    }
    assert all(
        since <= hass.loop.time()
        for since in bank.runtime_data.isolation.since.values()
    )
