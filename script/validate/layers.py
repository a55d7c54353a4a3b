"""Import contract; an import under TYPE_CHECKING or in a function counts as any other.

A module of the integration is written with a dot before it: `.battery.info`.
"""

import ast
from collections.abc import Iterator, Mapping
import functools
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from .common import INTEGRATION, Problems, python_files, syntax_nodes

_ROOT = ".".join(INTEGRATION.parts)
_PLATFORMS = """.sensor .binary_sensor .switch .select .text .todo .button .event .update
    .bank.sensor .bank.binary_sensor"""
_PURE = """.connection.state .connection.backoff .connection.sharing .connection.release
    .connection.reconnect .battery.change_budget .battery.permission .battery.margins
    .battery.pending_changes .battery.freshness .battery.stuck_data .battery.reporting
    .battery.poll_schedule .entry_values .history.charge .history.runtime .history.charge_history
    .history.estimate .history.totals .history.lifetime .history.full_charges .history.capacity .history.charge_trust .history.storage
    .history.routine .history.capacity_cycles
    .bank.joining .bank.rest_comparison .bank.aggregate .bank.current_share .bank.module_ids .bank.notices"""
_BASE = "const entries entry_values issues localization options"
_ABOVE_BATTERY = f".coordinator .data .bank .entity .sensor_base {_PLATFORMS}"
_ABOVE_HISTORY = f".battery {_ABOVE_BATTERY}"
# Part, what it must not import, what of that it may import.
CONTRACT = [
    (".vlrv", ". homeassistant habluetooth", ".vlrv"),
    (".connection", f".issues {_ABOVE_HISTORY}", ""),
    (".history", f".issues {_ABOVE_HISTORY}", ""),
    (".battery", _ABOVE_BATTERY, ""),
    (".coordinator", _ABOVE_BATTERY, ".coordinator"),
    (".bank", _PLATFORMS, ".bank"),
    *((f".{part}", _ABOVE_HISTORY, "") for part in _BASE.split()),
    *((part, "homeassistant .bank.coordinator", "") for part in _PURE.split()),
    (".", "simulator tests script", ""),
    ("simulator", ". tests script", ""),
]


def _is_in(module: str, parts: str) -> bool:
    return any(f"{module}.".startswith(f"{p.rstrip('.')}.") for p in parts.split())


def _short(name: str) -> str:
    return name.removeprefix(_ROOT) or "." if _is_in(name, _ROOT) else name


@functools.cache
def _modules() -> Mapping[str, Path]:
    paths = python_files(str(INTEGRATION), "simulator")
    names = [".".join(p.with_suffix("").parts).removesuffix(".__init__") for p in paths]
    return dict(zip(map(_short, names), paths, strict=True))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield what is imported, with its line; a name in our own module counts as the module."""
    for node in syntax_nodes(path):
        if isinstance(node, ast.Import):
            yield from ((_short(alias.name), node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = path.parts[: len(path.parts) - node.level] if node.level else ()
            base = ".".join((*above, *filter(None, [node.module])))
            for alias in node.names:
                names = _short(f"{base}.{alias.name}"), _short(base)
                yield next((n for n in names if n in _modules()), names[0]), node.lineno


def check_imports() -> Problems:
    """Check that each part imports only what it may, and that all parts exist."""
    for part, forbidden, allowed in CONTRACT:
        members = [path for module, path in _modules().items() if _is_in(module, part)]
        if not members:
            yield f"script/validate/layers.py: there is no {part}"
        for path in members:
            for name, line in imports(path):
                if _is_in(name, forbidden) and not _is_in(name, allowed):
                    yield f"{path}:{line}: must not import {name}"


def check_cycles() -> Problems:
    """Check that no module imports itself through others."""
    graph = {m: {n for n, _ in imports(path)} for m, path in _modules().items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as err:
        yield f"cycle: {' < '.join(err.args[1])}"
