"""Which adapter a battery waits for, by what Home Assistant tells of all of them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from homeassistant.components import bluetooth
from homeassistant.core import HomeAssistant

from custom_components.voltgo_vlrv.connection.slots import SlotMonitor
from custom_components.voltgo_vlrv.connection.turns import AdapterTurns, async_turns

ADDRESS = "A4:C1:37:00:00:01"


def path(source: str, rssi: int, connecting: int = 0) -> Any:
    """Return a path over an adapter that makes so many connections now."""
    return SimpleNamespace(
        scanner=SimpleNamespace(source=source),
        advertisement=SimpleNamespace(rssi=rssi),
        score_connection_path=lambda difference: (
            rssi - 1.01 * max(difference, 1) * connecting
        ),
    )


def receive(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch, paths: list[Any]
) -> None:
    """Have the battery received by adapters that can connect, over these paths."""
    found = {(hass, ADDRESS, True): paths}
    monkeypatch.setattr(
        bluetooth, "async_scanner_devices_by_address", lambda *args: found[args]
    )


async def occupy(stack: AsyncExitStack, turns: AdapterTurns, waiting: int) -> None:
    """Have one battery connect over an adapter, and so many wait behind it."""
    await stack.enter_async_context(turns.take(has_failed=False))

    async def wait() -> None:
        async with turns.take(has_failed=False):
            pass

    for _ in range(waiting):
        task = asyncio.create_task(wait())
        stack.callback(task.cancel)
    await asyncio.sleep(0)
    assert turns.waiting == waiting


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [((0, 0), "a"), ((1, 0), "b"), ((1, 1), "a"), ((2, 1), "b")],
)
async def test_battery_waits_where_the_fewest_wait(
    hass: HomeAssistant,
    monkeypatch: pytest.MonkeyPatch,
    waiting: tuple[int, int],
    expected: str,
) -> None:
    """While each of two adapters makes a connection: else one would be idle soon."""
    paths = [path("a", -60, 1), path("b", -60, 1)]
    receive(hass, monkeypatch, paths)
    async with AsyncExitStack() as stack:
        for source, count in zip("ab", waiting, strict=True):
            await occupy(stack, async_turns(hass, source), count)
        assert SlotMonitor(hass, ADDRESS).best_adapter() == expected


async def test_battery_with_one_adapter_far_better_waits_for_it_unless_another_is_idle(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Home Assistant weighs signals against connections in the making."""
    paths = [path("near", -50), path("far", -80)]
    receive(hass, monkeypatch, paths)
    monitor = SlotMonitor(hass, ADDRESS)
    async with AsyncExitStack() as stack:
        await occupy(stack, async_turns(hass, "near"), 0)
        assert monitor.best_adapter() == "near"
        await occupy(stack, async_turns(hass, "far"), 1)
        assert monitor.best_adapter() == "near"


async def test_battery_that_waits_counts_as_much_as_a_connection_in_the_making(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the signals are about the same."""
    receive(hass, monkeypatch, [path("a", -60), path("b", -61, connecting=1)])
    async with AsyncExitStack() as stack:
        await occupy(stack, async_turns(hass, "a"), 1)
        assert SlotMonitor(hass, ADDRESS).best_adapter() == "a"


async def test_battery_that_no_adapter_receives_waits_for_none(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn is then that of an unknown adapter."""
    receive(hass, monkeypatch, [])
    assert SlotMonitor(hass, ADDRESS).best_adapter() == ""


@pytest.mark.parametrize(
    "signals",
    [(-50, -60), (-50, -51), (-50, -50)],
)
async def test_battery_waits_for_no_better_adapter_that_another_waits_for(
    hass: HomeAssistant,
    monkeypatch: pytest.MonkeyPatch,
    signals: tuple[int, int],
) -> None:
    """That one will be making a connection, which counts more than any difference."""
    paths = [path(name, rssi) for name, rssi in zip("ab", signals, strict=True)]
    receive(hass, monkeypatch, paths)
    async with AsyncExitStack() as stack:
        await occupy(stack, async_turns(hass, "a"), 1)
        assert SlotMonitor(hass, ADDRESS).best_adapter() == "b"
