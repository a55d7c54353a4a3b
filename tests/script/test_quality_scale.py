"""What quality_scale.yaml claims is there: every rule, and every reason for an exemption.

A proof looks at the files of a repository and yields what is missing. Where only a
running Home Assistant can tell, the proof is that the tests which try it exist. Each
proof is tried on a copy of the repository, too, from which the thing was taken away.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
import json
from pathlib import Path
import re
import shutil
import struct
import sys
import tomllib
from typing import Any, Final

import pytest
import yaml

import homeassistant
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component

from tests.bluetooth_env import BluetoothEnvironment

DOMAIN: Final = "voltgo_vlrv"
ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = Path("custom_components", DOMAIN)

# Where README.md has what a rule asks for: a heading, and what its section must say.
SECTIONS: Final = {
    "docs-high-level-description": ("^Voltgo VLRV for Home Assistant", "LiFePO4"),
    "docs-installation-instructions": ("^Installation", "HACS"),
    "docs-removal-instructions": ("removal$", "Delete"),
    "docs-actions": ("^Actions$", "voltgo_vlrv.release_link"),
    "docs-triggers": ("^Triggers", "."),
    "docs-conditions": ("^Conditions", "."),
    "docs-installation-parameters": ("^Adding a battery", r"\*\*Battery\*\*"),
    "docs-configuration-parameters": (
        "configuration parameters$",
        "5 seconds to 1 hour",
    ),
    "docs-data-update": ("data update$", "every 10 seconds"),
    "docs-examples": ("^Example", r"Add trigger"),
    "docs-known-limitations": ("^Known limitations$", "."),
    "docs-supported-devices": ("supported devices$", "VLRV1280A"),
    "docs-supported-functions": ("supported functions$", "."),
    "docs-troubleshooting": ("troubleshooting$", "phone app"),
    "docs-use-cases": ("use cases$", "."),
}


# --- a repository ---------------------------------------------------------------------


class Repository:
    """The files of one, read when they are asked for."""

    def __init__(self, root: Path) -> None:
        """Take the folder."""
        self.root = root
        self.folder = root / FOLDER

    def text(self, name: str) -> str:
        """Return a file of the integration; nothing where there is none."""
        return self._read(self.folder / name)

    def other(self, name: str) -> str:
        """Return a file beside it."""
        return self._read(self.root / name)

    @staticmethod
    def _read(path: Path) -> str:
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def json(self, name: str) -> Any:
        """Return a JSON file of the integration."""
        return json.loads(self.text(name) or "{}")

    @cached_property
    def strings(self) -> Any:
        """Return the texts."""
        return self.json("strings.json")

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """Return every source file of the integration, by its name."""
        return {
            path.relative_to(self.folder).as_posix(): ast.parse(path.read_text())
            for path in sorted(self.folder.rglob("*.py"))
        }

    def tree(self, name: str) -> ast.AST:
        """Return one of them; an empty one where there is none."""
        return self.trees.get(name, ast.Module([], []))

    def functions(self, name: str) -> set[str]:
        """Return the names of all functions and methods in a file."""
        return {
            node.name
            for node in ast.walk(self.tree(name))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }

    def classes(self) -> Iterator[tuple[str, ast.ClassDef, set[str]]]:
        """Yield every class with its file and the names of what it derives from."""
        for name, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    yield name, node, {last_name(base) for base in node.bases}

    def calls(self) -> Iterator[tuple[str, ast.Call, str]]:
        """Yield every call with its place and the name of what is called."""
        for name, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.Call):
                    yield f"{name}:{node.lineno}", node, last_name(node.func)

    def imports(self) -> Iterator[tuple[str, str]]:
        """Yield what each file imports from outside of the integration."""
        for name, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.Import):
                    yield from ((name, alias.name) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    yield name, node.module or ""

    @cached_property
    def platforms(self) -> set[str]:
        """Return the entity platforms that are set up."""
        return {
            p.lower() for p in re.findall(r"Platform\.(\w+)", self.text("__init__.py"))
        }

    @cached_property
    def tests(self) -> str:
        """Return all tests but these."""
        return "".join(
            path.read_text()
            for path in sorted((self.root / "tests").rglob("test_*.py"))
            if path.name != Path(__file__).name
        )


def last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name, without what is in brackets."""
    return ast.unparse(node).partition("[")[0].rpartition(".")[2]


