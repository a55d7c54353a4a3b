"""What has to be true before firmware is transferred; no radio."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from homeassistant.exceptions import HomeAssistantError

from custom_components.voltgo_vlrv.battery.firmware import (
    MIN_SIGNAL,
    MIN_STATE_OF_CHARGE,
    FirmwareInstaller,
)
from custom_components.voltgo_vlrv.battery.operations import Operation
from custom_components.voltgo_vlrv.connection.errors import OtherBatteryError
from custom_components.voltgo_vlrv.vlrv.errors import NoAnswerError, VlrvError
from custom_components.voltgo_vlrv.vlrv.firmware import MAX_REQUEST_SIZE
from tests.vlrv.samples import status

SILENT = NoAnswerError("silent")


class Candidate:
    """A battery whose firmware is to be updated."""

    def __init__(self, **fields: Any) -> None:
        """Begin with one that may be updated, just so."""
        self.signal_strength: int | None = MIN_SIGNAL
        self.sample = {"state_of_charge": MIN_STATE_OF_CHARGE}
        self.size = MAX_REQUEST_SIZE
        self.errors: dict[str, VlrvError] = {}
        vars(self).update(fields)
        self.running: Operation | None = None
        this: Any = self
        access: Any = SimpleNamespace(
            hass=SimpleNamespace(config=SimpleNamespace(path=lambda *_: "unused")),
            entry=SimpleNamespace(entry_id="01A", options={}),
            client=this,
            connection=this,
            operations=this,
            guard=this,
        )
        self.name = "House"
        self.installer = FirmwareInstaller(access, this, this, lambda: None)

    def is_running(self, operation: Operation) -> bool:
        """Return whether it is running."""
        return self.running is operation

    def _raise(self, what: str) -> None:
        if (error := self.errors.get(what)) is not None:
            raise error

    async def async_check_battery(self) -> None:
        """Check which battery it is."""
        self._raise("check")

    async def read_status(self) -> Any:
        """Read it."""
        self._raise("read")
        return status(**self.sample)

    async def measure_write_size(self) -> int:
        """Measure the connection."""
        self._raise("measure")
        return self.size


async def refusal(candidate: Candidate) -> tuple[str | None, dict[str, str]]:
    """Return key and placeholders of the text why it may not be updated."""
    found: HomeAssistantError | None = None
    try:
        await candidate.installer._check()
    except HomeAssistantError as err:
        found = err
    if found is None:
        return None, {}
    placeholders = dict(found.translation_placeholders or {})
    assert placeholders.pop("name") == "House"
    assert found.translation_domain == "voltgo_vlrv"
    return found.translation_key, placeholders


@pytest.mark.parametrize(
    ("fields", "key", "placeholders"),
    [
        ({}, None, {}),
        (
            {"sample": {"state_of_charge": 29}},
            "firmware_low_charge",
            {"charge": "29", "wanted": "30"},
        ),
        (
            {"sample": {"state_of_charge": 60, "protection": 0x0008}},
            "firmware_protection",
            {},
        ),
        (
            {"signal_strength": -81},
            "firmware_weak_signal",
            {"signal": "-81", "wanted": "-80"},
        ),
        (
            {"signal_strength": None},
            "firmware_weak_signal",
            {"signal": "?", "wanted": "-80"},
        ),
        ({"size": MAX_REQUEST_SIZE - 1}, "firmware_small_packets", {}),
        ({"errors": {"check": OtherBatteryError()}}, "firmware_other_battery", {}),
        ({"errors": {"check": SILENT}}, "firmware_unreachable", {}),
        ({"errors": {"read": SILENT}}, "firmware_unreachable", {}),
        ({"errors": {"measure": SILENT}}, "firmware_unreachable", {}),
    ],
)
async def test_firmware_is_transferred_only_where_it_can_be_finished(
    fields: dict[str, Any], key: str | None, placeholders: dict[str, str]
) -> None:
    """A battery that switches off meanwhile may be unusable afterwards."""
    assert await refusal(Candidate(**fields)) == (key, placeholders)


async def test_unexpected_error_of_a_check_is_logged_as_such(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The owner is told that the battery was not reached."""
    broken: Any = LookupError("in a check")
    candidate = Candidate(errors={"read": broken})
    assert await refusal(candidate) == ("firmware_unreachable", {})
    assert "checking a battery before an installation" in caplog.text


def test_changes_are_refused_while_firmware_is_installed() -> None:
    """And only then."""
    candidate = Candidate()
    for operation in (None, Operation.CHANGE):
        candidate.running = operation
        candidate.installer.check_not_running()
        assert not candidate.installer.is_running
    candidate.running = Operation.FIRMWARE
    assert candidate.installer.is_running
    with pytest.raises(HomeAssistantError) as raised:
        candidate.installer.check_not_running()
    assert raised.value.translation_key == "firmware_in_progress"
    assert raised.value.translation_placeholders == {"name": "House"}
