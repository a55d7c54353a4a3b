"""Which measurement trips which protection, and what a protection blocks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

type Measure = Literal[
    "pack", "highest_cell", "lowest_cell", "hottest", "coldest", "pcb"
]


@dataclass(frozen=True, kw_only=True)
class ProtectionRule:
    """Protection by a measurement, which has three thresholds of its name."""

    name: str
    measure: Measure
    above: bool
    blocks_charge: bool = False
    blocks_discharge: bool = False

    # Made once: they are looked up in each step of the physics.

    @cached_property
    def warning(self) -> str:
        """Key of the threshold at which the battery warns."""
        return f"{self.name}_warning"

    @cached_property
    def protection(self) -> str:
        """Key of the threshold at which the protection trips."""
        return f"{self.name}_protection"

    @cached_property
    def recovery(self) -> str:
        """Key of the threshold at which the protection is released."""
        return f"{self.name}_recovery"


PROTECTION_RULES = (
    ProtectionRule(name="pack_ov", measure="pack", above=True, blocks_charge=True),
    ProtectionRule(
        name="cell_ov", measure="highest_cell", above=True, blocks_charge=True
    ),
    ProtectionRule(name="pack_uv", measure="pack", above=False, blocks_discharge=True),
    ProtectionRule(
        name="cell_uv", measure="lowest_cell", above=False, blocks_discharge=True
    ),
    ProtectionRule(
        name="mos_ot",
        measure="pcb",
        above=True,
        blocks_charge=True,
        blocks_discharge=True,
    ),
    ProtectionRule(name="charge_ot", measure="hottest", above=True, blocks_charge=True),
    ProtectionRule(
        name="discharge_ot", measure="hottest", above=True, blocks_discharge=True
    ),
    ProtectionRule(
        name="charge_ut", measure="coldest", above=False, blocks_charge=True
    ),
    ProtectionRule(
        name="discharge_ut", measure="coldest", above=False, blocks_discharge=True
    ),
)
# Name and sign of the current that trips it.
OVERCURRENTS = (("charge_oc", 1), ("discharge_oc", -1))

CHARGE_BLOCKERS = {rule.name for rule in PROTECTION_RULES if rule.blocks_charge} | {
    "charge_oc"
}
DISCHARGE_BLOCKERS = {
    rule.name for rule in PROTECTION_RULES if rule.blocks_discharge
} | {
    "discharge_oc",
    "short_circuit",
}
