"""Fixtures that fail every test: they find what is wrong, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import voluptuous as vol

from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import frame, issue_registry as ir
from homeassistant.loader import async_get_integration
from homeassistant.setup import async_setup_component

from .conftest import USAGE_REPORT
from .translation_check import DOMAIN, INTEGRATION, TranslationCheck

STRINGS: dict[str, Any] = {
    "config": {
        "step": {
            "user": {"description": "Found {name}.", "data": {"address": "Battery"}},
        },
        "error": {"busy": "{name} is busy."},
        "abort": {"done": "Done."},
    },
}


def form(**changes: Any) -> dict[str, Any]:
    """Return the result of a flow that shows a form, complete unless changed."""
    return {
        "type": FlowResultType.FORM,
        "step_id": "user",
        "data_schema": vol.Schema({vol.Required("address"): str}),
        "errors": {"base": "busy"},
        "description_placeholders": {"name": "RV"},
        **changes,
    }


@pytest.mark.parametrize(
    ("result", "problems"),
    [
        (form(), set()),
        (
            form(step_id="other"),
            {"config.step.other", "config.step.other.data.address"},
        ),
        (form(errors={"base": "lost"}), {"config.error.lost"}),
        (
            form(data_schema=vol.Schema({"pin": str}), errors=None),
            {"config.step.user.data.pin"},
        ),
        (
            form(description_placeholders=None),
            {"config.step.user", "config.error.busy"},
        ),
        ({"type": FlowResultType.ABORT, "reason": "done"}, set()),
        ({"type": FlowResultType.ABORT, "reason": "lost"}, {"config.abort.lost"}),
    ],
)
def test_flow_result_with_a_missing_text_is_reported(
    result: dict[str, Any], problems: set[str]
) -> None:
    """Each part of a form has a text of its own."""
    check = TranslationCheck(STRINGS)
    check.check_flow_result("config", result, {})
    assert {problem.partition(":")[0] for problem in check.problems} == problems


async def test_issue_and_exception_with_a_missing_text_are_reported(
    hass: HomeAssistant, check_translations: TranslationCheck
) -> None:
    """The fixture sees them where they are made, also those that are caught."""
    ServiceValidationError(translation_domain=DOMAIN, translation_key="gone")
    HomeAssistantError(translation_domain=DOMAIN, translation_key="no_answer")
    HomeAssistantError(translation_domain="other", translation_key="gone")
    HomeAssistantError("in plain words")
    check_translations.check_exception(HomeAssistantError("ours"), f"{INTEGRATION}x")
    ir.async_create_issue(
        hass,
        DOMAIN,
        "id",
        is_fixable=False,
        severity=ir.IssueSeverity.WARNING,
        translation_key="lost",
    )
    assert check_translations.problems == {
        "custom_components.voltgo_vlrv.x: HomeAssistantError is not translated",
        "exceptions.gone.message: not in strings.json",
        "exceptions.no_answer.message: placeholder {name} is not given",
        "issues.lost.title: not in strings.json",
        "issues.lost.description: not in strings.json",
    }
    # The fixture would fail this test for them.
    check_translations.problems.clear()


async def test_usage_report_about_the_integration_is_collected(
    hass: HomeAssistant, usage_reports: list[str]
) -> None:
    """What is collected fails the test at its end, unless it is taken out as here."""
    await async_setup_component(hass, "homeassistant", {})
    await async_get_integration(hass, DOMAIN)
    frame.report_usage("tries this", integration_domain=DOMAIN)
    (report,) = usage_reports
    assert report.startswith(f"{USAGE_REPORT} '{DOMAIN}' tries this")
    usage_reports.clear()
