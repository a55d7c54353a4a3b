"""Checks that every text which a test brings up exists in strings.json.

Home Assistant shows a key that has no text as it is, and a text whose placeholder was not
given with its braces. Neither raises, so the check watches what the integration hands to
Home Assistant: results of flows, repair issues, exceptions and entities.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
import functools
import json
from pathlib import Path
import re
import sys
from typing import Any, Final
from unittest.mock import patch

from homeassistant.components.repairs import RepairsFlowManager
from homeassistant.config_entries import OptionsFlowManager
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowHandler, FlowManager, FlowResultType
from homeassistant.exceptions import HomeAssistantError, Unauthorized
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.entity import Entity
from homeassistant.helpers.entity_platform import EntityPlatform
from homeassistant.helpers.issue_registry import IssueRegistry
from homeassistant.helpers.selector import SelectSelector

DOMAIN: Final = "voltgo_vlrv"
INTEGRATION: Final = f"custom_components.{DOMAIN}."
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


@functools.cache
def load_strings() -> dict[str, Any]:
    """Return strings.json."""
    path = Path(__file__).parent.parent / "custom_components" / DOMAIN / "strings.json"
    strings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return strings


def texts_below(value: Any) -> Iterator[str]:
    """Yield every text at any depth of a part of strings.json."""
    if isinstance(value, dict):
        for part in value.values():
            yield from texts_below(part)
    else:
        yield value


class TranslationCheck:
    """Collects keys without a text and texts without their placeholders."""

    def __init__(self, strings: Mapping[str, Any]) -> None:
        """Take the content of strings.json."""
        self._strings = strings
        self.problems: set[str] = set()

    def check(self, key: str, placeholders: Iterable[str] | None = None) -> None:
        """Check a dotted key, and the placeholders in the texts at it and below it."""
        found: Any = self._strings
        for part in key.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if not found:
            self.problems.add(f"{key}: not in strings.json")
            return
        used = {
            name for text in texts_below(found) for name in _PLACEHOLDER.findall(text)
        }
        for name in used - set(placeholders or ()):
            self.problems.add(f"{key}: placeholder {{{name}}} is not given")

    def check_flow_result(
        self, section: str, result: Mapping[str, Any], context: Mapping[str, Any]
    ) -> None:
        """Check what a flow shows; `section` is `config` or `options`."""
        given = result.get("description_placeholders")
        if (titles := context.get("title_placeholders")) is not None:
            self.check(f"{section}.flow_title", titles)
        match result["type"]:
            case FlowResultType.FORM:
                step = f"{section}.step.{result['step_id']}"
                # Descriptions of fields and errors get the same placeholders.
                self.check(step, given)
                schema = result.get("data_schema")
                for field, selector in (schema.schema if schema else {}).items():
                    self.check(f"{step}.data.{field}", given)
                    if isinstance(selector, SelectSelector):
                        self._check_options(selector.config)
                for error in (result.get("errors") or {}).values():
                    self.check(f"{section}.error.{error}", given)
            case FlowResultType.MENU:
                step = f"{section}.step.{result['step_id']}"
                self.check(step, given)
                for option in result["menu_options"]:
                    self.check(f"{step}.menu_options.{option}", given)
            case FlowResultType.SHOW_PROGRESS:
                self.check(f"{section}.progress.{result['progress_action']}", given)
            case FlowResultType.ABORT:
                self.check(f"{section}.abort.{result['reason']}", given)

    def _check_options(self, config: Mapping[str, Any]) -> None:
        if (key := config.get("translation_key")) is not None:
            for option in config["options"]:
                self.check(f"selector.{key}.options.{option}")

    def check_issue(
        self, key: str, placeholders: Iterable[str] | None, *, is_fixable: bool
    ) -> None:
        """Check a repair issue; the flow of one that can be fixed has texts of its own."""
        for text in ("title", "fix_flow.step" if is_fixable else "description"):
            self.check(f"issues.{key}.{text}", placeholders)

    def check_exception(self, err: HomeAssistantError, raised_in: str) -> None:
        """Check an exception of the integration; `raised_in` is the name of a module."""
        # Home Assistant answers a refused permission in its own words.
        if isinstance(err, Unauthorized):
            return
        if raised_in.startswith(INTEGRATION) and err.translation_domain != DOMAIN:
            self.problems.add(f"{raised_in}: {type(err).__name__} is not translated")
        if err.translation_domain == DOMAIN:
            self.check(
                f"exceptions.{err.translation_key}.message",
                err.translation_placeholders,
            )

    def check_entity(self, platform: str, entity: Entity) -> None:
        """Check the name of an entity, and what its state can be."""
        if not entity.has_entity_name or entity.unique_id is None:
            self.problems.add(f"{entity!r}: needs has_entity_name and unique_id")
        if (key := entity.translation_key) is None:
            return
        place = f"entity.{platform}.{key}"
        self.check(f"{place}.name", entity.translation_placeholders)
        # A select offers names of brands, which are the same in every language.
        options = getattr(entity, "options", None) if platform == "sensor" else None
        for option in options or ():
            self.check(f"{place}.state.{option}")
        for event_type in getattr(entity, "event_types", None) or ():
            self.check(f"{place}.state_attributes.event_type.state.{event_type}")


def _section(
    manager: FlowManager[Any, Any, Any], flow: FlowHandler[Any, Any, Any]
) -> str:
    """Return where strings.json has the texts of a flow."""
    if isinstance(manager, OptionsFlowManager):
        return "options"
    if isinstance(manager, RepairsFlowManager):
        issue_id = flow.issue_id
        issue = ir.async_get(manager.hass).async_get_issue(DOMAIN, issue_id)
        return f"issues.{issue and issue.translation_key}.fix_flow"
    return "config"


@contextmanager
def watched_translations() -> Generator[TranslationCheck]:
    """Check every text until the context ends; the problems are in what it returns.

    Problems are collected instead of raised, as the integration catches exceptions.
    """
    check = TranslationCheck(load_strings())
    handle_step = FlowManager._async_handle_step
    get_or_create = IssueRegistry.async_get_or_create
    init = HomeAssistantError.__init__
    add_to_platform = Entity.add_to_platform_start

    async def checked_step(
        self: FlowManager[Any, Any, Any],
        flow: FlowHandler[Any, Any, Any],
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        result = await handle_step(self, flow, *args, **kwargs)
        if type(flow).__module__.startswith(INTEGRATION):
            check.check_flow_result(_section(self, flow), result, flow.context)
        return result

    def checked_issue(
        self: IssueRegistry, domain: str, issue_id: str, **kwargs: Any
    ) -> Any:
        if domain == DOMAIN:
            check.check_issue(
                kwargs["translation_key"],
                kwargs.get("translation_placeholders"),
                is_fixable=kwargs["is_fixable"],
            )
        return get_or_create(self, domain, issue_id, **kwargs)

    def checked_init(self: HomeAssistantError, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        frame = sys._getframe(1)
        while frame.f_code.co_name == "__init__" and frame.f_back is not None:
            frame = frame.f_back
        check.check_exception(self, frame.f_globals["__name__"])

    def checked_add(
        self: Entity, hass: HomeAssistant, platform: EntityPlatform, *args: Any
    ) -> None:
        add_to_platform(self, hass, platform, *args)
        if platform.platform_name == DOMAIN:
            check.check_entity(platform.domain, self)

    with (
        patch.object(FlowManager, "_async_handle_step", checked_step),
        patch.object(IssueRegistry, "async_get_or_create", checked_issue),
        patch.object(HomeAssistantError, "__init__", checked_init),
        patch.object(Entity, "add_to_platform_start", checked_add),
    ):
        yield check
