"""How well polling works, and why a change failed; no event loop, no radio."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from custom_components.voltgo_vlrv.battery.settings_errors import failure_text
from custom_components.voltgo_vlrv.battery.statistics import PollStatistics
from custom_components.voltgo_vlrv.const import MAX_UNANSWERED_POLLS
from custom_components.voltgo_vlrv.vlrv.errors import (
    ConnectionLostError,
    ImplausibleError,
    NoAnswerError,
    NotSentError,
    RefusedError,
    VlrvError,
)

NOW = datetime(2026, 10, 1, 12, tzinfo=UTC)


def test_statistics_of_a_sample_have_its_time() -> None:
    """Its age is that of a clock that is never set."""
    statistics = PollStatistics()
    assert statistics.age(100.0) is None
    statistics.record_sample(NOW, 100.0)
    assert (statistics.samples, statistics.last_sample) == (1, NOW)
    assert statistics.age(107.5) == 7.5
    statistics.record_sample(NOW, 110.0)
    assert (statistics.samples, statistics.age(110.0)) == (2, 0)


def test_statistics_of_failures_tell_a_poll_from_a_dropped_sample() -> None:
    """A sample that was dropped is counted by each of its reasons."""
    statistics = PollStatistics()
    statistics.record_failure(NoAnswerError("silent"))
    statistics.record_failure(ImplausibleError(("checksum", "zeros")))
    statistics.record_failure(ImplausibleError(("zeros",)))
    assert statistics.failed_polls == 1
    assert statistics.rejected == {"checksum": 1, "zeros": 2}
    assert statistics.samples == 0


@pytest.mark.parametrize("end", ["sample", "dropped sample", "limit"])
def test_unanswered_polls_in_a_row_make_a_connection_useless(end: str) -> None:
    """An answer of any kind ends the row, and so does the limit."""
    statistics = PollStatistics()

    def unanswered(count: int) -> list[bool]:
        return [statistics.record_no_answer() for _ in range(count)]

    row = [False] * (MAX_UNANSWERED_POLLS - 1)
    assert unanswered(len(row)) == row
    if end == "sample":
        statistics.record_sample(NOW, 100.0)
    elif end == "dropped sample":
        statistics.record_failure(ImplausibleError(("zeros",)))
    else:
        assert unanswered(1) == [True]
    assert unanswered(MAX_UNANSWERED_POLLS) == [*row, True]
    statistics.record_no_answer()
    statistics.record_failure(NoAnswerError("silent"))
    assert statistics.unanswered_polls == 1


@pytest.mark.parametrize(
    ("error", "is_sent", "is_heater", "key", "placeholders"),
    [
        (RefusedError(3), True, False, "change_refused", {"code": "3"}),
        (RefusedError(3), True, True, "heater_refused", {"code": "3"}),
        (NotSentError("gone"), True, True, "change_unreachable", {}),
        (NoAnswerError("silent"), False, False, "change_not_sent", {}),
        (ConnectionLostError("lost"), False, True, "change_not_sent", {}),
        (NoAnswerError("silent"), True, True, "heater_unanswered", {}),
        (ConnectionLostError("lost"), True, True, "heater_unanswered", {}),
        (ConnectionLostError("lost"), True, False, "change_connection_lost", {}),
        (NoAnswerError("silent"), True, False, "change_not_confirmed", {}),
    ],
)
def test_change_that_failed_is_explained_by_what_the_battery_may_have_done(
    error: VlrvError,
    is_sent: bool,
    is_heater: bool,
    key: str,
    placeholders: dict[str, str],
) -> None:
    """The owner has to know whether it may have been received."""
    found = failure_text(error, is_sent=is_sent, is_heater=is_heater)
    assert found == (key, placeholders)
