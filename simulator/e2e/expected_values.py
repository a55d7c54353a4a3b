"""Compares what Home Assistant shows of a battery with the expected values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import ceil
from typing import Any, Final, NamedTuple

from .api import UNKNOWN, Json
from simulator.battery.protections import CHARGE_BLOCKERS, DISCHARGE_BLOCKERS

# Half of the last digit of a sensor whose true value has more digits.
HALF_A_MILLIVOLT: Final = 0.0005
ROUNDING: Final = 1e-9

# Sensors of the connection: the battery knows nothing of them.
LINK_SENSORS: Final = frozenset({"last_update", "signal_strength"})
# Always on; what they should be is known to the step that changes connection or setting.
LINK_STATUS: Final = "connection_status"
PENDING_SETTINGS: Final = "pending_settings"
# Of the past: what a battery is now does not tell when it was full.
HISTORY_SENSORS: Final = frozenset(
    {
        "last_full_charge",
        "recharge_due",
        "full_charge_cell_voltage_delta",
        "measured_capacity",
        "measured_health",
        "charge_discharged",
        "equivalent_full_cycles",
        "protection_trips",
        "lowest_state_of_charge_recorded",
        "highest_cell_voltage_recorded",
        "lowest_cell_voltage_recorded",
        "highest_temperature_recorded",
        "lowest_temperature_recorded",
    }
)
# Counted from when a battery was added; its own meters count from when it was made.
ENERGY_SENSORS: Final = frozenset({"energy_charged", "energy_discharged"})

# Sensors that need no expected value.
NOT_EXPECTED: Final = (
    LINK_SENSORS | {LINK_STATUS, PENDING_SETTINGS} | HISTORY_SENSORS | ENERGY_SENSORS
)

# Half of the step of 10 Wh, and half an Ah for boards that count more finely.
STORED_ENERGY: Final = 5.0  # Wh
HALF_A_WATT_HOUR: Final = 0.5
NOMINAL_CELL_VOLTAGE: Final = 3.2  # V

# One step of a register; what is shown may be that much off, for a minute.
VOLTAGE_STEP: Final = 0.01  # V
CURRENT_STEP: Final = 0.1  # A
CELL_STEP: Final = 1  # mV
STEPS: Final = {
    "voltage": VOLTAGE_STEP,
    "bank_voltage": VOLTAGE_STEP,
    "current": CURRENT_STEP,
    "highest_cell_voltage": CELL_STEP / 1000,
    "lowest_cell_voltage": CELL_STEP / 1000,
    "average_cell_voltage": CELL_STEP / 1000,
    "cell_voltage_delta": CELL_STEP,
    "bank_cell_voltage_delta": CELL_STEP,
}
CELL_NUMBERS: Final = frozenset({"highest_cell", "lowest_cell"})
POWERS: Final = frozenset({"power", "charge_power", "discharge_power"})

# Hours, by the sign of the current at which each is known.
# Without a reserve, which is the default, the time to it is that to empty.
TIMES: Final = {"time_to_empty": -1, "time_to_full": 1, "time_to_reserve": -1}
IDLE: Final = 1.0  # A; below, there is no time
MAX_TIME: Final = 96.0  # h; beyond, there is none either
# What is shown stays while it is within 5 %; the charge is reported in steps.
TIME_TOLERANCE: Final = 0.08
TIME_STEP: Final = 2 / 60  # h


class Fault(NamedTuple):
    """How Home Assistant calls a protection."""

    key: str
    name: str


# By the simulator's names, in the order of manual table 6-1.
FAULTS: Final = {
    "cell_ov": Fault("cell_ovp", "Cell overvoltage protection"),
    "cell_uv": Fault("cell_uvp", "Cell undervoltage protection"),
    "pack_ov": Fault("pack_ovp", "Pack overvoltage protection"),
    "pack_uv": Fault("pack_uvp", "Pack undervoltage protection"),
    "charge_ot": Fault("charge_otp", "Charge over-temperature protection"),
    "charge_ut": Fault("charge_utp", "Charge under-temperature protection"),
    "discharge_ot": Fault("discharge_otp", "Discharge over-temperature protection"),
    "discharge_ut": Fault("discharge_utp", "Discharge under-temperature protection"),
    "charge_oc": Fault("charge_ocp", "Charge overcurrent protection"),
    "discharge_oc": Fault("discharge_ocp", "Discharge overcurrent protection"),
    "short_circuit": Fault("short_circuit", "Short-circuit protection"),
    "mos_ot": Fault("mos_otp", "MOSFET over-temperature protection"),
    "ambient_temperature": Fault(
        # The sensor has the same key.
        "binary_sensor.ambient_temperature",
        "Ambient temperature protection",
    ),
    "low_capacity": Fault("low_capacity", "Low capacity protection"),
}
# Protections without a row in that table.
NOT_IN_THE_MANUAL: Final = frozenset({"mos_ot", "ambient_temperature", "low_capacity"})
# Has no binary sensor of its own: it is what "full discharge" stands for.
LOW_CAPACITY: Final = "low_capacity"
# What they end is not known: other documents have other protections in their place.
UNCLEAR: Final = frozenset({"mos_ot", "ambient_temperature"})
CHARGE_LIMIT: Final = "charge_limit"
NO_FAULTS: Final = "None"
UNNAMED: Final = "Unnamed protection"
LOW_BATTERY: Final = 20  # %, the default
FREEZING: Final = 0  # °C

# The inverters of manual chapter 6.1 by what follows the number in the battery's code.
PROTOCOLS: Final = {
    "GRW": "Growatt",
    "LUX": "Luxpower",
    "SCH": "Schneider",
    "INH": "Inhenergy",
    "VOL": "Voltronic",
    "SLK": "Sol-Ark",
    "DY": "Deye",
    "MGR": "Megarevo",
    "VCT": "Victron",
    "SMA": "SMA",
    "SOL": "Solis",
    "AFO": "Afore",
    "STU": "Studer",
}

# True of a battery, and no entity of its own by this key: where it is seen instead.
NO_ENTITY: Final = frozenset(
    {
        # The device's entry.
        "model",
        "serial",
        # Entities by other keys, see `expected`.
        "firmware",
        "heating_enabled",
        "protections",
        "warnings",
        # Nowhere.
        "balancing_cells",
        "charge_energy_kwh",
        "discharge_energy_kwh",
        "max_charge_current",
    }
)


class Difference(NamedTuple):
    """A value that is shown wrong."""

    entity_id: str
    shown: str
    true: object

    def __str__(self) -> str:
        """Say it."""
        return f"{self.entity_id} shows {self.shown}, true is {self.true}"


class Comparison(NamedTuple):
    """The result of a comparison."""

    compared: int
    differences: list[Difference]


def expected(expected_values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what each entity should show, by its key."""
    shown = {
        key: value for key, value in expected_values.items() if key not in NO_ENTITY
    }
    charge, state = (
        expected_values["state_of_charge"],
        expected_values["operating_state"],
    )
    protections = set(expected_values["protections"])
    active = [fault.name for name, fault in FAULTS.items() if name in protections]
    if expected_values["error_code"]:
        active.append(f"Error {expected_values['error_code']:04X}")
    if state == "protection" and not active:
        active.append(UNNAMED)
    probes = [
        value
        for key, value in expected_values.items()
        if _is_numbered(key, "probe_") and value is not None
    ]
    shown |= {
        fault.key: name in protections
        for name, fault in FAULTS.items()
        if name != LOW_CAPACITY
    }
    shown |= {
        "min_cell_temperature": min(probes, default=None),
        "active_faults": ", ".join(active) or NO_FAULTS,
        "charge_power": max(expected_values["power"], 0),
        "discharge_power": max(-expected_values["power"], 0),
        "stored_energy": _stored_energy(expected_values),
        "energy_capacity": _energy_capacity(expected_values),
        **{key: hours(expected_values, sign) for key, sign in TIMES.items()},
        "problem": bool(protections or expected_values["error_code"])
        or state == "protection",
        "warning": bool(expected_values["warning_code"]),
        "error": bool(expected_values["error_code"]),
        "low_battery": charge <= LOW_BATTERY,
        "full_charge": charge == 100 and state != "discharging",
        "full_discharge": LOW_CAPACITY in protections
        or (charge == 0 and state != "charging"),
        "too_cold_to_charge": "charge_ut" in protections
        or (min(probes) <= FREEZING if probes else None),
        "heater": expected_values.get("heating_enabled"),
    }
    # No battery of the demo is in storage.
    shown["storage_advice"] = "in_use"
    shown["charging_allowed"] = (
        False if shown["too_cold_to_charge"] else _may_charge(expected_values)
    )
    shown["discharging_allowed"] = _is_allowed(
        expected_values, DISCHARGE_BLOCKERS | {LOW_CAPACITY}, -1
    )
    if "firmware" in expected_values:
        shown["bms_firmware"] = expected_values["firmware"]
        # The communication board tells its version over no known register.
        shown["comm_firmware"] = None
    for key in ("can_protocol", "rs485_protocol"):
        if (code := expected_values.get(key)) is not None:
            shown[key] = PROTOCOLS[code.partition("-")[2]]
    if "module_id" in expected_values:
        shown["module_id"] = str(expected_values["module_id"])
    return shown


