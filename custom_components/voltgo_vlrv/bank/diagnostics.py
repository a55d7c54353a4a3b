"""Diagnostics of a bank; `diagnostics.py` redacts them as those of a battery."""

from __future__ import annotations

from typing import Any

from homeassistant.core import HomeAssistant, callback

from ..entries import async_batteries, members_of
from ..history.energy import DIRECTIONS
from .coordinator import BankConfigEntry, BankCoordinator


@callback
def bank_report(hass: HomeAssistant, entry: BankConfigEntry) -> dict[str, Any]:
    """Return members and values of a bank, also if the bank could not be set up.

    The members are numbered, because their addresses are secret.
    """
    members = members_of(entry)
    bank: BankCoordinator | None = getattr(entry, "runtime_data", None)
    batteries = {battery.unique_id: battery for battery in async_batteries(hass)}
    return {
        "members": {
            number: {
                "title": None if battery is None else battery.title,
                "state": None if battery is None else battery.state,
                "disabled_by": None if battery is None else battery.disabled_by,
                **({} if bank is None else _member(hass, bank, address)),
            }
            for number, address in enumerate(members, 1)
            for battery in (batteries.get(address),)
        },
        "bank": None if bank is None else _bank(bank, members),
    }


def _member(hass: HomeAssistant, bank: BankCoordinator, address: str) -> dict[str, Any]:
    if (member := bank.members.get(address)) is None:
        return {}
    battery = member.battery
    now = hass.loop.time()
    since = bank.isolation.since.get(address)
    return {
        "presence": bank.presence.get(address),
        "model": None if (info := member.info) is None else info.model,
        "module_id": member.module_id,
        "isolated_for": None if since is None else round(now - since),
        "seconds_since_last_sample": (
            None
            if battery is None or (age := battery.statistics.age(now)) is None
            else round(age, 1)
        ),
        "reading": next((r for r in bank.readings if r.key == address), None),
    }


def _bank(bank: BankCoordinator, members: tuple[str, ...]) -> dict[str, Any]:
    reading = bank.data
    numbers = {address: number for number, address in enumerate(members, 1)}
    cells = {
        name: None
        if cell is None
        else {**cell._asdict(), "member": numbers.get(cell.key)}
        for name, cell in (
            ("highest_cell", reading.highest_cell),
            ("lowest_cell", reading.lowest_cell),
        )
    }
    return {
        "reading": reading,
        **cells,
        "isolated": sorted(numbers[key] for key in reading.isolated if key in numbers),
        "smoothed_current": bank.trend.runtime.current.value,
        "minutes_to_empty": bank.trend.runtime.minutes_to_empty,
        "minutes_to_full": bank.trend.runtime.minutes_to_full,
        "current_imbalance": bank.trend.imbalance,
        "energy": {direction: bank.energy.total(direction) for direction in DIRECTIONS},
        "energy_offset": bank.energy.offset,
    }
