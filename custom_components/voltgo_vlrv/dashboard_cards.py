"""The cards of the dashboard: Home Assistant's own, made from the enabled entities.

A card is shown only while it has something to say: its `visibility` hides a value that is
unknown and a state that is normal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

type Card = dict[str, Any]
type Condition = dict[str, Any]

# A section is twelve columns wide.
HALF: Final = 6
QUARTER: Final = 3
FULL: Final = "full"
SHORT_NAME: Final = 16
"""Characters of a name; half the width of a phone (390 pixels) cuts a longer one off."""
# State of charge in %: the gauge is red below the first, yellow below the second.
_LOW: Final = 20
_MEDIUM: Final = 40
_RED: Final = "var(--error-color)"
_GRAY: Final = "var(--disabled-color)"

PROBLEMS: Final = ("binary_sensor.problem", "binary_sensor.any_protection")
CHARGE: Final = "sensor.state_of_charge"
STATUS: Final = "sensor.connection_status"
POWER: Final = "sensor.power"
HEATER: Final = "switch.heater"
SETTINGS: Final = (
    "select.module_id",
    "select.can_protocol",
    "select.rs485_protocol",
)
_NORMAL_IS_OFF: Final = "binary_sensor."

# Minutes in a unit of the times, which the user can change.
_MINUTES: Final = "{'d': 1440, 'h': 60, 'min': 1, 's': 1 / 60}"


@dataclass(frozen=True)
class Device:
    """A battery or a bank: its enabled entities by platform and key, and the texts."""

    name: str
    path: str
    entities: Mapping[str, str]
    entity_names: Mapping[str, str]
    """Names of these entities by ID, as the tiles show them."""
    disabled: frozenset[str]
    """Keys of those that the integration disables by default."""
    texts: Mapping[str, str]

    @property
    def problem(self) -> str | None:
        """Return the entity that is on while anything is wrong."""
        return next(
            (self.entities[key] for key in PROBLEMS if key in self.entities), None
        )


def is_on(entity_id: str) -> Condition:
    """Return the condition that an entity is on."""
    return {"condition": "state", "entity": entity_id, "state": "on"}


def is_known(entity_id: str) -> Condition:
    """Return the condition that an entity has a value."""
    return {
        "condition": "state",
        "entity": entity_id,
        "state_not": ["unknown", "unavailable"],
    }


def _is_live(status: str, live: bool) -> Condition:
    return {
        "condition": "state",
        "entity": status,
        "attribute": "up_to_date",
        "state": str(live).lower(),
    }


def shown_while_any(cards: Iterable[Card]) -> list[Condition]:
    """Return the condition of a section: one of its cards is shown."""
    each = [{"condition": "and", "conditions": card["visibility"]} for card in cards]
    return [{"condition": "or", "conditions": each}]


def markdown(text: str, **more: Any) -> Card:
    """Return a text over the whole width."""
    return {
        "type": "markdown",
        "content": text,
        "grid_options": {"columns": FULL},
        **more,
    }


def tile(entity_id: str, *conditions: Condition, **more: Any) -> Card:
    """Return a tile, shown while the entity has a value and all conditions are met."""
    return {
        "type": "tile",
        "entity": entity_id,
        # Without the name of the battery, which is the title of the view.
        "name": {"type": "entity"},
        "grid_options": {"columns": HALF},
        "visibility": [is_known(entity_id), *conditions],
        **more,
    }


def tiles(device: Device, keys: Iterable[str], **more: Any) -> Iterator[Card]:
    """Yield a tile for each of the keys that the device has."""
    for key in keys:
        if (entity_id := device.entities.get(key)) is None:
            continue
        if key in SETTINGS:
            # A selection in the dialog is sent at once, so ask before it opens.
            ask = {
                "action": "more-info",
                "confirmation": {"text": device.texts["ask_setting"]},
            }
            yield tile(
                entity_id,
                tap_action=ask,
                icon_tap_action=ask,
                state_content=["state", "pending"],
                **more,
            )
        elif key.startswith("switch."):
            yield tile(
                entity_id,
                features=[{"type": "toggle"}],
                state_content=["state", "released_until"],
                **more,
            )
        elif key.startswith("button."):
            press = {
                "action": "perform-action",
                "perform_action": "button.press",
                "target": {"entity_id": entity_id},
            }
            # Its state is when it was pressed last.
            yield tile(
                entity_id,
                tap_action=press,
                icon_tap_action=press,
                hide_state=True,
                **more,
            ) | {"visibility": []}
        elif key.startswith(_NORMAL_IS_OFF):
            yield tile(entity_id, is_on(entity_id), **more)
        else:
            yield tile(entity_id, **more)


def with_whole_names(device: Device, cards: Sequence[Card]) -> Iterator[Card]:
    """Yield the cards; only two tiles with short names stay side by side.

    One that is shown for some time only would leave a gap beside the other.
    """

    def is_short(card: Card) -> bool:
        return (
            card["grid_options"] == {"columns": HALF}
            and not card["entity"].startswith(_NORMAL_IS_OFF)
            and len(device.entity_names[card["entity"]]) <= SHORT_NAME
        )

    waiting: Card | None = None
    for card in cards:
        if waiting is not None and is_short(card):
            yield from (waiting, card)
            waiting = None
            continue
        if waiting is not None:
            yield _widened(waiting)
        waiting = card if is_short(card) else None
        if waiting is None:
            yield _widened(card)
    if waiting is not None:
        yield _widened(waiting)


def _widened(card: Card) -> Card:
    """Return a card of half the width with the whole width, any other as it is."""
    if card["grid_options"] != {"columns": HALF}:
        return card
    return card | {"grid_options": {"columns": FULL}}


def _variants(device: Device, card: Card, problem: Card, stale: Card) -> Iterator[Card]:
    """Yield a card of the charge: as it is, in red with a problem, gray while not live."""
    entity_id = card["entity"]
    status = device.entities.get(STATUS)
    live = [] if status is None else [_is_live(status, True)]
    known = is_known(entity_id)
    if (fault := device.problem) is None:
        yield card | {"visibility": [known, *live]}
    else:
        healthy = {"condition": "state", "entity": fault, "state_not": "on"}
        yield card | {"visibility": [known, healthy, *live]}
        yield card | problem | {"visibility": [known, is_on(fault), *live]}
    if status is not None:
        yield card | stale | {"visibility": [known, _is_live(status, False)]}


def gauge(device: Device) -> Iterator[Card]:
    """Yield the state of charge as a ring."""
    if entity_id := device.entities.get(CHARGE):
        card = {
            "type": "gauge",
            "entity": entity_id,
            "name": {"type": "entity"},
            "min": 0,
            "max": 100,
            "grid_options": {"columns": FULL},
        }

        def colored(*steps: tuple[int, str]) -> Card:
            return {"segments": [{"from": at, "color": color} for at, color in steps]}

        yield from _variants(
            device,
            card
            | colored(
                (0, _RED),
                (_LOW, "var(--warning-color)"),
                (_MEDIUM, "var(--success-color)"),
            ),
            colored((0, _RED)),
            colored((0, _GRAY)),
        )


def charge_tile(device: Device) -> Iterator[Card]:
    """Yield the state of charge as a tile."""
    if entity_id := device.entities.get(CHARGE):
        yield from _variants(
            device, tile(entity_id), {"color": "red"}, {"color": "disabled"}
        )


def _time_left(entity_id: str, text: str) -> str:
    """Return the template of a time, and of the clock where that is today or tomorrow."""
    return (
        f"{{% set t = states('{entity_id}') | float(none) %}}"
        "{% if t is not none %}"
        f"{{% set m = (t * {_MINUTES}.get(state_attr('{entity_id}',"
        " 'unit_of_measurement'), 60)) | round | int %}"
        "{% set left = ((m // 60) ~ ' h ' if m >= 60 else '') ~ (m % 60) ~ ' min' %}"
        "{% set at = ', ' ~ (now() + timedelta(minutes=m)).strftime('%H:%M')"
        " if m < 1440 else '' %}"
        f" · {text.replace('{time}', '{{ left ~ at }}')}"
        "{% endif %}"
    )


def summary(device: Device) -> Iterator[Card]:
    """Yield the power with its direction, and when the battery is empty or full."""
    if (power := device.entities.get(POWER)) is None:
        return
    texts = device.texts
    shown = f"**{{{{ states('{power}', rounded=True, with_unit=True) | replace('-', '') }}}}**"
    content = (
        f"{{% set p = states('{power}') | float(0) %}}"
        f"{{% if p > 0 %}}{texts['power_in'].replace('{power}', shown)}"
        f"{{% elif p < 0 %}}{texts['power_out'].replace('{power}', shown)}"
        f"{{% else %}}{texts['power_none']}{{% endif %}}"
    )
    for key in ("time_to_empty", "time_to_full"):
        if entity_id := device.entities.get(f"sensor.{key}"):
            content += _time_left(entity_id, texts[key])
    yield markdown(content, text_only=True, visibility=[is_known(power)])


def _connection_banner(device: Device) -> Iterator[Card]:
    """Yield why the values are not live, and how old they are."""
    if (status := device.entities.get(STATUS)) is None:
        return

    def clock(attribute: str, text: str) -> str:
        shown = (
            "{{ as_timestamp(t) | timestamp_custom('%H:%M' if (as_timestamp(t) -"
            " as_timestamp(now())) | abs < 43200 else '%Y-%m-%d %H:%M') }}"
        )
        return (
            f"{{% set t = state_attr('{status}', '{attribute}') %}}"
            f"{{% if t %}}. {text.replace('{time}', shown)}{{% endif %}}"
        )

    yield markdown(
        f"<ha-alert alert-type=\"warning\">{{{{ state_translated('{status}') }}}}"
        + clock("released_until", device.texts["until"])
        + clock("values_as_of", device.texts["as_of"])
        + "</ha-alert>",
        text_only=True,
        visibility=[_is_live(status, False)],
    )


def banners(device: Device) -> Iterator[Card]:
    """Yield what needs attention; nothing is shown while all is well.

    From top to bottom: a fault, cold, low, released or out of range, a battery that left
    its bank, a setting that waits for the battery to be turned off and on.
    """
    entities = device.entities
    faults = entities.get("sensor.active_faults")
    wide = {"grid_options": {"columns": FULL}}
    red = {"color": "red", **wide}
    if (problem := device.problem) is not None:
        if faults is not None:
            yield tile(faults, is_on(problem), **red)
        else:
            yield tile(problem, is_on(problem), **red)
    yield from tiles(
        device, ("binary_sensor.too_cold_to_charge",), color="blue", **wide
    )
    yield from tiles(device, ("binary_sensor.low_battery",), color="orange", **wide)
    yield from _connection_banner(device)
    yield from tiles(
        device,
        ("binary_sensor.battery_isolated", "binary_sensor.battery_missing"),
        **red,
    )
    if pending := entities.get("sensor.pending_settings"):
        waits = {
            "condition": "state",
            "entity": pending,
            "state_not": device.texts["no_settings"],
        }
        # Not a tile, which has one line for several settings.
        yield markdown(
            f"<ha-alert alert-type=\"info\">{{{{ states('{pending}') | e }}}}</ha-alert>",
            text_only=True,
            visibility=[is_known(pending), waits],
        )


def graph(entity_ids: Iterable[str], **more: Any) -> Iterator[Card]:
    """Yield the history of a day."""
    if shown := list(entity_ids):
        yield {
            "type": "history-graph",
            "hours_to_show": 24,
            "entities": [
                {"entity": entity_id, "name": {"type": "entity"}} for entity_id in shown
            ],
            "grid_options": {"columns": FULL},
            **more,
        }
