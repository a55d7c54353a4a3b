"""Every way a connection can fail: what is shown stays true and returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields, replace
import logging
from typing import Any, Final

import pytest

from homeassistant.const import CONF_ADDRESS, STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant

from .watch import CONNECTING, WatchedBatteryHarness
from custom_components.voltgo_vlrv.connection.slots import SlotMonitor
from simulator.clock import FastClock
from simulator.faults import FOREVER, ConnectionFaults
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, battery, issues, log_lines, wait_until
from tests.harness import BatteryHarness, async_setup_battery, async_setup_fleet

MINUTE = 60.0
HOUR = 3600.0
STALE = 60.0  # s; how long values stand
TRIES = 3  # requests of a poll that stays without an answer
MAX_BACKOFF = 300.0  # s; between two calls of a battery that does not come back
# In 20 minutes; the library tries up to nine times for each of our calls.
MAX_CONNECTIONS = 9 * 9

# What does not strike but says how.
HOW: Final = {"delay", "late_by", "chunk_size", "junk", "held"}
FAULTS: Final = [
    switch.name
    for switch in fields(ConnectionFaults)
    if switch.name not in HOW and switch.name != "out_of_slots"
]
# With these for good, there are values nevertheless.
HARMLESS: Final = {"lead", "duplicate", "late"}
# These need a new connection to strike.
ON_CONNECTING: Final = {
    "disconnect_on_connect", "disconnect_on_subscribe",
    "refuse_connection", "refuse_subscription",
}  # fmt: skip


def source(one: BatteryHarness) -> str:
    """Return the address of the adapter with the connection, empty without one."""
    scanner = SlotMonitor(one.hass, one.entry.data[CONF_ADDRESS]).connected_adapter()
    return "" if scanner is None else scanner.source


async def async_setup_watched(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> WatchedBatteryHarness:
    """Return a battery under load whose samples are compared from now on."""
    one = await async_setup_battery(
        hass,
        bluetooth_env,
        battery("driving_load"),
        harness=WatchedBatteryHarness,
    )
    one.start_watch()
    return one


@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_that_occurs_once_leaves_values_available(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    """The next good sample is received within half a minute."""
    test = await async_setup_watched(hass, bluetooth_env)
    setattr(test.faults, fault, 1)
    if fault in ON_CONNECTING:
        test.peripheral.drop_connection()
        await wait_until(lambda: getattr(test.faults, fault) == 0, 30)
    else:
        await wait_until(lambda: getattr(test.faults, fault) == 0, POLL_INTERVAL + 1)
    assert await test.wait_for_sample(30 + CONNECTING) <= 30
    await asyncio.sleep(MINUTE)
    assert test.became_unavailable == []
    assert test.watch.samples >= 5
    assert log_lines(caplog, logging.INFO) == []
    await test.assert_clean()
    await test.assert_unloads()


@pytest.mark.parametrize("fault", FAULTS)
async def test_fault_that_lasts_causes_one_outage(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    """Expired values become unavailable, with one warning; they return after the fault."""
    test = await async_setup_watched(hass, bluetooth_env)
    connections = test.peripheral.connections
    setattr(test.faults, fault, FOREVER)
    if fault in ON_CONNECTING:
        test.peripheral.drop_connection()
    await asyncio.sleep(20 * MINUTE)
    unavailable = test.shown("voltage") == STATE_UNAVAILABLE
    assert unavailable is (fault not in HARMLESS)
    # A battery is not worn out by calls that lead nowhere.
    assert test.peripheral.connections - connections <= MAX_CONNECTIONS
    assert len(log_lines(caplog, logging.INFO)) == unavailable
    await test.assert_clean()

    test.faults.clear()
    await test.wait_for_sample(MAX_BACKOFF + CONNECTING + POLL_INTERVAL)
    await asyncio.sleep(MINUTE)
    assert test.shown("voltage") != STATE_UNAVAILABLE
    assert len(log_lines(caplog, logging.INFO)) == 2 * unavailable
    assert len(log_lines(caplog, logging.ERROR)) <= 1
    await test.assert_clean()
    await test.assert_unloads()


# F6: stuck data presented as live ---------------------------------------------------


async def test_connection_without_answers_is_reconnected(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """It is ended after three unanswered polls and made again, as long as it takes."""
    test = await async_setup_watched(hass, bluetooth_env)
    connections = test.peripheral.connections
    test.faults.drop = FOREVER
    await asyncio.sleep(STALE + 2 * POLL_INTERVAL)
    assert test.shown("voltage") == STATE_UNAVAILABLE
    assert test.peripheral.connections > connections
    assert test.shown("energy_discharged") != STATE_UNAVAILABLE
    await test.assert_clean()


# F7: no self-recovery ----------------------------------------------------------------


async def occupy(test: WatchedBatteryHarness) -> None:
    """Have the phone app take the battery while no other device can."""
    (adapter,) = test.bluetooth_env.adapters.values()
    adapter.faults.out_of_slots = True
    test.peripheral.drop_connection()
    await wait_until(lambda: test.peripheral.is_advertising, 1)
    await test.peripheral.occupy()
    adapter.faults.out_of_slots = False


async def vacate(test: WatchedBatteryHarness) -> None:
    """Close the phone app."""
    await test.peripheral.vacate()


async def leave(test: WatchedBatteryHarness) -> None:
    """Drive out of range."""
    await test.peripheral.silence()
    test.peripheral.drop_connection()


async def return_(test: WatchedBatteryHarness) -> None:
    """Come back into range."""
    await test.peripheral.advertise()


async def switch_off(test: WatchedBatteryHarness) -> None:
    """Switch the battery off."""
    await test.peripheral.stop()


async def switch_on(test: WatchedBatteryHarness) -> None:
    """Switch it on."""
    await test.peripheral.start()


async def unplug(test: WatchedBatteryHarness) -> None:
    """Take the only adapter away."""
    await test.bluetooth_env.remove_adapter()


async def plug_in(test: WatchedBatteryHarness) -> None:
    """Put another one in."""
    await test.bluetooth_env.add_adapter("02:00:00:00:00:77")


type Step = Callable[[WatchedBatteryHarness], Any]


@pytest.mark.parametrize("minutes", [2, 90])
@pytest.mark.parametrize(
    ("take", "give"),
    [
        (occupy, vacate),
        (leave, return_),
        (switch_off, switch_on),
        (unplug, plug_in),
    ],
)
async def test_outage_of_any_length_ends_by_itself(  # noqa: PLR0917
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
    take: Step,
    give: Step,
    minutes: int,
) -> None:
    """Seconds after the battery is in range again; one line in the log each way."""
    test = await async_setup_watched(hass, bluetooth_env)
    await take(test)
    await asyncio.sleep(minutes * MINUTE)
    assert test.shown("voltage") == STATE_UNAVAILABLE
    await give(test)
    assert await test.wait_for_sample(MAX_BACKOFF) <= 15
    await asyncio.sleep(1)
    assert test.shown("voltage") != STATE_UNAVAILABLE
    assert len(log_lines(caplog, logging.INFO)) == 2
    await test.assert_clean()
    await test.assert_unloads()


async def test_connection_attempt_that_hangs_does_not_delay_the_others(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """One battery takes a minute to fail; the other is read on time."""
    stuck, fine = await async_setup_fleet(hass, bluetooth_env, 2, {"slots": 3})
    await asyncio.sleep(30)
    stuck.peripheral.faults.refuse_connection = FOREVER
    stuck.peripheral.drop_connection()
    health = fine.entry.runtime_data.statistics
    samples, lost = health.samples, fine.became_unavailable
    lost.clear()
    await asyncio.sleep(10 * MINUTE)
    assert health.samples - samples >= 58
    fine.peripheral.drop_connection()
    # It waits for its turn to connect, for one attempt of the other at most.
    await wait_until(lambda: fine.is_connected, CONNECTING + 5)


async def test_adapter_that_is_unplugged_is_replaced_by_another(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The other one receives the battery's advertisements as well."""
    test = await async_setup_watched(hass, bluetooth_env)
    await bluetooth_env.add_adapter("02:00:00:00:00:02")
    await asyncio.sleep(5)
    first = source(test)
    await bluetooth_env.remove_adapter(first)
    assert await test.wait_for_sample(MINUTE) <= 30
    assert source(test) in {*bluetooth_env.adapters} - {first}
    assert test.became_unavailable == []
    await test.assert_clean()


