"""When the scan of a silent adapter is paused, and that it goes on afterwards."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from homeassistant.components import bluetooth

from custom_components.voltgo_vlrv.connection import errors
from custom_components.voltgo_vlrv.connection.scan_pause import (
    CHECK_INTERVAL,
    PAUSE_AFTER,
    keep_adapter,
)

pytestmark = pytest.mark.usefixtures("fast_clock")


class Adapter:
    """An adapter of this computer with the only connection."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Begin scanning, without having received anything for a long time."""
        self.source = "00:1A:7D:DA:71:13"
        self.scanning = True
        self.silence: float | None = PAUSE_AFTER
        self.async_start = AsyncMock(side_effect=lambda: self.scan(True))
        self.async_stop = AsyncMock(side_effect=lambda: self.scan(False))
        self.known: list[Any] = [self]
        self.hass = Mock()
        self.hass.async_create_background_task = lambda work, _name: (
            asyncio.ensure_future(work)
        )
        monkeypatch.setattr(
            bluetooth,
            "async_current_scanners",
            lambda hass: self.known if hass is self.hass else [],
        )
        monkeypatch.setattr(errors, "_reported", set())

    def scan(self, scanning: bool) -> None:
        """Start or stop."""
        self.scanning = scanning

    def keep(self) -> Any:
        """Keep it from being reset."""
        slots = Mock()
        slots.connected_adapter.side_effect = lambda: self
        slots.local_silence.side_effect = lambda: self.silence
        return keep_adapter(self.hass, slots)


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Adapter:
    """Return an adapter."""
    return Adapter(monkeypatch)


async def test_scan_of_a_silent_adapter_pauses_until_the_end(adapter: Adapter) -> None:
    """Also when something fails."""

    async def fail() -> None:
        async with adapter.keep():
            await asyncio.sleep(1)
            assert not adapter.scanning
            await asyncio.sleep(100)
            raise ValueError("failed")

    with pytest.raises(ValueError, match="failed"):
        await fail()
    assert adapter.scanning
    assert adapter.async_stop.await_count == adapter.async_start.await_count == 1
    await asyncio.sleep(2 * CHECK_INTERVAL)
    assert adapter.async_stop.await_count == 1
    assert not adapter.hass.config_entries.async_schedule_reload.called


async def test_scan_pauses_as_soon_as_the_adapter_is_silent(adapter: Adapter) -> None:
    """And again when another integration has requested a scan meanwhile."""
    adapter.silence = PAUSE_AFTER - 0.1
    async with adapter.keep():
        await asyncio.sleep(1)
        assert adapter.scanning
        adapter.silence = PAUSE_AFTER
        await asyncio.sleep(CHECK_INTERVAL)
        assert not adapter.scanning
        adapter.scanning = True
        await asyncio.sleep(CHECK_INTERVAL)
        assert not adapter.scanning


@pytest.mark.parametrize("silence", [None, PAUSE_AFTER - 0.1])
async def test_scan_of_a_proxy_or_an_adapter_that_receives_goes_on(
    adapter: Adapter, silence: float | None
) -> None:
    """A proxy has no silence: Home Assistant does not reset it."""
    adapter.silence = silence
    async with adapter.keep():
        await asyncio.sleep(100)
    assert not adapter.async_stop.called
    assert not adapter.async_start.called


async def test_scan_that_cannot_be_paused_does_not_disturb(
    adapter: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    """The reset may come then, or not."""
    adapter.async_stop.side_effect = RuntimeError("bus")
    async with adapter.keep():
        await asyncio.sleep(2 * CHECK_INTERVAL + 1)
    assert adapter.async_stop.await_count == 3
    assert caplog.text.count("Unexpected error while pausing a scan") == 1


async def test_scan_of_an_adapter_set_up_again_stays_as_it_is(adapter: Adapter) -> None:
    """Two scans of one adapter would disturb each other."""
    async with adapter.keep():
        await asyncio.sleep(1)
        adapter.known = [Mock()]
    assert not adapter.async_start.called


@pytest.mark.parametrize("entry", [None, Mock(entry_id="entry")])
async def test_scan_that_cannot_be_resumed_sets_the_adapter_up_again(
    adapter: Adapter, caplog: pytest.LogCaptureFixture, entry: Mock | None
) -> None:
    """Home Assistant then tries until it works."""
    entries = adapter.hass.config_entries
    entries.async_entry_for_domain_unique_id.return_value = entry
    adapter.async_start.side_effect = RuntimeError("bus")
    async with adapter.keep():
        await asyncio.sleep(1)
    entries.async_entry_for_domain_unique_id.assert_called_once_with(
        "bluetooth", adapter.source
    )
    calls = [call.args for call in entries.async_schedule_reload.call_args_list]
    assert calls == ([] if entry is None else [("entry",)])
    assert "Unexpected error while resuming a scan" in caplog.text
