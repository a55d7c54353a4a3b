"""What is known of a battery without reading it: model, equipment, thresholds.

Stored in the config entry, so that the entities exist and keep their names when Home
Assistant starts with the battery out of range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from ..entry_values import as_mapping, is_number, number_within
from ..vlrv.const import ADVERTISED_NAMES
from ..vlrv.faults import Protections, is_set
from ..vlrv.identity import Identity, Model, find_model
from ..vlrv.registers import MAX_CELLS, BatteryStatus
from ..vlrv.thresholds import CHARGE_UNDERTEMPERATURE

DEFAULT_MANUFACTURER = "Voltgo"
# Charge threshold in °C of batteries that report none: lithium iron phosphate must not be
# charged below it.
TOO_COLD_TO_CHARGE: Final = 0.0
# A reported charge threshold outside of these (°C) is ignored: the meaning of the
# registers is known from other boards only (B).
MIN_CHARGE_THRESHOLD: Final = -20.0
MAX_CHARGE_THRESHOLD: Final = 15.0
MAX_CAPACITY: Final = 6553.5
"""Ah, the most that its register can hold."""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, tuple) and all(map(_is_text, value))


# Which stored value of each field is valid.
_IS_VALID: Final[Mapping[str, Callable[[Any], bool]]] = {
    "name": _is_text,
    "cell_count": lambda value: _is_count(value) and value <= MAX_CELLS,
    "full_capacity": lambda value: number_within(value, 0, MAX_CAPACITY) is not None,
    "probes": lambda value: isinstance(value, tuple) and all(map(_is_count, value)),
    "ambient": _is_bool,
    "heater": _is_bool,
    "status_count": _is_count,
    "board": _is_text,
    "firmware": _is_text,
    "serial": _is_text,
    "module_id": _is_bool,
    "can_protocols": _are_texts,
    "rs485_protocols": _are_texts,
    "thresholds": lambda value: (
        isinstance(value, Mapping)
        and all(map(_is_text, value))
        and all(map(is_number, value.values()))
    ),
}


@dataclass(frozen=True, slots=True)
class BatteryInfo:
    """Model, equipment and thresholds of one battery.

    What was reported once is never removed: a sensor that fails shows no value, but its
    entity stays.
    """

    name: str
    """The Bluetooth name with which it was added; the user may have changed it since."""
    cell_count: int
    """Cells in series."""
    full_capacity: float | None
    """Ah when it was added; None where the battery did not report it."""
    probes: tuple[int, ...] = ()
    """Numbers, 1 first, of the temperature probes that have shown a value."""
    ambient: bool = False
    """Whether the ambient sensor has shown a value that cannot mean "not fitted"."""
    heater: bool = False
    """Whether its status says if heating is enabled."""
    status_count: int | None = None
    """The most registers that it has answered a status read with; None if unknown."""
    board: str = ""
    """Model text of the electronics; empty like the next two if not reported."""
    firmware: str = ""
    serial: str = ""
    module_id: bool = False
    """Whether it has reported its module ID."""
    can_protocols: tuple[str, ...] = ()
    """The battery's codes of the inverter protocols that it supports on CAN."""
    rs485_protocols: tuple[str, ...] = ()
    """The same for RS485."""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Its thresholds by the keys of `vlrv.thresholds`; empty when it does not report any."""

    @classmethod
    def from_probe(
        cls, name: str, status: BatteryStatus, identity: Identity | None
    ) -> Self:
        """Return what the first reading of a battery tells."""
        info = cls(
            name=name,
            cell_count=status.cell_count,
            full_capacity=status.full_capacity,
            status_count=status.register_count,
        ).with_status(status)
        return info if identity is None else info.with_identity(identity)

    @classmethod
    def from_data(cls, data: Any) -> Self:
        """Return what `as_data` stored, as far as it is valid.

        Without a valid number of cells it is 0, which any battery agrees with.
        """
        known: dict[str, Any] = {"name": "", "cell_count": 0, "full_capacity": None}
        for key, stored in as_mapping(data).items():
            value = tuple(stored) if isinstance(stored, list) else stored
            if key in _IS_VALID and _IS_VALID[key](value):
                known[key] = value
        return cls(**known)

    def as_data(self) -> dict[str, Any]:
        """Return the information as JSON data for the config entry."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    def with_status(self, status: BatteryStatus) -> Self:
        """Return the information with what a sample adds, itself if that is nothing."""
        probes = self.probes
        for number, value in enumerate(status.probes, 1):
            if value is not None and number not in probes:
                probes = tuple(sorted((*probes, number)))
        # The register reads 0 without the sensor, too.
        ambient = self.ambient or bool(status.ambient_temperature)
        heater = self.heater or status.heating_enabled is not None
        cell_count = max(self.cell_count, status.cell_count)
        status_count = max(self.status_count or 0, status.register_count)
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
        """Return the information with an identity, itself if the identity is empty.

        It is empty where a board does not have these registers, and while it starts.
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
        """Return whether charging is blocked or harmful because of cold.

        True while the battery's protection is active, or its coldest probe is at or below
        the battery's own threshold (register 91, B), or 0 °C where it reports no valid
        one. None without any probe.
        """
        if is_set(status.protections, Protections.CHARGE_UNDERTEMPERATURE):
            return True
        margin = self.charge_temperature_margin(status)
        return None if margin is None else margin <= 0

    def charge_temperature_margin(self, status: BatteryStatus) -> float | None:
        """Return by how many °C the coldest probe is above the charge threshold.

        Negative below it; None without any probe.
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
        """Return the brand that the Bluetooth name tells, else the default."""
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
        """Return the model of manual table 4-1, else the model text of the electronics."""
        if self.manufacturer == DEFAULT_MANUFACTURER and (
            model := self.catalogue_entry
        ):
            return model.name
        return self.board or f"{self.cell_count}S LiFePO4"

    @property
    def label_capacity(self) -> float | None:
        """Return the capacity on the label in Ah, else what it was when it was added."""
        model = self.catalogue_entry
        return self.full_capacity if model is None else model.capacity

    @property
    def catalogue_entry(self) -> Model | None:
        """Return the line of manual table 4-1 with this cell count and capacity, if any."""
        return find_model(self.cell_count, self.full_capacity)
