"""What no general tool checks: texts, icons, manifest, versions, imports, file hygiene.

Run by `script/lint`, from the root of the repository. Prints one line for each check,
and below a failed one what is wrong and where. A check is a function that yields what
is wrong; `CHECKS` lists them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
import functools
import importlib
import json
from pathlib import Path
import re
import subprocess
import sys
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from homeassistant.const import Platform, __version__ as HA_VERSION

DOMAIN: Final = "voltgo_vlrv"
INTEGRATION: Final = Path("custom_components") / DOMAIN
STRINGS: Final = INTEGRATION / "strings.json"

type Json = Any
type Problems = Iterator[str]


# --- files ----------------------------------------------------------------------------


@functools.cache
def _files() -> tuple[Path, ...]:
    """Return what belongs to the repository: tracked, or new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return tuple(path for name in sorted(set(listed)) if (path := Path(name)).is_file())


@functools.cache
def _texts() -> Mapping[Path, str]:
    """Return the files that are not binary; decoding errors show as U+FFFD."""
    contents = {path: path.read_bytes() for path in _files()}
    return {
        path: content.decode(errors="replace")
        for path, content in contents.items()
        if b"\0" not in content
    }


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"twice: {sorted({k for k in keys if keys.count(k) > 1})}")
    return result


@functools.cache
def _json(path: Path) -> Json:
    return json.loads(path.read_text(), object_pairs_hook=_unique)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def check_json() -> Problems:
    """Every JSON file can be read and names no key twice."""
    for path in _files():
        if path.suffix == ".json":
            try:
                _json(path)
            except ValueError as err:
                yield f"{path}: {err}"


# --- translations ---------------------------------------------------------------------

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


def _flat(texts: Json, prefix: str = "") -> Iterator[tuple[str, Json]]:
    """Yield every text with its dotted key."""
    if isinstance(texts, dict):
        for key, value in texts.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, texts


def check_translations() -> Problems:
    """en.json says what strings.json says; other languages say all of it."""
    source = dict(_flat(_json(STRINGS)))
    for key, text in source.items():
        if not isinstance(text, str) or not text or text != text.strip():
            yield f"{STRINGS}: {key}: not a text, empty or with blanks around it"
        elif "[%key:" in text or "://" in text:
            yield f"{STRINGS}: {key}: a reference or an address, which is not resolved"
    languages = sorted((INTEGRATION / "translations").glob("*.json"))
    if INTEGRATION / "translations" / "en.json" not in languages:
        yield f"{INTEGRATION}/translations/en.json: missing"
    for path in languages:
        language = dict(_flat(_json(path)))
        for key in source.keys() - language.keys():
            yield f"{path}: {key}: missing"
        for key in language.keys() - source.keys():
            yield f"{path}: {key}: not in strings.json"
        for key in source.keys() & language.keys():
            ours, theirs = source[key], language[key]
            if path.stem == "en" and ours != theirs:
                yield f"{path}: {key}: differs from strings.json"
            elif sorted(set(_PLACEHOLDER.findall(str(ours)))) != sorted(
                set(_PLACEHOLDER.findall(str(theirs)))
            ):
                yield f"{path}: {key}: other placeholders than strings.json"


# --- actions, triggers, conditions, icons ---------------------------------------------

# What automations are made of: the word for one, its section in strings.json and
# icons.json (and the name of its file), the key of its icon, and where the code has it.
_AUTOMATION: Final = (
    ("action", "services", "service", None),
    ("trigger", "triggers", "trigger", ("trigger", "TRIGGERS")),
    ("condition", "conditions", "condition", ("condition", "CONDITIONS")),
)


def _declared(section: str) -> dict[str, Json]:
    """Return what a YAML file declares, without the parts that it shares."""
    path = INTEGRATION / f"{section}.yaml"
    declared = yaml.safe_load(path.read_text()) if path.is_file() else {}
    return {
        name: description or {}
        for name, description in declared.items()
        if not name.startswith(".")
    }


def _children(texts: Json, *path: str) -> dict[str, Json]:
    for key in path:
        texts = texts.get(key, {})
    return texts if isinstance(texts, dict) else {}