# F8: slots ---------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop", *sorted(ON_CONNECTING)])
async def test_unload_reload_release_and_stop_leave_no_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fault: str
) -> None:
    """At any moment."""
    test = await async_setup_watched(hass, bluetooth_env)
    (adapter,) = bluetooth_env.adapters.values()
    for seconds in (0.01, 0.3, 1.1, 5.0, 12.0):
        setattr(test.faults, fault, FOREVER)
        test.peripheral.drop_connection()
        await asyncio.sleep(seconds)
        assert await hass.config_entries.async_unload(test.entry.entry_id)
        await asyncio.sleep(0.5)
        assert adapter.free_slots == adapter.slots
        assert not test.peripheral.is_connected
        test.faults.clear()
        assert await hass.config_entries.async_setup(test.entry.entry_id)
        await wait_until(lambda: test.is_connected, 30)
        setattr(test.faults, fault, FOREVER)
        test.peripheral.drop_connection()
        await asyncio.sleep(seconds)
        await test.set_connection(False)
        await asyncio.sleep(0.5)
        assert adapter.free_slots == adapter.slots
        test.faults.clear()
        await test.set_connection(True)
        await wait_until(lambda: test.is_connected, 30)
        assert adapter.slots - adapter.free_slots == 1


# F9: energy --------------------------------------------------------------------------


