"""Random numbers and dates that are the same in each run.

Home Assistant gives its entries random IDs and its timers a random part of a second; the
day and the time of day are those of the machine. Each test gets its own of all that,
the same whenever and wherever it runs, from its name and SEED.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
import os
import random
import sys
import time
from typing import Final
from unittest.mock import patch

SEED: Final = os.environ.get("TEST_SEED", "0")
"""`script/test --seed N` sets it: another one changes the random numbers of every test."""

FIRST: Final = datetime(2027, 1, 1, tzinfo=UTC)
YEAR: Final = timedelta(days=365)


def random_instant(rng: random.Random) -> datetime:
    """Return an instant within a year."""
    return FIRST + rng.random() * YEAR


@contextmanager
def seeded_random(rng: random.Random) -> Generator[None]:
    """Let Home Assistant's IDs and timers take random numbers from `rng`."""
    # The library is tested without Home Assistant, too.
    ulid_util = sys.modules.get("homeassistant.util.ulid")

    def ulid_now() -> str:
        assert ulid_util is not None
        milliseconds = int(time.time() * 1000)
        ulid: str = ulid_util.bytes_to_ulid(
            milliseconds.to_bytes(6, "big") + ids.randbytes(10)
        )
        return ulid

    ids = random.Random(rng.random())
    before = random.getstate()
    random.seed(rng.random())
    try:
        if ulid_util is None:
            yield
        else:
            with patch.object(ulid_util, "ulid_now", ulid_now):
                yield
    finally:
        random.setstate(before)
