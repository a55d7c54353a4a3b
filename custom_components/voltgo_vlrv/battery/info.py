"""What is known of a battery without asking it.

Kept in the config entry, so that the entities exist and keep their names when Home
Assistant starts with the battery out of range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final, Self

from ..vlrv.const import ADVERTISED_NAMES
from ..vlrv.faults import Protections
from ..vlrv.identity import Identity, Model, find_model
from ..vlrv.registers import BatteryStatus
from ..vlrv.thresholds import CHARGE_UNDERTEMPERATURE

DEFAULT_MANUFACTURER = "Voltgo"
# Lithium iron phosphate must not be charged below this (°C); for batteries that do not
# report a threshold of their own.
TOO_COLD_TO_CHARGE: Final = 0.0
# A threshold outside of these is none (°C): the registers are known from other boards.
MIN_CHARGE_THRESHOLD: Final = -20.0
MAX_CHARGE_THRESHOLD: Final = 15.0


@dataclass(frozen=True, slots=True)
class BatteryInfo:
    """The battery's make and what is fitted in it.

    Nothing is unlearned: a sensor that fails shows no value, but stays.
    """

    name: str
    """The Bluetooth name under which it was added; the owner may change it later."""
    cell_count: int
    """Cells in series."""
    full_capacity: float | None
    """Ah when it was added."""
    probes: tuple[int, ...] = ()
    """Numbers, 1 first, of the temperature probes that have shown a value."""
    ambient: bool = False
    """Whether the ambient sensor has shown a value that cannot mean "not fitted"."""
    heater: bool = False
    """Whether it reports if its heater is allowed."""
    status_count: int | None = None
    """How many registers it has answered a status read with, at the most."""
    board: str = ""
    """The model text of the battery's electronics."""
    firmware: str = ""
    serial: str = ""
    module_id: bool = False
    """Whether it has told its module ID."""
    can_protocols: tuple[str, ...] = ()
    """The battery's codes of the protocols it offers on CAN."""
    rs485_protocols: tuple[str, ...] = ()
    """The same on RS485."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Its thresholds by the keys of `vlrv.thresholds`; empty when it does not report any."""

    @classmethod
    def from_probe(
        cls, name: str, status: BatteryStatus, identity: Identity | None
    ) -> Self:
        """Return what a first reading shows."""
        info = cls(
            name=name,
            cell_count=status.cell_count,
            full_capacity=status.full_capacity,
            status_count=len(status.registers),
        ).with_status(status)
        return info if identity is None else info.with_identity(identity)

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return what `as_data` stored, also where an older version stored less."""
        names = {item.name for item in fields(cls)}
        known: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in data.items()
            if key in names
        }
        return cls(**known)

    def as_data(self) -> dict[str, Any]:
        """Return it for storage as JSON."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    def with_status(self, status: BatteryStatus) -> Self:
        """Return what is known after a further reading, itself when nothing is new."""
        probes = self.probes
        for number, value in enumerate(status.probes, 1):
            if value is not None and number not in probes:
                probes = tuple(sorted((*probes, number)))
        # 0 is what the register reads without the sensor, too.
        ambient = self.ambient or bool(status.ambient_temperature)
        heater = self.heater or status.heating_enabled is not None
        cell_count = max(self.cell_count, status.cell_count)
        status_count = max(self.status_count or 0, len(status.registers))
        if (
            probes is self.probes
            and ambient is self.ambient
            and heater is self.heater
            and cell_count == self.cell_count
            and status_count == self.status_count
        ):
            return self
        return replace(
            self,
            probes=probes,
            ambient=ambient,
            heater=heater,
            cell_count=cell_count,
            status_count=status_count,
        )

    def with_identity(self, identity: Identity) -> Self:
        """Return it with who the battery says it is, itself when it says nothing.

        Registers that a board does not serve, also while it starts, read zero.
        """
        if not (identity.model or identity.firmware or identity.serial):
            return self
        return replace(
            self,
            board=identity.model,
            firmware=identity.firmware,
            serial=identity.serial,
        )

    def too_cold_to_charge(self, status: BatteryStatus) -> bool | None:
        """Return whether charging is blocked, or harmful, for cold.

        By the battery's own protection, or its coldest probe at the battery's own
        threshold (register 91), at 0 °C where it reports none that can be true. None
        without any probe.
        """
        if status.protections & Protections.CHARGE_UNDERTEMPERATURE:
            return True
        margin = self.charge_temperature_margin(status)
        return None if margin is None else margin <= 0

    def charge_temperature_margin(self, status: BatteryStatus) -> float | None:
        """Return by how many °C the coldest probe is above the charge threshold.

        None without any probe.
        """
        if not (temperatures := status.temperatures):
            return None
        threshold = self.thresholds.get(CHARGE_UNDERTEMPERATURE, TOO_COLD_TO_CHARGE)
        if not MIN_CHARGE_THRESHOLD <= threshold <= MAX_CHARGE_THRESHOLD:
            threshold = TOO_COLD_TO_CHARGE
        return min(temperatures) - threshold

    @property
    def summary(self) -> str:
        """Return cells, full capacity and serial number, as far as they are known."""
        capacity = "" if self.full_capacity is None else f"{self.full_capacity:g} Ah"
        return ", ".join(filter(None, (f"{self.cell_count}S", capacity, self.serial)))

    @property
    def manufacturer(self) -> str:
        """Return the brand on the label, as far as the name tells."""
        return next(
            (
                brand.manufacturer
                for brand in ADVERTISED_NAMES
                if self.name.startswith(brand.prefix)
            ),
            DEFAULT_MANUFACTURER,
        )

    @property
    def model(self) -> str:
        """Return the model of manual table 4-1, else what the electronics call it."""
        if self.manufacturer == DEFAULT_MANUFACTURER and (
            model := self.catalogue_entry
        ):
            return model.name
        return self.board or f"{self.cell_count}S LiFePO4"

    @property
    def catalogue_entry(self) -> Model | None:
        """Return the line of manual table 4-1 with these cells and this capacity."""
        return find_model(self.cell_count, self.full_capacity)