async def test_energy_counters_with_any_fault_count_what_flowed(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment, fast_clock: FastClock
) -> None:
    """Neither a gap, a release, an invalid sample nor a clock change adds energy."""
    test = await async_setup_watched(hass, bluetooth_env)
    pack, energy = test.pack, test.entry.runtime_data.history.energy
    base = energy.total("discharged") - pack.discharge_energy_kwh
    measured = 0.0
    for fault in ("corrupt", "late", "lose_chunk", "duplicate", "drop"):
        setattr(test.faults, fault, 2)
        await asyncio.sleep(5 * MINUTE)
    for jump in (48 * HOUR, -72 * HOUR):
        fast_clock.epoch += jump
        await asyncio.sleep(5 * MINUTE)
    pack.override = replace(pack.reported(), current=3000.0)
    await asyncio.sleep(2 * POLL_INTERVAL)
    pack.override = None
    await asyncio.sleep(MINUTE)
    measured = energy.total("discharged") - base
    assert measured == pytest.approx(pack.discharge_energy_kwh, rel=0.005)
    before = energy.total("discharged")
    await test.release(duration={"hours": 1})
    await asyncio.sleep(HOUR + MINUTE)
    assert test.is_connected
    # The load of an hour is not known, and not counted.
    load = abs(pack.expected_values()["power"]) / 1000
    assert 0 < energy.total("discharged") - before < 2 * load / 60
    assert energy.total("charged") == 0


# --- scaling out by proxies ----------------------------------------------------------


async def test_proxies_with_eight_batteries_and_one_failing_serve_all(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The others take over its batteries, or a repair issue names them."""
    batteries = await async_setup_fleet(
        hass, bluetooth_env, 8, {"slots": 3}, {"slots": 3}, {"slots": 3}
    )
    await asyncio.sleep(2 * MINUTE)
    assert all(one.shown("voltage") != STATE_UNAVAILABLE for one in batteries)
    used = {source(one) for one in batteries} - {""}
    assert len(used) >= 2
    dead = min(used)
    for one in batteries:
        one.became_unavailable.clear()
    await bluetooth_env.remove_adapter(dead)
    await asyncio.sleep(2 * MINUTE)
    named = {
        issue.translation_placeholders["name"]
        for issue in issues(hass, "no_slot")
        if issue.translation_placeholders
    }
    for one in batteries:
        served = one.entry.runtime_data.statistics.age(hass.loop.time())
        assert served is not None
        assert served < STALE or one.entry.title in named
        assert source(one) != dead


async def test_proxies_in_range_of_the_same_battery_keep_one_connection(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """However often the stronger signal changes."""
    test = await async_setup_watched(hass, bluetooth_env)
    second = await bluetooth_env.add_adapter("02:00:00:00:00:02")
    first = bluetooth_env.adapters["02:00:00:00:00:01"]
    connections = test.peripheral.connections
    for number in range(30):
        better, worse = (first, second) if number % 2 else (second, first)
        better.radio.rssi[test.pack.address] = -50
        worse.radio.rssi[test.pack.address] = -90
        await asyncio.sleep(MINUTE)
    assert test.peripheral.connections == connections
    assert test.became_unavailable == []
    await test.assert_clean()
