"""What a change of a setting sends, stores and tells; no radio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from homeassistant.exceptions import HomeAssistantError, ServiceValidationError

from .settings_helpers import WORDS
from custom_components.voltgo_vlrv.battery import settings as module
from custom_components.voltgo_vlrv.battery.operations import OperationLock
from custom_components.voltgo_vlrv.battery.settings import (
    CAN,
    MODULE_ID,
    NAME,
    RS485,
    SettingsCoordinator,
)
from custom_components.voltgo_vlrv.connection import ReleasedError
from custom_components.voltgo_vlrv.connection.errors import OtherBatteryError
from custom_components.voltgo_vlrv.const import CONF_PENDING
from custom_components.voltgo_vlrv.vlrv.errors import (
    ConnectionLostError,
    ImplausibleError,
    NoAnswerError,
    NotReachableError,
    RefusedError,
)
from custom_components.voltgo_vlrv.vlrv.settings import (
    GET_CAN,
    GET_RS485,
    SET_CAN,
    SET_RS485,
    ProtocolList,
    set_heater,
    set_module_id,
    set_name,
    set_protocol,
)
from simulator.clock import FastClock
from tests.vlrv.samples import status

LISTS = {
    GET_CAN: ProtocolList(0, ("P01-GRW", "P02-LUX")),
    GET_RS485: ProtocolList(1, ("P01-SMA", "P02-SOL")),
}


class Settings:
    """The settings of a connected battery, and all that was done about them."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, pending: Any = None, **data: Any
    ) -> None:
        """Begin with what is stored in the entry."""
        stored = data if pending is None else data | {CONF_PENDING: pending}
        self.entry = SimpleNamespace(
            entry_id="01A", data=stored, async_create_background_task=self._start
        )
        self.is_removed = False
        self.issues: list[tuple[list[str], bool]] = []
        self.sent: list[bytes] = []
        self.told = 0
        self.polls = 0
        self.name: str | None = "House"
        self.module_id: Any = 1
        self.lists: dict[int, Any] = dict(LISTS)
        self.connect_error: Exception | None = None
        self.check_error: Exception | None = None
        self.write_error: Exception | None = None
        self.guard = SimpleNamespace(is_checked=True, async_check_battery=self._check)
        self.connection = SimpleNamespace(
            use=self._use, is_released=False, is_closed=False
        )
        self.client = SimpleNamespace(
            name="House",
            counters=SimpleNamespace(connects=1),
            read_module_id=self._read_module_id,
            read_protocols=self._read_protocols,
            write_setting=self._write,
            read_status=self._read_status,
        )
        self.live = SimpleNamespace(
            data=status(),
            statistics=SimpleNamespace(samples=0),
            request_poll=self._poll,
            async_refresh=self._refresh,
            async_update_listeners=self._tell,
        )
        entries = SimpleNamespace(
            async_get_entry=lambda _: None if self.is_removed else self.entry,
            async_update_entry=lambda entry, data: setattr(entry, "data", data),
        )
        access: Any = SimpleNamespace(
            hass=SimpleNamespace(config_entries=entries),
            entry=self.entry,
            client=self.client,
            connection=self.connection,
            operations=OperationLock(),
            guard=self.guard,
        )
        monkeypatch.setattr(
            module, "translations", lambda _hass: SimpleNamespace(settings=WORDS)
        )
        monkeypatch.setattr(module, "async_update_power_cycle_issue", self._issue)
        this: Any = self
        self.settings = SettingsCoordinator(access, this, this.live)

    # What is done.

    def _issue(
        self, _hass: Any, entry: Any, changes: list[str], *, is_not_applied: bool
    ) -> None:
        assert entry is self.entry
        self.issues.append((changes, is_not_applied))

    def _start(self, _hass: Any, work: Any, _name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(work)

    def _poll(self) -> None:
        self.polls += 1

    def _tell(self) -> None:
        self.told += 1

    async def _refresh(self) -> None:
        self.polls += 1
        self.live.statistics.samples += 1

    @asynccontextmanager
    async def _use(self, max_wait: float) -> AsyncGenerator[None]:
        assert max_wait > 0
        if self.connect_error is not None:
            raise self.connect_error
        yield

    async def _check(self) -> None:
        if self.check_error is not None:
            raise self.check_error

    async def _read_module_id(self) -> int:
        if isinstance(self.module_id, Exception):
            raise self.module_id
        return int(self.module_id)

    async def _read_protocols(self, function: int) -> ProtocolList:
        found = self.lists[function]
        if isinstance(found, Exception):
            raise found
        assert isinstance(found, ProtocolList)
        return found

    async def _read_status(self) -> Any:
        return status()

    async def _write(self, request: bytes) -> None:
        self.sent.append(request)
        if self.write_error is not None:
            raise self.write_error

    # What is found.

    @property
    def stored(self) -> Any:
        """Return the pending changes of the entry."""
        return self.entry.data.get(CONF_PENDING)


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return a battery without pending changes."""
    return Settings(monkeypatch)


async def refusal(
    work: Any, kind: type[HomeAssistantError] = HomeAssistantError
) -> tuple[str | None, dict[str, str]]:
    """Return key and placeholders of the text with which a change fails."""
    with pytest.raises(kind) as raised:
        await work
    assert type(raised.value) is kind
    assert raised.value.translation_domain == "voltgo_vlrv"
    placeholders = dict(raised.value.translation_placeholders or {})
    assert placeholders.pop("name") == "House"
    return raised.value.translation_key, placeholders


async def test_module_id_is_sent_stored_and_pending_until_it_is_reported(
    one: Settings,
) -> None:
    """The repair issue names it meanwhile, and ends by itself."""
    await one.settings.async_set_module_id(3)
    assert one.sent == [set_module_id(3)]
    assert one.stored == one.settings.pending == {MODULE_ID: 3}
    assert one.issues[-1] == ([f"{WORDS[MODULE_ID]}: 3"], False)
    assert one.told > 0
    one.settings.handle_reconnect()
    await one.settings.async_read()
    assert one.issues[-1] == ([f"{WORDS[MODULE_ID]}: 3"], True)
    one.module_id = 3
    await one.settings.async_read()
    assert one.stored == {}
    assert one.issues[-1] == ([], False)


@pytest.mark.parametrize(
    ("setting", "brand", "request_"),
    [
        (CAN, "Luxpower", set_protocol(SET_CAN, 1)),
        (RS485, "SMA", set_protocol(SET_RS485, 0)),
    ],
)
async def test_protocol_is_sent_by_its_place_in_the_list_of_the_battery(
    one: Settings, setting: str, brand: str, request_: bytes
) -> None:
    """Read on this connection, so it is read once."""
    await one.settings.async_set_protocol(setting, brand)
    assert one.sent == [request_]
    assert one.stored == {setting: brand}
    assert one.settings.protocol(setting) != brand
    one.lists = {key: Exception("read again") for key in one.lists}
    one.module_id = Exception("read again")
    work = one.settings.async_set_protocol(setting, "none of them")
    key, _ = await refusal(work, ServiceValidationError)
    assert key == "protocol_not_offered"


async def test_protocol_that_is_not_in_the_list_is_refused(one: Settings) -> None:
    """As is any but on the battery that talks to the inverter."""
    work = one.settings.async_set_protocol(CAN, "SMA")
    found = await refusal(work, ServiceValidationError)
    assert found == ("protocol_not_offered", {"setting": WORDS[CAN]})
    one.client.counters.connects += 1
    one.module_id = 2
    work = one.settings.async_set_protocol(CAN, "Luxpower")
    found = await refusal(work, ServiceValidationError)
    assert found == ("protocol_needs_module_id", {"setting": WORDS[CAN]})
    assert (one.sent, one.settings.pending) == ([], {})


async def test_protocol_in_a_list_that_changed_meanwhile_is_not_pending(
    one: Settings,
) -> None:
    """Its number may mean another brand by now."""
    await one.settings.async_read()
    one.lists[GET_CAN] = ProtocolList(0, ("P02-LUX", "P01-GRW"))
    key, _ = await refusal(one.settings.async_set_protocol(CAN, "Luxpower"))
    assert key == "change_not_confirmed"
    assert one.settings.pending == {}


async def test_name_is_pending_until_it_is_advertised(one: Settings) -> None:
    """Only a valid one is sent."""
    found = await refusal(one.settings.async_set_name("x" * 23), ServiceValidationError)
    assert found == ("invalid_name", {"setting": WORDS[NAME]})
    one.settings.handle_advertisement()
    assert one.issues == [([], False)]
    await one.settings.async_set_name("Boat")
    assert one.sent == [set_name("Boat")]
    assert one.stored == {NAME: "Boat"}
    one.settings.handle_advertisement()
    assert one.stored == {NAME: "Boat"}
    one.name = "Boat"
    one.settings.handle_advertisement()
    assert one.stored == {}


@pytest.mark.parametrize(
    ("error", "is_released", "key"),
    [
        (ReleasedError("released"), False, "change_released"),
        (NotReachableError("away"), True, "change_released"),
        (NotReachableError("away"), False, "change_unreachable"),
    ],
)
async def test_change_without_a_connection_is_refused(
    one: Settings, error: Exception, is_released: bool, key: str
) -> None:
    """By what the owner can do about it."""
    one.connect_error = error
    one.connection.is_released = is_released
    found = await refusal(one.settings.async_set_module_id(3))
    assert found == (key, {"setting": WORDS[MODULE_ID]})
    assert (one.sent, one.settings.pending) == ([], {})


@pytest.mark.parametrize(
    ("check", "write", "key", "polls"),
    [
        (OtherBatteryError(), None, "change_other_battery", 0),
        (NoAnswerError("silent"), None, "change_not_sent", 0),
        (None, NoAnswerError("silent"), "change_not_confirmed", 1),
        (None, ConnectionLostError("lost"), "change_connection_lost", 0),
        (None, RefusedError(3), "change_refused", 0),
        (None, LookupError("stack"), "change_connection_lost", 0),
    ],
)
async def test_change_that_fails_is_told_and_not_pending(  # noqa: PLR0917
    one: Settings,
    caplog: pytest.LogCaptureFixture,
    check: Exception | None,
    write: Exception | None,
    key: str,
    polls: int,
) -> None:
    """After one without an answer the client has disconnected, so it is polled."""
    one.check_error, one.write_error = check, write
    found = await refusal(one.settings.async_set_module_id(3))
    more = {"code": "3"} if key == "change_refused" else {}
    assert found == (key, {"setting": WORDS[MODULE_ID], **more})
    assert (one.settings.pending, one.polls) == ({}, polls)
    assert ("changing a setting" in caplog.text) is isinstance(write, LookupError)


async def test_change_is_not_sent_on_a_connection_that_was_not_checked(
    one: Settings,
) -> None:
    """The battery may have been exchanged."""
    one.guard.is_checked = False
    key, _ = await refusal(one.settings.async_set_module_id(3))
    assert (key, one.sent) == ("change_unreachable", [])


async def test_change_that_cannot_be_read_back_is_done(one: Settings) -> None:
    """The battery has confirmed it."""
    one.module_id = NoAnswerError("silent")
    await one.settings.async_set_module_id(3)
    assert one.stored == {MODULE_ID: 3}


async def test_change_during_another_one_is_refused(one: Settings) -> None:
    """One after the other would be applied in an order that the owner does not know."""
    blocked = asyncio.Event()
    write = one.client.write_setting

    async def slow(request: bytes) -> None:
        await blocked.wait()
        await write(request)

    one.client.write_setting = slow
    first = asyncio.create_task(one.settings.async_set_module_id(3))
    await asyncio.sleep(0)
    found = await refusal(one.settings.async_set_name("Boat"))
    assert found == ("change_in_progress", {"setting": WORDS[NAME]})
    blocked.set()
    await first
    await one.settings.async_set_name("Boat")
    assert one.stored == {MODULE_ID: 3, NAME: "Boat"}


@pytest.mark.parametrize(
    ("live", "read", "key"),
    [
        (None, True, None),
        (True, None, None),
        (None, None, "heater_not_reported"),
        ("no sample", True, None),
    ],
)
async def test_heater_is_changed_where_the_battery_reports_it(
    one: Settings,
    fast_clock: FastClock,
    live: Any,
    read: bool | None,
    key: str | None,
) -> None:
    """Only the report confirms it."""
    names = {"heating_enabled": live}
    one.live.data = None if live == "no sample" else SimpleNamespace(**names)

    async def read_status() -> Any:
        return SimpleNamespace(heating_enabled=read)

    async def refresh() -> None:
        one.live.statistics.samples += 1
        one.live.data = SimpleNamespace(heating_enabled=True)

    one.client.read_status = read_status
    one.live.async_refresh = refresh
    if key is None:
        await one.settings.async_set_heater(True)
        assert one.sent == [set_heater(True)]
    else:
        found = await refusal(one.settings.async_set_heater(True))
        assert found == (key, {"setting": WORDS["heater"]})
        assert one.sent == []
    assert one.settings.pending == {}


@pytest.mark.parametrize("is_closed", [True, False])
async def test_heater_that_is_not_reported_in_time_is_not_confirmed(
    one: Settings, fast_clock: FastClock, *, is_closed: bool
) -> None:
    """Or the entry was closed meanwhile."""
    one.live.data = SimpleNamespace(heating_enabled=False)
    one.connection.is_closed = is_closed
    key, _ = await refusal(one.settings.async_set_heater(True))
    assert key == ("heater_interrupted" if is_closed else "heater_not_confirmed")
    assert (one.polls > 5) is not is_closed


@pytest.mark.parametrize(
    ("stored", "valid"),
    [
        ({MODULE_ID: 3, CAN: "SMA", RS485: "Solis", NAME: "A"}, None),
        ({MODULE_ID: "3", CAN: 1, NAME: None, "other": 1}, {}),
        ([1], {}),
        (None, {}),
    ],
)
def test_pending_changes_of_an_entry_are_those_of_a_known_kind(
    monkeypatch: pytest.MonkeyPatch, stored: Any, valid: dict[str, Any] | None
) -> None:
    """A file may be damaged; the repair issue is there from the start."""
    one = Settings(monkeypatch, stored)
    expected = stored if valid is None else valid
    assert one.settings.pending == expected
    changes = [f"{WORDS[key]}: {value}" for key, value in expected.items()]
    assert one.issues == [(changes, False)]
    one.settings.handle_renamed()
    assert len(one.issues) == (2 if expected else 1)


async def test_settings_of_a_board_without_protocols_are_read(one: Settings) -> None:
    """But a connection that was lost ends the reading."""
    one.lists[GET_CAN] = ImplausibleError(("no list",))
    one.module_id = 5
    await one.settings.async_read()
    assert (one.settings.module_id, one.settings.codes(CAN)) == (5, ())
    assert one.settings.codes(RS485) == ("P01-SMA", "P02-SOL")
    assert (one.settings.protocol(CAN), one.settings.protocol(RS485)) == (None, "Solis")
    one.lists[GET_RS485] = ProtocolList(0, ())
    await one.settings.async_read()
    assert one.settings.protocol(RS485) is None
    one.lists[GET_RS485] = ConnectionLostError("lost")
    with pytest.raises(ConnectionLostError):
        await one.settings.async_read()


async def test_entry_that_was_removed_meanwhile_gets_no_issue(one: Settings) -> None:
    """Its own went with it."""
    before = len(one.issues)
    one.is_removed = True
    await one.settings.async_set_module_id(3)
    assert (len(one.issues), one.stored) == (before, None)
