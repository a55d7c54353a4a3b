"""The soak over a local adapter, with the faults of BlueZ."""

from __future__ import annotations

from typing import Final

from .environment import BluezEnvironment
from simulator.bluez.daemon import ABORTED, Bluez
from simulator.bluez.objects import FAILED, IN_PROGRESS
from tests.connection.soak import Soak
from tests.connection.watch import WatchedBattery

ERRORS: Final = (
    (IN_PROGRESS, "Operation already in progress"),
    (FAILED, ABORTED),
    (FAILED, "Software caused connection abort"),
)


class BluezSoak(Soak):
    """Errors of its methods, services never resolved, disconnects without effect."""

    events = (
        "burst",
        "lie",
        "lose",
        "roam",
        "restart",
        "release",
        "reload",
        "fault",
        "stuck",
    )

    @property
    def _environment(self) -> BluezEnvironment:
        assert isinstance(self._bluetooth_env, BluezEnvironment)
        return self._bluetooth_env

    @property
    def _bluez(self) -> Bluez:
        return self._environment.bluez

    async def _add_adapters(self) -> None:
        """Use the one that is there."""

    def _held(self) -> int:
        return len(self._bluez.connections)

    def _is_reachable(self, number: int) -> bool:
        pack = self._packs[number]
        return (
            pack.address not in self._busy
            and self._peripheral(pack).is_on
            and not self._entries[number].runtime_data.connection.is_released
        )

    def _clear_adapter_faults(self) -> None:
        self._bluez.faults.clear()

    async def _fault(self, _pack: WatchedBattery) -> None:
        faults = self._bluez.faults
        errors = self._random.choice(
            (faults.connect_errors, faults.notify_errors, faults.write_errors)
        )
        errors.extend(self._random.choices(ERRORS, k=self._random.randint(1, 6)))

    async def _stuck(self, pack: WatchedBattery) -> None:
        faults = self._bluez.faults
        if self._random.random() < 0.5:
            faults.never_resolve += 1
            self._peripheral(pack).drop_connection()
        else:
            faults.ignore_disconnects += 1
