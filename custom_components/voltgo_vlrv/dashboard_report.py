"""The page of the dashboard that reports what is known of batteries, to print.

Made when the dashboard is opened, of headings and tables without anything that moves: for
a warranty claim or a sale. Without addresses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from .dashboard_cards import Card, markdown
from .entries import is_bank
from .localization import plain_text, translations
from .report_action import battery_report
from .sensor_base import AMPERE_HOURS

PATH: Final = "report"
_NOTHING: Final = "–"
_EXTREMES: Final[Mapping[str, tuple[str, int]]] = {
    "lowest_state_of_charge": ("%", 1),
    "highest_cell_voltage": ("V", 1000),
    "lowest_cell_voltage": ("V", 1000),
    "highest_temperature": ("°C", 1),
    "lowest_temperature": ("°C", 1),
}
"""Unit and divisor of the highest and lowest values, in the order of the page."""


def report_view(
    hass: HomeAssistant, entries: Iterable[ConfigEntry[Any]]
) -> dict[str, Any] | None:
    """Return the view, None while no battery is loaded."""
    sections = [
        {"type": "grid", "cards": list(_battery(hass, entry))}
        for entry in entries
        if not is_bank(entry) and entry.state is ConfigEntryState.LOADED
    ]
    if not sections:
        return None
    return {
        "title": translations(hass).dashboard["report"],
        "path": PATH,
        "type": "sections",
        "max_columns": 1,
        "sections": sections,
    }


def _battery(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Iterator[Card]:
    """Yield the tables of a battery below its name."""
    report = battery_report(hass, entry.runtime_data, entry)
    all_texts = translations(hass)
    texts, names = all_texts.dashboard, _entity_names(hass, entry)
    yield {"type": "heading", "heading": plain_text(report["name"])}
    header = (texts["report_date"], _day(report["reported_at"]))
    yield markdown(_table(header, _facts(report, texts, names)), text_only=True)
    yield markdown(
        _table(
            (texts["report_protection"], texts["report_count"], texts["report_last"]),
            [
                (all_texts.faults.get(key, key), item["count"], _day(item["last"]))
                for key, item in report["protections"].items()
            ]
            or [(_NOTHING, 0, _NOTHING)],
        ),
        text_only=True,
    )
    yield markdown(
        _table(
            (texts["report_date"], names["measured_capacity"], "°C"),
            [
                (
                    _day(item["at"]),
                    f"{item['capacity']} {AMPERE_HOURS}",
                    _known(item["temperature"]),
                )
                for item in report["measured_capacities"]
            ]
            or [(_NOTHING, _NOTHING, _NOTHING)],
        ),
        text_only=True,
    )
    yield markdown(
        _table(
            (texts["report_date"], names["full_charge_cell_voltage_delta"], "°C"),
            [
                (
                    _day(item["at"]),
                    f"{item['difference']} mV",
                    _known(item["temperature"]),
                )
                for item in report["full_charges"]
            ]
            or [(_NOTHING, _NOTHING, _NOTHING)],
        ),
        text_only=True,
    )


def _facts(
    report: Mapping[str, Any], texts: Mapping[str, str], names: Mapping[str, str]
) -> Iterator[tuple[object, ...]]:
    """Yield what is known of a battery, and since when."""
    yield texts["report_model"], plain_text(report["model"])
    yield texts["report_serial"], plain_text(report["serial_number"] or _NOTHING)
    yield texts["report_produced"], plain_text(report["production_date"] or _NOTHING)
    yield texts["report_firmware"], plain_text(report["firmware"] or _NOTHING)
    yield (
        texts["report_label"],
        f"{report['cells']} S, {_known(report['label_capacity'])} {AMPERE_HOURS}",
    )
    yield texts["report_added"], _day(report["added_at"])
    yield texts["report_since"], _day(report["counted_since"])
    yield (
        names["charge_discharged"],
        f"{report['charge_discharged']} {AMPERE_HOURS}",
    )
    yield names["equivalent_full_cycles"], report["equivalent_full_cycles"]
    yield names["cycles"], _known(report["reported_cycles"])
    yield names["state_of_health"], f"{_known(report['reported_health'])} %"
    yield names["last_full_charge"], _day(report["last_full_charge"])
    yield names["protection_trips"], report["protection_trips"]
    for key, (unit, divisor) in _EXTREMES.items():
        if (item := report["extremes"].get(key)) is not None:
            yield (
                names[f"{key}_recorded"],
                f"{item['value'] / divisor:g} {unit} ({_day(item['at'])})",
            )


def _entity_names(hass: HomeAssistant, entry: ConfigEntry[Any]) -> Mapping[str, str]:
    """Return the translated names of a battery's sensors, by key."""
    prefix = f"{entry.unique_id}_"
    return {
        item.unique_id.removeprefix(prefix): item.original_name or ""
        for item in er.async_entries_for_config_entry(
            er.async_get(hass), entry.entry_id
        )
    }


def _day(text: str | None) -> str:
    """Return the local day of a time, or that it is not known."""
    when = None if text is None else dt_util.parse_datetime(text)
    return _NOTHING if when is None else dt_util.as_local(when).date().isoformat()


def _known(value: object) -> object:
    return _NOTHING if value is None else value


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, (":-",) * len(header), *(tuple(map(str, row)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
