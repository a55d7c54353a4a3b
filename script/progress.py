"""How far a script is, on a terminal only, and its log lines, in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import logging
from pathlib import Path
import sys
from time import perf_counter
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

LOGS: Final = Path(".logs")
_FORMAT: Final = "%(asctime)s %(levelname)-8s %(name)s: %(message)s"


@contextmanager
def show_progress(what: str, total: float) -> Iterator[Callable[[float], None]]:
    """Show what is done and what is left while the block lasts.

    The block calls what it gets with what is done so far, of `total`. Nothing is shown
    unless stderr is a terminal. The remaining time is real time, also where a script
    simulates another one.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("left:"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        get_time=perf_counter,
        # What is printed goes to where it belongs, above the line.
        redirect_stdout=sys.stdout.isatty(),
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task(what, total=total)

        def done(completed: float) -> None:
            progress.update(task, completed=completed)

        yield done


def log_to_file(name: str, *, level: int = logging.WARNING) -> Path:
    """Write log lines of `level` and above to a file alone, and return its path.

    Most of them are errors that a script provokes on purpose, which would hide what it
    prints. Several processes may write to one file.
    """
    LOGS.mkdir(exist_ok=True)
    path = LOGS / f"{name}.log"
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    return path


def start_log(name: str) -> Path:
    """Return the path of an empty log, for `log_to_file` in several processes."""
    LOGS.mkdir(exist_ok=True)
    path = LOGS / f"{name}.log"
    path.write_text("", encoding="utf-8")
    return path
