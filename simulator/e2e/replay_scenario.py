"""The part of the check that feeds recordings of real batteries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .api import HomeAssistant, Json
from .batteries import (
    SIMULATOR,
    add_battery,
    compare_all,
    device_of,
    discovered,
    enable,
    entities_of,
    reload,
    simulated,
)
from .expected_values import LINK_SENSORS
from .output import print_line, table
from .polling import check, wait_until
from .recordings import Recording, decode

# A board that answers neither 41 registers nor an identity takes its time.
TIMEOUT: Final = 40.0  # s
HEADER: Final = ("#", "V", "A", "SOC %", "Cells V", "Probes °C", "Ah left/full")


def address_of(number: int) -> str:
    """Return the address that the recording of this number gets."""
    return f"A4:C1:37:00:01:{number:02X}"


async def announce(api: HomeAssistant, recordings: list[Recording]) -> None:
    """Switch on batteries that replay the recordings."""
    for number, recording in enumerate(recordings):
        data: Json = {
            "address": address_of(number),
            "name": recording.name,
            "frames": [frame.hex() for frame in recording.frames],
        }
        if recording.identity is not None:
            data["identity"] = recording.identity.hex()
        await api.act(f"{SIMULATOR}.replay", data)


async def replay(api: HomeAssistant, recordings: list[Recording]) -> int:
    """Add each battery and compare each frame; return how many values that were."""
    if not recordings:
        return 0
    flows = await discovered(
        api, {address_of(number) for number in range(len(recordings))}, TIMEOUT
    )
    return sum(
        [
            await _replay_one(api, recording, flow)
            for recording, flow in zip(recordings, flows, strict=True)
        ]
    )


async def _replay_one(api: HomeAssistant, recording: Recording, flow: Json) -> int:
    """Add a battery, compare every frame of it, and delete it."""
    address = flow["context"]["unique_id"]
    entry = await add_battery(api, flow)
    device = await device_of(api, address)
    entities = await entities_of(api, device)
    hidden = [
        entity
        for key, entity in entities.items()
        if entity["disabled_by"] and key not in LINK_SENSORS
    ]
    if hidden:
        await enable(api, hidden)
        await reload(api, entry)
        entities = await entities_of(api, device)
    rows, compared = [], 0
    for number, frame in enumerate(recording.frames, 1):
        if number > 1:
            await _show_next(api, address, entities["voltage"]["entity_id"])
        values = decode(frame)
        # Frames of different days follow each other within seconds.
        result = await compare_all(api, values, entities, TIMEOUT, steady=False)
        compared += result.compared
        rows.append((number, *_row(values), result.compared, len(result.differences)))
    print_line(
        f"\nReplay: {recording.name}, {recording.frames[0][2] // 2} registers,"
        f" shown as {device['manufacturer']} {device['model']}"
    )
    print_line(table((*HEADER, "Cycles", "State", "Compared", "Different"), rows))
    await api.delete(f"config/config_entries/entry/{entry['entry_id']}")
    # It stays on the air and is discovered again: a connection to one that has gone
    # would keep the adapter, which makes one at a time, from the others for long.
    left = [
        entity["entity_id"]
        for entity in await api.call("config/entity_registry/list")
        if entity["config_entry_id"] == entry["entry_id"]
    ]
    check(not left, f"left over after deleting the battery: {left}")
    return compared


async def _show_next(api: HomeAssistant, address: str, entity_id: str) -> None:
    """Move on to the next frame, and have it read without waiting for the poll."""
    await api.act(f"{SIMULATOR}.next_frame", {"address": address})
    before = (await simulated(api))[address]["requests"]

    async def read() -> bool:
        return bool((await simulated(api))[address]["requests"] > before)

    await api.act("homeassistant.update_entity", {"entity_id": [entity_id]})
    await wait_until(read, TIMEOUT, lambda: f"{address} is not read")


def _row(values: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what a frame says in one line."""
    probes = [value for key, value in values.items() if key.startswith("probe_")]
    return (
        f"{values['voltage']:.2f}",
        f"{values['current']:.1f}",
        values["state_of_charge"],
        f"{values['lowest_cell_voltage']:.3f}-{values['highest_cell_voltage']:.3f}",
        " ".join("-" if value is None else str(value) for value in probes),
        f"{values['remaining_capacity']:g}/{values['full_capacity']:g}",
        values["cycles"],
        values["operating_state"],
    )
