"""Costs and ratios from the measurements, and whether they meet the targets; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from statistics import fmean
from typing import Final

MEBIBYTE: Final = 1 << 20
# ms; a state of the empty integration on the machine that the targets were set on, as
# far as its runs of the same code tell. The more at once, the less each takes.
REFERENCE_WRITE_DEFAULT: Final = 0.0184
REFERENCE_WRITE_ALL: Final = 0.0170
PEER_INTERVAL: Final = 30  # s; how the nearest peer was measured
PEER: Final = (
    "0.76 ms net with its 13 default entities, 0.91 ms with all 18; 6567 rows a day, "
    "18 % of them with an unchanged state; one request, 3 packets, 112 bytes; "
    "0.27 MiB per further battery"
)


@dataclass(frozen=True, slots=True)
class Hour:
    """Processor time of the event loop's thread in a simulated hour, in ms a poll."""

    ours: float
    """At the instants at which the integration polls."""
    bare: float
    """At those at which the bare client does."""
    floor: float
    """At those at which the empty integration writes a state of each entity."""
    other: float
    """At all others, for each poll of the integration."""


@dataclass(frozen=True, slots=True)
class Net:
    """What a poll costs, in ms of the event loop's thread."""

    bare: float
    """A bare client's, with the virtual radio and the simulated battery."""
    poll: float
    """The integration's at the instant of the poll, less the bare client's."""
    other: float
    """The integration's at other instants, for each poll."""
    floor: float
    """The empty integration's, to write a state of each entity."""

    @property
    def total(self) -> float:
        """Return the cost of the integration beyond that of a bare client."""
        return self.poll + self.other

    def on_reference(self, entities: int, write: float) -> float:
        """Return the total in ms of the machine that the targets were set on.

        There, each state of the empty integration takes `write` ms. How fast this machine
        is, and at this hour, is in what those of `entities` take.
        """
        return self.total / self.floor * entities * write


def net_cost(runs: Sequence[Sequence[Hour]], idle: Sequence[float]) -> Net:
    """Return the net cost from several runs of the same hours.

    `idle` is what `Hour.other` was in each run without the integration. The fastest
    run of each hour counts, because other work of the machine only makes it slower.
    """
    hours = list(zip(*runs, strict=True))
    ours = fmean(min(hour.ours for hour in same) for same in hours)
    bare = fmean(min(hour.bare for hour in same) for same in hours)
    other = fmean(min(hour.other for hour in same) for same in hours)
    floor = fmean(min(hour.floor for hour in same) for same in hours)
    return Net(bare, ours - bare, other - min(idle), floor)


def memory_by_part(
    before: Mapping[str, int], after: Mapping[str, int], further: int
) -> dict[str, float]:
    """Return the memory in MiB that each further battery takes in each part of the code.

    The arguments are bytes by the file that allocated them; the largest part is first.
    """
    parts: dict[str, float] = defaultdict(float)
    for file in before.keys() | after.keys():
        parts[_part(file)] += after.get(file, 0) - before.get(file, 0)
    return {
        part: size / further / MEBIBYTE
        for part, size in sorted(parts.items(), key=lambda item: -item[1])
    }


def _part(file: str) -> str:
    """Return the folder of this integration, or the package, that a file is in."""
    for root, depth in (
        ("custom_components/", 2),
        ("site-packages/homeassistant/", 2),
        ("site-packages/", 1),
        ("simulator/", 0),
        ("script/", 0),
    ):
        _, found, path = file.partition(root)
        if found:
            folder = "/".join(path.split("/")[:depth])
            prefix = root.rpartition("site-packages/")[2]
            return f"{prefix}{folder}".rstrip("/")
    return "Python"


def memory_per_battery(
    ours: tuple[float, float], bare: tuple[float, float], further: int
) -> float:
    """Return the memory of each further battery, net of a bare client on each.

    The pairs are the memory with one battery and with `further` more.
    """
    return ((ours[1] - ours[0]) - (bare[1] - bare[0])) / further


@dataclass(frozen=True, slots=True)
class Footprint:
    """The results; the fields in the order of the last line."""

    poll_ms_default: float
    """Beyond a bare client, on the machine that the targets were set on."""
    poll_ms_all: float
    """The same with all entities."""
    rows_default_10s: int
    """In the database, of a day of one battery."""
    unchanged_rows: int
    missed_steps: int
    """How often a value was more than a step off, or off for more than a minute."""
    core_share_16: float
    requests_per_poll: float
    mib_per_battery: float
    memory_ratio: float

    def __str__(self) -> str:
        """Return them for machines."""
        return "integration " + " ".join(
            f"{item.name}={_number(getattr(self, item.name))}" for item in fields(self)
        )


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"


LIMITS: Final = Footprint(
    poll_ms_default=0.75,
    poll_ms_all=1.2,
    rows_default_10s=10_000,
    unchanged_rows=0,
    missed_steps=0,
    core_share_16=0.02,
    requests_per_poll=1.0,
    # A figure alone: most of it is Home Assistant's own, so the ratio has the target.
    mib_per_battery=inf,
    memory_ratio=1.15,
)
"""The most that is allowed; of the core's share, this is too much already."""


def targets(found: Footprint, limits: Footprint = LIMITS) -> Iterable[str]:
    """Yield each figure with its target."""
    for item in fields(found):
        limit = getattr(limits, item.name)
        allowed = "no target" if limit == inf else f"target {_number(limit)}"
        yield f"{item.name:<18}{_number(getattr(found, item.name)):>10}  {allowed}"


def missed(found: Footprint, limits: Footprint = LIMITS) -> Iterable[str]:
    """Yield what is above its limit, and a number of requests that is below, too."""
    for item in fields(found):
        value, limit = getattr(found, item.name), getattr(limits, item.name)
        if item.name == "requests_per_poll":
            wrong = value != limit
        elif item.name == "core_share_16":
            wrong = value >= limit
        else:
            wrong = value > limit
        if wrong:
            yield f"{item.name} is {_number(value)}, allowed is {_number(limit)}"
