"""What was ever seen of the unproven, and that one download can settle it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
import json
import logging
from pathlib import Path
import time
from typing import Any

import pytest

from homeassistant.const import EVENT_HOMEASSISTANT_STOP
from homeassistant.core import HomeAssistant
from homeassistant.helpers.storage import get_internal_store_manager

from custom_components.voltgo_vlrv.data import VlrvConfigEntry
from custom_components.voltgo_vlrv.history.diagnostic_log import async_diagnostic_log
from custom_components.voltgo_vlrv.history.observations import (
    MAX_FUNCTIONS,
    MAX_VALUES,
    OBSERVED_REGISTERS,
    SAVE_DELAY,
    RegisterObservations,
)
from simulator.battery import settings_frame
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import POLL_INTERVAL, battery, log_lines
from tests.harness import async_setup_battery
from tests.vlrv.samples import status

NOON = 1_780_000_000.0  # s since 1970
ENTRY = "01TEST"


@pytest.fixture
def hass_storage() -> dict[str, Any]:
    """Replace no storage: how a file is read and written is what counts here."""
    return {}


def values(observations: RegisterObservations, register: int) -> list[dict[str, Any]]:
    """Return what was seen of a register."""
    (found,) = (
        item
        for item in observations.as_dict()["registers"]
        if item["register"] == register
    )
    return list(found["values"])


def seen(observations: RegisterObservations, register: int) -> list[str]:
    """Return the values that were seen of a register, in order."""
    return [item["value"] for item in values(observations, register)]


def replies(observations: RegisterObservations, function: int) -> dict[str, Any]:
    """Return what was seen of a settings function."""
    (found,) = (
        item
        for item in observations.as_dict()["settings_replies"]
        if item["function"] == f"0x{function:02x}"
    )
    return dict(found)


def file_of(hass: HomeAssistant, entry_id: str) -> Path:
    """Return where the observations of an entry is stored."""
    return Path(hass.config.path(".storage", f"voltgo_vlrv.observations.{entry_id}"))


def put(hass: HomeAssistant, content: str) -> None:
    """Let a file be there, as if it always had been."""
    file = file_of(hass, ENTRY)
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)
    get_internal_store_manager(hass).async_invalidate(file.name)


async def restart(hass: HomeAssistant, entry: VlrvConfigEntry) -> RegisterObservations:
    """Return the observations as a restarted Home Assistant has them."""
    observations = RegisterObservations(hass, entry.entry_id)
    await observations.async_load()
    return observations


@pytest.fixture(name="observations")
def observations_fixture(hass: HomeAssistant) -> RegisterObservations:
    """Return the observations of a battery that was never seen."""
    return RegisterObservations(hass, ENTRY)


# --- collecting -----------------------------------------------------------------------


def test_observations_contain_the_registers_of_open_questions(
    observations: RegisterObservations,
) -> None:
    """Those that protocol 11 asks for, each with the reason."""
    assert [question.register for question in OBSERVED_REGISTERS] == [
        *(19, 22, 25, 26, 27, 28, 29, 30, 38, 39, 40)
    ]
    assert all(question.why for question in OBSERVED_REGISTERS)
    raw = {
        question.register: 0x0100 + question.register for question in OBSERVED_REGISTERS
    }
    observations.add(status({**raw, 25: 0x8302}), NOON)
    for question in OBSERVED_REGISTERS:
        expected = 0x8300 if question.register == 25 else raw[question.register]
        assert seen(observations, question.register) == [f"0x{expected:04x}"]


def test_observations_without_a_sample_have_no_values(
    observations: RegisterObservations,
) -> None:
    """The questions are there, without an answer."""
    found = observations.as_dict()
    assert len(found["registers"]) == len(OBSERVED_REGISTERS)
    assert not any(item["values"] or item["overflow"] for item in found["registers"])
    assert found["settings_replies"] == []


def test_observed_value_has_its_first_and_last_time(
    observations: RegisterObservations,
) -> None:
    """With what the battery was doing then."""
    observations.add(status(), NOON)
    observations.add(
        status({38: 0b101}, current=12.3, operating_state=1, state_of_charge=97),
        NOON + 10,
    )
    observations.add(
        status({38: 0b101}, current=4.5, operating_state=1, probe_temperatures=(21, 7)),
        NOON + 20,
    )
    observations.add(status(), NOON + 30)
    none, some = values(observations, 38)
    assert (none["value"], some["value"]) == ("0x0000", "0x0005")
    assert (none["count"], some["count"]) == (2, 2)
    assert [
        datetime.fromisoformat(item[key]).timestamp() - NOON
        for item in (none, some)
        for key in ("first", "last")
    ] == [0, 30, 10, 20]
    first, last = some["first_context"], some["last_context"]
    assert (first["current"], last["current"]) == (12.3, 4.5)
    assert first["state_of_charge"] == 97
    assert first["operating_state"] == "charging"
    assert first["voltage"] == 26.42
    assert first["cells"] == [3300, 3301, 3302, 3303, 3304, 3305, 3306, 3307]
    assert first["probes"][:2] == [20, 20]
    assert last["probes"][:2] == [21, 7]
    assert last["max_temperature"] == 21
    assert first["pcb_temperature"] == first["ambient_temperature"] == 20
    assert bytes.fromhex(first["frame"]) == (
        status({38: 0b101}, current=12.3, operating_state=1, state_of_charge=97).frame
    )


def test_observed_value_counts_repeated_samples(
    observations: RegisterObservations,
) -> None:
    """Although nothing is touched as long as nothing changes."""
    for number in range(1000):
        observations.add(status(current=number / 10), NOON + 10 * number)
    (item,) = values(observations, 40)
    assert item["count"] == 1000
    assert datetime.fromisoformat(item["last"]).timestamp() == NOON + 9990
    assert item["first_context"]["current"] == 0.0
    assert item["last_context"]["current"] == 99.9
    # Asking does not count anything twice.
    assert values(observations, 40) == [item]
    observations.add(status({40: 0x10}), NOON + 10_000)
    before, after = values(observations, 40)
    assert before == item
    assert (after["value"], after["count"]) == ("0x0010", 1)


def test_observations_leave_out_the_low_byte_of_the_status_word(
    observations: RegisterObservations,
) -> None:
    """It is proven."""
    for state in (0, 1, 2, 4):
        observations.add(status(operating_state=state), NOON + state)
    (item,) = values(observations, 25)
    assert (item["value"], item["count"]) == ("0x0000", 4)


def test_observations_of_39_registers_leave_two_questions_open(
    observations: RegisterObservations,
) -> None:
    """The other questions are answered."""
    observations.add(status({38: 7}, count=39), NOON)
    assert seen(observations, 38) == ["0x0007"]
    assert seen(observations, 39) == seen(observations, 40) == []


def test_observed_values_of_a_register_are_bounded(
    observations: RegisterObservations,
) -> None:
    """The first ones stay, further ones are counted, and known ones are still updated."""
    for number in range(MAX_VALUES + 20):
        observations.add(status({39: number}), NOON + number)
    observations.add(status({39: 3}), NOON + 1000)
    assert seen(observations, 39) == [f"0x{number:04x}" for number in range(MAX_VALUES)]
    (found,) = (
        item for item in observations.as_dict()["registers"] if item["register"] == 39
    )
    assert found["overflow"] == 20
    assert values(observations, 39)[3]["count"] == 2
    assert seen(observations, 40) == ["0x0000"]


def test_observed_current_uses_the_scale_of_the_options(
    observations: RegisterObservations,
) -> None:
    """As in the sensors."""
    observations.add(status(current=100.0), NOON)
    item = observations.as_dict(current_scale=100)["registers"][0]["values"][0]
    assert item["first_context"]["current"] == 10.0


def test_observed_value_in_an_unknown_state_has_no_word_for_it(
    observations: RegisterObservations,
) -> None:
    """The code is in the frame."""
    observations.add(status({25: 0x77}), NOON)
    (item,) = values(observations, 39)
    assert item["first_context"]["operating_state"] is None


def test_observed_replies_are_stored_with_their_request(
    observations: RegisterObservations,
) -> None:
    """The answer to a heater switched on may look like that to one switched off."""
    done = settings_frame(0x0A, b"\0")
    switch_on, switch_off = settings_frame(0x0A, b"\1"), settings_frame(0x0A, b"\0")
    observations.add_reply(switch_on, done)
    observations.add(status({40: 0x10}), NOON)
    observations.add_reply(switch_off, done)
    observations.add_reply(switch_on, done)
    observations.add_reply(b"", settings_frame(0x0D, b"name"))
    first, second = replies(observations, 0x0A)["values"]
    assert first["value"] == f"{switch_on.hex()} > {done.hex()}"
    assert second["value"] == f"{switch_off.hex()} > {done.hex()}"
    assert (first["count"], second["count"]) == (2, 1)
    assert first["first_context"] is None
    assert first["last_context"]["voltage"] == 26.42
    (unasked,) = replies(observations, 0x0D)["values"]
    assert unasked["value"] == f" > {settings_frame(0x0D, b'name').hex()}"


def test_observed_replies_are_bounded(observations: RegisterObservations) -> None:
    """Whatever a battery says of its own accord."""
    for function in range(256):
        for number in range(40):
            observations.add_reply(b"", settings_frame(function, bytes((number,))))
    found = observations.as_dict()["settings_replies"]
    assert len(found) == MAX_FUNCTIONS
    assert {len(item["values"]) for item in found} == {MAX_VALUES}
    assert {item["overflow"] for item in found} == {40 - MAX_VALUES}


def test_observation_of_an_unchanged_sample_is_fast(
    observations: RegisterObservations,
) -> None:
    """Sixteen batteries may be polled each five seconds on a small computer."""
    sample = status()
    observations.add(sample, NOON)
    best = min(_seconds(observations, sample) for _ in range(5))
    assert best / 10_000 < 5e-6


def _seconds(observations: RegisterObservations, sample: Any) -> float:
    started = time.perf_counter()
    for _ in range(10_000):
        observations.add(sample, NOON)
    return time.perf_counter() - started


# --- keeping --------------------------------------------------------------------------


async def test_observations_after_saving_are_restored_equal(
    hass: HomeAssistant, observations: RegisterObservations
) -> None:
    """Values, moments, contexts, counts and what did not fit."""
    for number in range(MAX_VALUES + 5):
        observations.add(status({39: number, 26: 0x0800}), NOON + number)
    observations.add_reply(settings_frame(2), settings_frame(2, b"\1"))
    await observations.file.async_save()
    again = RegisterObservations(hass, ENTRY)
    await again.async_load()
    assert again.as_dict() == observations.as_dict()
    again.add(status({26: 0x0800}), NOON + 999)
    assert values(again, 26)[0]["count"] == MAX_VALUES + 6


async def test_observations_are_loaded_once(
    hass: HomeAssistant, observations: RegisterObservations
) -> None:
    """What was observed since is not undone."""
    observations.add(status({39: 1}), NOON)
    await observations.file.async_save()
    observations.add(status({39: 2}), NOON + 1)
    again = RegisterObservations(hass, ENTRY)
    await again.async_load()
    again.add(status({39: 3}), NOON + 2)
    await again.async_load()
    assert seen(again, 39) == ["0x0001", "0x0003"]


def _with_values(values: str) -> str:
    """Return a file of the integration with these values."""
    return (
        '{"version": 1, "data": {"observations": {"replies": {}, "registers": '
        f'{{"19": {{"overflow": 0, "values": {values}}}}}}}}}}}'
    )


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\0\0\0\0",
        '{"version": 1, "data": {"regis',
        "[]",
        "{}",
        '"text"',
        '{"version": 1}',
        '{"version": 7, "data": {}}',
        '{"version": 0, "data": {}}',
        '{"version": 1, "data": []}',
        '{"version": 1, "data": [1]}',
        '{"version": 1, "data": {"cats": 3}}',
        '{"version": 1, "data": {"observations": {"registers": 5, "replies": {}}}}',
        '{"version": 1, "data": {"observations": {"registers": {"x": {}}, "replies": {}}}}',
        _with_values('[["a", 0, "", 0, "", 1]]'),
        _with_values('[[1, 0, "0103", 0, "", 1]]'),
        _with_values('[[1, 1e30, "", 0, "", 1]]'),
        _with_values("[[1, 0]]"),
    ],
)
async def test_observations_with_a_foreign_file_start_empty(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    """The user can do nothing about it, so no issue is created, and it heals."""
    put(hass, content)
    observations = RegisterObservations(hass, ENTRY)
    await observations.async_load()
    observations.add(status({39: 5}), NOON)
    assert seen(observations, 39) == ["0x0005"]
    assert not log_lines(caplog, logging.WARNING)
    await observations.file.async_save()
    again = RegisterObservations(hass, ENTRY)
    await again.async_load()
    assert seen(again, 39) == ["0x0005"]


async def test_observations_load_no_more_than_the_limit(hass: HomeAssistant) -> None:
    """Nor a question that is not asked any more."""
    rows = [[number, NOON, "", NOON, "", 1] for number in range(100)]
    stored = {"overflow": 0, "values": rows}
    section = {"registers": {"39": stored, "7": stored}, "replies": {}}
    data = {"observations": section}
    put(hass, json.dumps({"version": 1, "data": data}))
    observations = RegisterObservations(hass, ENTRY)
    await observations.async_load()
    assert len(seen(observations, 39)) == MAX_VALUES
    assert 7 not in {item["register"] for item in observations.as_dict()["registers"]}


async def test_observations_with_a_new_value_are_saved_within_a_quarter_of_an_hour(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """However often another one follows; without a new value nothing is written."""
    observations = RegisterObservations(hass, ENTRY)
    await observations.async_load()
    file = file_of(hass, ENTRY)
    started = hass.loop.time()
    for number in range(10):
        observations.add(status({39: number}), NOON)
        await _pass(hass, 60)
    assert not file.exists()
    await _pass(hass, SAVE_DELAY - (hass.loop.time() - started) + 1)
    written = json.loads(file.read_text())["data"]["observations"]["registers"]["39"][
        "values"
    ]
    assert len(written) == 10
    file.unlink()
    for _ in range(100):
        observations.add(status({39: 9}), NOON)
        observations.add(status({39: 8}), NOON)
        await _pass(hass, 60)
    assert not file.exists()
    observations.add(status({39: 77}), NOON)
    await _pass(hass, SAVE_DELAY + 1)
    assert file.exists()


async def test_observations_with_a_new_reply_are_saved(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Soon when it is new; a repeated one is counted when they are saved next."""
    observations = RegisterObservations(hass, ENTRY)
    await observations.async_load()
    reply = settings_frame(0x0A, b"\0")
    observations.add_reply(b"", reply)
    await _pass(hass, SAVE_DELAY + 1)
    file = file_of(hass, ENTRY)

    def counts() -> list[int]:
        stored = json.loads(file.read_text())["data"]["observations"]["replies"]
        return [item[-1] for item in stored["10"]["values"]]

    assert counts() == [1]
    observations.add_reply(b"", reply)
    await _pass(hass, SAVE_DELAY + 1)
    assert counts() == [1]
    await observations.file.async_save()
    assert counts() == [2]


