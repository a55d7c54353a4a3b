"""Makes the mutants of a file with the operators of mutmut.

mutmut's own runner skips every function with a decorator, and so all properties and
callbacks, and runs in a copy of the repository, where Home Assistant does not find the
integration. So only its operators are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

INTEGRATION: Final = Path("custom_components/voltgo_vlrv")

_SKIPPED: Final = (
    # Never evaluated, or evaluated before any test.
    cst.Annotation,
    cst.TypeAlias,
    cst.TypeParameters,
    cst.Decorator,
    cst.Parameters,
    cst.Import,
    cst.ImportFrom,
    # For the type checker.
    cst.Assert,
)


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    path: Path
    function: str
    """Qualified name of the outermost function that is changed."""
    first_line: int
    """Line on which the code of that function begins: its first decorator."""
    lines: range
    """Lines of the statement that is changed."""
    module: Any = field(repr=False, compare=False)
    original: Any = field(repr=False, compare=False)
    changed: Any = field(repr=False, compare=False)

    @cached_property
    def source(self) -> str:
        """Return the source of the whole file with the change."""
        code: str = self.module.deep_replace(self.original, self.changed).code
        return code

    @cached_property
    def difference(self) -> tuple[str, str]:
        """Return the changed lines, before and after, without indentation."""
        before, after = self.module.code.splitlines(), self.source.splitlines()
        while before and after and before[-1] == after[-1]:
            before.pop()
            after.pop()
        pairs = zip(before, after, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return _joined(before[same:]), _joined(after[same:])

    @property
    def is_valid(self) -> bool:
        """Return whether the change is one, and leaves valid Python."""
        if self.difference == ("", ""):
            return False
        try:
            compile(self.source, str(self.path), "exec", dont_inherit=True)
        except SyntaxError:
            return False
        return True

    @property
    def name(self) -> str:
        """Return the file within the integration."""
        return self.path.relative_to(INTEGRATION).as_posix()


def _joined(lines: Iterable[str]) -> str:
    return " ".join(line.strip() for line in lines)


def mutants_of(path: Path) -> list[Mutant]:
    """Return all mutants of the functions of a file, in its order."""
    wrapper = MetadataWrapper(cst.parse_module(path.read_text(encoding="utf-8")))
    positions = wrapper.resolve(PositionProvider)
    return list(_in_classes(wrapper.module, path, wrapper.module, positions, ()))


def _in_classes(
    node: Any, path: Path, module: Any, positions: Any, names: tuple[str, ...]
) -> Iterator[Mutant]:
    for child in node.children:
        if isinstance(child, cst.ClassDef):
            yield from _in_classes(
                child.body, path, module, positions, (*names, child.name.value)
            )
        elif isinstance(child, cst.FunctionDef):
            first = child.decorators[0] if child.decorators else child
            where = (
                path,
                ".".join((*names, child.name.value)),
                positions[first].start.line,
            )
            for statement, original, changed in _changes(child.body, None):
                position = positions[statement]
                lines = range(position.start.line, _last_line(statement, positions) + 1)
                yield Mutant(*where, lines, module, original, changed)
        elif isinstance(child, cst.BaseCompoundStatement | cst.BaseSuite):
            yield from _in_classes(child, path, module, positions, names)


def _last_line(statement: Any, positions: Any) -> int:
    """Return the last line of a statement, or of the head of a compound one."""
    body = getattr(statement, "body", None)
    if not isinstance(body, cst.BaseSuite):
        return int(positions[statement].end.line)
    head = [
        child
        for child in statement.children
        if isinstance(child, cst.BaseExpression | cst.WithItem)
    ]
    first: int = positions[statement].start.line
    return max([first, *[int(positions[child].end.line) for child in head]])


def _changes(node: Any, statement: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Return statement, node and changed node for each change below a node."""
    if isinstance(node, _SKIPPED) or _is_text(node, statement) or _is_log(node):
        return
    if isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement):
        statement = node
    if statement is not None:
        yield from ((statement, node, changed) for changed in _changed(node))
    for child in node.children:
        yield from _changes(child, statement)


def _changed(node: Any) -> Iterable[Any]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            # One of a text is enough: its cases die together.
            yield from list(operator(node))[: 1 if kind is cst.BaseString else None]


def _is_log(node: Any) -> bool:
    """Return whether this is a line for the log, which no caller depends on."""
    return (
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Attribute)
        and isinstance(node.func.value, cst.Name)
        and node.func.value.value == "_LOGGER"
    )


def _is_text(node: Any, statement: Any) -> bool:
    """Return whether this is a docstring, or an exception with nothing but its wording."""
    if isinstance(node, cst.SimpleStatementLine) and len(node.body) == 1:
        only = node.body[0]
        return isinstance(only, cst.Expr) and isinstance(only.value, cst.BaseString)
    is_raised = (
        isinstance(statement, cst.SimpleStatementLine)
        and len(statement.body) == 1
        and isinstance(statement.body[0], cst.Raise)
    )
    if isinstance(node, cst.Call):
        return is_raised and len(node.args) == 1 and _is_wording(node.args[0])
    return is_raised and isinstance(node, cst.Arg) and _is_wording(node)


def _is_wording(argument: Any) -> bool:
    return argument.keyword is None and isinstance(argument.value, cst.BaseString)
