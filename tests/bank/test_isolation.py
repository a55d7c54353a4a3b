"""A battery that cut itself off: the warning stays until the battery says otherwise."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from homeassistant.core import HomeAssistant

from .harness import MAX_AGE, BankHarness, async_setup_bank, packs
from .test_entities import EXTENSIVE, PROTECTED
from custom_components.voltgo_vlrv.bank.isolation import SAVE_DELAY, Isolation
from custom_components.voltgo_vlrv.bank.notices import ISOLATED_FOR
from custom_components.voltgo_vlrv.history.store import EntryStore
from simulator.clock import FastClock
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, settle, wait_for_poll, wait_until

NAMES = {"bank": "House bank", "name": "ZT-12.8V100Ah-0003"}


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Replace no storage: how a file is read and written is what counts here."""
    return {}


def file_of(bank: BankHarness) -> Path:
    """Return where is stored who is isolated."""
    name = f"voltgo_vlrv.bank.{bank.entry.entry_id}"
    return Path(bank.hass.config.path(".storage", name))


async def parted(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> BankHarness:
    """Return a bank of which the third battery has cut itself off at 0 %."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(3))
    for battery in bank.batteries[:2]:
        battery.set_reported(current=-20.0, state_of_charge=70)
    bank.batteries[2].set_reported(**PROTECTED, state_of_charge=0)
    await asyncio.sleep(200)
    still_isolated(bank)
    return bank


def still_isolated(bank: BankHarness) -> None:
    """Make sure that the third battery is named, and counts for nothing."""
    assert bank.issues["bank_isolated"].items() >= NAMES.items()
    assert bank.shown("battery_isolated") == "on"
    assert bank.attribute("battery_isolated", "batteries") == ["ZT-12.8V100Ah-0003"]
    assert bank.shown("state_of_charge") == "70.0"


async def rest(bank: BankHarness) -> None:
    """Let the other two report no current from now on."""
    for battery in bank.batteries[:2]:
        battery.set_reported(current=0.0, state_of_charge=70)
    await wait_for_poll()


async def test_isolated_battery_out_of_range_stays_isolated(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Out of range or switched off as the issue says; also when it is back at rest."""
    bank = await parted(hass, bluetooth_env)
    caplog.clear()
    peripheral = bank.batteries[2].peripheral
    await peripheral.stop()
    await asyncio.sleep(MAX_AGE + POLL_INTERVAL)
    still_isolated(bank)
    assert bank.shown("batteries_reporting") == "2"
    for key in EXTENSIVE[:2]:
        assert bank.shown(key) == "unknown"
    await rest(bank)
    still_isolated(bank)
    await peripheral.start()
    await bank.wait_reporting(3, 300)
    await asyncio.sleep(200)
    still_isolated(bank)
    assert "is active again" not in caplog.text
    # Only its own report ends it.
    bank.batteries[2].pack.override = None
    await wait_for_poll()
    assert bank.issues == {}
    assert bank.shown("battery_isolated") == "off"
    assert "ZT-12.8V100Ah-0003 is active again" in caplog.text


async def test_isolated_battery_that_is_released_or_off_stays_isolated(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The user releases it to look at it with the app; and none may be in range."""
    bank = await parted(hass, bluetooth_env)
    await bank.batteries[2].connection.async_release()
    await settle(hass)
    still_isolated(bank)
    for battery in bank.batteries[:2]:
        await battery.peripheral.stop()
    await asyncio.sleep(MAX_AGE + POLL_INTERVAL)
    assert bank.issues["bank_isolated"].items() >= NAMES.items()
    assert bank.shown("battery_isolated") == "on"
    assert bank.shown("state_of_charge") == "unavailable"


async def test_isolation_after_a_reload_at_rest_is_remembered(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Options, another name or a restart change nothing that a battery has reported."""
    bank = await parted(hass, bluetooth_env)
    await rest(bank)
    await bank.reload()
    await settle(hass)
    # The two minutes do not start again.
    still_isolated(bank)
    await asyncio.sleep(200)
    still_isolated(bank)
    await bank.restart()
    await bank.wait_reporting(3, 60)
    await wait_for_poll()
    still_isolated(bank)


async def test_isolation_issue_after_a_reload_still_waits_two_minutes(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A protection that releases by itself raises no issue, also not after a restart."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    bank.batteries[0].set_reported(current=-20.0)
    bank.batteries[1].set_reported(**PROTECTED)
    await wait_until(lambda: bank.coordinator.data.isolated, 60)
    await asyncio.sleep(40)
    await bank.reload()
    await asyncio.sleep(ISOLATED_FOR - 60)
    assert bank.issues == {}
    await asyncio.sleep(30)
    assert "bank_isolated" in bank.issues


async def test_isolation_is_stored_at_once_and_removed_with_the_bank(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """An empty bank means that the power is about to fail."""
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    bank.batteries[0].set_reported(current=-20.0)
    bank.batteries[1].set_reported(**PROTECTED)
    await wait_until(lambda: bank.coordinator.data.isolated, 60)
    await asyncio.sleep(SAVE_DELAY + 1)
    path = file_of(bank)
    stored = json.loads(await hass.async_add_executor_job(path.read_text))
    assert list(stored["data"]["isolation"]["since"]) == [bank.batteries[1].address]
    await bank.remove()
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
    bank = await parted(hass, bluetooth_env)
    await rest(bank)
    await bank.batteries[2].peripheral.stop()
    for members in (bank.batteries[:2], bank.batteries):
        await bank.reconfigure("House bank", [battery.address for battery in members])
        assert bank.issues == {}
        assert bank.coordinator.data.isolated == frozenset()


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
    bank = await async_setup_bank(hass, bluetooth_env, packs(2))
    for entry in bank.entries:
        await hass.config_entries.async_unload(entry.entry_id)

    def put() -> None:
        content = f'{{"version": 1, "minor_version": 1, "key": "k", "data": {{"isolation": {data}}}}}'
        file_of(bank).write_text(content if data else "{")

    await hass.async_add_executor_job(put)
    await bank.setup()
    await settle(hass)
    assert bank.coordinator.data.isolated == {
        bank.batteries[number - 1].address for number in isolated
    }
    assert all(
        since <= hass.loop.time() for since in bank.coordinator.isolation.since.values()
    )
