"""Which repair issues a bank should have.

The user has to act outside of Home Assistant; each issue ends by itself when the cause
is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from ..battery.info import BatteryInfo
from ..entries import MIN_MEMBERS
from ..localization import plain_text
from .module_ids import ModuleId, plan
from .rest_comparison import Difference

ISOLATED_FOR: Final = 120.0
"""s; a protection that ends by itself within a minute or two is not reported."""
SAME_CAPACITY: Final = 1.2
"""Learned capacities of one model differ by less, those of two models by more."""


_DIFFERENCES: Final = {
    Difference.CHARGE: "bank_full_charge_needed",
    Difference.VOLTAGE: "bank_not_parallel",
}


class Notice(NamedTuple):
    """One repair issue."""

    issue_id: str
    translation_key: str
    placeholders: dict[str, str]
    severity: Literal["error", "warning"] = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberSnapshot:
    """What the notices need to know of one member."""

    address: str
    name: str
    entry_id: str | None
    """None while no entry has the address."""
    info: BatteryInfo | None
    module_id: int | None
    pending_module_id: int | None
    isolated_for: float | None
    """s, None for a member that is not isolated."""
    state_of_charge: int | None
    """%, as last reported; None where it is not known."""
    voltage: float | None
    """V, the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BankSnapshot:
    """What the notices need to know of a bank."""

    entry_id: str
    title: str
    has_inverter: bool
    differ_at_rest: Collection[Difference]
    """In what the members differ that rest together."""
    members: Sequence[MemberSnapshot]


def notices(bank: BankSnapshot) -> Iterator[Notice]:
    """Yield the repair issues that a bank should have now."""
    for member in bank.members:
        if (
            member.isolated_for is not None
            and member.isolated_for >= ISOLATED_FOR
            and member.entry_id is not None
        ):
            yield Notice(
                f"bank_isolated_{bank.entry_id}_{member.entry_id}",
                "bank_isolated",
                {
                    "bank": bank.title,
                    "name": member.name,
                    "charge": _charge([member]),
                    "others": _charge(
                        [other for other in bank.members if other is not member]
                    ),
                },
                severity="error",
            )
    if len(bank.members) < MIN_MEMBERS:
        yield Notice(
            f"bank_too_small_{bank.entry_id}", "bank_too_small", {"bank": bank.title}
        )
    if bank.has_inverter and (changes := _module_id_changes(bank.members)):
        yield Notice(
            f"bank_module_ids_{bank.entry_id}",
            "bank_module_ids",
            {"bank": bank.title, "changes": "\n".join(changes)},
        )
    yield from _differences(bank)
    if is_mixed([member.info for member in bank.members if member.info is not None]):
        kinds = (
            f"- {member.name}: {kind_of(member.info)}"
            for member in bank.members
            if member.info is not None
        )
        yield Notice(
            f"bank_mixed_{bank.entry_id}",
            "bank_mixed",
            {"bank": bank.title, "batteries": "\n".join(kinds)},
        )


def _differences(bank: BankSnapshot) -> Iterator[Notice]:
    """Yield the issues about members that differ although they are in parallel."""
    for difference, key in _DIFFERENCES.items():
        if difference in bank.differ_at_rest:
            batteries = (
                f"- {member.name}: {_charge([member])}%, "
                + ("?" if member.voltage is None else f"{member.voltage:.2f}")
                + " V"
                for member in bank.members
            )
            yield Notice(
                f"{key}_{bank.entry_id}",
                key,
                {"bank": bank.title, "batteries": "\n".join(batteries)},
            )


def _charge(members: Sequence[MemberSnapshot]) -> str:
    """Return the state of charge of members in %, as a range where they differ."""
    known = [
        member.state_of_charge
        for member in members
        if member.state_of_charge is not None
    ]
    if not known:
        return "?"
    low, high = min(known), max(known)
    return f"{low}" if low == high else f"{low}–{high}"


def _module_id_changes(members: Sequence[MemberSnapshot]) -> list[str]:
    """Return a line for each member whose module ID has to be changed."""
    by_address = {member.address: member for member in members}
    planned = plan(
        [
            ModuleId(member.address, member.module_id, member.pending_module_id)
            for member in members
        ]
    )
    return [
        f"- {member.name}: {member.module_id} → {module_id}"
        for address, module_id in planned.items()
        for member in (by_address[address],)
    ]


def is_mixed(members: Sequence[BatteryInfo]) -> bool:
    """Return whether the members differ in cells, manufacturer or capacity.

    The name of the board is ignored: boards have revisions.
    """
    capacities = [item.full_capacity for item in members if item.full_capacity]
    return len({(item.cell_count, item.manufacturer) for item in members}) > 1 or (
        bool(capacities) and max(capacities) > SAME_CAPACITY * min(capacities)
    )


def kind_of(info: BatteryInfo) -> str:
    """Return manufacturer and model, and the capacity in Ah where it is known."""
    kind = plain_text(f"{info.manufacturer} {info.model}")
    return f"{kind}, {info.full_capacity:.0f} Ah" if info.full_capacity else kind
