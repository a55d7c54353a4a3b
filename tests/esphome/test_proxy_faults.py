"""What goes wrong in proxies and between them, and what the user notices."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from homeassistant.components import bluetooth
from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError

from .environment import EsphomeEnvironment
from .harness import MINUTE, async_setup_watched, needs_allocations
from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.repairs import async_create_fix_flow
from simulator.esphome.const import CONNECTION_CANCELED
from simulator.firmware import build_image
from tests.battery.firmware_helpers import firmware_frames, install, upload
from tests.common import (
    add_discovered,
    battery,
    entity_id,
    finish_progress,
    flows,
    issues,
    set_options,
    value,
    wait_until,
)

NEAR, FAR = "02:00:00:00:00:11", "02:00:00:00:00:21"


@pytest.mark.parametrize("off_for", [8.0, 40.0, 400.0])
async def test_proxy_reboot_during_poll_battery_recovers(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment, off_for: float
) -> None:
    """Within 90 s of the restart, and no sample was wrong."""
    node = await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)
    writes = len(found.peripheral.writes)
    await wait_until(lambda: len(found.peripheral.writes) > writes)
    await node.reboot(off_for)
    await found.wait_for_sample(90)
    assert len(node.connections) == 1


async def test_proxy_reboot_during_setting_result_is_unknown(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """The error says so, and the setting is not written again."""
    node = await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)

    def changes() -> list[bytes]:
        return [w.data for w in found.peripheral.writes if w.data[:2] == b"\x10\x07"]

    async def change() -> None:
        await hass.services.async_call(
            "select",
            "select_option",
            {
                "entity_id": entity_id(
                    hass, found.peripheral.address, "module_id", "select"
                ),
                "option": "3",
            },
            blocking=True,
        )

    task = hass.async_create_task(change())
    await wait_until(changes)
    await node.reboot(20)
    with pytest.raises(HomeAssistantError, match="is not known"):
        await task
    await found.wait_for_sample()
    assert len(changes()) == 1


@pytest.mark.parametrize("seconds", [5, 40, 120, 400])
async def test_network_lost_for_a_while_battery_recovers(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment, seconds: float
) -> None:
    """No end is told of it; what was sent meanwhile arrives late."""
    node = await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)
    node.hang()
    await asyncio.sleep(seconds)
    node.resume()
    await found.wait_for_sample(2 * MINUTE)
    await asyncio.sleep(MINUTE)
    assert [*node.connections] == [found.peripheral.address]
    assert found.is_connected


@pytest.mark.parametrize("code", [0x08, 0x13, 0x16, 0x22, 0x3E, 0x85, 0x100, 0x101, -1])
async def test_connect_errors_battery_recovers(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment, code: int
) -> None:
    """After the longest backoff at the latest."""
    node = await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)
    node.faults.connect_errors.extend([code] * 12)
    found.peripheral.drop_connection()
    await wait_until(lambda: not node.faults.connect_errors, 3600)
    await found.wait_for_sample(6 * MINUTE)


@needs_allocations
async def test_lost_disconnect_report_battery_recovers(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """The proxy's allocations show it, too."""
    node = await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)
    node.faults.lose_disconnects = 1
    found.peripheral.drop_connection()
    await found.wait_for_sample(30)


@pytest.mark.parametrize("by", [1, 4])
async def test_moved_handles_are_discovered_again(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment, by: int
) -> None:
    """Home Assistant and the proxy's flash both have cached the old ones."""
    node = await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)
    await found.peripheral.stop()
    found.peripheral.table = found.peripheral.table.moved(by)
    await asyncio.sleep(20)
    await found.peripheral.start()
    await found.wait_for_sample(90)
    assert node.requests["CLEAR_CACHE"] == 1
    assert node.flash[found.peripheral.address] is found.peripheral.table


async def test_proxy_off_another_takes_over(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """When the nearer one has lost its power."""
    near = await bluetooth_env.add_adapter(NEAR, "near")
    far = await bluetooth_env.add_adapter(FAR, "far")
    for node, rssi in ((near, -55), (far, -80)):
        node.rssi["A4:C1:37:00:00:02"] = rssi
    found = await async_setup_watched(hass, bluetooth_env)
    assert near.connections
    await near.stop()
    await found.wait_for_sample(30)
    assert far.connections


@pytest.mark.parametrize("connectable", [True, False])
async def test_passive_proxy_is_not_used(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment, connectable: bool
) -> None:
    """The config flow says that there is no Bluetooth adapter to connect with."""
    await bluetooth_env.add_adapter(connectable=connectable)
    pack = battery("idle")
    await bluetooth_env.add_battery(pack)
    await asyncio.sleep(10)
    assert bluetooth.async_last_service_info(hass, pack.address, False)
    assert bool(flows(hass)) is connectable
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "user"}
    )
    if connectable:
        assert result["type"] is FlowResultType.FORM
    else:
        assert (result["type"], result["reason"]) == ("abort", "no_bluetooth")


