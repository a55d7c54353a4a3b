"""What no general tool checks: texts, icons, manifest, versions, imports, file hygiene.

Run by `script/lint`, from the root of the repository. Prints one line for each check,
and below a failed one what is wrong and where. A check is a function that yields what
is wrong; `CHECKS` lists them.

The texts are checked from both ends: a key that the code uses must be in strings.json,
and a key in strings.json must be used. The code is read (`ast`) and followed through
helpers, loops over tables and returned values. What comes from further away cannot be
followed; there, a comment beside the keyword names the keys that can occur:

    translation_key=answer["key"],  # texts: too_far, too_cold
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
import functools
import importlib
from itertools import product
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


# --- what an expression can be ----------------------------------------------------------


class UnknownValueError(Exception):
    """What an expression can be is beyond this reader."""


type Function = ast.FunctionDef | ast.AsyncFunctionDef
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
# Only these are called for their value; everything else is read.
_PURE: Final = frozenset(
    {"list", "tuple", "sorted", "str", "lower", "upper", "replace"}
)


@dataclass(frozen=True)
class Binding:
    """The arguments of the functions that an expression is in, for one call of each."""

    arguments: Mapping[str, ast.expr | None] = field(default_factory=dict)
    """None for a parameter whose default is not an expression of the file."""
    more: frozenset[str] = frozenset()
    """Names of the keywords that go into `**`."""


NOTHING_BOUND: Final = Binding()


@dataclass
class Module:
    """One source file of the integration."""

    path: Path
    tree: ast.Module = field(init=False)
    parents: dict[ast.AST, ast.AST] = field(init=False)
    lines: list[str] = field(init=False)

    def __post_init__(self) -> None:
        """Read the file."""
        text = self.path.read_text()
        self.tree = ast.parse(text, str(self.path))
        self.lines = text.splitlines()
        self.parents = {
            child: node
            for node in ast.walk(self.tree)
            for child in ast.iter_child_nodes(node)
        }

    @functools.cached_property
    def namespace(self) -> dict[str, Any]:
        """Return what the file's names really are, once it is imported."""
        name = ".".join(self.path.with_suffix("").parts).removesuffix(".__init__")
        return vars(importlib.import_module(name))

    @functools.cached_property
    def functions(self) -> dict[str, Function]:
        """Return functions and methods by their names, the first of each name."""
        found: dict[str, Function] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.setdefault(node.name, node)
        return found

    @property
    def platform(self) -> str | None:
        """Return the entity platform that the file is, if it is one."""
        stem = self.path.stem
        return stem if stem in {platform.value for platform in Platform} else None

    def where(self, node: ast.AST) -> str:
        """Return file and line."""
        return f"{self.path}:{getattr(node, 'lineno', 0)}"

    def inside(self, node: ast.AST, *kinds: type[ast.AST]) -> list[ast.AST]:
        """Return what of these kinds the node stands in, innermost first."""
        found = []
        while (parent := self.parents.get(node)) is not None:
            if isinstance(parent, kinds):
                found.append(parent)
            node = parent
        return found

    def noted(self, node: ast.AST) -> set[str] | None:
        """Return what `# texts:` comments beside the node, or right above it, name."""
        first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", 1)
        while first > 1 and self.lines[first - 2].lstrip().startswith("#"):
            first -= 1
        keys: set[str] = set()
        for line in self.lines[first - 1 : last]:
            if (note := line.partition("# texts:")[2]) and note.strip():
                keys |= {key.strip() for key in note.split(",")}
        return keys or None


@functools.cache
def _modules() -> tuple[Module, ...]:
    return tuple(Module(path) for path in sorted(INTEGRATION.rglob("*.py")))


def _find_function(module: Module, name: str) -> tuple[Module, Function] | None:
    """Return the function of that name, here or where it was imported from."""
    if name in module.functions:
        return module, module.functions[name]
    origin = getattr(module.namespace.get(name), "__module__", None)
    for other in _modules():
        if other.namespace.get("__name__") == origin and name in other.functions:
            return other, other.functions[name]
    return None


