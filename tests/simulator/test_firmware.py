"""The simulated battery takes firmware in order, and only then."""

from __future__ import annotations

import asyncio
from itertools import batched
from math import inf
import struct
import zlib

import pytest

from custom_components.voltgo_vlrv.vlrv import firmware
from simulator.battery import ReplayBattery, SimulatedBattery, build_reply
from simulator.clock import FastClock
from simulator.firmware import (
    FLASH_SIZE,
    OUT_OF_ORDER,
    UNKNOWN_TYPE,
    WRONG_CHECKSUM,
    WRONG_LENGTH,
    WRONG_PACKAGE,
    Fault,
    FaultKind,
    FirmwareReceiver,
    Step,
    build_image,
    image_version,
)
from tests.bluetooth_env import BluetoothEnvironment

BMS = 2
COMM = 1
IMAGE = build_image("Z01T21", 128 * 3 + 10)
WRITE = "00001008-0000-1000-8000-00805f9b34fb"
NOTIFY = "00001007-0000-1000-8000-00805f9b34fb"


@pytest.fixture(autouse=True)
def auto_enable_custom_integrations() -> None:
    """Load no integration that would talk to the battery itself."""


@pytest.fixture
def battery() -> SimulatedBattery:
    """Return a battery whose physics stand still."""
    return SimulatedBattery(clock=lambda: 0.0)


@pytest.fixture
def receiver(battery: SimulatedBattery) -> FirmwareReceiver:
    """Return what takes the battery's firmware."""
    assert battery.firmware_receiver is not None
    return battery.firmware_receiver


def frame(sub_command: int, data: bytes = b"") -> bytes:
    """Build a frame of either direction."""
    return build_reply(bytes((0x64, sub_command, 0x01)) + data)


SYNC = frame(1)
FINISH = frame(5)


def start(length: int = len(IMAGE), board: int = BMS) -> bytes:
    """Announce an image."""
    return frame(2, struct.pack("<BI", board, length))


def package(number: int, data: bytes, length: int | None = None) -> bytes:
    """Build a package."""
    return frame(
        3, struct.pack("<HH", number, len(data) if length is None else length) + data
    )


def finish_write(image: bytes = IMAGE) -> bytes:
    """Ask for a comparison."""
    return frame(4, struct.pack("<I", zlib.crc32(image)))


def packages(image: bytes = IMAGE) -> list[bytes]:
    """Cut an image."""
    return [
        package(number, bytes(data))
        for number, data in enumerate(batched(image, 128, strict=False))
    ]


def conversation(image: bytes = IMAGE, board: int = BMS) -> list[bytes]:
    """Return every request of a transfer."""
    return [
        SYNC,
        start(len(image), board),
        *packages(image),
        finish_write(image),
        FINISH,
    ]


def codes(battery: SimulatedBattery, *requests: bytes) -> list[int | None]:
    """Return the error code of each reply, None for silence."""
    found: list[int | None] = []
    for request in requests:
        reply = battery.handle(request)
        if reply is None:
            found.append(None)
            continue
        assert reply[:3] == request[:3]
        assert reply == build_reply(reply[:-2])
        if request[1] == 3:
            assert reply[3:5] == request[3:5]
        assert len(reply) == (9 if request[1] == 3 else 7)
        assert reply[-4] == bool(reply[-3])
        found.append(reply[-3])
    return found


def test_replies_are_laid_out_as_inferred(battery: SimulatedBattery) -> None:
    """Protocol 9: result and error code, behind the number of a package."""
    assert battery.handle(SYNC) == build_reply(bytes.fromhex("6401010000"))
    assert battery.handle(start()) == build_reply(bytes.fromhex("6402010000"))
    assert battery.handle(package(0, IMAGE[:128])) == build_reply(
        bytes.fromhex("64030100000000")
    )
    assert battery.handle(FINISH) == build_reply(bytes.fromhex("6405010101"))


def test_requests_of_the_integration_are_understood() -> None:
    """Byte by byte, though they share no code."""
    assert firmware.sync_request() == SYNC
    assert firmware.start_write_request(BMS, len(IMAGE)) == start()
    assert [
        firmware.write_request(number, bytes(data))
        for number, data in enumerate(batched(IMAGE, 128, strict=False))
    ] == packages()
    assert firmware.finish_write_request(zlib.crc32(IMAGE)) == finish_write()
    assert firmware.finish_request() == FINISH


