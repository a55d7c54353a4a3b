"""Tries mutants of folders of the integration; run by `script/mutate`."""

from __future__ import annotations

import argparse
from collections import Counter
import os
from pathlib import Path
from random import Random
import sys
from time import monotonic
import tomllib
from typing import Final, NamedTuple

import pytest

from .mutants import INTEGRATION, Mutant, mutants_of
from .runner import OPTIONS, Runner, Verdict

TARGET: Final = 92.0  # % of a folder's mutants that its tests kill
ACCEPTED: Final = Path("script/mutation/accepted.toml")


class Survivor(NamedTuple):
    """What identifies a mutant as long as its lines stay the same."""

    file: str
    function: str
    old: str
    new: str


def accepted_survivors() -> dict[Survivor, str]:
    """Return the reasons by mutant."""
    content = tomllib.loads(ACCEPTED.read_text(encoding="utf-8"))
    return {
        Survivor(*(entry[key] for key in Survivor._fields)): entry["reason"]
        for entry in content.get("accepted", ())
    }


class Report:
    """Counts verdicts, and prints survivors that are not accepted."""

    def __init__(self, folder: str, total: int, *, verbose: bool) -> None:
        """Begin with nothing."""
        self._folder = folder
        self._total = total
        self._verbose = verbose
        self._accepted = accepted_survivors()
        self._counts: Counter[Verdict] = Counter()
        self._accepted_count = 0
        self._started = monotonic()

    def add(self, mutant: Mutant, verdict: Verdict) -> None:
        """Handle the verdict on one mutant."""
        self._counts[verdict] += 1
        done = self._counts.total()
        key = Survivor(mutant.name, mutant.function, *mutant.difference)
        if verdict is not Verdict.KILLED and key in self._accepted:
            self._accepted_count += 1
        elif verdict is not Verdict.KILLED or self._verbose:
            print(
                f"{verdict.value}: {key.file}:{mutant.lines.start} {key.function}\n"
                f"  - {key.old}\n  + {key.new}",
                flush=True,
            )
        if sys.stderr.isatty() or done % 50 == 0:
            spent = monotonic() - self._started
            print(f"{done}/{self._total}, {spent:.0f} s", file=sys.stderr, flush=True)

    def finish(self) -> bool:
        """Print the result; return whether the target is reached."""
        killed, total = self._counts[Verdict.KILLED], self._counts.total()
        share = 100 * killed / total if total else 100.0
        print(
            f"{self._folder}: {killed}/{total} {share:.1f} % killed, "
            f"{total - killed} survive, {self._accepted_count} of them accepted",
            flush=True,
        )
        return share >= TARGET


def try_folder(folder: str, files: list[Path], options: argparse.Namespace) -> int:
    """Try the mutants of these files of a folder; return the exit code."""
    rng = Random(f"{options.seed} {folder}")
    sample: int | None = options.sample
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    if sample is not None:
        # Some are none, and are replaced.
        rng.shuffle(mutants)
        chosen: list[Mutant] = []
        while mutants and len(chosen) < sample:
            if (mutant := mutants.pop()).is_valid:
                chosen.append(mutant)
        mutants = chosen
    else:
        mutants = [mutant for mutant in mutants if mutant.is_valid]
    tests: list[str] = options.tests or [f"tests/{folder}"]
    report = Report(folder, len(mutants), verbose=options.verbose)
    runner = Runner(tests, mutants, report.add)
    pytest.main([*tests, *OPTIONS], plugins=[runner])
    if runner.baseline is None or runner.baseline.failed:
        failed = (
            ["they do not run"] if runner.baseline is None else runner.baseline.failed
        )
        print(f"{folder}: tests fail without any mutant: {failed}", file=sys.stderr)
        return 2
    return int(not report.finish())


def groups(modules: list[str]) -> dict[str, list[Path]]:
    """Return the files by folder. Raises ValueError for what is no module with tests."""
    found: dict[str, list[Path]] = {}
    for module in modules:
        path = INTEGRATION / module
        folder = Path(module).parts[0]
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        if not Path("tests", folder).is_dir() or not all(f.is_file() for f in files):
            raise ValueError(f"{module} is no folder with tests, and no file in one")
        found.setdefault(folder, []).extend(files)
    return found


def main() -> int:
    """Try what the arguments say; return the exit code."""
    parser = argparse.ArgumentParser(prog="script/mutate")
    parser.add_argument("modules", nargs="+", metavar="MODULE")
    parser.add_argument("--sample", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--tests",
        action="append",
        metavar="PATH",
        help="these in place of the folder's",
    )
    parser.add_argument("--verbose", action="store_true", help="show the killed, too")
    options = parser.parse_args()
    try:
        folders = groups(options.modules)
    except ValueError as err:
        parser.error(str(err))
    code = 0
    for folder, files in folders.items():
        # Each in a process of its own: the tests of one folder only are collected.
        sys.stdout.flush()
        if (child := os.fork()) == 0:
            result = 2
            try:
                result = try_folder(folder, files, options)
            finally:
                sys.stdout.flush()
                os._exit(result)
        _, status = os.waitpid(child, 0)
        code = max(code, os.waitstatus_to_exitcode(status) or 0)
    return code


if __name__ == "__main__":
    sys.exit(main())
