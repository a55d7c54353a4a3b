"""Changes that wait for a power cycle; no event loop, no radio."""

from __future__ import annotations

from custom_components.voltgo_vlrv.battery.pending_changes import PendingChanges

NOTHING: dict[str, int | str] = {}


def test_change_is_pending_until_it_is_reported() -> None:
    """What the battery does not report is not done."""
    pending = PendingChanges({})
    pending.add("module_id", 4)
    pending.update({"module_id": 3}.get)
    assert pending.wanted == {"module_id": 4}
    assert not pending.is_not_applied
    pending.update({"module_id": 4}.get)
    assert pending.wanted == {}


def test_change_that_is_stored_is_pending_from_the_start() -> None:
    """A restart of Home Assistant is no power cycle of the battery."""
    pending = PendingChanges({"module_id": 4})
    pending.update(NOTHING.get, settings_were_read=True)
    assert pending.wanted == {"module_id": 4}
    assert not pending.is_not_applied


def test_change_that_outlasts_a_disconnection_is_not_applied() -> None:
    """Only when the settings were read again: until then nothing is known."""
    pending = PendingChanges({})
    pending.add("module_id", 4)
    pending.handle_reconnect()
    pending.update(NOTHING.get)
    assert not pending.is_not_applied
    pending.update({"module_id": 3}.get, settings_were_read=True)
    assert pending.is_not_applied
    # Read once more, on the same connection.
    pending.update({"module_id": 3}.get, settings_were_read=True)
    assert pending.is_not_applied
    pending.update({"module_id": 4}.get)
    assert not pending.is_not_applied
    assert pending.wanted == {}


def test_change_that_is_made_again_is_not_counted_as_not_applied() -> None:
    """It has not been through a disconnection yet."""
    pending = PendingChanges({})
    pending.add("module_id", 4)
    pending.handle_reconnect()
    pending.add("module_id", 5)
    pending.update({"module_id": 3}.get, settings_were_read=True)
    assert not pending.is_not_applied
    assert pending.wanted == {"module_id": 5}


def test_change_that_was_not_applied_and_is_made_again_is_pending_only() -> None:
    """It may work this time."""
    pending = PendingChanges({"module_id": 4})
    pending.handle_reconnect()
    pending.update({"module_id": 3}.get, settings_were_read=True)
    assert pending.is_not_applied
    pending.add("module_id", 4)
    assert not pending.is_not_applied
    pending.update({"module_id": 3}.get, settings_were_read=True)
    assert not pending.is_not_applied


def test_change_that_is_discarded_is_not_pending() -> None:
    """Also when there is none."""
    pending = PendingChanges({"module_id": 4, "bluetooth_name": "A"})
    pending.discard("module_id")
    pending.discard("module_id")
    assert pending.wanted == {"bluetooth_name": "A"}


def test_changes_of_several_settings_are_pending_apart() -> None:
    """One that is reported does not settle another one."""
    pending = PendingChanges({"module_id": 4, "bluetooth_name": "A"})
    pending.handle_reconnect()
    pending.update({"module_id": 4}.get, settings_were_read=True)
    assert pending.wanted == {"bluetooth_name": "A"}
    assert pending.is_not_applied