def keywords(call: ast.Call) -> dict[str, str]:
    """Return the keyword arguments of a call as they are written."""
    return {word.arg: ast.unparse(word.value) for word in call.keywords if word.arg}


# --- proofs ---------------------------------------------------------------------------

type Proof = Callable[[Repository], Iterable[str]]
type Break = Callable[[Path], object]

DONE: Final[dict[str, Proof]] = {}
EXEMPT: Final[dict[str, Proof]] = {}
BREAKS: Final[dict[str, Break]] = {}


def without(name: str, pattern: str, by: str = "") -> Break:
    """Take something out of a file, or put something else in its place."""

    def do(root: Path) -> None:
        text = (root / name).read_text()
        changed = re.sub(pattern, by, text, flags=re.MULTILINE)
        assert changed != text, f"{pattern} is not in {name}"
        (root / name).write_text(changed)

    return do


def deleted(name: str) -> Break:
    """Delete a file."""
    return lambda root: (root / name).unlink()


def proves(
    rule: str, broken: Break, *, exempt: bool = False
) -> Callable[[Proof], Proof]:
    """Register a proof, and how to make it fail."""

    def register(proof: Proof) -> Proof:
        (EXEMPT if exempt else DONE)[rule] = proof
        BREAKS[rule] = broken
        return proof

    return register


def tried_by(
    rule: str, *names: str, exempt: bool = False, also: Proof | None = None
) -> None:
    """Register tests that try a rule on a running Home Assistant."""

    def proof(repository: Repository) -> Iterator[str]:
        for name in names:
            if not re.search(rf"^async def {name}\(", repository.tests, re.MULTILINE):
                yield f"there is no test {name}"
        if also is not None:
            yield from also(repository)

    def broken(root: Path) -> None:
        for path in (root / "tests").rglob("test_*.py"):
            path.write_text(path.read_text().replace(f"def {names[0]}(", "def gone("))

    proves(rule, broken, exempt=exempt)(proof)


INIT: Final = str(FOLDER / "__init__.py")
MANIFEST: Final = str(FOLDER / "manifest.json")
STRINGS: Final = str(FOLDER / "strings.json")
ENTITY: Final = str(FOLDER / "entity.py")

# - bronze -


@proves("action-setup", without(INIT, r"^    async_setup_actions\(hass\)$"))
def _(repository: Repository) -> Iterator[str]:
    setup = [
        ast.unparse(node)
        for node in ast.walk(repository.tree("__init__.py"))
        if isinstance(node, ast.AsyncFunctionDef) and node.name == "async_setup"
    ]
    if not setup or "async_setup_actions(" not in setup[0]:
        yield "async_setup registers no actions"
    if not yaml.safe_load(repository.text("services.yaml")):
        yield "services.yaml has none"


@proves(
    "appropriate-polling",
    without(
        str(FOLDER / "const.py"), r"POLL_INTERVAL: Final = .*", "POLL_INTERVAL = 1"
    ),
)
def _(repository: Repository) -> Iterator[str]:
    found = re.search(
        r"^POLL_INTERVAL.*seconds=(\d+)", repository.text("const.py"), re.MULTILINE
    )
    if found is None or int(found[1]) < 5:
        yield "a battery is asked more often than every 5 seconds, or nobody knows how often"
    if repository.json("manifest.json").get("iot_class") != "local_polling":
        yield "the manifest does not say that it polls"


@proves("brands", deleted(str(FOLDER / "brand" / "icon@2x.png")))
def _(repository: Repository) -> Iterator[str]:
    for name, high in (("icon", 256), ("logo", 256)):
        for variant, factor in (("", 1), ("@2x", 2)):
            path = repository.folder / "brand" / f"{name}{variant}.png"
            header = path.read_bytes()[:24] if path.is_file() else b""
            if header[:8] != b"\x89PNG\r\n\x1a\n":
                yield f"{path.name} is no picture"
                continue
            width, height = struct.unpack(">II", header[16:])
            if height != high * factor or (name == "icon" and width != height):
                yield f"{path.name} is {width} x {height}"


