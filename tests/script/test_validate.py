"""Checks of script/validate, each tried on a repository that breaks its rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
import shutil
import subprocess
from typing import Final

import pytest

from script.validate import (
    automation_files,
    common,
    files,
    layers,
    sizes,
    translations,
    versions,
)

ROOT: Final = Path(__file__).parents[2]
INTEGRATION: Final = common.INTEGRATION
CACHED: Final = (
    *(common.text_files, common.syntax_nodes, common.load_json, layers._modules),
)


def spoil(name: str, old: str, new: str) -> Callable[[], None]:
    """Return a function that replaces a text, which has to be there, in a file."""

    def replace() -> None:
        path = INTEGRATION / name if (INTEGRATION / name).exists() else Path(name)
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return replace


def append(name: str, line: str) -> Callable[[], None]:
    """Return a function that adds a line to a file."""

    def add() -> None:
        path = INTEGRATION / name if (INTEGRATION / name).exists() else Path(name)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    return add


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the repository's files."""
    folder = tmp_path_factory.mktemp("repository")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


@pytest.fixture
def repository(
    original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Make a copy the folder that the checks read."""
    shutil.copytree(original, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    forget()
    yield
    forget()


def forget() -> None:
    """Let the checks read the files again."""
    for cached in CACHED:
        cached.cache_clear()


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("check", "change", "problem"),
    [
        (
            layers.check_imports,
            append("vlrv/frames.py", "from homeassistant import core"),
            "must not import homeassistant.core",
        ),
        (
            layers.check_imports,
            append(
                "history/store.py", "if TYPE_CHECKING:\n    from .. import coordinator"
            ),
            "must not import .coordinator",
        ),
        (
            layers.check_cycles,
            append("const.py", "def late():\n    from .localization import STATE_MAX"),
            "cycle: ",
        ),
        (
            sizes.check_sizes,
            append("const.py", "class A:\n" + "    B = 1\n" * 301),
            "A lines: 302, limit 300",
        ),
        (
            translations.check_languages,
            spoil("translations/de.json", "{name}", "{Name}"),
            "other placeholders",
        ),
        (
            translations.check_unused,
            spoil("strings.json", '"already_configured"', '"added_twice"'),
            "nothing uses 'added_twice'",
        ),
        (
            automation_files.check_automations,
            spoil("services.yaml", "  target:\n", "  target:\n    device: {}\n"),
            "target.device",
        ),
        (
            automation_files.check_automations,
            append("triggers.yaml", "exploded:"),
            "exploded: not in",
        ),
        (
            automation_files.check_icons,
            spoil("icons.json", '"refresh"', '"refreshed"'),
            "no such entity",
        ),
        (
            versions.check_manifest,
            spoil("manifest.json", '"local_name": "', '"local_name": "*'),
            "three characters",
        ),
        (
            versions.check_dependencies,
            append("const.py", "from homeassistant.components import zha"),
            "zha is no dependency",
        ),
        (
            versions.check_versions,
            spoil("hacs.json", '"homeassistant": "20', '"homeassistant": "19'),
            "pins another version",
        ),
        (files.check_text, append("const.py", "# a\u00a0blank "), "blanks at the end"),
        (files.check_text, spoil("hacs.json", "{", '{"name": 1,'), "occurs twice"),
        (files.check_contents, append("docs/new.md", "anew"), "docs/new.md:1"),
        (files.check_contents, append("docs/new.md", "Click it"), "docs/new.md:1"),
        (files.check_links, append("README.md", "[a](docs/no.md)"), "does not exist"),
        (files.check_links, append("README.md", "[a](#no)"), "no such heading"),
    ],
)
def test_check_repository_that_breaks_its_rule_fails(
    check: Callable[[], Iterator[str]], change: Callable[[], None], problem: str
) -> None:
    """The change alone is reported: `script/lint` tells whether there is more."""
    before = set(check())
    change()
    forget()
    try:
        found = set(check()) - before
    except ValueError as err:
        found = {str(err)}
    assert [one for one in found if problem in one]


@pytest.mark.usefixtures("repository")
def test_known_exception_that_is_not_needed_is_reported() -> None:
    """A list of exceptions only gets shorter."""
    found = common.unless_known({"a": "is wrong", "b": "is wrong too"}, ["b", "c"])
    assert [*found] == [
        "is wrong",
        "c: no longer an exception, remove it from script/validate",
    ]
