"""What a session does after a use, with a client and adapters that have no radio."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from homeassistant.components import bluetooth

from custom_components.voltgo_vlrv.connection import errors
from custom_components.voltgo_vlrv.connection.backoff import ReconnectBackoff
from custom_components.voltgo_vlrv.connection.session import (
    MAX_SILENCE,
    SILENCE_POLL_DELAY,
    ConnectionSession,
)
from custom_components.voltgo_vlrv.connection.slots import SlotMonitor
from custom_components.voltgo_vlrv.connection.state import ConnectionMode

pytestmark = pytest.mark.usefixtures("fast_clock")


class Connected:
    """A session whose client is connected over an adapter of this computer."""

    def __init__(self) -> None:
        """Begin with an adapter that has just received something."""
        self.client = Mock(is_connected=True, counters=SimpleNamespace(connects=1))
        self.client.disconnect = AsyncMock()
        self.slots = Mock()
        self.slots.local_silence.return_value = 0.0
        self.slots.adapter_is_full.return_value = False
        self.slots.connected_adapter.return_value = Mock(source="hci0")
        self.slots.connected_adapter.return_value.name = "hci0 (00:1A:7D)"
        self.timers = Mock()
        self.delegate = Mock(mode=ConnectionMode.KEEP)
        hass = Mock(loop=asyncio.get_running_loop())
        hass.async_create_background_task = lambda work, _name: asyncio.ensure_future(
            work
        )
        self.session = ConnectionSession(
            hass,
            self.client,
            self.slots,
            ReconnectBackoff(),
            timers=self.timers,
            delegate=self.delegate,
        )

    async def use(self) -> None:
        """Use the connection, and let the session do what follows."""
        async with self.session.use():
            pass
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("silence", "is_closed"),
    [(None, False), (MAX_SILENCE - 0.1, False), (MAX_SILENCE, True)],
)
async def test_session_after_a_use_over_a_silent_adapter_connects_again(
    silence: float | None, is_closed: bool
) -> None:
    """The battery advertises then, so the adapter receives something."""
    one = Connected()
    one.slots.local_silence.return_value = silence
    await one.use()
    assert one.session.is_reconnecting is is_closed
    assert one.client.disconnect.await_count == is_closed
    assert one.slots.expect_advertisement.call_count == is_closed


async def test_session_that_is_used_again_at_once_keeps_its_connection() -> None:
    """The next use ends with the same decision."""
    one = Connected()
    one.slots.local_silence.return_value = MAX_SILENCE
    async with one.session.use():
        async with one.session.use():
            pass
        assert not one.session.is_reconnecting
    async with one.session.use():
        await asyncio.sleep(0)
        assert not one.session.is_reconnecting
        assert not one.client.disconnect.called


@pytest.mark.parametrize(
    ("silence", "polled", "left"),
    [
        (0.0, False, MAX_SILENCE),
        (MAX_SILENCE - 1, False, 1.0),
        (MAX_SILENCE, True, MAX_SILENCE),
        (MAX_SILENCE + 9, True, MAX_SILENCE),
    ],
)
async def test_silence_of_an_adapter_leads_to_a_poll_in_time(
    silence: float, polled: bool, left: float
) -> None:
    """After it the connection is closed, when no reading is due."""
    one = Connected()
    one.slots.local_silence.return_value = silence
    one.session._watch_silence()
    assert one.delegate.request_poll.call_args_list == (
        [((SILENCE_POLL_DELAY,),)] if polled else []
    )
    assert one.timers.start.call_args.args[1] == left


@pytest.mark.parametrize(("silence", "connected"), [(None, True), (99.0, False)])
async def test_silence_without_a_local_connection_is_not_watched(
    silence: float | None, connected: bool
) -> None:
    """A proxy is not reset, and a battery that is not connected advertises."""
    one = Connected()
    one.slots.local_silence.return_value = silence
    one.client.is_connected = connected
    one.session._watch_silence()
    assert not one.timers.start.called
    assert not one.delegate.request_poll.called


async def test_session_names_the_adapter_in_the_trace_while_it_is_connected() -> None:
    """Without the address of the adapter, which may be part of its name."""
    one = Connected()
    one.slots.connected_adapter.return_value.source = "00:1A:7D"
    one.session.handle_allocations(Mock(free=1))
    one.client.trace.record_adapter.assert_called_once_with("hci0")
    one.slots.connected_adapter.return_value = None
    one.session.handle_allocations(Mock(free=1))
    one.client.is_connected = False
    one.session.handle_allocations(Mock(free=1))
    assert one.client.trace.record_adapter.call_count == 1


@pytest.mark.parametrize("is_same", [True, False])
async def test_session_over_a_full_adapter_waits_before_it_disconnects(
    is_same: bool,
) -> None:
    """Another adapter that is full is no reason."""
    one = Connected()
    one.timers.__contains__ = Mock(return_value=False)
    source = "hci0" if is_same else "hci1"
    one.session.handle_allocations(Mock(free=0, source=source))
    assert one.timers.start.called is is_same


async def test_adapters_that_have_received_a_battery_are_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each that ever did, and only while it is there."""
    loop = asyncio.get_running_loop()
    adapters = {name: Mock(source=name, connectable=True) for name in "ABC"}
    present, receiving = ["A", "B", "C"], ["A"]
    monkeypatch.setattr(
        bluetooth,
        "async_current_scanners",
        lambda _hass: [adapters[name] for name in present],
    )
    monkeypatch.setattr(
        bluetooth,
        "async_scanner_devices_by_address",
        lambda *_args: [Mock(scanner=adapters[name]) for name in receiving],
    )
    slots: Any = SlotMonitor(Mock(loop=loop), "A4:C1:37:00:00:01")

    async def waited() -> float:
        started = loop.time()
        await slots.wait_for_adapters()
        return loop.time() - started

    assert 2 <= await waited() < 2.3  # B and C may be in range
    assert await waited() < 0.1
    receiving[:] = ["B"]
    assert 2 <= await waited() < 2.3  # A was
    receiving[:] = ["A"]
    assert 2 <= await waited() < 2.3  # B was
    present.remove("B")
    assert await waited() < 0.1
    receiving.clear()
    assert await waited() < 0.1


def test_error_detail_has_all_placeholders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts name them."""
    monkeypatch.setattr(errors, "describe_adapters", lambda *_args: "hci0 (1/3)")
    monkeypatch.setattr(
        bluetooth, "async_address_reachability_diagnostics", lambda *_args: "far away"
    )
    assert errors.error_detail(
        Mock(), "A4:C1:37:00:00:01", errors.NoAnswerError("x")
    ) == {
        "adapters": "hci0 (1/3)",
        "detail": "far away",
        "error": "x",
    }
