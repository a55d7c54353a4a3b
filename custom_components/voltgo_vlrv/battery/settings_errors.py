"""What the user can know of a change of a setting that failed."""

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
        # What had to be read before was not answered.
        return "change_not_sent", {}
    if is_heater:
        # The switch shows at once what the battery does of itself.
        return "heater_unanswered", {}
    if isinstance(err, ConnectionLostError):
        return "change_connection_lost", {}
    return "change_not_confirmed", {}
