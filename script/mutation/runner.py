"""Runs the tests of a folder on one mutant after the other.

Tests are collected once. Each mutant is tried in a fork of that process: the changed
function gets its new code, and only the tests that run the changed lines are run, the
fastest first, until one fails. A function that runs while its module is imported cannot be
changed afterwards: there the tests are imported again, which takes some seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import Enum
import gc
from importlib.machinery import SourceFileLoader
from itertools import pairwise
import os
from pathlib import Path
import pickle
import select
import signal
import sys
from time import monotonic
from types import CodeType, FunctionType
from typing import Any, Final, NamedTuple

from coverage import Coverage
import pytest

from .mutants import Mutant

OPTIONS: Final = ("-qq", "-s", "--no-header", "--no-cov", "-p", "no:cacheprovider")
OWN_PACKAGES: Final = ("custom_components", "simulator", "tests")
IMPORT: Final = "import"
"""Context of what runs outside of tests."""
MIN_TIMEOUT: Final = 20.0
"""Real seconds that a mutant gets, beside a multiple of what its tests take."""
TIMEOUT_FACTOR: Final = 8.0

type Function = tuple[str, int]
"""Qualified name and first line."""


class Verdict(Enum):
    """What became of a mutant."""

    KILLED = "killed"
    SURVIVED = "survived"
    NOT_RUN = "no test runs it"


class Baseline(NamedTuple):
    """The tests on the code as it is."""

    contexts: dict[str, dict[int, list[str]]]
    """Tests by line by file."""
    durations: dict[str, float]
    """Seconds by test."""
    failed: list[str]


def in_child[T](work: Callable[[], T], max_wait: float) -> T | None:
    """Return what `work` returns in a fork; None if that crashes or takes too long."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.setsid()
        with suppress(BaseException):
            null = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(null, stream)
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(pickle.dumps(work()))
        os._exit(0)
    os.close(writing)
    end = monotonic() + max_wait
    received = b""
    while (left := end - monotonic()) > 0 and select.select([reading], [], [], left)[0]:
        if not (part := os.read(reading, 1 << 20)):
            break
        received += part
    os.close(reading)
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    result: T | None = pickle.loads(received) if received else None  # noqa: S301 (our own)
    return result


class _Contexts:
    """Plugin that tells coverage which test runs."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self.durations: dict[str, float] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._coverage.switch_context(IMPORT)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.durations.setdefault(report.nodeid, 0.0)
        self.durations[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)


def _forget_imports() -> None:
    """Have everything that is ours imported again."""
    for name in list(sys.modules):
        if name.partition(".")[0] in OWN_PACKAGES:
            del sys.modules[name]


def measure(tests: list[str], files: Iterable[Path]) -> Baseline:
    """Run the tests on the code as it is; call it in a child."""
    _forget_imports()
    coverage = Coverage(
        data_file=None, config_file=False, include=[str(file) for file in files]
    )
    coverage.start()
    coverage.switch_context(IMPORT)
    plugin = _Contexts(coverage)
    pytest.main([*tests, *OPTIONS], plugins=[plugin])
    coverage.stop()
    data = coverage.get_data()
    contexts = {file: data.contexts_by_lineno(file) for file in data.measured_files()}
    return Baseline(contexts, plugin.durations, plugin.failed)


def functions_of(code: CodeType) -> Iterator[tuple[Function, CodeType]]:
    """Return the outermost functions of a module's code, those in classes included."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            # A class body is run by its module; what is optimized is a function.
            if constant.co_flags & 0x1:
                yield (constant.co_qualname, constant.co_firstlineno), constant
            else:
                yield from functions_of(constant)


def _live_functions(files: Iterable[Path]) -> dict[str, dict[Function, list[Any]]]:
    found: dict[str, dict[Function, list[Any]]] = {
        str(file.resolve()): {} for file in files
    }
    for item in gc.get_objects():
        if isinstance(item, FunctionType):
            code = item.__code__
            if (functions := found.get(code.co_filename)) is not None:
                key = code.co_qualname, code.co_firstlineno
                functions.setdefault(key, []).append(item)
    return found


class Runner:
    """Plugin of pytest that tries mutants instead of running the tests once."""

    def __init__(
        self,
        tests: list[str],
        mutants: list[Mutant],
        report: Callable[[Mutant, Verdict], None],
    ) -> None:
        """Prepare; `report` is called for each mutant."""
        self._tests = tests
        self._mutants = mutants
        self._report = report
        self._files = {mutant.path for mutant in mutants}
        self._has_failed = False
        self._items: dict[str, pytest.Item] = {}
        self._live: dict[str, dict[Function, list[Any]]] = {}
        self.baseline: Baseline | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note that a test failed, in a child."""
        self._has_failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try all mutants."""
        self.baseline = in_child(lambda: measure(self._tests, self._files), 3600)
        if self.baseline is None or self.baseline.failed:
            return True
        self._items = {item.nodeid: item for item in session.items}
        self._live = _live_functions(self._files)
        for mutant in self._mutants:
            self._report(mutant, self._try(mutant))
        return True

    def _try(self, mutant: Mutant) -> Verdict:
        assert self.baseline is not None
        lines = self.baseline.contexts.get(str(mutant.path.resolve()), {})
        contexts = {context for line in mutant.lines for context in lines.get(line, ())}
        is_imported = IMPORT in contexts
        if is_imported:
            contexts = {context for tests in lines.values() for context in tests}
        durations = self.baseline.durations
        tests = sorted(contexts & durations.keys(), key=lambda test: durations[test])
        if not tests:
            return Verdict.NOT_RUN
        max_wait = MIN_TIMEOUT + TIMEOUT_FACTOR * sum(durations[test] for test in tests)

        def work() -> bool:
            if not is_imported and self._swap(mutant):
                return self._run(tests)
            return run_imported_again(mutant, tests)

        killed = in_child(work, max_wait)
        return Verdict.SURVIVED if killed is False else Verdict.KILLED

    def _swap(self, mutant: Mutant) -> bool:
        """Give the changed function its new code; return whether that was possible."""
        path = str(mutant.path.resolve())
        key = mutant.function, mutant.first_line
        new = dict(
            functions_of(compile(mutant.source, path, "exec", dont_inherit=True))
        )
        if key not in new or not (live := self._live[path].get(key)):
            return False
        try:
            for function in live:
                function.__code__ = new[key]
        except ValueError:  # another number of variables of its scope
            return False
        return True

    def _run(self, tests: list[str]) -> bool:
        """Return whether a test fails."""
        items = [self._items[test] for test in tests]
        for item, following in pairwise([*items, None]):
            assert item is not None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._has_failed:
                return True
        return False


def run_imported_again(mutant: Mutant, tests: list[str]) -> bool:
    """Return whether a test fails when all is imported with the mutant; in a child."""
    changed = mutant.path.resolve()
    get_code = SourceFileLoader.get_code

    def get_changed_code(loader: SourceFileLoader, name: str) -> CodeType | None:
        if Path(loader.path).resolve() != changed:
            return get_code(loader, name)
        code: CodeType = compile(mutant.source, loader.path, "exec", dont_inherit=True)
        return code

    loaders: Any = SourceFileLoader
    loaders.get_code = get_changed_code
    _forget_imports()
    return pytest.main([*tests, "-x", *OPTIONS]) != 0
