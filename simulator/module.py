"""A battery's Bluetooth module, as far as it does not depend on the simulated stack."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from bumble import hci
from bumble.core import AdvertisingData
from bumble.device import Device

from .faults import ConnectionFaults
from .profiles import PROFILES, Profile

# Writes that follow each other closer than this are lost (protocol 2.3, grade A).
WRITE_SPACING: Final = 0.010  # s
TRAFFIC_LIMIT: Final = 10_000  # entries kept of each direction
READ_BUFFER: Final = 200  # bytes; what reading the notify characteristic returns
MAX_LEGACY_ADVERTISEMENT: Final = 31  # bytes

# Disconnect reasons, as in the Bluetooth specification, volume 1, part F.
SUPERVISION_TIMEOUT: Final = 0x08
TERMINATED_BY_PEER: Final = 0x13


class Battery(Protocol):
    """What a peripheral needs of a battery.

    If it also has a method `power_cycle()`, `Peripheral.power_cycle` calls it. If it
    has `take_outage()`, that says after each written frame for how many seconds the
    battery is gone after its answer (0: only the connection is lost), or None.
    """

    @property
    def name(self) -> str:
        """The advertised name; read whenever the module is switched on."""

    @property
    def address(self) -> str:
        """The public address."""

    @property
    def generation(self) -> int:
        """1 (services 0x1000) or 2 (0x1006)."""

    def handle(self, frame: bytes, /) -> bytes | None:
        """Answer what was written; None stays silent."""


@dataclass(frozen=True, slots=True)
class Write:
    """A frame that arrived at the battery; `time` is the event loop's."""

    time: float
    data: bytes
    applied: bool


@dataclass(frozen=True, slots=True)
class Notification:
    """A notification that left the battery; `time` is the event loop's."""

    time: float
    data: bytes


class Traffic:
    """Writes and notifications, newest last, and when the last write was applied."""

    def __init__(self) -> None:
        """Start with no traffic."""
        self.writes: deque[Write] = deque(maxlen=TRAFFIC_LIMIT)
        self.notifications: deque[Notification] = deque(maxlen=TRAFFIC_LIMIT)
        self.connections = 0
        self._last_write = float("-inf")

    def record_write(self, now: float, data: bytes) -> bool:
        """Record a write at a loop time, and return whether the battery applies it."""
        # Half a microsecond of grace: loop times are sums of floats.
        applied = now - self._last_write > WRITE_SPACING - 5e-7
        self._last_write = now
        self.writes.append(Write(now, data, applied))
        return applied


class Advertising:
    """What a battery advertises; `interval` is in seconds."""

    def __init__(self, interval: float, *, name_in_scan_response: bool) -> None:
        """Start in range."""
        self.interval = interval
        self.name_in_scan_response = name_in_scan_response
        self.is_in_range = True
        self._lock = asyncio.Lock()

    async def update(
        self,
        device: Callable[[], Device | None],
        is_connected: Callable[[], bool],
    ) -> None:
        """Advertise while in range and not connected."""
        async with self._lock:
            if (module := device()) is None:
                return
            if self.is_in_range and not is_connected():
                await module.start_advertising(
                    own_address_type=hci.OwnAddressType.PUBLIC
                )
            else:
                await module.stop_advertising()

    def payload(self, battery: Battery, profile: Profile) -> tuple[bytes, bytes]:
        """Return the advertising data and the scan response."""
        types = AdvertisingData.Type
        name = (types.COMPLETE_LOCAL_NAME, battery.name.encode())
        data = [
            (types.FLAGS, b"\x06"),
            (
                types.COMPLETE_LIST_OF_16_BIT_SERVICE_CLASS_UUIDS,
                profile.advertised.to_bytes(2, "little"),
            ),
        ]
        if profile.address_as_manufacturer_data:
            data.append(
                (
                    types.MANUFACTURER_SPECIFIC_DATA,
                    bytes.fromhex(battery.address.replace(":", "")),
                )
            )
        whole = bytes(AdvertisingData([*data, name]))
        if self.name_in_scan_response or len(whole) > MAX_LEGACY_ADVERTISEMENT:
            return bytes(AdvertisingData([*data])), bytes(AdvertisingData([name]))
        return whole, b""


class BatteryModule:
    """The module of a battery: its traffic, its faults, and what it replies.

    `writes` and `notifications` hold the traffic, `connections` counts the connections
    so far. `reply_latency` is in seconds. `max_mtu` and `profile` (a key of `PROFILES`)
    follow the battery's generation unless given.
    """

    def __init__(
        self,
        battery: Battery,
        *,
        advertising_interval: float,
        max_mtu: int | None,
        name_in_scan_response: bool,
        reply_latency: float,
        profile: str | None,
        faults: ConnectionFaults | None,
    ) -> None:
        """Prepare a battery that is still switched off."""
        self.battery = battery
        self.profile = PROFILES[profile or f"v{battery.generation}"]
        self.max_mtu = max_mtu or self.profile.max_mtu
        self.reply_latency = reply_latency
        self.faults = faults or ConnectionFaults()
        self.traffic = Traffic()
        self._advertising = Advertising(
            advertising_interval, name_in_scan_response=name_in_scan_response
        )
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def writes(self) -> deque[Write]:
        """Return the frames that arrived at the battery, newest last."""
        return self.traffic.writes

    @property
    def notifications(self) -> deque[Notification]:
        """Return the notifications that left the battery, newest last."""
        return self.traffic.notifications

    @property
    def connections(self) -> int:
        """Return how many connections were made so far."""
        return self.traffic.connections

    @property
    def name(self) -> str:
        """Return the battery's name."""
        return self.battery.name

    @property
    def address(self) -> str:
        """Return the battery's address."""
        return self.battery.address

    def _handle_write(self, data: bytes) -> tuple[bytes | None, float | None]:
        """Record a frame; return the reply and the outage after it (s), None for none."""
        now = asyncio.get_running_loop().time()
        applied = self.traffic.record_write(now, data)
        if not applied or not self.profile.answers:
            return None, None
        reply = self.battery.handle(data)
        take_outage = getattr(self.battery, "take_outage", None)
        return reply, None if take_outage is None else take_outage()

    def _record_notification(self, data: bytes) -> None:
        """Record what was sent just now."""
        now = asyncio.get_running_loop().time()
        self.notifications.append(Notification(now, data))

    def _create_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that ends when the module is switched off."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._handle_task_done)

    def _handle_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
