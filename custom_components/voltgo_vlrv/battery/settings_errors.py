"""Texts for a change of a setting that failed."""

from __future__ import annotations

from ..vlrv.errors import ConnectionLostError, NotSentError, RefusedError, VlrvError


def failure_text(
    err: VlrvError, *, is_sent: bool, is_heater: bool
) -> tuple[str, dict[str, str]]:
    """Return key and placeholders of the text for a change that failed while connected.

    `is_sent` tells whether the battery may have received it.
    """
    if isinstance(err, RefusedError):
        key = "heater_refused" if is_heater else "change_refused"
        return key, {"code": str(err.code)}
    if isinstance(err, NotSentError):
        return "change_unreachable", {}
    if not is_sent:
        # The settings that are read before each change were not answered.
        return "change_not_sent", {}
    if is_heater:
        # No power cycle is needed: the switch shows the heater's state at once.
        return "heater_unanswered", {}
    if isinstance(err, ConnectionLostError):
        return "change_connection_lost", {}
    return "change_not_confirmed", {}