@proves("common-modules", deleted(ENTITY))
def _(repository: Repository) -> Iterator[str]:
    for name, base in (
        ("coordinator.py", "DataUpdateCoordinator"),
        ("entity.py", "CoordinatorEntity"),
    ):
        if not any(
            file == name and base in bases for file, _, bases in repository.classes()
        ):
            yield f"{name} has no {base}"


@proves(
    "config-flow-test-coverage",
    without("tests/flows/test_config_flow.py", '"busy"', '"other"'),
)
def _(repository: Repository) -> Iterator[str]:
    tests = repository.other("tests/flows/test_config_flow.py") + repository.other(
        "tests/bank/test_flow.py"
    )
    for kind in ("abort", "error"):
        # A device that refuses to be read is shown as what it is: no such battery.
        for key in sorted(repository.strings["config"][kind].keys() - {"refused"}):
            if f'"{key}"' not in tests:
                yield f"no test of the flow expects the {kind} {key}"


@proves("config-flow", without(MANIFEST, '"config_flow": true,'))
def _(repository: Repository) -> Iterator[str]:
    if repository.json("manifest.json").get("config_flow") is not True:
        yield "the manifest has no config flow"
    if "async_step_user" not in repository.functions("config_flow.py"):
        yield "nothing can be added by hand"
    for flow in ("config", "options"):
        for name, step in repository.strings[flow]["step"].items():
            if step.get("data") and not step.get("data_description"):
                yield f"{flow}.step.{name} does not explain its fields"


@proves(
    "dependency-transparency",
    without(INIT, "^from typing import", "import requests\n\\g<0>"),
)
def _(repository: Repository) -> Iterator[str]:
    if repository.json("manifest.json")["requirements"]:
        yield "the manifest asks for packages"
    # What Home Assistant itself and its Bluetooth integration bring along.
    components = Path(homeassistant.__file__).parent / "components"
    bluetooth = json.loads((components / "bluetooth" / "manifest.json").read_text())
    shipped = {
        line.partition("==")[0].replace("-", "_") for line in bluetooth["requirements"]
    }
    shipped |= {"homeassistant", "voluptuous", *sys.stdlib_module_names}
    for name, module in repository.imports():
        if module.partition(".")[0] not in shipped:
            yield f"{name} imports {module}"


def _sections(readme: str) -> list[tuple[str, str]]:
    """Return heading and text of each section, the sections within it included."""
    found = list(re.finditer(r"^(#+) (.+)$", readme, re.MULTILINE))
    result = []
    for number, heading in enumerate(found):
        end = next(
            (
                later.start()
                for later in found[number + 1 :]
                if len(later[1]) <= len(heading[1])
            ),
            len(readme),
        )
        result.append((heading[2], readme[heading.end() : end]))
    return result


def _described(rule: str) -> Proof:
    def proof(repository: Repository) -> Iterator[str]:
        heading, words = SECTIONS[rule]
        sections = _sections(repository.other("README.md"))
        texts = [text for title, text in sections if re.search(heading, title)]
        if not texts:
            yield f"README.md has no heading like '{heading}'"
        elif not any(re.search(words, text, re.DOTALL) for text in texts):
            yield f"README.md says nothing like '{words}' under '{heading}'"
        for name in NAMES.get(rule, lambda _: ())(repository):
            if name not in repository.other("README.md"):
                yield f"README.md does not name '{name}'"

    return proof


def _labels(flow: str, *steps: str) -> Callable[[Repository], Iterator[str]]:
    def names(repository: Repository) -> Iterator[str]:
        for name in steps or repository.strings[flow]["step"]:
            yield from repository.strings[flow]["step"][name].get("data", {}).values()

    return names


def _named(section: str) -> Callable[[Repository], Iterator[str]]:
    def names(repository: Repository) -> Iterator[str]:
        yield from (item["name"] for item in repository.strings[section].values())

    return names


# One for each row of the manual's fault table, cell, probe and limit, and in pairs.
_TOGETHER: Final = re.compile(
    r".*\{|(?!Any).* protection$|Limit: |(Highest|Lowest) (cell voltage|temperature)$"
    r"|Lowest state of health$"
)