def _may_charge(expected_values: Mapping[str, Any]) -> bool | None:
    """Return whether it may be charged, where it is not too cold for that."""
    if (
        expected_values["operating_state"] == CHARGE_LIMIT
        and expected_values["current"] <= 0
    ):
        # A limit may leave some current, but not when it is full.
        return False if expected_values["state_of_charge"] == 100 else None
    return _is_allowed(expected_values, CHARGE_BLOCKERS, 1)


def _is_allowed(
    expected_values: Mapping[str, Any], blockers: Collection[str], sign: int
) -> bool | None:
    """Return whether a current of this sign may flow; None where nothing tells."""
    if sign * expected_values["current"] > 0:
        return True
    protections = set(expected_values["protections"])
    state = expected_values["operating_state"]
    if protections & set(blockers) - UNCLEAR:
        return False
    is_unnamed = state == "protection" and not protections
    if protections & UNCLEAR or expected_values["error_code"] or is_unnamed:
        return None
    return None if state is None else True


def _nominal_voltage(expected_values: Mapping[str, Any]) -> float:
    """Return the nominal voltage, in V, by the number of cells."""
    cells = sum(_is_numbered(key, "cell_") for key in expected_values)
    return cells * NOMINAL_CELL_VOLTAGE


def _stored_energy(expected_values: Mapping[str, Any]) -> float:
    """Return charge times nominal voltage, in Wh, not rounded."""
    left: float = expected_values["remaining_capacity"]
    return left * _nominal_voltage(expected_values)


