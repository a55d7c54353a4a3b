"""Limits of size, above which a class or a file does more than one thing."""

import ast
from collections.abc import Iterator

from .common import Problems, python_files, syntax_nodes, text_files, unless_known

CLASS_LINES, ATTRIBUTES = 300, 15
MODULE_LINES, TEST_LINES = 450, 700
# Modules that may be longer, and why.
TABLES = {"custom_components/voltgo_vlrv/sensor.py": "descriptions of all sensors"}


def _attributes(node: ast.ClassDef) -> int:
    """Count what methods assign; the fields of a record are a table."""
    targets = [inner for inner in ast.walk(node) if isinstance(inner, ast.Attribute)]
    stored = [target for target in targets if isinstance(target.ctx, ast.Store)]
    return len({t.attr for t in stored if ast.unparse(t.value) == "self"})


def _sizes() -> Iterator[tuple[str, int, int]]:
    for path in python_files("custom_components", "simulator", "script", "tests"):
        limit = TEST_LINES if path.parts[0] == "tests" else MODULE_LINES
        yield f"{path}", text_files()[path].count("\n"), limit
        for node in syntax_nodes(path) if limit == MODULE_LINES else ():
            if isinstance(node, ast.ClassDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                yield f"{path} {node.name} lines", lines, CLASS_LINES
                yield f"{path} {node.name} attributes", _attributes(node), ATTRIBUTES


def check_sizes() -> Problems:
    """Check that no class, module or test file is too large, tables aside."""
    large = [size for size in _sizes() if size[1] > size[2]]
    found = {place: f"{place}: {n}, limit {limit}" for place, n, limit in large}
    yield from unless_known(found, TABLES)
