"""Discover and add batteries in Home Assistant, as a user does by clicking."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from typing import Final

from .api import Event, HomeAssistant, Json
from .expected_values import Comparison, compare
from .polling import wait_until
from .server import DemoError

DOMAIN: Final = "voltgo_vlrv"
SIMULATOR: Final = "voltgo_simulator"
SOLAR: Final = "A4:C1:37:00:00:02"
DRIVING: Final = "A4:C1:37:00:00:03"
WINTER: Final = "A4:C1:37:00:00:04"
# Of manual table 4-1.
MODELS: Final = {SOLAR: "VLRV2560A", DRIVING: "VLRV2560B", WINTER: "VLRV1280A"}
# How each is reached, and how the name of its adapter begins.
PATHS: Final = {
    DRIVING: ("simulated adapter", "Simulated Bluetooth proxy"),
    SOLAR: ("ESPHome proxy", "simulated-proxy"),
    WINTER: ("BlueZ", "hci0"),
}
# Two in parallel, which are there once `add_bank` was called.
PORT: Final = "A4:C1:37:00:00:11"
STARBOARD: Final = "A4:C1:37:00:00:12"
BANK_MODELS: Final = {PORT: "VLRV2560B", STARBOARD: "VLRV2560B"}

AMBIENT_PROTECTION: Final = ("binary_sensor", "ambient_temperature")

# Home Assistant discovers nothing before it has started completely.
DISCOVERY_TIMEOUT: Final = 90.0  # s


async def simulated(api: HomeAssistant) -> dict[str, Json]:
    """Return the simulated batteries and their expected values, by address."""
    answer = await api.act(f"{SIMULATOR}.list_batteries", response=True)
    return {battery["address"]: battery for battery in answer["batteries"]}


@asynccontextmanager
async def holding(api: HomeAssistant) -> AsyncGenerator[None]:
    """Stop the time of all batteries while any such block lasts."""
    api.holders += 1
    try:
        await api.act(f"{SIMULATOR}.hold", {"hold": True})
        yield
    finally:
        api.holders -= 1
        if not api.holders:
            await api.act(f"{SIMULATOR}.hold", {"hold": False})


async def add_bank(api: HomeAssistant) -> None:
    """Put the two batteries of `BANK_MODELS` on the air, in parallel, under load."""
    await api.act(f"{SIMULATOR}.add_bank")


async def discovered_banks(api: HomeAssistant) -> list[Json]:
    """Return the flows of the banks that are discovered."""
    return [
        flow
        for flow in await api.call("config_entries/flow/progress")
        if flow["handler"] == DOMAIN
        and flow["context"]["source"] == "integration_discovery"
    ]


async def expected_bank_values(api: HomeAssistant) -> Json:
    """Return the expected values of the bank; see `simulator.bank.ParallelBank.expected_values`."""
    answer = await api.act(f"{SIMULATOR}.list_batteries", response=True)
    expected_values: Json | None = answer["bank"]
    if expected_values is None:
        raise DemoError("the bank was not added")
    return expected_values


async def texts(api: HomeAssistant, category: str) -> dict[str, str]:
    """Return the integration's texts of one kind, by the rest of their key."""
    answer = await api.call(
        "frontend/get_translations",
        language="en",
        category=category,
        integration=[DOMAIN],
    )
    prefix = f"component.{DOMAIN}.{category}."
    return {key.removeprefix(prefix): text for key, text in answer["resources"].items()}


async def discovered(
    api: HomeAssistant, addresses: set[str], within: float = DISCOVERY_TIMEOUT
) -> list[Json]:
    """Wait until these batteries are discovered, and return their flows by address."""
    flows: dict[str, Json] = {}

    async def found() -> bool:
        for flow in await api.call("config_entries/flow/progress"):
            # On a machine with Bluetooth there may be real batteries, too.
            if (address := flow["context"].get("unique_id")) in addresses:
                flows[address] = flow
        return flows.keys() == addresses

    await wait_until(
        found,
        within,
        lambda: f"not discovered: {', '.join(sorted(addresses - flows.keys()))}",
    )
    return [flows[address] for address in sorted(flows)]


async def add_battery(api: HomeAssistant, flow: Json) -> Json:
    """Confirm a discovered battery, and return its config entry."""
    result = await api.post(f"config/config_entries/flow/{flow['flow_id']}")
    if result["type"] != "create_entry":
        raise DemoError(f"Add led to {result}")
    entry: Json = result["result"]
    return entry


async def device_of(api: HomeAssistant, address: str) -> Json:
    """Return a battery's entry in the device registry."""
    for device in await api.call("config/device_registry/list"):
        if [DOMAIN, address] in device["identifiers"]:
            found: Json = device
            return found
    raise DemoError(f"{address} has no device")


async def entities_of(api: HomeAssistant, device: Json) -> dict[str, Json]:
    """Return a device's entries in the entity registry, by key."""
    return {
        _key(entity): entity
        for entity in await api.call("config/entity_registry/list")
        if entity["device_id"] == device["id"] and entity["platform"] == DOMAIN
    }


def _key(entity: Json) -> str:
    """Return a key of an entity that no other entity of its battery has."""
    domain = entity["entity_id"].partition(".")[0]
    key: str = entity["unique_id"].partition("_")[2]
    # There is a sensor with this key, too.
    return f"{domain}.{key}" if (domain, key) == AMBIENT_PROTECTION else key


async def enable(api: HomeAssistant, entities: list[Json]) -> None:
    """Enable entities that are disabled by default; the next reload adds them."""
    for entity in entities:
        await api.call(
            "config/entity_registry/update",
            entity_id=entity["entity_id"],
            disabled_by=None,
        )


async def reload(api: HomeAssistant, entry: Json) -> None:
    """Reload the entry of a battery."""
    await api.post(f"config/config_entries/entry/{entry['entry_id']}/reload")


async def wait_for_poll(
    api: HomeAssistant, addresses: Collection[str], within: float
) -> dict[str, Json]:
    """Wait until each of these was read once more, and return all batteries."""
    before = await simulated(api)
    found: dict[str, Json] = {}

    async def read() -> bool:
        found.update(await simulated(api))
        return all(
            found[address]["requests"] > before[address]["requests"]
            for address in addresses
        )

    await wait_until(
        read, within, lambda: f"not all of {', '.join(addresses)} are polled"
    )
    return found


async def first_values(
    api: HomeAssistant, own: set[str], since: int, within: float
) -> list[Event]:
    """Return the first value of each entity after event number `since`, in order."""
    found: dict[str, Event] = {}

    async def all_there() -> bool:
        for event in api.events[since:]:
            if event.entity_id in own and event.has_value:
                found.setdefault(event.entity_id, event)
        return len(found) == len(own)

    await wait_until(
        all_there, within, lambda: f"no value of {sorted(own - found.keys())}"
    )
    return sorted(found.values(), key=lambda event: event.time)


async def compare_all(
    api: HomeAssistant,
    expected_values: Json,
    entities: dict[str, Json],
    within: float,
    *,
    steady: bool = True,
) -> Comparison:
    """Compare a battery's entities until all are right; fail if some never are."""
    results: list[Comparison] = []

    async def right() -> bool:
        results[:] = [
            compare(expected_values, entities, await api.states(), steady=steady)
        ]
        return not results[0].differences

    await wait_until(
        right,
        within,
        lambda: "differences:\n  " + "\n  ".join(map(str, results[0].differences)),
    )
    return results[0]