def _energy_capacity(expected_values: Mapping[str, Any]) -> float:
    """Return full capacity times nominal voltage, in Wh, not rounded."""
    full: float = expected_values["full_capacity"]
    return full * _nominal_voltage(expected_values)


def hours(expected_values: Mapping[str, Any], sign: int) -> float | None:
    """Return how long the charge lasts, or needs to be full, in hours."""
    current = sign * expected_values["current"]
    left: float = expected_values["remaining_capacity"]
    if sign > 0:
        left = expected_values["full_capacity"] - left
    if current < IDLE or left > current * MAX_TIME:
        return None
    time: float = left / current
    return time


def compare(
    expected_values: Mapping[str, Any],
    entities: Mapping[str, Json],
    states: Mapping[str, Json],
    *,
    steady: bool = True,
) -> Comparison:
    """Compare every entity that there is, and miss every one that should be.

    `entities` are those of a battery in the registry by key, `states` all states by
    entity ID. A value that the battery does not have must not be shown. `steady` means
    that it was under the same load for some minutes, or since it was set up; else a
    time is that of an average that is not known here.
    """
    differences = []
    compared = 0
    wanted = expected(expected_values)
    for key, entity in entities.items():
        entity_id = entity["entity_id"]
        domain = entity_id.partition(".")[0]
        if key not in wanted:
            if domain in {"sensor", "binary_sensor"} and key not in NOT_EXPECTED:
                differences.append(Difference(entity_id, "a value", "not expected"))
            continue
        if entity["disabled_by"] is not None:
            continue
        shown = "nothing" if (state := states.get(entity_id)) is None else _shown(state)
        true = wanted[key]
        cells = _cells(expected_values)
        if key == "average_cell_voltage":
            # Rounded once, from the cells: a tie may go either way.
            true = sum(cells.values()) / len(cells)
        compared += 1
        if key in TIMES:
            # Unknown for a minute after a change of load.
            right = shown == UNKNOWN or (
                true is not None and (not steady or is_near(shown, true))
            )
        elif key in CELL_NUMBERS:
            # Another cell may be one step beyond it.
            right = shown in cells and (
                abs(cells[shown] - cells[str(true)]) <= CELL_STEP / 1000 + ROUNDING
            )
        else:
            right = _is_shown(shown, true, key, one_step(key, expected_values))
        if not right:
            differences.append(Difference(entity_id, shown, true))
    differences += [
        Difference(key, "nothing: there is no such entity", value)
        for key, value in wanted.items()
        if key not in entities and value is not None
    ]
    return Comparison(compared, differences)


