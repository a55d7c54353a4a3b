"""Compare the care for a battery with the truth after a simulated month."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
import time
from typing import Final

from . import plan
from .actions import RESERVE
from .comparison import Comparison
from .environment import MonthEnvironment, open_environment
from .month import Month
from .storage import compare_storage
from .truths import MonthTruths
from simulator.e2e.output import print_error, print_line

# Home Assistant waits for the disk at each save.
MEMORY: Final = Path("/dev/shm")  # noqa: S108


async def _live(environment: MonthEnvironment, comparison: Comparison) -> None:
    """Let the month pass, and compare."""
    month = Month(environment, comparison)
    for entry in (*environment.entries, environment.bank):
        assert entry is not None
        environment.set_options(entry, reserve=RESERVE)
    await month.pass_until(plan.RESTART_DAY, 4)
    await month.restart()
    await month.pass_until(plan.DRIFT_DAY, 7)
    month.drift()
    await month.pass_until(plan.COMPARED_DAY, 18.5)
    await MonthTruths(environment, month, comparison).compare()
    await compare_storage(environment, comparison)


async def _run() -> Comparison:
    comparison = Comparison()
    folder = str(MEMORY) if MEMORY.is_dir() else None
    with TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as name:
        async with open_environment(Path(name)) as environment:
            await _live(environment, comparison)
    return comparison


def main() -> int:
    """Run the month, print what was compared, and return the exit code."""
    logging.getLogger().setLevel(logging.ERROR)
    started = time.perf_counter()
    comparison = asyncio.run(_run())
    counts = ", ".join(f"{subject} {n}" for subject, n in comparison.counts.items())
    seconds = time.perf_counter() - started
    if comparison.differences:
        print_error("\n".join(comparison.differences[:50]))
        print_error(f"care check: FAILED: {len(comparison.differences)} differences")
        return 1
    print_line(
        f"\nCare: {plan.DAYS} simulated days of two batteries and their bank in"
        f" {seconds:.0f} s; compared with the truth: {counts}"
    )
    print_line(f"care check: {sum(comparison.counts.values())} values, 0 differences")
    return 0


if __name__ == "__main__":
    sys.exit(main())
