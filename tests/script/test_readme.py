"""The pages for owners name what is on the screen, in the words of the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import re
from typing import Any, Final

import pytest

from script.validate.common import INTEGRATION, load_json

from custom_components.voltgo_vlrv.vlrv.identity import MODELS

PAGES: Final = (Path("README.md"), *sorted(Path("docs").glob("*.md")))
# The pages describe these in groups: each protection, cell, sensor and threshold.
GROUPED: Final = re.compile(
    r".*\{|.* protection$|Limit: |(Highest|Lowest) (cell voltage|temperature)$"
    r"|Lowest state of health$"
)


def shown_names(section: str) -> Iterator[str]:
    """Yield the names in a section of strings.json that the pages have to have."""
    texts: dict[str, Any] = load_json(INTEGRATION / "strings.json")[section]
    match section:
        case "entity":
            for platform in texts.values():
                for entity in platform.values():
                    if not GROUPED.match(entity["name"]):
                        yield entity["name"]
        case "config" | "options":
            for name, step in texts["step"].items():
                if not name.startswith("firmware"):
                    yield from step.get("data", {}).values()
        case _:
            yield from (item["name"] for item in texts.values())


@pytest.mark.parametrize(
    "section", ["services", "triggers", "conditions", "entity", "config", "options"]
)
def test_pages_name_everything_that_is_shown(section: str) -> None:
    """A search for a word on the screen finds it."""
    pages = "".join(page.read_text() for page in PAGES)
    assert {name for name in shown_names(section) if name not in pages} == set()


def test_readme_names_every_model() -> None:
    """The name on the label tells whether the battery is supported."""
    readme = Path("README.md").read_text()
    assert {model.name for model in MODELS if model.name not in readme} == set()


def test_readme_is_as_short_as_that_of_other_integrations() -> None:
    """What a user needs at first; the rest is on pages by topic."""
    readme = Path("README.md").read_text()
    assert readme.count("\n") <= 150
    assert len(readme.encode()) <= 9 * 1024
