"""Runs the benchmarks named on the command line, all of them when none is."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
import sys
from typing import Final

from . import decode, integration

# A benchmark prints what it found, its last line for machines, and returns whether
# its targets are met. Its module's docstring says what it does.
BENCHMARKS: Final[Mapping[str, tuple[Callable[[], bool], str | None]]] = {
    "decode": (decode.run, decode.__doc__),
    "integration": (integration.run, integration.__doc__),
}


def main() -> int:
    """Run what is asked for; 1 when a target is missed."""
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description="Subcommands, all of them when none is given:\n\n"
        + "\n\n".join(
            f"{name}: {(doc or '')}" for name, (_, doc) in BENCHMARKS.items()
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("subcommand", nargs="*", help=", ".join(BENCHMARKS))
    wanted: list[str] = parser.parse_args().subcommand
    if unknown := [name for name in wanted if name not in BENCHMARKS]:
        parser.error(f"no such subcommand: {', '.join(unknown)}")
    met = [BENCHMARKS[name][0]() for name in wanted or BENCHMARKS]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