def test_finished_bms_image_runs_after_restart(
    battery: SimulatedBattery, receiver: FirmwareReceiver
) -> None:
    """Its version is the firmware text of the identity."""
    assert codes(battery, *conversation()) == [0] * len(conversation())
    assert bytes(receiver.received) == IMAGE
    assert battery.identity.firmware == "Z01T20"
    assert receiver.installed == {}
    assert battery.take_outage() == 30
    assert battery.take_outage() is None
    battery.power_cycle()
    assert battery.identity.firmware == "Z01T21"
    assert receiver.installed == {"bms": IMAGE}
    assert battery.registers(117, 3) == list(struct.unpack(">3H", b"Z01T21"))
    assert codes(battery, SYNC) == [0]


def test_version_of_communication_board_is_in_no_register(
    battery: SimulatedBattery, receiver: FirmwareReceiver
) -> None:
    """The BMS keeps its own."""
    before = battery.registers(105, 46)
    codes(battery, *conversation(board=COMM))
    battery.power_cycle()
    assert battery.registers(105, 46) == before
    assert receiver.installed == {"comm": IMAGE}


def test_image_without_version_changes_none(battery: SimulatedBattery) -> None:
    """Real images are not known, so nothing is read out of them."""
    codes(battery, *conversation(bytes(range(256)) * 4))
    battery.power_cycle()
    assert battery.identity.firmware == "Z01T20"


def test_image_carries_its_version() -> None:
    """At a place of the simulator's own."""
    assert image_version(build_image("06", 2048)) == "06"
    assert image_version(build_image("Z4SR02")) == "Z4SR02"
    assert image_version(bytes(2048)) is None
    assert image_version(b"") is None
    assert len(build_image("Z01T21")) == 200 * 1024
    assert build_image("Z01T21", seed=1) != build_image("Z01T21", seed=2)


@pytest.mark.parametrize(
    "requests",
    [
        [start()],
        [package(0, b"\0")],
        [finish_write()],
        [FINISH],
        [SYNC, package(0, b"\0")],
        [SYNC, finish_write()],
        [SYNC, FINISH],
        [SYNC, start(), finish_write()],
        [SYNC, start(), FINISH],
        [SYNC, start(), *packages(), FINISH],
        [SYNC, start(), start()],
        [SYNC, start(), *packages(), finish_write(), package(4, b"\0")],
        # After a refusal only Sync goes on.
        [SYNC, FINISH, start()],
    ],
)
def test_step_out_of_order_is_refused(
    battery: SimulatedBattery, requests: list[bytes]
) -> None:
    """And nothing restarts."""
    assert codes(battery, *requests)[-1] == OUT_OF_ORDER
    assert battery.take_outage() is None
    assert codes(battery, SYNC) == [0]


@pytest.mark.parametrize(
    ("requests", "code"),
    [
        ([start(board=0)], UNKNOWN_TYPE),
        ([start(board=3)], UNKNOWN_TYPE),
        ([start(0)], WRONG_LENGTH),
        ([start(FLASH_SIZE + 1)], WRONG_LENGTH),
        ([start(), package(1, IMAGE[:128])], WRONG_PACKAGE),
        ([start(), *packages()[:2], packages()[0]], WRONG_PACKAGE),
        ([start(), *packages()[:2], packages()[1]], WRONG_PACKAGE),
        ([start(), *packages()[:1], packages()[2]], WRONG_PACKAGE),
        ([start(), package(0, b"")], WRONG_LENGTH),
        ([start(), package(0, bytes(127))], WRONG_LENGTH),
        ([start(), package(0, bytes(129))], WRONG_LENGTH),
        ([start(), package(0, bytes(128), 127)], WRONG_LENGTH),
        ([start(), *packages(), package(4, b"\0")], WRONG_LENGTH),
        ([start(), *packages()[:-1], package(3, bytes(11))], WRONG_LENGTH),
        ([start(), *packages()[:-1], finish_write()], WRONG_LENGTH),
        ([start(), *packages(), finish_write(b"another")], WRONG_CHECKSUM),
    ],
)
def test_wrong_value_is_refused(
    battery: SimulatedBattery, requests: list[bytes], code: int
) -> None:
    """All before it is taken, and Finish afterwards is not."""
    found = codes(battery, SYNC, *requests, FINISH)
    assert found[-2:] == [code, OUT_OF_ORDER]
    assert not any(found[:-2])
    assert battery.take_outage() is None
    battery.power_cycle()
    assert battery.identity.firmware == "Z01T20"


