"""The soak over three ESPHome proxies, with the faults of proxies and networks."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from .environment import Proxy
from tests.connection.soak import Soak
from tests.connection.watch import WatchedBattery

ERRORS: Final = (0x08, 0x13, 0x3E, 0x85, 0x100)
MTUS: Final = (23, 40, 160, 247)


class ProxySoak(Soak):
    """Reboots, networks that go away, lost reports, other MTUs and other handles."""

    events = (*Soak.events, "reboot", "hang", "drop_api", "fault", "mtu", "move")

    @property
    def _nodes(self) -> list[Proxy]:
        adapters: dict[str, Any] = self._bluetooth_env.adapters
        return [node for node in adapters.values() if node.is_on]

    @property
    def _node(self) -> Proxy | None:
        nodes = [node for node in self._nodes if not node.is_hung]
        return self._random.choice(nodes) if nodes else None

    def _is_reachable(self, number: int) -> bool:
        address = self._packs[number].address
        # A proxy without network holds its batteries, and no other can connect to them.
        return super()._is_reachable(number) and not any(
            node.is_hung and address in node.connections for node in self._nodes
        )

    def _clear_adapter_faults(self) -> None:
        for node in self._nodes:
            node.faults.clear()

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