def _entities(repository: Repository) -> Iterator[str]:
    for platform in repository.strings["entity"].values():
        for entity in platform.values():
            if not _TOGETHER.match(entity["name"]):
                yield entity["name"]


def _models(repository: Repository) -> Iterator[str]:
    yield from re.findall(r'Model\("(\w+)"', repository.text("vlrv/identity.py"))


# Which names an owner must find in the README, as they are on the screen or the label.
NAMES: Final[dict[str, Callable[[Repository], Iterable[str]]]] = {
    "docs-actions": _named("services"),
    "docs-triggers": _named("triggers"),
    "docs-conditions": _named("conditions"),
    "docs-installation-parameters": _labels("config"),
    "docs-configuration-parameters": _labels("options", "general", "bank"),
    "docs-supported-devices": _models,
    "docs-supported-functions": _entities,
}

for _rule in SECTIONS:
    proves(_rule, without("README.md", r"^#+ .*$", "# Something"))(_described(_rule))


@proves(
    "entity-event-setup",
    without(
        ENTITY,
        r"^(\s+)self\._was_available = False$",
        r"\1self.async_add_listener(self)",
    ),
)
def _(repository: Repository) -> Iterator[str]:
    for name, owner, bases in repository.classes():
        if not any(base.endswith("Entity") for base in bases):
            continue
        for method in owner.body:
            if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                for call in ast.walk(method):
                    if isinstance(call, ast.Call) and re.match(
                        r"async_(add_\w*listener|listen|track_|call_|dispatcher_connect"
                        r"|register_callback)",
                        last_name(call.func),
                    ):
                        yield f"{name}: {owner.name} listens before it is added"


def _in_each_base(pattern: str) -> Proof:
    def proof(repository: Repository) -> Iterator[str]:
        for name in ("entity.py", "bank/entity.py"):
            if not re.search(pattern, repository.text(name)):
                yield f"{name}: nothing like {pattern}"
        for name, owner, bases in repository.classes():
            if (
                name.rpartition("/")[2].removesuffix(".py") in repository.platforms
                and any(base.endswith("Entity") for base in bases)
                and bases.isdisjoint({"VlrvEntity", "BankEntity"})
            ):
                yield f"{name}: {owner.name} is an entity of its own kind"

    return proof


proves("entity-unique-id", without(ENTITY, "_attr_unique_id", "_attr_other"))(
    _in_each_base(r"self\._attr_unique_id = ")
)
proves("has-entity-name", without(ENTITY, "_attr_has_entity_name = True", "pass"))(
    _in_each_base(r"_attr_has_entity_name = True")
)


@proves("runtime-data", without(INIT, r"entry\.runtime_data = coordinator", "pass"))
def _(repository: Repository) -> Iterator[str]:
    for name in ("__init__.py", "bank/setup.py"):
        if "entry.runtime_data = " not in repository.text(name):
            yield f"{name} sets no runtime data"
    for name in ("coordinator.py", "bank/coordinator.py"):
        if not re.search(r"ConfigEntry = ConfigEntry\[", repository.text(name)):
            yield f"{name} does not say of what type they are"
    if "hass.data[DOMAIN]" in "".join(map(repository.text, repository.trees)):
        yield "something is kept in hass.data instead"


tried_by(
    "test-before-configure",
    "test_a_foreign_pack_with_a_matching_name_is_refused_for_good",
    "test_the_screen_says_why_and_a_second_try_succeeds",
)
tried_by(
    "test-before-setup",
    "test_a_battery_that_is_away_at_the_start_keeps_its_entities",
    "test_a_bank_loads_before_its_members_and_without_them",
    exempt=True,
)
tried_by(
    "unique-config-entry",
    "test_a_configured_battery_is_not_offered_again",
    "test_a_battery_added_meanwhile_is_recognised",
    "test_a_battery_is_in_one_bank_at_most",
)

# - silver -

tried_by(
    "action-exceptions",
    "test_a_refusal_of_the_battery_is_told_with_its_code",
    "test_refresh_now_says_why_it_failed",
    "test_no_other_duration_is_taken",
    "test_a_release_needs_a_battery_of_ours",
    "test_a_battery_out_of_range_takes_no_change",
)


