"""What can go wrong in a proxy, on purpose."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class NodeFaults:
    """Switches, all off by default; a number says how often a fault strikes.

    `connect_errors` are the error codes of the next connections, each reported
    `connect_error_after` seconds after the request. `ignore_connects`: the request is
    never answered. `lose_disconnects`: the end of a connection is not reported, as when
    the send buffer was full. `fail_services`: the list of services is empty.
    `ignore_clear_cache`: the request to clear the cache is never answered.
    """

    def __init__(self, handle_slots_changed: Callable[[], None]) -> None:
        """Start without faults; the callable is called when slots come or go."""
        self._handle_slots_changed = handle_slots_changed
        self._out_of_slots = False
        self.connect_errors: deque[int] = deque()
        self._reset()

    def _reset(self) -> None:
        self.connect_errors.clear()
        self.connect_error_after = 1.0  # s
        self.ignore_connects = 0
        self.lose_disconnects = 0
        self.fail_services = 0
        self.ignore_clear_cache = 0

    def clear(self) -> None:
        """Switch everything off."""
        self._reset()
        self.out_of_slots = False

    @property
    def out_of_slots(self) -> bool:
        """Return whether all connections are in use by others."""
        return self._out_of_slots

    @out_of_slots.setter
    def out_of_slots(self, wanted: bool) -> None:
        if wanted != self._out_of_slots:
            self._out_of_slots = wanted
            self._handle_slots_changed()
