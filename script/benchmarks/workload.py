"""A day of a 16-cell battery, recorded once and replayed to all measurements.

The physics are the simulator's; what draws on the battery and charges it is made up: a
fridge that cycles, cooking, an evening with lights and television, sun behind clouds.
On top comes what a battery's own measuring adds. It is the same day each time, simulated
beforehand, so that no measurement pays for physics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import pi, sin
from random import Random
import struct
from typing import Final

from simulator.battery import STATUS_REGISTERS, ReportedState, SimulatedBattery

SEED: Final = 51_2
STEP: Final = 10  # s; how often a sample of the day is taken
DAY: Final = 86_400  # s
SAMPLES: Final = DAY // STEP

CELLS: Final = 16
CAPACITY: Final = 100.0  # Ah
NAME: Final = "ZT-51.2V100Ah-{:04d}"
ADDRESS: Final = "A4:C1:37:00:01:{:02X}"

# What the battery's measuring adds: no reading of a real one stands still.
CURRENT_NOISE: Final = 0.05  # A, standard deviation
CURRENT_RIPPLE: Final = 0.01  # of the current, the same
CELL_NOISE: Final = 0.0005  # V, the same
DEAD_ZONE: Final = 0.2  # A; less than this is shown as no current

FRIDGE: Final = 2.6  # A
FRIDGE_CYCLE: Final = 40 * 60.0  # s
FRIDGE_RUNS: Final = 0.35  # of a cycle
STANDBY: Final = 0.4  # A
SUN_PEAK: Final = 17.0  # A
SUNRISE, SUNSET = 7.0, 19.5  # h

# Hours from and to, and A: coffee, a laptop, cooking, dinner, lights, television.
LOADS: Final = (
    (7.1, 7.2, 22.0),
    (9.0, 12.2, 1.1),
    (12.4, 12.8, 18.0),
    (18.3, 18.9, 26.0),
    (18.5, 23.2, 1.8),
    (20.0, 22.5, 1.5),
)

type Samples = Sequence[bytes]
"""The status registers each 10 s from midnight on, as they come over the air."""

_WORDS: Final = struct.Struct(f">{STATUS_REGISTERS}H")


def demand(seconds: float, sun: float) -> float:
    """Return what flows at a time of the day, A, + charges; `sun` is 0 to 1."""
    hour = seconds / 3600
    running = seconds % FRIDGE_CYCLE < FRIDGE_RUNS * FRIDGE_CYCLE
    drawn = STANDBY + FRIDGE * running
    drawn += sum(current for begin, end, current in LOADS if begin <= hour < end)
    if SUNRISE < hour < SUNSET:
        height = sin(pi * (hour - SUNRISE) / (SUNSET - SUNRISE))
        return SUN_PEAK * height * sun - drawn
    return -drawn


def _measured(state: ReportedState, random: Random) -> ReportedState:
    """Return the state as the battery's own measuring sees it."""
    current = state.current
    if current:
        noise = CURRENT_NOISE + CURRENT_RIPPLE * abs(current)
        current = round(random.gauss(current, noise), 1)
        if abs(current) < DEAD_ZONE:
            current = 0.0
    return replace(
        state,
        current=current,
        cell_voltages=tuple(
            round(random.gauss(volts, CELL_NOISE), 3) for volts in state.cell_voltages
        ),
    )


def record_workload(count: int = SAMPLES) -> list[bytes]:
    """Simulate the day, or its first samples, and return them."""
    random = Random(SEED)
    now = 0.0
    battery = SimulatedBattery(
        cell_count=CELLS,
        capacity=CAPACITY,
        clock=lambda: now,
        seed=SEED,
        state_of_charge=62.0,
        temperature=17.0,
        cycles=211,
    )
    sun = 0.8
    samples = []
    for number in range(count):
        now = number * STEP
        # Clouds come and go within minutes.
        sun = min(max(sun + random.gauss(0.012 * (0.75 - sun), 0.02), 0.1), 1.0)
        battery.ambient = 16.0 + 8.0 * sin(pi * (now / 3600 - 9.0) / 12)
        battery.demand_current = demand(now, sun)
        battery.update()
        samples.append(
            _WORDS.pack(*_measured(battery.reported(), random).to_registers())
        )
    return samples


class WorkloadBattery(SimulatedBattery):
    """A battery that replays the recorded day."""

    def __init__(
        self,
        number: int,
        samples: Samples,
        now: Callable[[], float],
        *,
        generation: int = 2,
    ) -> None:
        """Take the samples; `now` is the time since midnight in s.

        Each number is another battery, half a minute behind the one before. `generation`
        is that of its Bluetooth module.
        """
        super().__init__(
            cell_count=CELLS,
            capacity=CAPACITY,
            name=NAME.format(number),
            address=ADDRESS.format(number),
            clock=lambda: 0.0,
            generation=generation,
        )
        self._samples = samples
        self._now = now
        self._behind = 30.0 * number

    def update(self) -> None:
        """Do nothing: the day was recorded before."""

    def registers(self, start: int, count: int) -> list[int]:
        """Return the words of `count` registers from `start`."""
        if start:
            return super().registers(start, count)
        slot = int((self._now() - self._behind) // STEP) % SAMPLES
        return list(_WORDS.unpack(self._samples[slot])[:count])
