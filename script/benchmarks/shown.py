"""How far what is shown is off what the battery sent: one step, for a minute, is allowed.

Computed from the registers and the states alone, so that it tells what the integration
makes of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import entity_registry as er

from custom_components.voltgo_vlrv.const import DOMAIN
from custom_components.voltgo_vlrv.data import VlrvConfigEntry

STANDING: Final = 60.0
"""s for which a value may be one step off."""
_CELLS: Final = slice(2, 18)
_STATE_OF_CHARGE: Final = 24
_SIGN: Final = 0x8000

type Words = Sequence[int]
"""The status registers of a battery with 16 cells, 0.1 A over Bluetooth."""


class Value(NamedTuple):
    """A value as the registers have it, in its smallest unit."""

    true: int
    step: int
    """By how much it may be off for a while."""


def _current(words: Words) -> int:
    return (words[1] ^ _SIGN) - _SIGN


def _power(words: Words) -> Value:
    """Return it in whole W: a step of the voltage is 0.01 V, one of the current 0.1 A."""
    milliwatts = words[0] * _current(words)
    step = words[0] + abs(_current(words))
    return Value(round(milliwatts / 1000), -(-step // 1000))


# By the key of the sensor: how many of the smallest unit make one that is shown.
_VALUES: Final[Mapping[str, tuple[int, Callable[[Words], Value]]]] = {
    "voltage": (100, lambda words: Value(words[0], 1)),
    "current": (10, lambda words: Value(_current(words), 1)),
    "power": (1, _power),
    "cell_voltage_delta": (
        1,
        lambda words: Value(max(words[_CELLS]) - min(words[_CELLS]), 1),
    ),
    "state_of_charge": (1, lambda words: Value(words[_STATE_OF_CHARGE], 0)),
}
KEYS: Final = frozenset(_VALUES)


class ShownValues:
    """Counts how often a value is more than a step off, or off for more than a minute."""

    def __init__(self) -> None:
        """Start with values that are not off."""
        self.compared = 0
        self.missed = 0
        self._off_since: dict[str, float] = {}

    def compare(self, now: float, words: Words, shown: Mapping[str, str]) -> None:
        """Compare what is shown at `now` (s), by key, with what the battery sent last."""
        for key, text in shown.items():
            factor, value_of = _VALUES[key]
            true, step = value_of(words)
            self.compared += 1
            try:
                off = abs(round(float(text) * factor) - true)
            except ValueError:  # unknown, unavailable
                self.missed += 1
                continue
            if not off:
                self._off_since.pop(key, None)
                continue
            since = self._off_since.setdefault(key, now)
            self.missed += off > step or now - since > STANDING


def compare_at_each_poll(
    hass: HomeAssistant, entry: VlrvConfigEntry, now: Callable[[], float]
) -> ShownValues:
    """Compare what is shown of a battery after each poll from now on."""
    registry = er.async_get(hass)
    coordinator = entry.runtime_data.coordinator
    entities = {
        key: registry.async_get_entity_id(
            "sensor", DOMAIN, f"{coordinator.identifier}_{key}"
        )
        for key in KEYS
    }
    values = ShownValues()

    @callback
    def compare() -> None:
        states = {key: hass.states.get(name or "") for key, name in entities.items()}
        values.compare(
            now(),
            coordinator.data.registers,
            {key: state.state if state else "" for key, state in states.items()},
        )

    # Called after the entities, which have listened before.
    entry.async_on_unload(coordinator.async_add_listener(compare))
    return values