async def _pass(hass: HomeAssistant, seconds: float) -> None:
    await asyncio.sleep(seconds)
    await hass.async_block_till_done()


async def test_observations_without_a_change_are_not_written(
    hass: HomeAssistant, observations: RegisterObservations
) -> None:
    """An entry that is loaded and unloaded leaves the card alone."""
    await observations.async_load()
    await observations.file.async_save()
    assert not file_of(hass, ENTRY).exists()


# --- with a battery -------------------------------------------------------------------


async def one_sample(entry: VlrvConfigEntry) -> None:
    """Wait for the next poll."""
    await asyncio.sleep(POLL_INTERVAL + 1)
    assert entry.runtime_data.coordinator.data is not None


async def test_observations_contain_accepted_samples_only(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """What is not valid proves nothing. The one from adding counts as well."""
    pack = battery("idle")
    pack.hold = True
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    battery_data = entry.runtime_data
    assert (
        values(battery_data.log.observations, 40)[0]["count"]
        == battery_data.statistics.samples
    )
    pack.override = replace(pack.reported(), warning=0x0800, state_of_charge=398)
    await one_sample(entry)
    assert seen(battery_data.log.observations, 26) == ["0x0000"]
    pack.override = None
    pack.override = replace(pack.reported(), warning=0x0800)
    await one_sample(entry)
    assert seen(battery_data.log.observations, 26) == ["0x0000", "0x0800"]
    assert (
        sum(item["count"] for item in values(battery_data.log.observations, 26))
        == battery_data.statistics.samples
    )


async def test_observations_after_a_reload_and_a_restart_are_restored(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """A warning of last winter is still there in spring."""
    pack = battery("idle")
    pack.hold = True
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    pack.override = replace(pack.reported(), warning=0x0800, current=-3.0)
    await one_sample(entry)
    pack.override = None
    await one_sample(entry)
    (_, before) = values(entry.runtime_data.log.observations, 26)
    assert await hass.config_entries.async_reload(entry.entry_id)
    await one_sample(entry)
    assert values(entry.runtime_data.log.observations, 26)[1] == before
    assert await hass.config_entries.async_unload(entry.entry_id)
    again = await restart(hass, entry)
    assert values(again, 26)[1] == before
    assert before["first_context"]["current"] == -3.0
    assert (
        again.as_dict()
        == async_diagnostic_log(hass, entry.entry_id).observations.as_dict()
    )


async def test_observations_are_saved_when_home_assistant_stops(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Entries are not unloaded then."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    hass.bus.async_fire(EVENT_HOMEASSISTANT_STOP)
    await hass.async_block_till_done()
    again = await restart(hass, entry)
    assert again.as_dict() == entry.runtime_data.log.observations.as_dict()
    assert seen(again, 40) == [f"0x{pack.registers(40, 1)[0]:04x}"]


async def test_observations_contain_replies_to_settings(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Those read after connecting, and those to a change."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    battery_data = entry.runtime_data
    await battery_data.settings.async_set_heater(True)
    await battery_data.settings.async_set_heater(False)
    observations = battery_data.log.observations
    assert {
        item["function"] for item in observations.as_dict()["settings_replies"]
    } == {*("0x02", "0x03", "0x04", "0x0a")}
    assert [item["value"] for item in replies(observations, 0x0A)["values"]] == [
        "100a0101e4b6 > 100a01002576",
        "100a01002576 > 100a01002576",
    ]
    (module_id,) = replies(observations, 0x02)["values"]
    assert module_id["value"] == (
        f"1002007165 > {settings_frame(2, bytes((1,))).hex()}"
    )
    assert module_id["first_context"]["voltage"] == pack.reported().pack_voltage
    # What the heater did is seen in the register, too.
    assert seen(observations, 40) == ["0x0000", "0x0010"]


async def test_observations_of_a_removed_battery_are_removed(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A removed battery leaves no file, and returns without a past."""
    pack = battery("idle")
    entry = (await async_setup_battery(hass, bluetooth_env, pack)).entry
    await hass.config_entries.async_unload(entry.entry_id)
    assert file_of(hass, entry.entry_id).exists()
    await hass.config_entries.async_remove(entry.entry_id)
    await hass.async_block_till_done()
    assert not file_of(hass, entry.entry_id).exists()
    assert not any(async_diagnostic_log(hass, entry.entry_id).trace.as_dict().values())
    assert log_lines(caplog, logging.WARNING) == []


async def test_observations_of_two_batteries_are_separate(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """Each has its own file."""
    first, second = RegisterObservations(hass, "a"), RegisterObservations(hass, "b")
    first.add(status({39: 1}), NOON)
    second.add(status({39: 2}), NOON)
    await first.file.async_save()
    await second.file.async_save()
    again = RegisterObservations(hass, "b")
    await again.async_load()
    assert seen(again, 39) == ["0x0002"]
