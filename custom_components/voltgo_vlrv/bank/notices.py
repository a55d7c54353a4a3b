"""Notices about a bank, for what only a person can put right.

None of them can be fixed by a click; each goes away by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

from homeassistant.core import callback
from homeassistant.helpers import issue_registry as ir

from ..battery.info import BatteryInfo
from ..battery.settings import MODULE_ID
from ..const import DOMAIN
from ..entries import MIN_MEMBERS
from ..issues import async_create_issue
from ..localization import without_markup
from .module_ids import ModuleId, plan

if TYPE_CHECKING:
    from .coordinator import BankCoordinator

ISOLATED_FOR: Final = 120.0
"""s; a protection that releases by itself within a minute or two bothers nobody."""
SAME_CAPACITY: Final = 1.2
"""Learned capacities of the same model drift apart; no two models are so close."""


class Notice(NamedTuple):
    """One issue as it is to be shown."""

    key: str
    """The key of its texts in strings.json."""
    severity: ir.IssueSeverity
    placeholders: dict[str, str]


class BankIssues:
    """Raises what is wrong with a bank, and takes it back."""

    def __init__(self, bank: BankCoordinator) -> None:
        """Start without any."""
        self._bank = bank
        self._raised: dict[str, Notice] = {}

    @callback
    def async_update(self, time: float) -> None:
        """Raise what is wrong at `time` on the event loop's clock, and nothing else."""
        hass = self._bank.hass
        notices = dict(self._notices(time))
        for issue_id in self._raised.keys() - notices.keys():
            ir.async_delete_issue(hass, DOMAIN, issue_id)
        for issue_id, notice in notices.items():
            if self._raised.get(issue_id) != notice:
                async_create_issue(
                    hass,
                    self._bank.config_entry,
                    issue_id,
                    severity=notice.severity,
                    translation_key=notice.key,
                    translation_placeholders=notice.placeholders,
                )
        self._raised = notices

    @callback
    def async_clear(self) -> None:
        """Take everything back."""
        for issue_id in self._raised:
            ir.async_delete_issue(self._bank.hass, DOMAIN, issue_id)
        self._raised = {}

    def _notices(self, time: float) -> Iterator[tuple[str, Notice]]:
        bank = self._bank
        entry_id = bank.config_entry.entry_id
        title = bank.title
        for address, since in bank.isolation.since.items():
            member = bank.members[address]
            if time - since >= ISOLATED_FOR and member.entry is not None:
                yield (
                    f"bank_isolated_{entry_id}_{member.entry.entry_id}",
                    Notice(
                        "bank_isolated",
                        ir.IssueSeverity.ERROR,
                        {"bank": title, "name": bank.member_name(address)},
                    ),
                )
        if len(bank.members) < MIN_MEMBERS:
            yield (
                f"bank_too_small_{entry_id}",
                Notice("bank_too_small", ir.IssueSeverity.WARNING, {"bank": title}),
            )
        if bank.has_inverter and (changes := plan(self._module_ids())):
            yield (
                f"bank_module_ids_{entry_id}",
                Notice(
                    "bank_module_ids",
                    ir.IssueSeverity.WARNING,
                    {
                        "bank": title,
                        "changes": "\n".join(
                            f"- {bank.member_name(address)}: "
                            f"{bank.members[address].module_id} → {number}"
                            for address, number in changes.items()
                        ),
                    },
                ),
            )
        if self._is_mixed():
            yield (
                f"bank_mixed_{entry_id}",
                Notice(
                    "bank_mixed",
                    ir.IssueSeverity.WARNING,
                    {
                        "bank": title,
                        "batteries": "\n".join(
                            f"- {member.name}: {_kind(facts)}"
                            for member in bank.members.values()
                            if (facts := member.facts) is not None
                        ),
                    },
                ),
            )

    def _module_ids(self) -> list[ModuleId]:
        return [
            ModuleId(address, member.module_id, member.pending(MODULE_ID))
            for address, member in self._bank.members.items()
        ]

    def _is_mixed(self) -> bool:
        """Return whether the members are not of the same model and capacity.

        What the electronics call themselves does not count: boards have revisions.
        """
        facts = [
            facts
            for member in self._bank.members.values()
            if (facts := member.facts) is not None
        ]
        capacities = [item.full_capacity for item in facts if item.full_capacity]
        return len({(item.cell_count, item.manufacturer) for item in facts}) > 1 or (
            bool(capacities) and max(capacities) > SAME_CAPACITY * min(capacities)
        )


def _kind(facts: BatteryInfo) -> str:
    """Return make and model, and the capacity where it is known."""
    kind = without_markup(f"{facts.manufacturer} {facts.model}")
    return f"{kind}, {facts.full_capacity:.0f} Ah" if facts.full_capacity else kind
