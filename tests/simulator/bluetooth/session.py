"""A battery with fixed replies, and a plain client that talks to it."""

from __future__ import annotations

import asyncio

from bleak import BleakClient

from tests.bluetooth_env import BluetoothEnvironment

ADDRESS = "A4:C1:37:00:00:01"
OTHER_ADDRESS = "A4:C1:37:00:00:02"
OLD_ADDRESS = "80:6F:B0:15:5E:71"
FOREIGN_ADDRESS = "A4:C1:38:00:00:01"
SECOND_PROXY = "02:00:00:00:00:02"
NAME = "ZT-25.6V100Ah-1238"

STATUS = bytes(range(87))
CHUNKS = [STATUS[at : at + 20] for at in range(0, 87, 20)]
SHORT = b"\x10\x07\x01\x00\xb4\xb5"


def uuid(short: int) -> str:
    """Return the long form of a 16-bit UUID."""
    return f"0000{short:04x}-0000-1000-8000-00805f9b34fb"


NOTIFY = uuid(0x1007)
WRITE = uuid(0x1008)


class CannedBattery:
    """Answers everything with the same bytes."""

    def __init__(
        self, name: str = NAME, address: str = ADDRESS, generation: int = 2
    ) -> None:
        """Answer with a status reply."""
        self.name = name
        self.address = address
        self.generation = generation
        self.reply: bytes | None = STATUS
        self.frames: list[bytes] = []
        self.power_cycles = 0

    def handle(self, frame: bytes) -> bytes | None:
        """Answer."""
        self.frames.append(frame)
        return self.reply

    def power_cycle(self) -> None:
        """Come back with another name."""
        self.power_cycles += 1
        self.name = "Starboard house bank 2"


class Session:
    """A subscribed client and what it has received."""

    def __init__(self, client: BleakClient) -> None:
        """Wrap a connected client."""
        self.client = client
        self.received: list[bytes] = []

    async def subscribe(self) -> None:
        """Enable notifications."""
        await self.client.start_notify(
            NOTIFY, lambda _char, data: self.received.append(bytes(data))
        )

    async def ask(self, frame: bytes = b"?", seconds: float = 1.0) -> list[bytes]:
        """Write a frame and return what arrives within some seconds."""
        self.received.clear()
        await self.client.write_gatt_char(WRITE, frame, response=False)
        await asyncio.sleep(seconds)
        return list(self.received)


async def open_session(
    bluetooth_env: BluetoothEnvironment, address: str = ADDRESS
) -> Session:
    """Connect and subscribe."""
    session = Session(await bluetooth_env.connect(address))
    await session.subscribe()
    return session
