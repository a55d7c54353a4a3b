"""What holds for every blueprint."""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from homeassistant.components.automation.config import AUTOMATION_BLUEPRINT_SCHEMA
from homeassistant.components.blueprint.models import Blueprint
from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er
from homeassistant.util import yaml as yaml_util

from .harness import FILES, ROOT, BatteryScenarioHarness

PAGE: Final = (
    "https://github.com/voltgo-vlrv/voltgo_vlrv/blob/main/"
    "blueprints/automation/voltgo_vlrv/"
)
BADGE: Final = "https://my.home-assistant.io/badges/blueprint_import.svg"
IMPORT: Final = re.compile(
    r"\[!\[Import\]\(([^)]+)\)\]"
    r"\((https://my\.home-assistant\.io/redirect/blueprint_import/[^)]+)\)"
)
# Where the user has to choose something before it works.
REQUIRED: Final = {
    "battery_unreachable": {"batteries"},
    "cell_imbalance": {"difference", "battery"},
    "cold_charge_guard": {"cold_sensors", "chargers"},
    "low_state_of_charge": {"battery"},
    "preheat_before_departure": {"heater", "battery"},
    "recharge_due": set(),
    "something_wrong": {"batteries"},
    "winter_heater": {"heater", "battery"},
}

each = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def load(file: Path) -> Blueprint:
    """Load a blueprint as Home Assistant does."""
    return Blueprint(
        yaml_util.load_yaml_dict(file),
        expected_domain="automation",
        path=f"voltgo_vlrv/{file.name}",
        schema=AUTOMATION_BLUEPRINT_SCHEMA,
    )


def test_blueprints_in_the_folder_are_those_with_tests() -> None:
    """And none that no test knows."""
    assert {file.stem for file in FILES} == REQUIRED.keys()


@each
def test_blueprint_passes_the_schema_of_home_assistant(file: Path) -> None:
    """It passes Home Assistant's schema, and asks for no input that it does not use."""
    blueprint = load(file)
    assert blueprint.validate() is None
    assert blueprint.metadata["source_url"] == PAGE + file.name
    assert blueprint.metadata["homeassistant"] == {"min_version": "2026.8.0"}
    # Or it would have failed above: all that are used exist. And the other way round:
    used = set(re.findall(r"!input (\w+)", file.read_text()))
    assert used == blueprint.inputs.keys()


@each
def test_blueprint_has_names_and_descriptions(file: Path) -> None:
    """It has a name, says that it is no protection, and each field has a name."""
    blueprint = load(file)
    assert blueprint.name.startswith("Voltgo VLRV: ")
    assert "for convenience only" in blueprint.metadata["description"]
    for key, field in blueprint.inputs.items():
        assert field["name"], key
        assert field["selector"], key
    required = {
        key for key, field in blueprint.inputs.items() if "default" not in field
    }
    assert required == REQUIRED[file.stem]


def filters(field: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the field's list of entities is narrowed to."""
    rules = field["selector"].get("entity", {}).get("filter", [])
    return rules if isinstance(rules, list) else [rules]


async def test_forms_of_blueprints_offer_the_entities_of_a_battery(
    hass: HomeAssistant, rv: BatteryScenarioHarness
) -> None:
    """Each list of entities of the integration has the one that its text names."""
    registry = er.async_get(hass)
    await rv.enable_all()
    own = [entity for entity in registry.entities.values() if entity.config_entry_id]
    looked_at = 0
    for file in FILES:
        for key, field in load(file).inputs.items():
            for rule in filters(field):
                if rule.get("integration") != "voltgo_vlrv":
                    continue
                if field.get("description", "").startswith("For a bank"):
                    continue  # test_bank.py looks at those
                classes = rule.get("device_class", [])
                offered = {
                    entity.original_name
                    for entity in own
                    if entity.domain in rule["domain"]
                    and (not classes or entity.original_device_class in classes)
                }
                text = field["description"].partition(", or the ")[0]
                named = set(re.findall(r"\*\*([^*]+)\*\*", text))
                assert named, (file.stem, key)
                assert named <= offered, (file.stem, key)
                looked_at += 1
    assert looked_at == 13


def test_page_has_a_button_for_each_blueprint() -> None:
    """Each with a button whose address leads to the file."""
    links = IMPORT.findall((ROOT / "docs" / "automations.md").read_text())
    offered = set()
    for badge, link in links:
        assert badge == BADGE
        (address,) = parse_qs(urlsplit(link).query)["blueprint_url"]
        assert link.endswith(quote(address, safe=""))
        assert address.startswith(PAGE)
        offered.add(address.removeprefix(PAGE))
    assert offered == {file.name for file in FILES}
    assert len(links) == len(FILES)
