"""When sample and serial number are checked; no radio."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from custom_components.voltgo_vlrv.battery.identity_guard import IdentityGuard
from custom_components.voltgo_vlrv.battery.info import BatteryInfo
from custom_components.voltgo_vlrv.connection.errors import OtherBatteryError
from custom_components.voltgo_vlrv.const import MAX_DROPS_PER_READ
from custom_components.voltgo_vlrv.vlrv.errors import (
    ConnectionLostError,
    NoAnswerError,
    RefusedError,
    VlrvError,
)
from custom_components.voltgo_vlrv.vlrv.identity import Identity
from tests.vlrv.samples import status

IDENTITY = Identity("TC-8S100", "Z01T21", "SN-1")
SAMPLE = status()
INFO = BatteryInfo("ZT-25.6V100Ah-1238", 8, 100.0, serial="SN-1")


class Connected:
    """A battery on its first connection, and what it was asked for since the last look."""

    def __init__(self, info: BatteryInfo = INFO) -> None:
        """Connect."""
        self.counters = SimpleNamespace(connects=1)
        self.info = info
        self.has_other_battery = False
        self.error: VlrvError | None = None
        self.done: list[Any] = []
        this: Any = self
        self.guard = IdentityGuard(this, this)

    def asked(self) -> list[Any]:
        """Return what was done since the last call."""
        done, self.done = self.done, []
        return done

    # As the client.

    async def read_identity(self) -> Identity:
        """Answer, or raise the error."""
        self.done.append("identity")
        if self.error is not None:
            raise self.error
        return IDENTITY

    async def read_status(self) -> Any:
        """Answer."""
        self.done.append("status")
        return SAMPLE

    # As the store of the information.

    def check_status(self, sample: Any) -> None:
        """Note it."""
        assert sample is SAMPLE
        self.done.append("check status")

    def check_identity(self, identity: Identity) -> None:
        """Note it."""
        assert identity is IDENTITY
        self.done.append("check identity")

    def update(self, info: BatteryInfo) -> None:
        """Store it."""
        self.info = info


READ = ["identity", "check identity"]


async def test_serial_number_is_checked_once_after_each_disconnection() -> None:
    """It is read at the start, and again where the battery may be another one."""
    battery = Connected()
    guard = battery.guard
    for _ in range(2):
        assert not guard.is_identity_read
        await guard.async_check_serial()
        assert battery.asked() == READ
        await guard.async_check_serial()
        assert battery.asked() == []
        assert guard.is_identity_read
        assert battery.info == INFO.with_identity(IDENTITY)
        guard.handle_disconnected()
        battery.counters.connects += 1


@pytest.mark.parametrize("serial", ["", "2024-01-11"])
async def test_serial_number_that_proves_nothing_is_not_read(serial: str) -> None:
    """Neither for a sample nor for a write."""
    battery = Connected(replace(INFO, serial=serial))
    await battery.guard.async_check_serial()
    await battery.guard.async_check_battery()
    assert battery.asked() == ["status", "check status"]


async def test_serial_number_that_was_read_a_moment_ago_is_not_read_again() -> None:
    """As by the config flow."""
    battery = Connected()
    battery.guard.handle_identity_known()
    await battery.guard.async_check_serial()
    assert battery.asked() == []


@pytest.mark.parametrize("error", [NoAnswerError("silent"), RefusedError(2)])
async def test_battery_without_an_identity_is_accepted(error: VlrvError) -> None:
    """Not every board has these registers; it is asked once after a disconnection."""
    battery = Connected()
    battery.error = error
    for _ in range(2):
        await battery.guard.async_check_serial()
    assert battery.asked() == ["identity"]
    assert not battery.guard.is_identity_read
    battery.guard.handle_disconnected()
    await battery.guard.async_check_serial()
    assert battery.asked() == ["identity"]


async def test_battery_that_disconnects_when_asked_is_asked_no_more() -> None:
    """Otherwise no sample would ever be used; an answer counts as none lost."""
    battery = Connected()
    lost = ConnectionLostError("lost")
    for error in (*[lost] * (MAX_DROPS_PER_READ - 1), None):
        battery.error = error
        battery.guard.handle_disconnected()
        if error is None:
            await battery.guard.async_check_serial()
        else:
            with pytest.raises(ConnectionLostError):
                await battery.guard.async_check_serial()
    battery.error = lost
    battery.asked()
    for _ in range(MAX_DROPS_PER_READ):
        battery.guard.handle_disconnected()
        with pytest.raises(ConnectionLostError):
            await battery.guard.async_check_serial()
        assert battery.asked() == ["identity"]
    battery.guard.handle_disconnected()
    await battery.guard.async_check_serial()
    assert battery.asked() == []


async def test_write_checks_what_was_not_checked_on_its_connection() -> None:
    """Once; on another connection all of it again."""
    battery = Connected()
    guard = battery.guard
    assert not guard.is_checked
    await guard.async_check_battery()
    assert battery.asked() == ["status", "check status", *READ]
    assert guard.is_checked
    await guard.async_check_battery()
    assert battery.asked() == []
    battery.counters.connects += 1
    assert not guard.is_checked
    guard.check_status(SAMPLE)
    await guard.async_read_identity()
    assert battery.asked() == ["check status", *READ]
    assert not guard.is_checked
    await guard.async_check_battery()
    assert battery.asked() == []
    assert guard.is_checked


async def test_write_to_a_battery_that_is_another_one_is_not_checked() -> None:
    """Also where that was found before."""
    battery = Connected()
    battery.has_other_battery = True
    with pytest.raises(OtherBatteryError):
        await battery.guard.async_check_battery()
    assert not battery.guard.is_checked


async def test_check_of_a_connection_that_was_replaced_is_none() -> None:
    """What was read belongs to the connection on which it was asked for."""
    battery = Connected()
    read = battery.read_identity

    async def replaced() -> Identity:
        identity = await read()
        battery.counters.connects += 1
        return identity

    battery.read_identity = replaced  # type: ignore[method-assign]
    await battery.guard.async_check_battery()
    assert not battery.guard.is_checked
    assert not battery.guard.is_identity_read
