"""When the owner is told that a battery is still released; no event loop, no radio."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from custom_components.voltgo_vlrv.battery import release_notice
from custom_components.voltgo_vlrv.battery.release_notice import (
    NOTICE_AFTER,
    async_watch_release,
)

UNTIL = datetime(2026, 10, 1, 12, tzinfo=UTC)


class Released:
    """A connection that is released, the timer of its notice, and the notice."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Watch it."""
        self.is_released = True
        self.status = SimpleNamespace(released_until=None)
        self.timers: dict[str, tuple[float, Callable[[], None]]] = {}
        self.shown: list[bool] = []
        self.listener: Callable[[], None] | None = None
        monkeypatch.setattr(release_notice, "Timers", lambda _hass: self)
        monkeypatch.setattr(
            release_notice,
            "async_update_released_issue",
            lambda _hass, _entry, is_shown: self.shown.append(is_shown),
        )
        this: Any = self
        self.stop = async_watch_release(this, this, this)

    def async_add_listener(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call it when the connection changes."""
        self.listener = listener
        return lambda: setattr(self, "listener", None)

    def __contains__(self, name: str) -> bool:
        """Return whether the timer runs."""
        return name in self.timers

    def start(self, name: str, delay: float, action: Callable[[], None]) -> None:
        """Start the timer."""
        assert name not in self.timers
        self.timers[name] = (delay, action)

    def cancel(self) -> None:
        """Stop it."""
        self.timers.clear()

    def changed(self, *, is_released: bool, until: datetime | None = None) -> None:
        """Change the connection."""
        assert self.listener is not None
        self.is_released = is_released
        self.status.released_until = until
        self.listener()


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> Released:
    """Return a battery that is released without an end."""
    return Released(monkeypatch)


def test_release_without_an_end_is_told_after_hours(released: Released) -> None:
    """Once, however often the connection changes meanwhile."""
    for _ in range(3):
        ((delay, action),) = released.timers.values()
        assert delay == NOTICE_AFTER.total_seconds()
        released.changed(is_released=True)
    assert released.shown == []
    action()
    assert released.shown == [True]


@pytest.mark.parametrize("until", [None, UNTIL])
def test_release_that_ends_is_not_told(
    released: Released, until: datetime | None
) -> None:
    """By the owner, or by itself at some time."""
    released.changed(is_released=until is not None, until=until)
    assert (released.shown, released.timers) == ([False], {})
    released.changed(is_released=True)
    assert (released.shown, len(released.timers)) == ([False], 1)


def test_notice_ends_with_the_entry(released: Released) -> None:
    """Nothing is left behind."""
    released.stop()
    assert (released.shown, released.timers) == ([False], {})
    assert released.listener is None