def _targets(node: ast.expr) -> list[str]:
    return [name.id for name in ast.walk(node) if isinstance(name, ast.Name)]


def _local_domain(
    module: Module, name: str, node: ast.AST, bound: Binding
) -> list[Any]:
    """Return what a local name can be at a node; KeyError where it is not local."""
    for scope in module.inside(node, *_COMPREHENSIONS, *_FUNCTIONS):
        loops: list[ast.comprehension | ast.For] = []
        assigned: list[ast.expr] = []
        if isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = scope.args
            every = (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
            if name in {argument.arg for argument in every}:
                if name not in bound.arguments:
                    raise UnknownValueError(name)
                value = bound.arguments[name]
                return (
                    [None] if value is None else _objects(module, value, NOTHING_BOUND)
                )
            loops += [loop for loop in ast.walk(scope) if isinstance(loop, ast.For)]
            assigned = _assigned(scope, name)
        else:
            loops += getattr(scope, "generators", [])
        for loop in loops:
            if name in _targets(loop.target):
                return _loop_items(module, loop, name, node)
        if assigned:
            return [v for value in assigned for v in _objects(module, value, bound)]
    raise KeyError(name)


def _loop_items(
    module: Module, loop: ast.comprehension | ast.For, name: str, node: ast.AST
) -> list[Any]:
    """Return what a loop lets a name be at a node in it.

    Conditions that can be told beforehand are heeded.
    """
    home = module.parents[loop]
    if isinstance(loop, ast.comprehension):
        conditions = loop.ifs
    else:
        conditions = [
            test.test
            for test in module.inside(node, ast.If)
            if isinstance(test, ast.If)
            and loop in module.inside(test, ast.For)
            and any(node in ast.walk(line) for line in test.body)
        ]
    for ifs in (conditions, []):
        element = ast.Name(name, ast.Load())
        items = ast.ListComp(
            element, [ast.comprehension(loop.target, loop.iter, ifs, 0)]
        )
        ast.fix_missing_locations(ast.copy_location(items, loop.target))
        module.parents[items] = home
        with suppress(UnknownValueError):
            return [
                item
                for values in _evaluated(module, items, NOTHING_BOUND)
                for item in values
            ]
    raise UnknownValueError(name)


def _assigned(scope: ast.AST, name: str) -> list[ast.expr]:
    """Return what is assigned to a name anywhere in a function or class."""
    values = []
    for node in ast.walk(scope):
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value):
                pass
            case ast.NamedExpr(target=ast.Name(id=target), value=value):
                pass
            case _:
                continue
        if target == name:
            values.append(value)
    return values


def _objects(module: Module, node: ast.expr, bound: Binding) -> list[Any]:
    """Return everything that an expression can be, as real objects."""
    match node:
        case ast.IfExp(body=body, orelse=orelse):
            return [*_objects(module, body, bound), *_objects(module, orelse, bound)]
        case ast.BoolOp(op=ast.Or(), values=parts):
            values: list[Any] = []
            for part in parts:
                values += [v for v in _objects(module, part, bound) if v]
                if values and isinstance(part, ast.Name) and part.id in bound.arguments:
                    break  # an argument that is given: what follows is not used
            return values
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if (
            name not in _PURE
        ):
            if (found := _find_function(module, name)) is None:
                raise UnknownValueError(ast.unparse(node))
            return _returned(*found)
        case ast.Attribute(attr=name):
            try:
                return _evaluated(module, node, bound)
            except UnknownValueError:
                if values := _attributes(name):
                    return values
                raise
    return _evaluated(module, node, bound)


def _evaluated(module: Module, node: ast.expr, bound: Binding) -> list[Any]:
    """Evaluate an expression for everything that its local names can be."""
    own = {
        target
        for inner in ast.walk(node)
        for generator in getattr(inner, "generators", [])
        for target in _targets(generator.target)
    }
    for inner in ast.walk(node):
        match inner:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
                if name not in _PURE:
                    raise UnknownValueError(ast.unparse(node))
            case ast.Await() | ast.Lambda():
                raise UnknownValueError(ast.unparse(node))
    domains: dict[str, list[Any]] = {}
    for name in set(_targets(node)) - own:
        with suppress(KeyError):
            domains[name] = _local_domain(module, name, node, bound)
    code = compile(ast.Expression(node), str(module.path), "eval")
    results = []
    for chosen in product(*domains.values()):
        scope = {**module.namespace, **dict(zip(domains, chosen, strict=True))}
        try:
            results.append(eval(code, scope))  # noqa: S307  # our own source, no calls
        except Exception as err:
            raise UnknownValueError(ast.unparse(node)) from err
    return results