def check_automation() -> Problems:
    """Actions, triggers, conditions: YAML, strings.json, icons.json and code agree."""
    icons = _json(INTEGRATION / "icons.json")
    for kind, section, _, code in _AUTOMATION:
        path = INTEGRATION / f"{section}.yaml"
        declared = _declared(section)
        texts = _json(STRINGS).get(section, {})
        for name in sorted(declared.keys() ^ texts.keys()):
            yield f"{path if name in declared else STRINGS}: only here: {kind} {name}"
        for name in sorted(declared.keys() - icons.get(section, {}).keys()):
            yield f"{INTEGRATION}/icons.json: {section}.{name}: missing"
        for name in sorted(declared.keys() & texts.keys()):
            fields = _children(declared[name], "fields").keys()
            described = _children(texts[name], "fields")
            for extra in sorted(fields ^ described.keys()):
                yield f"{path}: {name}: field {extra} is not in both files"
            place = f"{STRINGS}: {section}.{name}"
            for missing in sorted({"name", "description"} - texts[name].keys()):
                yield f"{place}.{missing} is missing"
            for extra in sorted(texts[name].keys() - {"name", "description", "fields"}):
                yield f"{place}.{extra} is not used"
            for key, one in described.items():
                if "name" not in one:
                    yield f"{place}.fields.{key}.name is missing"
                for extra in sorted(one.keys() - {"name", "description"}):
                    yield f"{place}.fields.{key}.{extra} is not used"
        if code is not None:
            module, table = code
            name = ".".join((*INTEGRATION.parts, module))
            offered = getattr(importlib.import_module(name), table)
            for name in sorted(declared.keys() ^ offered.keys()):
                yield f"{path}: {kind} {name} is not in both, this and {module}.py"


def _check_icon(place: str, icon: Json) -> Problems:
    for text in dict(_flat(icon)).values():
        if not re.fullmatch(r"mdi:[a-z0-9-]+", str(text)):
            yield f"{place}: '{text}' is no icon"


def check_icons() -> Problems:
    """Every icon belongs to an entity, a state, an action, ... that there is."""
    path = INTEGRATION / "icons.json"
    texts = _json(STRINGS)
    keys = {section: key for _, section, key, _ in _AUTOMATION}
    for section, icons in _json(path).items():
        if section in keys:
            for name, icon in icons.items():
                place = f"{path}: {section}.{name}"
                if name not in texts.get(section, {}):
                    yield f"{place}: there is no such thing"
                if icon.keys() != {keys[section]}:
                    yield f"{place}: not just '{keys[section]}'"
                yield from _check_icon(place, icon)
        elif section != "entity":
            yield f"{path}: {section}: not known to script/check_texts.py"
        else:
            for platform, entities in icons.items():
                known = texts.get("entity", {}).get(platform, {})
                for key, icon in entities.items():
                    place = f"{path}: entity.{platform}.{key}"
                    if key not in known:
                        yield f"{place}: no such entity"
                        continue
                    states = known[key].get("state")
                    for state in icon.get("state", {}):
                        if states is not None and state not in states:
                            yield f"{place}.state.{state}: no such state"
                    yield from _check_icon(place, icon)


# --- manifest, versions, quality scale ----------------------------------------------------

_JBD_SERVICE: Final = "0000ff00-0000-1000-8000-00805f9b34fb"
_NAME_PREFIX: Final = 3


def check_manifest() -> Problems:
    """manifest.json is in order, needs nothing, and claims no foreign batteries."""
    path = INTEGRATION / "manifest.json"
    manifest = _json(path)
    keys = list(manifest)
    if keys != ["domain", "name", *sorted(set(keys) - {"domain", "name"})]:
        yield f"{path}: order of keys: domain, name, then by the alphabet"
    if manifest.get("domain") != DOMAIN:
        yield f"{path}: domain is not {DOMAIN}"
    if manifest.get("requirements") != []:
        yield f"{path}: requirements must stay empty"
    if not re.fullmatch(r"\d+\.\d+\.\d+", manifest.get("version", "")):
        yield f"{path}: version is not like 1.2.3"
    for matcher in manifest.get("bluetooth", []):
        told = matcher.keys() - {"connectable"}
        if matcher.get("connectable") is not True:
            yield f"{path}: {matcher}: not limited to what can be connected"
        if told == {"service_uuid"} and matcher["service_uuid"].lower() == _JBD_SERVICE:
            yield f"{path}: {matcher}: other brands advertise this service too"
        prefix = re.split(r"[*?\[]", matcher.get("local_name", "-" * _NAME_PREFIX))[0]
        if len(prefix) < _NAME_PREFIX:
            yield f"{path}: {matcher}: fewer than {_NAME_PREFIX} characters to match"


_SIMULATOR: Final = Path("simulator", "e2e", "custom_components", "voltgo_simulator")
# Components that Home Assistant's validator lets every integration import: base classes
# of entities, and parts of every installation that has a user interface.
_BASE_COMPONENTS: Final = frozenset({*Platform, "frontend", "websocket_api"})


