"""The demo done by a program over Home Assistant's API, every value compared."""

from __future__ import annotations

import asyncio
from datetime import datetime
import re
from typing import Final

from homeassistant.util import dt as dt_util

from .api import UNAVAILABLE, HomeAssistant, Json
from .bank_scenario import build, run_bank_scenario
from .batteries import (
    BANK_MODELS,
    DRIVING,
    MODELS,
    PATHS,
    SIMULATOR,
    WINTER,
    add_battery,
    compare_all,
    device_of,
    discovered,
    enable,
    entities_of,
    first_values,
    holding,
    reload,
    simulated,
    texts,
    wait_for_poll,
)
from .battery_scenario import run_battery_scenario
from .expected_values import LINK_SENSORS, LINK_STATUS
from .output import print_line, table
from .polling import check, now, together, wait_until
from .recordings import load
from .replay_scenario import announce, replay
from .server import DemoError
from simulator.bank import PAIR

MANUFACTURER: Final = "Voltgo"
# Batteries that are out of range for a while; Home Assistant logs it once for each.
LOST: Final = (PAIR[1]["name"],)

FIRST_VALUE: Final = 1.0  # s, from Confirm on
ALL_VALUES: Final = 5.0  # s
FIRST_SAMPLE: Final = 30.0  # s
FRESH: Final = 15.0  # s; a poll every 10
SHOWN_TIMEOUT: Final = 2.0  # s, from the battery's answer on
RECONNECT: Final = 30.0  # s
# The physics go on between the form and the comparison.
FORM_VOLTAGE: Final = 0.05  # V
NEW_LOAD: Final = -17.5  # A, unlike any before


async def run_checks(api: HomeAssistant) -> str:
    """Run all checks, and return a summary in one line. Raises DemoError."""
    entries, slowest = await _discover_and_add(api)
    scenario = await build(api)
    # At the same time, because a battery counts as missing only after a minute.
    ours, banks = await together(_follow(api, entries), run_bank_scenario(scenario))
    scenario.report()
    return (
        f"{len(MODELS)} batteries, a bank of {len(BANK_MODELS)},"
        f" {ours + banks} sensors compared, 0 differences,"
        f" first value after confirm max {slowest:.2f} s"
    )


async def _follow(api: HomeAssistant, entries: dict[str, Json]) -> int:
    """Run the steps after adding, and return how many values were compared."""
    compared = await run_battery_scenario(api, entries)
    # Before more is enabled: Home Assistant reloads what was, 30 s later.
    await _lose_connection(api)
    await _enable_and_reload(api, entries)
    recordings = load()
    # Meanwhile, because probing takes long with some of them.
    await announce(api, recordings)
    compared += await _compare_with_expected_values(api)
    await _check_connection_sensors(api)
    await _check_paths(api)
    if not recordings:
        print_line("\nReplay: skipped, the recordings are not present")
    return compared + await replay(api, recordings)


# --- adding ---------------------------------------------------------------------------


async def _discover_and_add(api: HomeAssistant) -> tuple[dict[str, Json], float]:
    """Confirm each battery; return the entries and the worst time to a first value."""
    flows = await discovered(api, set(MODELS))
    text = (await texts(api, "config"))["step.confirm.description"]
    entries: dict[str, Json] = {}
    times, rows = [], []
    for flow in flows:
        address = flow["context"]["unique_id"]
        shown = await _check_form(api, flow, text)
        since, started = len(api.events), now()
        entries[address] = await add_battery(api, flow)
        expected_values = (await simulated(api))[address]["expected_values"]
        entities = await entities_of(api, await device_of(api, address))
        own = {
            entity["entity_id"]
            for key, entity in entities.items()
            if entity["disabled_by"] is None
            and entity["entity_id"].startswith("sensor.")
            and expected_values.get(key) is not None
        }
        events = await first_values(api, own, since, ALL_VALUES)
        first, last = events[0].time - started, events[-1].time - started
        check(
            first <= FIRST_VALUE,
            f"{address}: the first value came {first:.2f} s after Confirm",
        )
        times.append(first)
        rows.append(
            (
                *(shown["name"], shown["model"]),
                *(f"{shown['state_of_charge']} %", f"{shown['voltage']} V"),
                *(f"{first:.3f} s", f"{last:.3f} s"),
            )
        )
    print_line("Add: what the form shows, and the time from Confirm to values")
    header = ("Discovered", "Model", "SOC", "Voltage", "First value", "All values")
    print_line(table(header, rows))
    print_line(f"  worst first value after Confirm: {max(times):.3f} s")
    return entries, max(times)


async def _check_form(api: HomeAssistant, flow: Json, text: str) -> dict[str, str]:
    """Check that the form names the battery, and return its text."""
    form = await api.get(f"config/config_entries/flow/{flow['flow_id']}")
    address = flow["context"]["unique_id"]
    expected_values = (await simulated(api))[address]["expected_values"]
    shown: dict[str, str] = form["description_placeholders"]
    used = set(re.findall(r"{(\w+)}", text))
    check(
        form["step_id"] == "confirm" and used == shown.keys(),
        f"the form's text uses {used}, the flow gives {shown}",
    )
    check(
        shown["model"] == MODELS[address]
        and abs(int(shown["state_of_charge"]) - expected_values["state_of_charge"]) <= 1
        and abs(float(shown["voltage"]) - expected_values["voltage"]) <= FORM_VOLTAGE,
        f"the form shows {shown}, true is {expected_values}",
    )
    return shown