def _returned(module: Module, function: Function) -> list[Any]:
    """Return everything that a function can return."""
    return [
        value
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and node.value is not None
        for value in _objects(module, node.value, NOTHING_BOUND)
    ]


def _attributes(name: str) -> list[Any]:
    """Return what classes of the integration call `name`: attributes and properties."""
    found: list[Any] = []
    for module in _modules():
        for owner in ast.walk(module.tree):
            if not isinstance(owner, ast.ClassDef):
                continue
            for node in owner.body:
                if isinstance(node, ast.FunctionDef) and node.name == name:
                    found += _returned(module, node)
                elif isinstance(node, ast.Assign | ast.AnnAssign):
                    for value in _assigned(node, name):
                        found += _objects(module, value, NOTHING_BOUND)
    return found


def _strings(module: Module, node: ast.expr, bound: Binding) -> set[str]:
    """Return every string that an expression can be; None counts as none."""
    if (noted := module.noted(node)) is not None:
        return noted
    values = [value for value in _objects(module, node, bound) if value is not None]
    if not all(isinstance(value, str) for value in values):
        raise UnknownValueError(ast.unparse(node))
    return {str(value) for value in values}


def _bind(function: Function, call: ast.Call) -> Binding:
    """Return which expression each parameter of a function has in a call."""
    arguments = function.args
    names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
    if isinstance(call.func, ast.Attribute):
        names = names[1:]  # self
    bound: dict[str, ast.expr | None] = {}
    if arguments.defaults:
        defaulted = names[-len(arguments.defaults) :]
        bound |= zip(defaulted, arguments.defaults, strict=True)
    for argument, default in zip(
        arguments.kwonlyargs, arguments.kw_defaults, strict=True
    ):
        bound[argument.arg] = default
    bound |= zip(names, call.args, strict=False)
    bound |= {word.arg: word.value for word in call.keywords if word.arg}
    known = {*names, *(argument.arg for argument in arguments.kwonlyargs)}
    return Binding(bound, frozenset(bound.keys() - known))


def _bindings(module: Module, node: ast.AST) -> list[Binding]:
    """Return the arguments of the function that a node is in, for each of its calls.

    Only helpers count: called by their name, or as a method of the same object.
    """
    helper = next(iter(module.inside(node, *_FUNCTIONS)), None)
    if not isinstance(helper, ast.FunctionDef):
        return [NOTHING_BOUND]
    uses = []
    for call in ast.walk(module.tree):
        match call:
            case ast.Call(
                func=ast.Name(id=name)
                | ast.Attribute(value=ast.Name("self"), attr=name)
            ) if name == helper.name:
                uses.append(_bind(helper, call))
    return uses or [NOTHING_BOUND]


# --- which texts the code uses ----------------------------------------------------------

_STEP_CALLS: Final = ("async_show_form", "async_show_menu", "async_external_step")
# What Home Assistant's own methods abort with.
_IMPLIED_ABORTS: Final = {
    "_abort_if_unique_id_configured": {"already_configured"},
    "_async_abort_entries_match": {"already_configured"},
    "_abort_if_unique_id_mismatch": {"unique_id_mismatch"},
    "async_set_unique_id": {"already_in_progress"},
}
_SUCCESS_ABORTS: Final = {
    "reauth": "reauth_successful",
    "reconfigure": "reconfigure_successful",
}
_FLOWS: Final = {
    "ConfigFlow": "config",
    "OptionsFlow": "options",
    "OptionsFlowWithReload": "options",
}
# Where each section is checked; one that is not listed needs to be taught first.
_SECTIONS: Final = frozenset(
    {
        "config",
        "options",
        "entity",
        "exceptions",
        "issues",
        "services",
        "triggers",
        "conditions",
        "selector",
        "device",
    }
)


