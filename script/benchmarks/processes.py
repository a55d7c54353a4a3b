"""A new process and a temporary folder for each measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
import logging
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def new_folder() -> Iterator[Path]:
    """Make a temporary folder for a Home Assistant whose warnings are known."""
    logging.getLogger().setLevel(logging.ERROR)
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name)


def in_new_process[**ParametersT, ResultT](
    call: Callable[ParametersT, ResultT],
    *args: ParametersT.args,
    **kwargs: ParametersT.kwargs,
) -> ResultT:
    """Call a function in a new process and return its result."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        return pool.submit(call, *args, **kwargs).result()
