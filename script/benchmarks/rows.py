"""What the recorder has written about some entities."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
import json
from pathlib import Path
import sqlite3
from typing import Final, NamedTuple

# The row before is looked for among all: the first one of the time has one, too.
_QUERY: Final = """
    WITH every AS (
        SELECT states_meta.entity_id, state, last_updated_ts,
            LAG(state) OVER by_entity AS state_before,
            LAG(state_id) OVER by_entity AS id_before
        FROM states JOIN states_meta USING (metadata_id)
        WINDOW by_entity AS (PARTITION BY metadata_id ORDER BY state_id)
    )
    SELECT COUNT(*), COALESCE(SUM(id_before IS NOT NULL AND state IS state_before), 0)
    FROM every
    WHERE last_updated_ts >= :begin AND last_updated_ts < :end
        AND entity_id IN (SELECT value FROM json_each(:entities))
"""


class Rows(NamedTuple):
    """How many rows there are."""

    written: int
    unchanged: int
    """Of these, those with the same state as the row before."""


def count_rows(
    database: Path, entities: Iterable[str], begin: float, end: float
) -> Rows:
    """Count in Home Assistant's table `states`; the times are Unix time in s."""
    with closing(sqlite3.connect(database)) as connection:
        row = connection.execute(
            _QUERY,
            {"begin": begin, "end": end, "entities": json.dumps(list(entities))},
        ).fetchone()
    return Rows(*row)
