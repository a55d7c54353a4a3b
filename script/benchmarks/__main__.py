"""Runs the benchmarks that the command line names, all of them by default."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
import sys
from typing import Final

from script.progress import show_progress, start_log

from . import air, decode, integration, peer, start

# A benchmark prints its results, the last line for machines, and returns whether its
# targets are met. The docstring of its module is its help.
BENCHMARKS: Final[Mapping[str, tuple[Callable[[], bool], str | None]]] = {
    "decode": (decode.run, decode.__doc__),
    "integration": (integration.run, integration.__doc__),
    "start": (start.run, start.__doc__),
    "air": (air.run, air.__doc__),
    "peer": (peer.run, peer.__doc__),
}


def main() -> int:
    """Run the benchmarks; return 1 if a target is missed, else 0."""
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
    names = wanted or [*BENCHMARKS]
    log = start_log("bench")
    met = []
    with show_progress("bench", len(names)) as done:
        for number, name in enumerate(names):
            met.append(BENCHMARKS[name][0]())
            done(number + 1)
    if log.stat().st_size:
        print(f"log lines: {log}", file=sys.stderr)
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