@pytest.mark.parametrize(
    "request_bytes",
    [
        SYNC[:-1] + bytes((SYNC[-1] ^ 1,)),
        build_reply(b"\x64"),
        build_reply(b"\x64\x01"),
        build_reply(b"\x64\x01\x02"),
        frame(0),
        frame(6),
        frame(1, b"\0"),
        frame(2, bytes(4)),
        frame(2, bytes(6)),
        frame(3, bytes(3)),
        frame(4, bytes(3)),
        frame(5, b"\0"),
    ],
)
def test_frame_of_another_kind_is_not_answered(
    battery: SimulatedBattery, request_bytes: bytes
) -> None:
    """As in the other families."""
    assert battery.handle(request_bytes) is None
    assert battery.take_outage() is None


def test_between_finish_and_restart_firmware_is_not_answered(
    battery: SimulatedBattery,
) -> None:
    """A second Finish does not restart it twice."""
    codes(battery, *conversation())
    assert battery.take_outage() == 30
    assert codes(battery, SYNC, FINISH) == [None, None]
    assert battery.take_outage() is None


def test_power_cycle_forgets_what_was_not_finished(
    battery: SimulatedBattery,
) -> None:
    """The old firmware runs on, and the next transfer begins with Sync."""
    codes(battery, *conversation()[:-1])
    battery.power_cycle()
    assert battery.identity.firmware == "Z01T20"
    assert codes(battery, FINISH) == [OUT_OF_ORDER]
    assert codes(battery, *conversation()) == [0] * len(conversation())


def test_battery_without_bootloader_is_silent(battery: SimulatedBattery) -> None:
    """It answers everything else."""
    battery.firmware_receiver = None
    assert codes(battery, SYNC) == [None]
    assert battery.take_outage() is None
    battery.power_cycle()
    assert battery.handle(bytes.fromhex("0103000000298414")) is not None
    assert ReplayBattery([b"\x01\x03\x00"]).handle(SYNC) is None


# Faults

AT: dict[Step, int] = {
    "sync": 0,
    "start": 1,
    "write": 3,
    "finish_write": -2,
    "finish": -1,
}


@pytest.mark.parametrize("step", AT)
@pytest.mark.parametrize(
    "kind", ["no_answer", "refuse", "wrong_length", "bad_crc", "disconnect"]
)
def test_fault_strikes_at_its_step(
    battery: SimulatedBattery, receiver: FirmwareReceiver, step: Step, kind: FaultKind
) -> None:
    """Answers before it are in order; the switch stays on until it is switched off."""
    receiver.faults[step] = Fault(kind, package=1)
    requests = conversation()
    request = requests[AT[step]]
    before = requests[: requests.index(request)]
    for _ in range(2):
        assert codes(battery, *before) == [0] * len(before)
        reply = battery.handle(request)
        good = build_reply(request[: 5 if step == "write" else 3] + b"\0\0")
        assert (
            reply
            == {
                "no_answer": None,
                "refuse": build_reply(good[:-4] + b"\x01\x7f"),
                "wrong_length": build_reply(good[:-2] + b"\0"),
                "bad_crc": good[:-1] + bytes((good[-1] ^ 0xFF,)),
                "disconnect": None,
            }[kind]
        )
        if kind == "refuse":
            assert battery.take_outage() is None
        elif step == "finish":
            # It was taken, so the battery restarts, answered or not.
            assert battery.take_outage() == 30
        else:
            assert battery.take_outage() == (0 if kind == "disconnect" else None)
        battery.power_cycle()
    assert receiver.faults == {step: Fault(kind, package=1)}
    receiver.faults.clear()
    assert codes(battery, *requests) == [0] * len(requests)


