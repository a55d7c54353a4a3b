"""The circuit of batteries in parallel: one voltage, and a current for each.

The batteries hang on one bus. Each is a source with a rest voltage and a resistance,
and what flows into it is (bus voltage - rest voltage) / resistance, so that currents
follow from the batteries and not from a rule how to divide. A battery management system
that blocks a direction is a diode. The bus voltage is the one at which all currents add
up to what the charger or the load wants, and where that is more than the charger's
voltage allows, the charger's voltage.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import fsum, inf


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """A battery as the bus sees it.

    `rest` is its voltage without a current, V, `resistance` what lies between that and
    the bus, ohm; `charges` and `discharges` say which direction is let pass.
    """

    rest: float
    resistance: float
    charges: bool = True
    discharges: bool = True

    @property
    def is_diode(self) -> bool:
        """Whether one direction is blocked and the other is not."""
        return self.charges != self.discharges

    def current(self, voltage: float) -> float:
        """Return what flows into it at a voltage of the bus (V), A."""
        current = (voltage - self.rest) / self.resistance
        allowed = self.charges if current > 0 else self.discharges
        return current if allowed else 0.0


def total_current(branches: Iterable[Branch], voltage: float) -> float:
    """Return what flows into all of them at a voltage of the bus (V), A."""
    return fsum(branch.current(voltage) for branch in branches)


def bus_voltage(
    branches: Collection[Branch], demand: float, charger_voltage: float
) -> float:
    """Return the voltage of the bus, V.

    `demand` is the current from a charger, negative into a load, in A. A charger goes
    no higher than `charger_voltage` (V), where less flows than it offers. Where nothing
    gives what the load draws, the bus is dead: 0 V.
    """
    voltage = _voltage_for(branches, demand)
    if demand <= 0:
        return 0.0 if voltage is None else max(0.0, voltage)
    if voltage is None or voltage > charger_voltage:
        # A charger never discharges batteries of a higher voltage.
        at_rest = _voltage_for(branches, 0.0)
        return charger_voltage if at_rest is None else max(charger_voltage, at_rest)
    return voltage


def _voltage_for(branches: Collection[Branch], total: float) -> float | None:
    """Return the voltage at which the currents add up to a total (A), None if at none.

    The total rises with the voltage, in straight pieces that meet where a diode begins
    to conduct.
    """
    joints = sorted({branch.rest for branch in branches if branch.is_diode})
    low = -inf
    for joint in joints:
        if total_current(branches, joint) >= total:
            break
        low = joint
    conducting = [
        branch
        for branch in branches
        if (branch.charges and (branch.discharges or branch.rest <= low))
        or (branch.discharges and branch.rest > low)
    ]
    if not conducting:
        return None
    conductance = fsum(1 / branch.resistance for branch in conducting)
    driven = fsum(branch.rest / branch.resistance for branch in conducting)
    return (total + driven) / conductance