async def _enable_and_reload(api: HomeAssistant, entries: dict[str, Json]) -> None:
    """Switch on what is off by default, and take the time to the first sample.

    The config flow has left none to start with this time.
    """
    rows = []
    for address, entry in entries.items():
        entities = await entities_of(api, await device_of(api, address))
        hidden = [
            entity
            for key, entity in entities.items()
            if entity["disabled_by"] == "integration"
        ]
        check(
            {entities[key]["entity_id"] for key in LINK_SENSORS}
            <= {entity["entity_id"] for entity in hidden},
            "the sensors of the connection are not off by default",
        )
        await enable(api, hidden)
        since, started = len(api.events), now()
        await reload(api, entry)
        # Nothing is kept from before, so the first value is a live one.
        own = {entities["voltage"]["entity_id"]}
        (event,) = await first_values(api, own, since, FIRST_SAMPLE)
        rows.append((entry["title"], f"{event.time - started:.3f} s", len(hidden)))
    print_line("\nReload: the time until a live sample is shown, with a new connection")
    print_line(table(("Battery", "First live sample", "Entities enabled"), rows))


# --- following ------------------------------------------------------------------------


async def _compare_with_expected_values(api: HomeAssistant) -> int:
    """Compare every entity, after a regular poll; return how many."""
    async with holding(api):
        rows, compared = [], 0
        for address, battery in (await wait_for_poll(api, MODELS, FRESH)).items():
            if address not in MODELS:
                continue
            device = await device_of(api, address)
            entities = await entities_of(api, device)
            expected_values = battery["expected_values"]
            result = await compare_all(api, expected_values, entities, SHOWN_TIMEOUT)
            _check_device(address, device, battery)
            compared += result.compared
            rows.append(
                (
                    battery["name"],
                    *(
                        f"{expected_values['voltage']:.2f} V",
                        f"{expected_values['current']:.1f} A",
                    ),
                    *(
                        f"{expected_values['state_of_charge']} %",
                        expected_values["operating_state"],
                    ),
                    f"{expected_values['max_cell_temperature']} °C",
                    ", ".join(expected_values["protections"]) or "-",
                    *(result.compared, len(result.differences)),
                )
            )
    print_line(
        "\nCompare: every entity and the device's entry with the simulated battery"
    )
    header = ("Battery", "Voltage", "Current", "SOC", "State", "Warmest cell")
    print_line(table((*header, "Protection", "Compared", "Different"), rows))
    return compared


def _check_device(address: str, device: Json, battery: Json) -> None:
    expected_values = battery["expected_values"]
    expected = {
        "name": battery["name"],
        "manufacturer": MANUFACTURER,
        "model": MODELS[address],
        "model_id": expected_values["model"],
        # What these batteries report as their serial number is a date.
        "serial_number": None,
        "sw_version": expected_values["firmware"],
        "connections": [["bluetooth", address]],
    }
    shown = {key: device[key] for key in expected}
    check(shown == expected, f"the device says {shown}, true is {expected}")


async def _check_connection_sensors(api: HomeAssistant) -> None:
    """Check the sensors of the connection, on the battery where they are enabled."""
    entities = await entities_of(api, await device_of(api, WINTER))
    states = await api.states()
    shown = {key: states[entities[key]["entity_id"]]["state"] for key in LINK_SENSORS}
    updated = datetime.fromisoformat(shown["last_update"])
    age = (dt_util.utcnow() - updated).total_seconds()
    check(0 <= age <= FRESH, f"the last update was {age:.1f} s ago")
    strength = int(shown["signal_strength"])
    check(-100 <= strength <= -20, f"the signal strength is {strength} dBm")
    print_line(f"\nLink: last update {age:.1f} s ago, signal strength {strength} dBm")


async def _check_paths(api: HomeAssistant) -> None:
    """Check that each battery is connected over another kind of adapter."""
    states = await api.states()
    rows = []
    for address, (path, adapter) in PATHS.items():
        device = await device_of(api, address)
        entities = await entities_of(api, device)
        state = states[entities[LINK_STATUS]["entity_id"]]
        shown = state["attributes"].get("adapter", "")
        check(
            state["state"] == "connected" and shown.startswith(adapter),
            f"{address} is {state['state']} over {shown!r}, not over {adapter!r}",
        )
        rows.append((device["name"], path, shown))
    print_line("\nPaths: what each battery was read over")
    print_line(table(("Battery", "Path", "Adapter shown"), rows))


async def _lose_connection(api: HomeAssistant) -> None:
    """Drop the connection of one battery; a new load shows that it is read again."""
    connections = (await simulated(api))[DRIVING]["connections"]
    entities = await entities_of(api, await device_of(api, DRIVING))
    current = entities["current"]["entity_id"]
    own = {entity["entity_id"] for entity in entities.values()}
    since, started = len(api.events), now()
    await api.act(f"{SIMULATOR}.drop_connection", {"address": DRIVING})
    await api.act(
        f"{SIMULATOR}.set_surroundings",
        {"address": DRIVING, "demand_current": NEW_LOAD},
    )

    async def back() -> bool:
        battery = (await simulated(api))[DRIVING]
        return bool(battery["connected"] and battery["connections"] > connections)

    await wait_until(back, RECONNECT, lambda: "the connection does not come back")
    connected = now() - started
    try:
        async with asyncio.timeout(RECONNECT - connected):
            event = await api.wait_for_event(
                lambda event: (
                    event.entity_id == current and event.state == str(NEW_LOAD)
                ),
                since,
            )
    except TimeoutError:
        raise DemoError("no newer sample after the connection was lost") from None
    check(
        not any(
            event.entity_id in own and event.state == UNAVAILABLE
            for event in api.events[since:]
        ),
        "entities became unavailable while the connection was lost",
    )
    print_line(
        f"\nLost connection: connected again after {connected:.2f} s, a newer sample shown"
        f" after {event.time - started:.2f} s, nothing became unavailable"
    )