def _unloads(repository: Repository) -> Iterator[str]:
    if "async_unload_entry" not in repository.functions("__init__.py"):
        yield "an entry cannot be unloaded"


tried_by(
    "config-entry-unloading",
    "test_unloading_and_reloading_leave_one_link_or_none",
    "test_unloading_while_connecting_leaves_no_link",
    also=_unloads,
)
tried_by(
    "entity-unavailable",
    "test_missed_polls_change_nothing_for_a_minute",
    "test_values_do_not_outlive_their_age_while_a_connection_hangs",
)
# One line when it is gone, one when it is back.
tried_by("log-when-unavailable", "test_missed_polls_change_nothing_for_a_minute")


@proves(
    "integration-owner", without(MANIFEST, r'"codeowners": \[.*\]', '"codeowners": []')
)
def _(repository: Repository) -> Iterator[str]:
    owners = repository.json("manifest.json").get("codeowners")
    if not owners or not all(owner.startswith("@") for owner in owners):
        yield "the manifest names nobody"


@proves(
    "parallel-updates",
    without(str(FOLDER / "event.py"), r"^PARALLEL_UPDATES = 0$"),
)
def _(repository: Repository) -> Iterator[str]:
    if not repository.platforms:
        yield "there are no platforms"
    for platform in sorted(repository.platforms):
        if not re.search(
            r"^PARALLEL_UPDATES = \d", repository.text(f"{platform}.py"), re.MULTILINE
        ):
            yield f"{platform}.py does not say how many at a time"


def _entry_data(repository: Repository) -> set[str]:
    """Return the names of what is stored when an entry is created."""
    return {
        ast.unparse(key)
        for _, call, name in repository.calls()
        if name == "async_create_entry"
        for word in call.keywords
        if word.arg == "data" and isinstance(word.value, ast.Dict)
        for key in word.value.keys
        if key is not None
    }


FLOW: Final = str(FOLDER / "config_flow.py")


@proves(
    "reauthentication-flow",
    without(FLOW, "CONF_ADDRESS: self._address", "CONF_PIN: '', \\g<0>"),
    exempt=True,
)
def _(repository: Repository) -> Iterator[str]:
    data = _entry_data(repository)
    if "CONF_ADDRESS" not in data:
        yield "nothing is known of what an entry holds"
    for key in sorted(data):
        if re.search("PASSWORD|TOKEN|USERNAME|PIN|SECRET|API_KEY", key):
            yield f"an entry holds {key}, which may become invalid"


@proves("test-coverage", without("script/test", "--cov-fail-under=97"))
def _(repository: Repository) -> Iterator[str]:
    found = re.search(r"--cov-fail-under=(\d+)", repository.other("script/test"))
    if found is None or int(found[1]) < 95:
        yield "script/test does not ask for 95 %"
    if "script/test" not in repository.other(".ci/run"):
        yield ".ci/run does not run it"


# - gold -


def _devices(repository: Repository) -> list[tuple[str, dict[str, str]]]:
    return [
        (place, keywords(call))
        for place, call, name in repository.calls()
        if name == "DeviceInfo"
    ]


@proves(
    "devices",
    without(str(FOLDER / "coordinator.py"), "manufacturer=", "suggested_area="),
)
def _(repository: Repository) -> Iterator[str]:
    for place, told in _devices(repository):
        for key in ("manufacturer", "model", "name", "identifiers"):
            # A battery is told apart by its Bluetooth address.
            if key not in told and not (key == "identifiers" and "connections" in told):
                yield f"{place}: the device has no {key}"
    if not _devices(repository):
        yield "there are no devices"


@proves("diagnostics", deleted(str(FOLDER / "diagnostics.py")))
def _(repository: Repository) -> Iterator[str]:
    if "async_get_config_entry_diagnostics" not in repository.functions(
        "diagnostics.py"
    ):
        yield "nothing can be downloaded"
    if not repository.other("tests/test_diagnostics.py"):
        yield "nobody tests it"


