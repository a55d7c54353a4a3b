"""Every rule that quality_scale.yaml claims names what shows it, or why it is exempt."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import yaml

import homeassistant.components
from script.validate.common import INTEGRATION, load_json
from script.validate.files import anchors

# A test, a file, or a section of a page.
PROOFS: Final[dict[str, str]] = {
    "action-setup": "test_actions_without_an_entry_are_registered",
    "appropriate-polling": "test_interval_out_of_range_is_refused",
    "brands": "custom_components/voltgo_vlrv/brand/icon@2x.png",
    "common-modules": "custom_components/voltgo_vlrv/coordinator.py",
    "config-flow-test-coverage": "test_config_flow_each_abort_and_error_is_expected_by_a_test",
    "config-flow": "tests/flows/test_discovery_flow.py",
    "dependency-transparency": "script/validate/versions.py",
    "docs-actions": "docs/automations.md#actions",
    "docs-conditions": "docs/automations.md#conditions",
    "docs-high-level-description": "README.md#voltgo-vlrv-for-home-assistant",
    "docs-installation-instructions": "README.md#install",
    "docs-removal-instructions": "README.md#remove-it",
    "docs-triggers": "docs/automations.md#triggers",
    "entity-event-setup": "test_entities_after_removal_leave_no_listener",
    "entity-unique-id": "tests/translation_check.py",
    "has-entity-name": "tests/translation_check.py",
    "runtime-data": "custom_components/voltgo_vlrv/data.py",
    "test-before-configure": "test_manual_flow_after_a_failure_shows_the_reason_and_can_be_repeated",
    "unique-config-entry": "test_configured_battery_is_not_discovered_again",
    "action-exceptions": "test_change_refused_by_the_battery_shows_the_code",
    "config-entry-unloading": "test_unload_and_reload_leave_no_second_connection",
    "docs-configuration-parameters": "docs/options.md",
    "docs-installation-parameters": "docs/adding-batteries.md#batteries-that-are-not-discovered",
    "entity-unavailable": "test_values_with_missed_polls_stay_for_a_minute",
    "integration-owner": "custom_components/voltgo_vlrv/manifest.json",
    "log-when-unavailable": "test_values_with_missed_polls_stay_for_a_minute",
    "parallel-updates": "test_platforms_declare_parallel_updates",
    "test-coverage": "script/test",
    "devices": "tests/test_main_path.py",
    "diagnostics": "tests/test_diagnostics.py",
    "discovery": "tests/test_main_path.py",
    "docs-data-update": "docs/entities.md#how-values-are-updated",
    "docs-examples": "docs/automations.md#examples",
    "docs-known-limitations": "docs/help.md#known-limitations",
    "docs-supported-devices": "docs/supported-batteries.md",
    "docs-supported-functions": "docs/entities.md",
    "docs-troubleshooting": "docs/troubleshooting.md",
    "docs-use-cases": "docs/automations.md#use-cases",
    "entity-category": "test_sensors_have_the_listed_names_units_and_classes",
    "entity-device-class": "test_sensors_have_the_listed_names_units_and_classes",
    "entity-disabled-by-default": "test_device_page_of_a_small_battery_shows_the_listed_entities",
    "entity-translations": "test_entities_in_each_language_have_names_and_states",
    "exception-translations": "tests/translation_check.py",
    "icon-translations": "custom_components/voltgo_vlrv/icons.json",
    "reconfiguration-flow": "test_reconfigure_of_a_bank_changes_name_and_members",
    "repair-issues": "tests/bank/test_notices.py",
    "async-dependency": "tests/vlrv/test_client.py",
    "strict-typing": "pyproject.toml",
}
RULES: Final[dict[str, Any]] = yaml.safe_load(
    (INTEGRATION / "quality_scale.yaml").read_text()
)["rules"]


def test_rules_are_those_of_a_platinum_integration_and_none_is_open() -> None:
    """Home Assistant's own platinum integrations have every rule that there is."""
    components = Path(homeassistant.components.__path__[0])
    known = yaml.safe_load((components / "iron_os/quality_scale.yaml").read_text())
    assert RULES.keys() == known["rules"].keys()
    assert load_json(INTEGRATION / "manifest.json")["quality_scale"] == "platinum"
    exempt = {rule for rule, value in RULES.items() if "exempt" in str(value)}
    assert all(RULES[rule]["comment"] for rule in exempt)
    assert PROOFS.keys() == RULES.keys() - exempt


@pytest.mark.parametrize("rule", PROOFS)
def test_rule_that_is_claimed_names_a_proof_that_exists(rule: str) -> None:
    """A claim whose test was removed has no proof any more."""
    assert RULES[rule] == "done" or RULES[rule]["status"] == "done"
    name, _, anchor = PROOFS[rule].partition("#")
    if name.startswith("test_"):
        assert any(f"def {name}(" in p.read_text() for p in Path("tests").rglob("*.py"))
    else:
        assert Path(name).is_file()
        assert not anchor or anchor in anchors(Path(name))


def test_config_flow_each_abort_and_error_is_expected_by_a_test() -> None:
    """A device that refuses to be read is shown as what it is: no such battery."""
    folders = (Path("tests/flows"), Path("tests/bank"))
    tests = "".join(p.read_text() for f in folders for p in f.glob("test_*flow*.py"))
    texts = load_json(INTEGRATION / "strings.json")["config"]
    keys = (texts["abort"].keys() | texts["error"].keys()) - {"refused"}
    assert {key for key in keys if f'"{key}"' not in tests} == set()