def test_another_package_can_be_confirmed(
    battery: SimulatedBattery, receiver: FirmwareReceiver
) -> None:
    """With everything else in order."""
    receiver.faults["write"] = Fault("wrong_package", package=2)
    assert codes(battery, *conversation()[:4]) == [0] * 4
    assert battery.handle(packages()[2]) == build_reply(bytes.fromhex("64030103000000"))


@pytest.mark.parametrize("comes_back", ["old", "never"])
def test_restart_can_fail(
    battery: SimulatedBattery, receiver: FirmwareReceiver, comes_back: str
) -> None:
    """With the old version, or for good."""
    receiver.comes_back = "old" if comes_back == "old" else "never"
    receiver.restart_for = 45
    codes(battery, *conversation())
    assert battery.take_outage() == (45 if comes_back == "old" else inf)
    battery.power_cycle()
    assert battery.identity.firmware == "Z01T20"
    assert receiver.installed == {}


# On the air


class Central:
    """A connected client."""

    def __init__(
        self, bluetooth_env: BluetoothEnvironment, battery: SimulatedBattery
    ) -> None:
        """Prepare."""
        self.bluetooth_env = bluetooth_env
        self.battery = battery
        self.received: list[bytes] = []

    async def send(self, *requests: bytes) -> list[bytes]:
        """Connect, write the requests, and return what arrives within a second each."""
        client = await self.bluetooth_env.connect(self.battery.address)
        await client.start_notify(
            NOTIFY, lambda _char, data: self.received.append(bytes(data))
        )
        self.received.clear()
        for request in requests:
            await client.write_gatt_char(WRITE, request, response=False)
            await asyncio.sleep(1)
        return list(self.received)


@pytest.fixture
async def central(bluetooth_env: BluetoothEnvironment) -> Central:
    """Put a battery on the air, and an adapter that hears it."""
    battery = SimulatedBattery()
    await bluetooth_env.add_battery(battery)
    await bluetooth_env.add_adapter()
    return Central(bluetooth_env, battery)


async def test_finish_is_answered_and_then_battery_is_gone_for_while(
    bluetooth_env: BluetoothEnvironment, central: Central, fast_clock: FastClock
) -> None:
    """It comes back by itself, with the new version."""
    peripheral = bluetooth_env.peripherals[central.battery.address]
    replies = await central.send(*conversation())
    assert replies[-1] == build_reply(bytes.fromhex("6405010000"))
    assert len(replies) == len(conversation())
    assert not peripheral.is_on
    await asyncio.sleep(28)
    assert not peripheral.is_on
    await asyncio.sleep(2)
    assert peripheral.is_advertising
    assert central.battery.identity.firmware == "Z01T21"
    assert await central.send(SYNC) == [build_reply(bytes.fromhex("6401010000"))]


async def test_connection_lost_at_step_leaves_battery_running(
    bluetooth_env: BluetoothEnvironment, central: Central
) -> None:
    """It can be found again at once."""
    receiver = central.battery.firmware_receiver
    assert receiver is not None
    receiver.faults["start"] = Fault("disconnect")
    peripheral = bluetooth_env.peripherals[central.battery.address]
    assert await central.send(SYNC, start()) == [
        build_reply(bytes.fromhex("6401010000"))
    ]
    assert not peripheral.is_connected
    assert peripheral.is_advertising


async def test_battery_that_never_comes_back_stays_off(
    bluetooth_env: BluetoothEnvironment, central: Central
) -> None:
    """Until it is switched on by hand."""
    receiver = central.battery.firmware_receiver
    assert receiver is not None
    receiver.comes_back = "never"
    peripheral = bluetooth_env.peripherals[central.battery.address]
    await central.send(*conversation())
    await asyncio.sleep(3600)
    assert not peripheral.is_on
    await peripheral.stop()
    await peripheral.start()
    assert peripheral.is_advertising
    assert central.battery.identity.firmware == "Z01T20"


async def test_battery_switched_off_while_it_restarts_stays_off(
    bluetooth_env: BluetoothEnvironment, central: Central
) -> None:
    """It must not be switched on again without a command."""
    peripheral = bluetooth_env.peripherals[central.battery.address]
    await central.send(*conversation())
    await peripheral.stop()
    await asyncio.sleep(60)
    assert not peripheral.is_on