@dataclass
class Uses:
    """Which keys of strings.json the code uses, and where it first does."""

    keys: dict[str, str] = field(default_factory=dict)
    states: dict[str, set[str]] = field(default_factory=dict)
    fields: dict[str, dict[str, str]] = field(default_factory=dict)
    placeholders: list[tuple[str, set[str], str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, section: str, keys: Iterable[str], where: str) -> None:
        """Note that the keys of a section are used."""
        for key in keys:
            self.keys.setdefault(f"{section}.{key}", where)


def _call_name(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _section_of(module: Module, call: ast.Call) -> str | None:
    """Return the section that a `translation_key` in a call is about."""
    name = _call_name(call)
    if name == "async_create_issue":
        return "issues"
    if name.endswith("SelectorConfig"):
        return "selector"
    if name == "DeviceInfo":
        return "device"
    if _keyword(call, "translation_domain") is not None:
        return "exceptions"
    # Descriptions of entities, and helpers that make them.
    if module.platform:
        return f"entity.{module.platform}"
    # Elsewhere the class tells it: a binary sensor's is not a sensor's.
    words = re.findall("[A-Z][a-z]+", name.removesuffix("Description"))
    for start in range(len(words)) if name.endswith("Description") else ():
        if (platform := "_".join(words[start:]).lower()) in set(Platform):
            return f"entity.{platform}"
    return None


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((word.value for word in call.keywords if word.arg == name), None)


def _flow(module: Module, node: ast.AST) -> str | None:
    """Return the section of the flow whose class the node is in."""
    for owner in module.inside(node, ast.ClassDef):
        assert isinstance(owner, ast.ClassDef)
        for base in owner.bases:
            name = ast.unparse(base).rpartition(".")[2]
            if name in _FLOWS:
                return _FLOWS[name]
            if name in ("RepairsFlow", "ConfirmRepairFlow"):
                return "fix_flow"
    return None


def _options(module: Module, node: ast.expr, bound: Binding) -> set[str]:
    """Return the options of an enumeration."""
    if (noted := module.noted(node)) is not None:
        return noted
    return {str(o) for options in _objects(module, node, bound) for o in options}


def _read_call(module: Module, call: ast.Call, bound: Binding, uses: Uses) -> None:
    where = module.where(call)
    name = _call_name(call)
    flow = _flow(module, call)

    def strings(node: ast.expr) -> set[str]:
        try:
            return _strings(module, node, bound)
        except UnknownValueError as err:
            uses.problems.append(
                f"{module.where(node)}: cannot follow '{err}', add '# texts: ...'"
            )
            return set()

    if (key := _keyword(call, "translation_key")) is not None:
        section = _section_of(module, call)
        if section is None:
            uses.problems.append(f"{where}: '{name}' is not known to take texts")
            return
        keys = strings(key)
        uses.add(section, keys, where)
        for word in ("options", "event_types"):
            listed = _keyword(call, word)
            if listed is None or section not in {
                "selector",
                f"entity.{module.platform}",
            }:
                continue
            try:
                states = _options(module, listed, bound)
            except UnknownValueError as err:
                uses.problems.append(
                    f"{module.where(listed)}: cannot follow '{err}', add '# texts: ...'"
                )
                continue
            inner = {
                "options": "state",
                "event_types": "state_attributes.event_type.state",
            }
            for one in keys:
                place = "options" if section == "selector" else inner[word]
                uses.states[f"{section}.{one}.{place}"] = states
        given = _keyword(call, "translation_placeholders")
        if section == "exceptions" and (given is None or isinstance(given, ast.Dict)):
            known = _dict_keys(given) | bound.more
            for one in keys:
                uses.placeholders.append((f"{section}.{one}.message", known, where))
    if flow is None:
        return
    if name in _STEP_CALLS and (step := _keyword(call, "step_id")) is not None:
        uses.add(f"{flow}.step", strings(step), where)
    if (
        name == "async_show_progress"
        and (action := _keyword(call, "progress_action")) is not None
    ):
        uses.add(f"{flow}.progress", strings(action), where)
    if name == "async_abort" and (reason := _keyword(call, "reason")) is not None:
        uses.add(f"{flow}.abort", strings(reason), where)
    if name in _IMPLIED_ABORTS and not (
        name == "async_set_unique_id"
        and ast.unparse(_keyword(call, "raise_on_progress") or call) == "False"
    ):
        reason = _keyword(call, "reason")
        uses.add(
            f"{flow}.abort",
            _IMPLIED_ABORTS[name] if reason is None else strings(reason),
            where,
        )
    if name == "async_update_reload_and_abort":
        steps = module.inside(call, ast.AsyncFunctionDef)
        uses.add(
            f"{flow}.abort",
            {
                abort
                for kind, abort in _SUCCESS_ABORTS.items()
                if any(kind in getattr(step, "name", "") for step in steps)
            },
            where,
        )
    if (errors := _keyword(call, "errors")) is not None and isinstance(
        errors, ast.Dict
    ):
        for value in errors.values:
            uses.add(f"{flow}.error", strings(value), where)
    if ast.unparse(call.func) in ("vol.Required", "vol.Optional") and call.args:
        for one in strings(call.args[0]):
            uses.fields.setdefault(flow, {})[one] = where


def _dict_keys(node: ast.expr | None) -> set[str]:
    if not isinstance(node, ast.Dict):
        return set()
    return {
        key.value
        for key in node.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def _read_assignment(module: Module, node: ast.Assign, uses: Uses) -> None:
    section: str | None = None
    match node.targets[0]:
        case ast.Subscript(value=ast.Name(id="errors")):
            if flow := _flow(module, node):
                section = f"{flow}.error"
        case (
            ast.Name(id="_attr_translation_key")
            | ast.Attribute(attr="_attr_translation_key")
        ):
            section = f"entity.{module.platform}"
        case (
            ast.Attribute(attr="title_placeholders")
            | ast.Subscript(slice=ast.Constant(value="title_placeholders"))
        ):
            uses.keys.setdefault("config.flow_title", module.where(node))
    if section is not None:
        try:
            keys = _strings(module, node.value, NOTHING_BOUND)
        except UnknownValueError as err:
            uses.problems.append(
                f"{module.where(node)}: cannot follow '{err}', add '# texts: ...'"
            )
        else:
            uses.add(section, keys, module.where(node))


def _read_look_up(module: Module, node: ast.JoinedStr, uses: Uses) -> None:
    """Note a text that is looked up by its full key, or by the beginning of it."""
    for bound in _bindings(module, node):
        with suppress(UnknownValueError):
            for full in _strings(module, node, bound):
                if full.startswith(f"component.{DOMAIN}."):
                    path = full.split(".")[2:]
                    # An entity's key has three parts, all others two.
                    depth = 3 if path[0] in ("entity", "config", "options") else 2
                    uses.add(path[0], [".".join(path[1:depth])], module.where(node))


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


def _read_declared(section: str, uses: Uses) -> None:
    """Note the words that the fields of a YAML file offer to choose from."""
    for name, description in _declared(section).items():
        for key, one in _children(description, "fields").items():
            for selector in _children(one, "selector").values():
                if (words := _children(selector or {}).get("translation_key")) is None:
                    continue
                where = f"{INTEGRATION / section}.yaml: {name}.{key}"
                uses.add("selector", [words], where)
                place = f"selector.{words}.options"
                options = set(selector["options"])
                if uses.states.setdefault(place, options) != options:
                    uses.problems.append(f"{where}: other options than elsewhere")


@functools.cache
def _uses() -> Uses:
    uses = Uses()
    for _, section, _, _ in _AUTOMATION:
        _read_declared(section, uses)
    for module in _modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call):
                for bound in _bindings(module, node):
                    _read_call(module, node, bound, uses)
            elif isinstance(node, ast.Assign):
                _read_assignment(module, node, uses)
            elif isinstance(node, ast.JoinedStr):
                _read_look_up(module, node, uses)
    return uses


def _children(texts: Json, *path: str) -> dict[str, Json]:
    for key in path:
        texts = texts.get(key, {})
    return texts if isinstance(texts, dict) else {}


def _offered(texts: Json) -> Iterator[str]:
    """Yield the keys of strings.json at the depth at which the code uses them."""
    for flow in ("config", "options"):
        for kind, keys in texts.get(flow, {}).items():
            if isinstance(keys, dict):
                yield from (f"{flow}.{kind}.{key}" for key in keys)
            else:
                yield f"{flow}.{kind}"
    for platform, keys in texts.get("entity", {}).items():
        yield from (f"entity.{platform}.{key}" for key in keys)
    for section in ("exceptions", "issues", "selector", "device"):
        yield from (f"{section}.{key}" for key in texts.get(section, {}))
    for name, issue in texts.get("issues", {}).items():
        for kind, keys in _children(issue, "fix_flow").items():
            yield from (f"issues.{name}.fix_flow.{kind}.{key}" for key in keys)


def check_keys() -> Problems:
    """Code and strings.json have the same keys: none is missing, none unused."""
    texts = _json(STRINGS)
    uses = _uses()
    yield from dict.fromkeys(uses.problems)
    for section in texts.keys() - _SECTIONS:
        yield f"{STRINGS}: {section}: this section is not known to script/check_texts.py"
    offered = set(_offered(texts))
    fix_flow = {
        f"issues.{issue}.{key}": where
        for key, where in uses.keys.items()
        if key.startswith("fix_flow.")
        for issue in texts.get("issues", {})
    }
    for key, where in uses.keys.items():
        if key.startswith("fix_flow."):
            if not any(name.endswith(f".{key}") for name in offered):
                yield f"{where}: issues.*.{key} is not in strings.json"
        elif key not in offered:
            yield f"{where}: {key} is not in strings.json"
    for key in sorted(offered - uses.keys.keys() - fix_flow.keys()):
        if not re.fullmatch(r"issues\.\w+\.fix_flow\.step\.confirm", key):
            yield f"{STRINGS}: {key} is not used"
    yield from _check_states(texts, uses)
    yield from _check_fields(texts, uses)
    flat = dict(_flat(texts))
    for key, known, where in uses.placeholders:
        for missing in set(_PLACEHOLDER.findall(flat.get(key, ""))) - known:
            yield f"{where}: {key} wants {{{missing}}}, which is not given"


def _check_states(texts: Json, uses: Uses) -> Problems:
    for place, states in uses.states.items():
        known = _children(texts, *place.split(".")).keys()
        for state in sorted(states - known):
            yield f"{STRINGS}: {place}.{state} is missing"
        for state in sorted(known - states):
            yield f"{STRINGS}: {place}.{state} is not used"
    enumerations = {place.rpartition(".state")[0] for place in uses.states}
    for platform in ("sensor", "select"):
        for key, entity in texts.get("entity", {}).get(platform, {}).items():
            if "state" in entity and f"entity.{platform}.{key}" not in enumerations:
                yield f"{STRINGS}: entity.{platform}.{key}.state belongs to no options"


def _check_fields(texts: Json, uses: Uses) -> Problems:
    """Check the labels of form fields; which form a field is on is not followed."""
    for flow in ("config", "options"):
        wanted = uses.fields.get(flow, {})
        labelled: set[str] = set()
        for name, step in _children(texts, flow, "step").items():
            forms = (step, *_children(step, "sections").values())
            labels = {label for form in forms for label in _children(form, "data")}
            labelled |= labels | _children(step, "sections").keys()
            described = {
                d for form in forms for d in _children(form, "data_description")
            }
            for extra in sorted(described - labels):
                yield f"{STRINGS}: {flow}.step.{name}.data_description.{extra}: no such field"
        for key, where in wanted.items():
            if key not in labelled:
                yield f"{where}: no {flow}.step.*.data.{key} in strings.json"
        for extra in sorted(labelled - wanted.keys()):
            yield f"{STRINGS}: {flow}.step.*.data.{extra} is not used"


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


_SIMULATOR: Final = Path(
    "simulator", "homeassistant", "custom_components", "voltgo_simulator"
)
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
    "keys": check_keys,
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
