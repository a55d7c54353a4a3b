"""A battery as Home Assistant shows it, over the API."""

from __future__ import annotations

from typing import Any, Final, Self

from .api import HomeAssistant, Json
from .batteries import DOMAIN, SIMULATOR, device_of, entities_of, simulated
from .polling import wait_until
from .server import DemoError

POLL_TIMEOUT: Final = 15.0  # s; a poll every 10
RELOAD_TIMEOUT: Final = (
    45.0  # s; Home Assistant does it 30 s after an entity was enabled
)
OFF_TIME: Final = 0.5  # s


class ShownBattery:
    """A battery as Home Assistant shows it."""

    def __init__(
        self, api: HomeAssistant, address: str, entry: Json, entities: dict[str, Json]
    ) -> None:
        """Take what `known` found."""
        self.api = api
        self.address = address
        self.name: str = entry["title"]
        self.entry_id: str = entry["entry_id"]
        self.entities = entities

    @classmethod
    async def known(cls, api: HomeAssistant, address: str, entry: Json) -> Self:
        """Wait until Home Assistant knows everything that the battery has."""
        device = await device_of(api, address)
        entities: dict[str, Json] = {}

        async def complete() -> bool:
            entities.update(await entities_of(api, device))
            return "rs485_protocol" in entities

        await wait_until(complete, POLL_TIMEOUT, lambda: f"{address} has no settings")
        return cls(api, address, entry, entities)

    def entity_id(self, key: str) -> str:
        """Return the entity ID for a key."""
        if (entity := self.entities.get(key)) is None:
            raise DemoError(f"{self.name} has no entity {key}")
        entity_id: str = entity["entity_id"]
        return entity_id

    async def state(self, key: str) -> Json:
        """Return the state of an entity, with its attributes."""
        state: Json | None = (await self.api.states()).get(self.entity_id(key))
        if state is None:
            raise DemoError(f"{self.entity_id(key)} is not there")
        return state

    async def shows(self, within: float, **wanted: str) -> None:
        """Wait until all of these entities, by key, show this."""
        shown: dict[str, str | None] = {}

        async def right() -> bool:
            states = await self.api.states()
            for key in wanted:
                state = states.get(self.entity_id(key))
                shown[key] = None if state is None else state["state"]
            return shown == wanted

        await wait_until(
            right, within, lambda: f"{self.name} shows {shown}, wanted is {wanted}"
        )

    async def act(self, action: str, key: str, **data: Any) -> None:
        """Run an action on an entity, as a click does."""
        await self.api.act(action, {"entity_id": self.entity_id(key), **data})

    async def simulator(self, action: str, **data: Any) -> None:
        """Run an action of the simulator on the battery."""
        await self.api.act(f"{SIMULATOR}.{action}", {"address": self.address, **data})

    async def expected_values(self) -> Json:
        """Return the expected values of the battery."""
        expected_values: Json = (await simulated(self.api))[self.address][
            "expected_values"
        ]
        return expected_values

    async def issues(self) -> list[Json]:
        """Return the repair issues of the battery."""
        answer = await self.api.call("repairs/list_issues")
        return [
            issue
            for issue in answer["issues"]
            if issue["domain"] == DOMAIN and issue["issue_id"].endswith(self.entry_id)
        ]

    async def restart(self) -> None:
        """Switch the battery off and on."""
        await self.simulator("power_cycle", off_for=OFF_TIME)


async def wait_for_reload(battery: ShownBattery, key: str) -> None:
    """Wait until an entity that was enabled has a value, which it has after a reload."""

    async def there() -> bool:
        state = (await battery.api.states()).get(battery.entity_id(key))
        return state is not None and state["state"] in {"on", "off"}

    await wait_until(
        there, RELOAD_TIMEOUT, lambda: f"{battery.entity_id(key)} does not come"
    )