@proves(
    "discovery-update-info",
    without(FLOW, "CONF_ADDRESS: self._address", "CONF_HOST: '', \\g<0>"),
    exempt=True,
)
def _(repository: Repository) -> Iterator[str]:
    data = _entry_data(repository)
    if not {"CONF_ADDRESS", "CONF_FACTS"} <= data:
        yield "nothing is known of what an entry holds"
    for key in sorted(data):
        if re.search("HOST|PORT|URL|IP_", key):
            yield f"an entry holds {key}, which may change"


@proves("discovery", without(FLOW, "async_step_bluetooth", "async_step_other"))
def _(repository: Repository) -> Iterator[str]:
    if not repository.json("manifest.json").get("bluetooth"):
        yield "the manifest has no matchers"
    if "async_step_bluetooth" not in repository.functions("config_flow.py"):
        yield "the flow takes no discovery"


def _one_device_each(repository: Repository) -> Iterator[str]:
    places = [place.partition(":")[0] for place, _ in _devices(repository)]
    if sorted(places) != ["bank/coordinator.py", "coordinator.py"]:
        yield f"not one device for a battery and one for a bank: {places}"


for _rule in ("dynamic-devices", "stale-devices"):
    proves(
        _rule,
        without(str(FOLDER / "bank" / "coordinator.py"), "DeviceInfo", "dict"),
        exempt=True,
    )(_one_device_each)


@proves("entity-category", without(str(FOLDER / "text.py"), "entity_category=", "key="))
def _(repository: Repository) -> Iterator[str]:
    # What an event says is what the battery is there for.
    for platform in sorted(repository.platforms - {"event"}):
        if "entity_category=" not in repository.text(f"{platform}.py"):
            yield f"{platform}.py puts nothing into a category"


@proves(
    "entity-device-class",
    without(str(FOLDER / "sensor.py"), r"^ +device_class=SensorDeviceClass\.VOLTAGE,$"),
)
def _(repository: Repository) -> Iterator[str]:
    for place, call, _ in repository.calls():
        told = keywords(call)
        unit = told.get("native_unit_of_measurement", "")
        if unit.startswith("UnitOf") and "device_class" not in told:
            yield f"{place}: a unit, {unit}, but no device class"


def _disables(repository: Repository) -> Iterator[str]:
    for name in ("sensor.py", "binary_sensor.py", "text.py"):
        if "entity_registry_enabled_default" not in repository.text(name):
            yield f"{name} has everything switched on"


tried_by(
    "entity-disabled-by-default",
    "test_the_page_of_a_small_battery_is_not_crowded",
    also=_disables,
)


def _translates_entities(repository: Repository) -> Iterator[str]:
    for platform in sorted(repository.platforms - repository.strings["entity"].keys()):
        yield f"strings.json has no names for {platform}"
    for name in repository.trees:
        if re.search(r"_attr_name\b", repository.text(name)):
            yield f"{name} has a name of its own"


tried_by(
    "entity-translations",
    "test_every_entity_has_a_name_and_a_state_in_each_language",
    also=_translates_entities,
)


@proves(
    "exception-translations",
    without(str(FOLDER / "services.py"), "translation_domain=DOMAIN", "other=DOMAIN"),
)
def _(repository: Repository) -> Iterator[str]:
    found = 0
    for place, call, name in repository.calls():
        if name in (
            *("HomeAssistantError", "ServiceValidationError", "UpdateFailed"),
            *("ConfigEntryError", "ConfigEntryNotReady"),
        ):
            found += 1
            if not {"translation_domain", "translation_key"} <= keywords(call).keys():
                yield f"{place}: {name} without a translation"
    if not found or not repository.strings["exceptions"]:
        yield "there are no exceptions"


@proves("icon-translations", deleted(str(FOLDER / "icons.json")))
def _(repository: Repository) -> Iterator[str]:
    if not repository.json("icons.json").get("entity"):
        yield "icons.json has no icons for entities"
    for name in repository.trees:
        if re.search(r'_attr_icon\b|\bicon="', repository.text(name)):
            yield f"{name} has an icon of its own"


def _reconfigures(repository: Repository) -> Iterator[str]:
    if "async_step_reconfigure" not in repository.functions("bank/config_flow.py"):
        yield "nothing can be reconfigured"


tried_by(
    "reconfiguration-flow",
    "test_reconfigure_changes_name_and_members",
    "test_a_battery_has_nothing_to_reconfigure",
    also=_reconfigures,
)


