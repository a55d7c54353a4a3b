"""Home Assistant's own API, as a browser uses it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
import time
from typing import Any, Final, Self

import aiohttp

from .folder import HOST, PASSWORD, USERNAME
from .server import DemoError

START_TIMEOUT: Final = 120.0  # s; the first start of a slow machine compiles all of it
COMMAND_TIMEOUT: Final = 60.0  # s

UNKNOWN: Final = "unknown"
UNAVAILABLE: Final = "unavailable"

type Json = dict[str, Any]


class CommandError(DemoError):
    """Home Assistant refused a command; `key` is that of its translated message."""

    def __init__(self, error: Json) -> None:
        """Take what Home Assistant sent."""
        super().__init__(error["message"])
        self.key: str | None = error.get("translation_key")


class Event:
    """A changed state; `time` is when it arrived, on the event loop's clock."""

    def __init__(self, data: Json, arrived: float) -> None:
        """Take what Home Assistant sent."""
        self.time = arrived
        self.entity_id: str = data["entity_id"]
        new: Json | None = data["new_state"]
        self.state: str | None = None if new is None else new["state"]
        self.attributes: Json = {} if new is None else new["attributes"]

    @property
    def has_value(self) -> bool:
        """Return whether the entity has a value."""
        return self.state not in {None, UNKNOWN, UNAVAILABLE}


class HomeAssistant:
    """A logged-in connection. `events` holds every changed state since it was made."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        """Belong to a session; `log_in` and `listen` come next."""
        self.url = f"http://{HOST}:{port}"
        self.tokens: Json = {}
        self.events: list[Event] = []
        self.holders = 0
        """How many parts of the check hold the simulated time."""
        self._session = session
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._changed = asyncio.Event()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._last_id = 0

    @classmethod
    @asynccontextmanager
    async def connected(
        cls, port: int, process: asyncio.subprocess.Process
    ) -> AsyncGenerator[Self]:
        """Wait until Home Assistant answers, and log in."""
        async with aiohttp.ClientSession() as session:
            client = cls(session, port)
            await client._wait_for_answer(process)
            await client._log_in()
            async with client._listening():
                yield client

    async def _wait_for_answer(self, process: asyncio.subprocess.Process) -> None:
        try:
            async with asyncio.timeout(START_TIMEOUT):
                while process.returncode is None:
                    with suppress(aiohttp.ClientError):
                        async with self._session.get(f"{self.url}/auth/providers"):
                            return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise DemoError("Home Assistant does not answer") from None
        raise DemoError(f"Home Assistant ended with code {process.returncode}")

    async def _log_in(self) -> None:
        """Log in as a user does, by the login form."""
        client_id = f"{self.url}/"
        flow = await self._post_open(
            "/auth/login_flow",
            {
                "client_id": client_id,
                "handler": ["homeassistant", None],
                "redirect_uri": client_id,
            },
        )
        result = await self._post_open(
            f"/auth/login_flow/{flow['flow_id']}",
            {"client_id": client_id, "username": USERNAME, "password": PASSWORD},
        )
        if result.get("type") != "create_entry":
            raise DemoError(f"the login {USERNAME} / {PASSWORD} is refused: {result}")
        async with self._session.post(
            f"{self.url}/auth/token",
            data={
                "client_id": client_id,
                "grant_type": "authorization_code",
                "code": result["result"],
            },
        ) as response:
            self.tokens = await response.json()
        # As the user interface keeps them.
        self.tokens |= {
            "hassUrl": self.url,
            "clientId": client_id,
            "expires": int((time.time() + self.tokens["expires_in"]) * 1000),
        }

    async def _post_open(self, path: str, data: Json) -> Json:
        async with self._session.post(self.url + path, json=data) as response:
            answer: Json = await response.json()
            return answer

    # --- REST -----------------------------------------------------------------------

    async def get(self, path: str) -> Any:
        """Get something of the REST API."""
        return await self._rest("GET", path)

    async def post(self, path: str, data: Json | None = None) -> Any:
        """Post something to the REST API."""
        return await self._rest("POST", path, json=data or {})

    async def upload(self, name: str, data: bytes) -> str:
        """Upload a file as a form's file field does, and return its ID."""
        form = aiohttp.FormData()
        form.add_field("file", data, filename=name)
        answer = await self._rest("POST", "file_upload", data=form)
        file_id: str = answer["file_id"]
        return file_id

    async def delete(self, path: str) -> Any:
        """Delete something in the REST API."""
        return await self._rest("DELETE", path)

    async def _rest(self, method: str, path: str, **content: Any) -> Any:
        async with self._session.request(
            method,
            f"{self.url}/api/{path}",
            **content,
            headers={"Authorization": f"Bearer {self.tokens['access_token']}"},
        ) as response:
            if response.status >= 400:
                text = await response.text()
                raise DemoError(f"{method} {path}: {response.status} {text[:300]}")
            return await response.json()

    # --- WebSocket ------------------------------------------------------------------

    @asynccontextmanager
    async def _listening(self) -> AsyncGenerator[None]:
        async with self._session.ws_connect(
            f"{self.url}/api/websocket", max_msg_size=0
        ) as socket:
            await socket.receive_json()
            await socket.send_json(
                {"type": "auth", "access_token": self.tokens["access_token"]}
            )
            answer = await socket.receive_json()
            if answer["type"] != "auth_ok":
                raise DemoError(f"the WebSocket refuses the token: {answer}")
            self._socket = socket
            reader = asyncio.create_task(self._read(socket))
            try:
                await self.call("subscribe_events", event_type="state_changed")
                yield
            finally:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        loop = asyncio.get_running_loop()
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            now, data = loop.time(), message.json()
            if data["type"] == "event":
                self.events.append(Event(data["event"]["data"], now))
                self._changed.set()
            elif (answer := self._answers.pop(data["id"], None)) is not None:
                # The caller may have stopped waiting for it.
                if answer.done():
                    continue
                if data.get("success", True):
                    answer.set_result(data.get("result"))
                else:
                    answer.set_exception(CommandError(data["error"]))
        for answer in self._answers.values():
            answer.set_exception(DemoError("Home Assistant closed the connection"))

    async def call(self, command: str, **data: Any) -> Any:
        """Send a WebSocket command and return its result."""
        assert self._socket is not None
        self._last_id += 1
        number = self._last_id
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "type": command, **data})
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                return await answer
        except TimeoutError:
            raise DemoError(f"no answer to {command}") from None

    async def act(
        self, action: str, data: Json | None = None, *, response: bool = False
    ) -> Any:
        """Run an action; return its response if it is wanted."""
        domain, name = action.split(".")
        result = await self.call(
            "call_service",
            domain=domain,
            service=name,
            service_data=data or {},
            return_response=response,
        )
        return result["response"] if response else None

    async def states(self) -> dict[str, Json]:
        """Return all states by entity ID."""
        return {state["entity_id"]: state for state in await self.call("get_states")}

    async def wait_for_event(
        self, wanted: Callable[[Event], bool], since: int
    ) -> Event:
        """Return the first changed state from number `since` on that is wanted."""
        while True:
            for event in self.events[since:]:
                if wanted(event):
                    return event
            since = len(self.events)
            self._changed.clear()
            await self._changed.wait()
