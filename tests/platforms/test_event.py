"""Which samples fire an event, without Home Assistant."""

from __future__ import annotations

from unittest.mock import Mock, call

import pytest

from custom_components.voltgo_vlrv.event import VlrvProtectionEvent
from tests.vlrv.samples import status

UNDERVOLTAGE, OVERVOLTAGE, UNNAMED = 0x0008, 0x0004, 0x4000


class Fixture(VlrvProtectionEvent):
    """The entity without a battery; it notes what it fires."""

    def __init__(self) -> None:
        """Start before the first sample."""
        self.fired = Mock()
        self.written = Mock()
        self.coordinator = Mock(data=None)
        self._trigger_event = self.fired  # type: ignore[method-assign]
        self.async_write_ha_state = self.written  # type: ignore[method-assign]

    def sample(self, protection: int | None) -> list[str]:
        """Take a sample with these bits, or none; return the events that it fires."""
        self.fired.reset_mock()
        self.written.reset_mock()
        data = None if protection is None else status(protection=protection)
        self.coordinator.data = data
        self._handle_coordinator_update()
        assert self.written.call_count == self.fired.call_count
        return [fired.args[0] for fired in self.fired.call_args_list]


@pytest.fixture(name="event")
def event_fixture() -> Fixture:
    """Return the entity."""
    return Fixture()


def test_event_of_the_first_sample_is_none(event: Fixture) -> None:
    """What was active before has not just tripped; its end is an event."""
    assert event.sample(None) == []
    assert event.sample(UNDERVOLTAGE) == []
    assert event.sample(UNDERVOLTAGE) == []
    assert event.sample(None) == []
    assert event.sample(0) == ["cell_uvp_cleared"]


def test_event_of_a_change_between_creation_and_the_next_sample_is_fired(
    event: Fixture,
) -> None:
    """A poll may end while the entity is being added."""
    event.coordinator.data = status(protection=0)
    assert not event._update_attrs()
    event.coordinator.data = status(protection=UNDERVOLTAGE)
    assert not event._update_attrs()
    assert event.sample(UNDERVOLTAGE) == ["cell_uvp_tripped"]


def test_events_of_one_sample_end_with_what_is_active(event: Fixture) -> None:
    """The last one stays shown; bits without a name carry their number."""
    event.sample(UNDERVOLTAGE)
    assert event.sample(OVERVOLTAGE | UNNAMED)[0] == "cell_uvp_cleared"
    assert call("unknown_bit_tripped", {"bit": 14}) in event.fired.call_args_list
    assert event.sample(OVERVOLTAGE) == ["unknown_bit_cleared"]
    assert event.sample(OVERVOLTAGE) == []