@proves("repair-issues", deleted(str(FOLDER / "issues.py")))
def _(repository: Repository) -> Iterator[str]:
    if "async_create_issue" not in repository.text("issues.py"):
        yield "issues.py raises nothing"
    for key, texts in repository.strings["issues"].items():
        if not {"title", "description"} <= texts.keys():
            yield f"the notice {key} has no text"


# - platinum -

_BLOCKING: Final = {"requests", "serial", "socket", "subprocess", "threading", "urllib"}
_HTTP: Final = {"aiohttp", "http", "httpx", "requests", "urllib", "urllib3"}
CLIENT: Final = str(FOLDER / "vlrv" / "client.py")


@proves(
    "async-dependency", without(CLIENT, "^import asyncio$", "\\g<0>\nimport socket")
)
def _(repository: Repository) -> Iterator[str]:
    for name, module in repository.imports():
        if name.startswith("vlrv/") and module.partition(".")[0] in _BLOCKING:
            yield f"{name} imports {module}, which blocks"
    for name, tree in repository.trees.items():
        if name.startswith("vlrv/") and "time.sleep" in ast.unparse(tree):
            yield f"{name} sleeps"
    if "asyncio" not in {
        m for name, m in repository.imports() if name == "vlrv/client.py"
    }:
        yield "the client is not asynchronous"


@proves(
    "inject-websession",
    without(INIT, "^from typing import", "import aiohttp\n\\g<0>"),
    exempt=True,
)
def _(repository: Repository) -> Iterator[str]:
    for name, module in repository.imports():
        if module.partition(".")[0] in _HTTP or module.endswith("aiohttp_client"):
            yield f"{name} imports {module}"


@proves("strict-typing", without("pyproject.toml", "^strict = true$", "strict = false"))
def _(repository: Repository) -> Iterator[str]:
    told = tomllib.loads(repository.other("pyproject.toml"))["tool"]["mypy"]
    if told.get("strict") is not True or "custom_components" not in told["files"]:
        yield "mypy is not strict with the integration"
    if any(
        "custom_components" in str(one["module"]) for one in told.get("overrides", ())
    ):
        yield "mypy makes an exception for the integration"
    if not re.search(r"mypy\" custom_components", repository.other("script/lint")):
        yield "script/lint does not run it"
    for name in repository.trees:
        if re.search(r"type: ignore(?!\[)|mypy: ", repository.text(name)):
            yield f"{name} is ignored without a reason"


# --- tests ----------------------------------------------------------------------------

RULES: Final[dict[str, Any]] = yaml.safe_load(
    (ROOT / FOLDER / "quality_scale.yaml").read_text()
)["rules"]


def status_of(rule: str) -> str:
    """Return what is claimed of a rule."""
    claimed = RULES[rule]
    return str(claimed if isinstance(claimed, str) else claimed["status"])


@pytest.mark.parametrize("rule", RULES)
def test_what_is_claimed_is_so(rule: str) -> None:
    """A rule of which another thing is claimed needs another proof."""
    proofs = {"done": DONE, "exempt": EXEMPT}[status_of(rule)]
    assert list(proofs[rule](Repository(ROOT))) == []


@pytest.mark.parametrize("rule", RULES)
def test_each_proof_fails_where_the_thing_is_missing(rule: str, tmp_path: Path) -> None:
    """Otherwise it would prove nothing."""
    copy = tmp_path / "repository"
    for name in ("custom_components", "tests", "script", ".ci"):
        shutil.copytree(
            ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("README.md", "pyproject.toml"):
        shutil.copyfile(ROOT / name, copy / name)
    proof = {**DONE, **EXEMPT}[rule]
    before = list(proof(Repository(copy)))
    BREAKS[rule](copy)
    assert set(proof(Repository(copy))) - set(before)


async def test_actions_are_there_without_an_entry(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """An automation that uses them is valid before the first battery is added."""
    assert await async_setup_component(hass, DOMAIN, {})
    declared = yaml.safe_load((ROOT / FOLDER / "services.yaml").read_text())
    assert hass.services.async_services_for_domain(DOMAIN).keys() == declared.keys()