@pytest.mark.parametrize(
    ("mode", "within"), [(None, 5 * MINUTE), ("active", 10.0), ("passive", None)]
)
async def test_name_in_scan_response_needs_active_scanning(
    hass: HomeAssistant,
    bluetooth_env: EsphomeEnvironment,
    mode: str | None,
    within: float | None,
) -> None:
    """In Home Assistant's default mode, a proxy scans actively only now and then."""
    await bluetooth_env.add_adapter(mode=mode)
    pack = battery("idle")
    await bluetooth_env.add_battery(pack, name_in_scan_response=True)
    if within is None:
        await asyncio.sleep(3600)
        assert not flows(hass)
    else:
        await wait_until(lambda: flows(hass, pack.address), within)


async def test_better_proxy_is_used(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """After a long connection no proxy has an advertisement: the first one decides."""
    near = await bluetooth_env.add_adapter(NEAR, "near")
    far = await bluetooth_env.add_adapter(FAR, "far")
    pack = battery("idle")
    near.rssi[pack.address], far.rssi[pack.address] = -50, -88
    peripheral = await bluetooth_env.add_battery(pack)
    entry = await add_discovered(hass, pack.address)
    rng = Random(1)
    taken = []
    for _ in range(20):
        await wait_until(lambda: entry.runtime_data.client.is_connected)
        # Which proxy reports first depends on what else it receives.
        bluetooth_env.medium.receivers.sort(key=lambda _: rng.random())
        await asyncio.sleep(10 * MINUTE)
        peripheral.drop_connection()
        await asyncio.sleep(20)
        taken.append("near" if near.connections else "far")
    assert taken == ["near"] * 20


async def test_better_proxy_is_back_connection_is_moved(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """Half an hour after it was lost to the far proxy, and no reading is missed."""
    near = await bluetooth_env.add_adapter(NEAR, "near")
    far = await bluetooth_env.add_adapter(FAR, "far")
    address = "A4:C1:37:00:00:02"
    near.rssi[address], far.rssi[address] = -50, -88
    found = await async_setup_watched(hass, bluetooth_env)
    assert near.connections
    await near.reboot(60)
    await asyncio.sleep(5 * MINUTE)
    assert far.connections
    samples = found.watch.samples
    failed = found.entry.runtime_data.statistics.failed_polls
    await asyncio.sleep(40 * MINUTE)
    assert [*near.connections] == [address]
    assert found.watch.samples - samples >= 240
    assert found.entry.runtime_data.statistics.failed_polls == failed
    assert value(hass, address, "connection_status") == "connected"
    requests = near.requests["BluetoothDeviceRequest"]
    await asyncio.sleep(3600)
    assert near.requests["BluetoothDeviceRequest"] == requests


async def test_only_passive_proxy_in_range_is_told(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """The battery is on the air, and nothing that can connect receives it."""
    active = await bluetooth_env.add_adapter(NEAR, "active")
    await bluetooth_env.add_adapter(FAR, "passive", connectable=False)
    found = await async_setup_watched(hass, bluetooth_env)
    address = found.peripheral.address
    active.rssi[address] = None
    found.peripheral.drop_connection()
    # Home Assistant keeps what an adapter has received for some minutes.
    await asyncio.sleep(10 * MINUTE)
    assert value(hass, address, "connection_status") == "unreachable"
    assert found.entry.runtime_data.coordinator.last_failure == "receive_only"
    active.rssi[address] = -60
    await found.wait_for_sample(30)


async def test_signal_strength_is_that_of_the_connection(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """A firmware update needs -80 dBm on the connection, not on another proxy."""
    far = await bluetooth_env.add_adapter(FAR, "far")
    near = await bluetooth_env.add_adapter(NEAR, "near")
    near.faults.out_of_slots = True
    pack = battery("idle")
    near.rssi[pack.address], far.rssi[pack.address] = -50, -88
    await bluetooth_env.add_battery(pack)
    entry = await add_discovered(hass, pack.address)
    await wait_until(lambda: entry.runtime_data.client.is_connected)
    await asyncio.sleep(MINUTE)
    assert far.connections
    assert entry.runtime_data.advertisement.signal_strength == -88


async def test_firmware_mtu_has_become_small_is_refused(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment, tmp_path: Path
) -> None:
    """The characteristic has the MTU of another connection: flash would be erased."""
    await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env, max_mtu=160)
    await upload(hass, found.entry, tmp_path, data=build_image("Z01T21", 4096))
    found.peripheral.max_mtu = 23
    found.peripheral.drop_connection()
    await found.wait_for_sample()
    with pytest.raises(HomeAssistantError):
        await install(hass, found.peripheral.battery)
    assert firmware_frames(found.peripheral) == []


async def test_unreachable_batteries_do_not_delay_others(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """Attempts over one proxy do not block the batteries of the other.

    These get 95 % of their readings.
    """
    failing = await bluetooth_env.add_adapter(NEAR, "failing")
    working = await bluetooth_env.add_adapter(FAR, "working")
    entries = []
    for at in range(1, 8):
        pack = battery(
            "idle", address=f"A4:C1:37:00:00:{at:02X}", name=f"ZT-{at}", seed=at
        )
        failing.rssi[pack.address] = -50 if at <= 2 else None
        working.rssi[pack.address] = None if at <= 2 else -50
        await bluetooth_env.add_battery(pack)
        entries.append(await add_discovered(hass, pack.address))
    await asyncio.sleep(5 * MINUTE)
    # As with a weak battery: received, and the stack gives up after 20 s.
    failing.faults.connect_errors.extend([CONNECTION_CANCELED] * 1000)
    failing.faults.connect_error_after = 20.0
    for at in (1, 2):
        bluetooth_env.peripherals[f"A4:C1:37:00:00:{at:02X}"].drop_connection()
    before = [entry.runtime_data.statistics.samples for entry in entries[2:]]
    oldest = 0.0
    for _ in range(300):
        await asyncio.sleep(1)
        ages = [
            e.runtime_data.statistics.age(hass.loop.time()) or 0.0 for e in entries[2:]
        ]
        oldest = max(oldest, *ages)
    assert oldest < 30
    readings = [
        entry.runtime_data.statistics.samples - count
        for entry, count in zip(entries[2:], before, strict=True)
    ]
    assert min(readings) >= 0.95 * 30


async def test_orphaned_connection_is_reported(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """A proxy keeps the connections of a client that disappeared.

    Home Assistant reconnects before the proxy has noticed, and the battery cannot be
    reached from anywhere. The proxy's allocations have its address.
    """
    node = await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)
    node.hang()
    await asyncio.sleep(120)
    node.forget_network()
    await asyncio.sleep(20 * MINUTE)
    assert [*node.connections] == [found.peripheral.address]
    assert value(hass, found.peripheral.address, "voltage") == STATE_UNAVAILABLE
    assert found.entry.runtime_data.coordinator.last_failure == "orphaned"


async def test_orphaned_connection_reload_of_proxy_frees_it(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """So a repair issue can offer it."""
    node = await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)
    node.hang()
    await asyncio.sleep(120)
    node.forget_network()
    await asyncio.sleep(20 * MINUTE)
    (issue,) = issues(hass, "orphaned")
    assert issue.translation_placeholders == {
        "name": found.entry.title,
        "adapter": node.entry.title,
    }
    flow = await async_create_fix_flow(hass, issue.issue_id, issue.data)
    flow.hass = hass
    flow.issue_id = issue.issue_id
    flow.handler = DOMAIN
    result = await flow.async_step_init()
    assert result["step_id"] == "confirm"
    result = await flow.async_step_confirm({})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await found.wait_for_sample(30)
    assert issues(hass) == []


async def test_connection_lost_after_each_poll_is_still_read(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """There are values every half minute, so entities stay available."""
    await bluetooth_env.add_adapter()
    found = await async_setup_watched(hass, bluetooth_env)
    await set_options(hass, found.entry, connection="keep")
    await asyncio.sleep(2 * MINUTE + 0.5)
    battery_data = found.entry.runtime_data
    samples = battery_data.statistics.samples

    def on_poll() -> None:
        nonlocal samples
        if battery_data.statistics.samples > samples:
            samples = battery_data.statistics.samples
            hass.loop.call_later(0.5, found.peripheral.drop_connection)

    battery_data.coordinator.async_add_listener(on_poll)
    found.peripheral.drop_connection()
    unavailable = 0
    for _ in range(360):
        await asyncio.sleep(10)
        unavailable += (
            value(hass, found.peripheral.address, "voltage") == STATE_UNAVAILABLE
        )
    assert unavailable == 0


async def test_config_flow_full_proxy_is_told_at_once(
    hass: HomeAssistant, bluetooth_env: EsphomeEnvironment
) -> None:
    """Home Assistant knows how many slots are free."""
    node = await bluetooth_env.add_adapter()
    pack = battery("idle", name="Grandma")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.heard(pack.address)
    node.faults.out_of_slots = True
    await asyncio.sleep(1)
    began = hass.loop.time()
    result = await hass.config_entries.flow.async_init(
        DOMAIN, context={"source": "user"}
    )
    result = await hass.config_entries.flow.async_configure(
        result["flow_id"], {"address": pack.address}
    )
    result = await finish_progress(hass, result)
    assert result["errors"] == {"base": "no_slot"}
    assert hass.loop.time() - began < 10
