"""Errors that no radio call should raise: logged once, and retried like a lost connection."""

from __future__ import annotations

import logging

import pytest

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError

from custom_components.voltgo_vlrv import config_flow
from custom_components.voltgo_vlrv.connection import errors
from custom_components.voltgo_vlrv.connection.errors import as_vlrv_error, typed_errors
from custom_components.voltgo_vlrv.connection.slots import SlotMonitor
from custom_components.voltgo_vlrv.vlrv.errors import ConnectionLostError, NoAnswerError
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery, log_lines, wait_until
from tests.flows.helpers import bring_near, pick, start_user_flow
from tests.harness import async_setup_battery


@pytest.fixture(autouse=True)
def nothing_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what other tests had logged."""
    monkeypatch.setattr(errors, "_reported", set())


def test_unexpected_error_is_logged_once_for_each_kind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With its traceback; a typed error stays as it is."""
    for _ in range(3):
        error = as_vlrv_error(KeyError("x"), "testing")
        assert isinstance(error, ConnectionLostError)
    as_vlrv_error(RuntimeError(), "testing")
    known = NoAnswerError("no answer")
    assert as_vlrv_error(known, "testing") is known
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(records) == 2
    assert all(record.exc_info for record in records)


@pytest.mark.parametrize("error", [AssertionError, AttributeError, KeyError, TypeError])
async def test_unexpected_error_in_a_poll_does_not_take_fresh_values_away(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[Exception],
) -> None:
    """The values stay as long as any other failed poll lets them, and come back."""
    one = await async_setup_battery(hass, bluetooth_env, battery("driving_load"))
    client = one.entry.runtime_data.client
    read_status = client.read_status

    async def broken() -> None:
        raise error("stack")

    monkeypatch.setattr(client, "read_status", broken)
    failed = one.entry.runtime_data.statistics.failed_polls
    await wait_until(
        lambda: one.entry.runtime_data.statistics.failed_polls > failed + 1, 60
    )
    assert one.shown("voltage") != STATE_UNAVAILABLE
    monkeypatch.setattr(client, "read_status", read_status)
    samples = one.entry.runtime_data.statistics.samples
    await wait_until(lambda: one.entry.runtime_data.statistics.samples > samples, 120)
    assert one.became_unavailable == []
    assert len(log_lines(caplog, logging.ERROR)) == 1


async def test_unexpected_error_in_the_dialog_is_shown_and_can_be_retried(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It does not stay at "connecting"."""
    pack = battery("idle", name="Grandma")

    async def broken(*_args: object) -> None:
        raise RuntimeError("stack")

    monkeypatch.setattr(config_flow, "probe", broken)
    await bring_near(bluetooth_env, pack)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    assert result["type"] is FlowResultType.FORM
    assert result["errors"] == {"base": "connection_lost"}


UNEXPECTED = (
    AssertionError,
    AttributeError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
)


@pytest.mark.parametrize("error", UNEXPECTED)
def test_unexpected_error_of_any_call_is_a_lost_connection(
    error: type[Exception],
) -> None:
    """One that is meant for the user stays what it is."""
    with pytest.raises(ConnectionLostError), typed_errors("testing"):
        raise error("stack")
    with pytest.raises(HomeAssistantError), typed_errors("testing"):
        raise HomeAssistantError("text")


async def test_unexpected_errors_around_a_connection_are_told_and_tried_again(
    hass: HomeAssistant,
    bluetooth_env: BluetoothEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In the metadata, in a change of a setting, and in the choice of an adapter."""
    one = await async_setup_battery(hass, bluetooth_env, battery("idle"))
    await one.wait_connected()
    data = one.entry.runtime_data

    async def broken(*_args: object) -> None:
        raise KeyError("stack")

    with monkeypatch.context() as stack:
        stack.setattr(data.client, "read_module_id", broken)
        stack.setattr(data.client, "read_thresholds", broken)
        one.peripheral.drop_connection()
        await wait_until(lambda: not one.is_connected)
        await one.wait_connected()
        # The other half was read, and nothing was sent.
        with pytest.raises(HomeAssistantError) as raised:
            await one.select("can_protocol", one.options("can_protocol")[1])
        assert raised.value.translation_key == "change_not_sent"
        assert one.changes == []
    with monkeypatch.context() as stack:
        stack.setattr(SlotMonitor, "best_adapter", lambda _self: {}["score"])
        failed = data.statistics.failed_polls
        one.peripheral.drop_connection()
        await wait_until(lambda: data.statistics.failed_polls > failed, 60)
    await one.wait_connected()
    assert one.became_unavailable == []
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert all(record.exc_info for record in records)
    assert len(records) == 3