def _components(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every component of Home Assistant that a file imports when it runs."""
    typing_only = {
        id(inner)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(_tree(path)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        if names and id(node) not in typing_only:
            for name in names:
                if name.startswith("homeassistant.components."):
                    yield node.lineno, name.split(".")[2]


def check_dependencies() -> Problems:
    """Every component that is imported is a dependency, or one of the base components.

    As Home Assistant's validator has it: an integration may also import the component
    that it has a platform for, and `bluetooth` where it depends on `bluetooth_adapters`.
    """
    for folder in (INTEGRATION, _SIMULATOR):
        manifest = _json(folder / "manifest.json")
        named = {
            *manifest.get("dependencies", []),
            *manifest.get("after_dependencies", []),
        }
        if "bluetooth_adapters" in named:
            named.add("bluetooth")
        for path in sorted(folder.rglob("*.py")):
            for line, component in _components(path):
                if (
                    component not in _BASE_COMPONENTS | named
                    and not (folder / f"{component}.py").is_file()
                ):
                    yield f"{path}:{line}: {component} is no dependency of the manifest"


def check_targets() -> Problems:
    """No target has a filter for devices, which Home Assistant withdrew in 2025.11."""
    for folder in (INTEGRATION, _SIMULATOR):
        for section in ("services", "triggers", "conditions"):
            path = folder / f"{section}.yaml"
            if not path.is_file():
                continue
            for name, declared in yaml.safe_load(path.read_text()).items():
                if "device" in ((declared or {}).get("target") or {}):
                    yield f"{path}: {name}: target.device is refused, filter entities"


def check_flows() -> Problems:
    """Each flow that has texts has `step`, also one that never shows a form."""
    for folder in (INTEGRATION, _SIMULATOR):
        for path in sorted((folder / "translations").glob("*.json")):
            for section in ("config", "options"):
                if "step" not in _json(path).get(section, {"step": {}}):
                    yield f"{path}: {section}.step is missing"


def _pin(path: Path) -> str | None:
    found = re.search(r"^homeassistant==(\S+)$", path.read_text(), re.MULTILINE)
    return found[1] if found else None


def check_versions() -> Problems:
    """hacs.json promises the version that is tested, the newest one is installed."""
    promised = _json(Path("hacs.json")).get("homeassistant")
    minimum = Path("requirements_test_minimum.txt")
    newest = Path("requirements_test.txt")
    if _pin(minimum) != promised:
        yield f"hacs.json: {promised}, but {minimum} pins {_pin(minimum)}"
    if _pin(newest) != HA_VERSION:
        yield f"{newest}: pins {_pin(newest)}, but {HA_VERSION} is installed"
    pins = [_pin(minimum), _pin(newest)]
    if (
        None not in pins
        and sorted(
            pins, key=lambda pin: [int(part) for part in str(pin).split(".")[:2]]
        )
        != pins
    ):
        yield f"{minimum}: newer than {newest}"


_TIERS: Final = ("bronze", "silver", "gold", "platinum")


def _rules(path: Path) -> dict[str, str]:
    """Return the rules of a quality scale, each with the tier it stands under."""
    tier = _TIERS[0]
    rules = {}
    for line in path.read_text().splitlines():
        if (heading := line.strip().lstrip("# ").lower()) in _TIERS:
            tier = heading
        elif rule := re.match(r"  ([a-z-]+):", line):
            rules[rule[1]] = tier
    return rules


def check_quality_scale() -> Problems:
    """quality_scale.yaml has every rule, and those of the declared tier are kept."""
    path = INTEGRATION / "quality_scale.yaml"
    declared = _json(INTEGRATION / "manifest.json").get("quality_scale")
    components = Path(importlib.import_module("homeassistant.components").__path__[0])
    # A platinum integration of Home Assistant's own has all rules under their tiers.
    if (reference := _rules(components / "iron_os" / "quality_scale.yaml")) != _rules(
        path
    ):
        for rule in sorted(reference.items() ^ _rules(path).items()):
            yield f"{path}: {rule[0]}: missing, unknown or under another tier"
    kept = _TIERS[: _TIERS.index(declared) + 1] if declared in _TIERS else ()
    for rule, value in yaml.safe_load(path.read_text())["rules"].items():
        status = value if isinstance(value, str) else value.get("status")
        comment = None if isinstance(value, str) else value.get("comment")
        if status not in ("done", "todo", "exempt"):
            yield f"{path}: {rule}: '{status}' is no status"
        if status == "exempt" and not comment:
            yield f"{path}: {rule}: exempt without a reason"
        if status == "todo" and reference.get(rule) in kept:
            yield f"{path}: {rule}: todo, but the manifest says {declared}"


# --- files ------------------------------------------------------------------------------

# Beside ASCII: what units and ranges are written with.
_BESIDE_ASCII: Final = frozenset("°·–µ×±½Ω√≤≥→…")


def check_text_files() -> Problems:
    """Text files are UTF-8 with plain punctuation, LF, and no blanks at line ends."""
    for path, text in _texts().items():
        if path.suffix == ".svg" or not text:
            continue
        if not text.endswith("\n") or text.endswith("\n\n"):
            yield f"{path}: does not end with exactly one newline"
        translated = path.parent.name == "translations" and path.stem != "en"
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                yield f"{path}:{number}: blank or carriage return at the end"
            if not line.isascii():
                strange = {
                    letter
                    for letter in line
                    if not letter.isascii()
                    and letter not in _BESIDE_ASCII
                    # Letters of a translation, names in a text; no look-alikes of signs.
                    and not (letter.isalpha() or (translated and letter.isprintable()))
                }
                if strange or "\ufffd" in line:
                    names = ", ".join(
                        f"U+{ord(letter):04X}" for letter in sorted(strange)
                    )
                    yield f"{path}:{number}: not allowed: {names or 'not UTF-8'}"


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield every imported module with its line, relative ones made absolute."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = path.parent.parts[: len(path.parent.parts) - node.level + 1]
            prefix = ".".join(base) + "." if node.level else ""
            yield node.lineno, prefix + (node.module or "")


_BORDERS: Final = (
    # These files ... import nothing that begins so, except.
    (INTEGRATION / "vlrv", ("homeassistant", "simulator", "tests"), ()),
    (
        INTEGRATION / "vlrv",
        (f"custom_components.{DOMAIN}",),
        (f"custom_components.{DOMAIN}.vlrv",),
    ),
    *(
        (INTEGRATION / "bank" / f"{name}.py", ("homeassistant",), ())
        for name in ("arithmetic", "averages", "module_ids")
    ),
    (Path("simulator"), ("custom_components", "tests"), ()),
    (INTEGRATION, ("simulator", "tests", "script"), ()),
)


def _begins(name: str, prefixes: Sequence[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def check_imports() -> Problems:
    """vlrv/ knows no Home Assistant, simulator/ no integration, and so on."""
    for folder, forbidden, allowed in _BORDERS:
        for path in _files():
            if path.suffix == ".py" and path.is_relative_to(folder):
                for line, name in _imports(path):
                    if _begins(name, forbidden) and not _begins(name, allowed):
                        yield f"{path}:{line}: must not import {name}"


_INDEX: Final = re.compile(
    r"""
    https?://[^\s"'<>()]*(?:pypi|pythonhosted|npmjs|registry|artifactory|nexus|mirror
        |/simple\b|proxy\.golang|/debian\b|/ubuntu\b)
    | --(?:extra-)?index-url | ^deb(?:-src)?\s+https?:
    # A variable may be passed on, but not be given a name of our own.
    | \b(?:PIP|UV)_\w*INDEX\w*\s*[:=]\s*["']?[^\s"'$}{-]
    """,
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
_MACHINE_PATH: Final = re.compile(
    r"(?<![\w.$}/*-])/(?:work|root|home/(?!assistant)\w+|Users/\w+)(?:/|\b)"
)


def check_addresses() -> Problems:
    """No file names a package index, or a path of one particular machine."""
    for path, text in _texts().items():
        for what, pattern in (("package index", _INDEX), ("path", _MACHINE_PATH)):
            for found in pattern.finditer(text):
                line = text.count("\n", 0, found.start()) + 1
                yield f"{path}:{line}: {what}: {found[0]}"


def _is_shell(path: Path, text: str) -> bool:
    return path.suffix == ".sh" or bool(re.match(r"#!.*\b(?:ba)?sh\b", text))


def check_shell() -> Problems:
    """Shell scripts can be parsed, and scripts can be executed."""
    for path, text in _texts().items():
        if _is_shell(path, text):
            parsed = subprocess.run(
                ["bash", "-n", str(path)], check=False, capture_output=True, text=True
            )
            yield from parsed.stderr.splitlines()
        if text.startswith("#!") and not path.stat().st_mode & 0o100:
            yield f"{path}: begins with #! but is not executable"


CHECKS: Final[Mapping[str, Callable[[], Problems]]] = {
    "json": check_json,
    "translations": check_translations,
    "automation": check_automation,
    "icons": check_icons,
    "manifest": check_manifest,
    "dependencies": check_dependencies,
    "targets": check_targets,
    "flows": check_flows,
    "versions": check_versions,
    "quality scale": check_quality_scale,
    "text files": check_text_files,
    "imports": check_imports,
    "addresses": check_addresses,
    "shell": check_shell,
}


def main() -> int:
    """Run every check, also after one has failed."""
    # The integration and the simulator are imported from here.
    sys.path.insert(0, str(Path.cwd()))
    failed = 0
    for name, check in CHECKS.items():
        try:
            problems = list(check())
        except (OSError, ValueError, SyntaxError, KeyError) as err:
            problems = [f"{type(err).__name__}: {err}"]
        what = (check.__doc__ or "").partition("\n")[0]
        print(f"{'FAILED' if problems else 'ok':<7}{name}: {what}")
        for problem in problems:
            print(f"         {problem}")
        failed += bool(problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
