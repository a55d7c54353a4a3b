"""Steps that tests of the simulated battery share."""

from collections.abc import Callable
from pathlib import Path
import struct
from typing import Any

from simulator.battery import SimulatedBattery, settings_frame

CAPTURES = Path(__file__).parents[3] / "../shared/captures/frames.json"
STATUS_41 = bytes.fromhex("0103000000298414")
STATUS_39 = bytes.fromhex("01030000002705d0")


class Clock:
    """A clock that shows the same time until it is moved."""

    def __init__(self) -> None:
        """Start anywhere but at zero."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time, s."""
        return self.now


def recorded(captures: list[dict[str, str]], kind: str, note: str = "") -> list[bytes]:
    """Return the recorded frames of a kind whose note begins with `note`."""
    return [
        bytes.fromhex(frame["hex"])
        for frame in captures
        if frame["kind"] == kind and frame["note"].startswith(note)
    ]


def words(reply: bytes | None) -> list[int]:
    """Return the registers of a read reply."""
    assert reply is not None
    return list(struct.unpack(f">{reply[2] // 2}H", reply[3:-2]))


def ask(battery: SimulatedBattery, function: int, data: bytes = b"") -> bytes | None:
    """Return the data of the reply to a settings frame."""
    reply = battery.handle(settings_frame(function, data))
    if reply is None:
        return None
    assert reply == settings_frame(function, reply[3:-2])
    return reply[3:-2]


def pick(battery: SimulatedBattery, *keys: str) -> list[Any]:
    """Return some of the expected values."""
    expected_values = battery.expected_values()
    return [expected_values[key] for key in keys]


def advance_until(
    battery: SimulatedBattery,
    condition: Callable[[], bool],
    *,
    step: float = 60.0,
    limit: float = 48 * 3600.0,
) -> float:
    """Move the physics until the condition holds and return the seconds it took."""
    elapsed = 0.0
    while not condition():
        assert elapsed < limit, battery.expected_values()
        battery.advance(step)
        elapsed += step
    return elapsed