def _cells(expected_values: Mapping[str, Any]) -> dict[str, float]:
    """Return the cell voltages in V by the number of the cell."""
    return {
        name.removeprefix("cell_"): value
        for name, value in expected_values.items()
        if _is_numbered(name, "cell_")
    }


def _is_numbered(key: str, prefix: str) -> bool:
    return key.startswith(prefix) and key.removeprefix(prefix).isdigit()


def _shown(state: Json) -> str:
    """Return what an entity shows of the battery."""
    if state["entity_id"].startswith("update."):
        # Its state is about the uploaded file.
        return state["attributes"]["installed_version"] or UNKNOWN
    shown: str = state["state"]
    return shown


def one_step(key: str, expected_values: Mapping[str, Any]) -> float:
    """Return how much a value may be off for a minute: 0 for most."""
    if key in POWERS:
        # In whole W, what one step of each of its registers makes.
        volts: float = expected_values["voltage"]
        amperes: float = expected_values["current"]
        return ceil(round(volts * CURRENT_STEP + abs(amperes) * VOLTAGE_STEP, 6))
    return CELL_STEP / 1000 if _is_numbered(key, "cell_") else STEPS.get(key, 0.0)


def _is_shown(shown: str, true: object, key: str, step: float) -> bool:
    """Return whether a state is the expected one, at most one step off."""
    match true:
        case None:
            return shown == UNKNOWN
        case bool():
            return shown == ("on" if true else "off")
        case int() | float():
            tolerance = ROUNDING + step
            if key == "average_cell_voltage":
                tolerance += HALF_A_MILLIVOLT
            elif key == "stored_energy":
                tolerance += STORED_ENERGY
            elif key == "energy_capacity":
                tolerance += HALF_A_WATT_HOUR
            try:
                return abs(float(shown) - true) <= tolerance
            except ValueError:
                return False
        case _:
            return shown == true


def is_near(shown: str, true: float) -> bool:
    """Return whether hours are right, as far as they can be."""
    try:
        return abs(float(shown) - true) <= TIME_TOLERANCE * true + TIME_STEP
    except ValueError:
        return False
