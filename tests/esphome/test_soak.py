"""Hours with eight batteries on three proxies and faults of both."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from homeassistant.core import HomeAssistant

from .environment import EsphomeEnvironment, Proxy
from tests.connection import soak
from tests.connection.watch import WatchedBattery

ERRORS = (0x08, 0x13, 0x3E, 0x85, 0x100)
MTUS = (23, 40, 160, 247)


class ProxySoak(soak.Soak):
    """The soak of the simulated adapters, with the faults of proxies."""

    @property
    def _node(self) -> Proxy | None:
        adapters: dict[str, Any] = self._bluetooth_env.adapters
        nodes = [node for node in adapters.values() if node.is_on and not node.is_hung]
        return self._random.choice(nodes) if nodes else None

    async def _reboot(self, _pack: WatchedBattery) -> None:
        if "unplug" not in self._busy and (node := self._node):
            self._busy.add("unplug")
            await node.reboot(self._random.uniform(4, 120))
            self._busy.discard("unplug")

    async def _hang(self, _pack: WatchedBattery) -> None:
        if "unplug" not in self._busy and (node := self._node):
            self._busy.add("unplug")
            node.hang()
            await asyncio.sleep(self._random.uniform(1, 400))
            node.resume()
            self._busy.discard("unplug")

    async def _drop_api(self, _pack: WatchedBattery) -> None:
        if node := self._node:
            node.drop_api()

    async def _fault(self, _pack: WatchedBattery) -> None:
        if node := self._node:
            faults = node.faults
            match self._random.choice(("error", "lose", "services", "ignore")):
                case "error":
                    faults.connect_errors.extend(
                        self._random.choices(ERRORS, k=self._random.randint(1, 12))
                    )
                case "lose":
                    faults.lose_disconnects += 1
                case "services":
                    faults.fail_services += 1
                case "ignore":
                    faults.ignore_connects += 1

    async def _mtu(self, pack: WatchedBattery) -> None:
        peripheral: Any = self._peripheral(pack)
        peripheral.max_mtu = self._random.choice(MTUS)
        peripheral.drop_connection()

    async def _move(self, pack: WatchedBattery) -> None:
        peripheral: Any = self._peripheral(pack)
        await peripheral.stop()
        peripheral.table = peripheral.table.moved(self._random.choice((1, 2, 5)))
        await asyncio.sleep(30)
        await peripheral.start()


EVENTS: dict[str, Any] = {
    **soak._EVENTS,
    "reboot": ProxySoak._reboot,
    "hang": ProxySoak._hang,
    "drop_api": ProxySoak._drop_api,
    "fault": ProxySoak._fault,
    "mtu": ProxySoak._mtu,
    "move": ProxySoak._move,
}


@pytest.mark.parametrize("seed", [1])
async def test_soak_over_esphome_finds_no_fault(
    hass: HomeAssistant,
    bluetooth_env: EsphomeEnvironment,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    """Every sample is true, every connection is ended, every battery recovers."""
    monkeypatch.setattr(soak, "_EVENTS", EVENTS)
    report = await ProxySoak(hass, bluetooth_env, seed).run(6, 300, memory=False)
    assert report.wrong == []
    assert report.leaked == []
    assert report.unrecovered == []
    assert report.samples > 400
    assert len(report.events) == len(EVENTS)
