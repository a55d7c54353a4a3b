"""What an error says in the log, and what it means for the battery."""

from __future__ import annotations

import pytest

from custom_components.voltgo_vlrv.vlrv.errors import (
    FirmwareError,
    FirmwareFailure,
    FirmwareStep,
    ImplausibleError,
    RefusedError,
)


@pytest.mark.parametrize(
    ("kind", "known", "text"),
    [
        (RefusedError, (3,), "refused by the battery (code 3)"),
        (
            ImplausibleError,
            (("checksum", "zeros"),),
            "implausible sample: checksum, zeros",
        ),
        (
            FirmwareError,
            (FirmwareStep.SYNC, None, FirmwareFailure.NO_ANSWER),
            "firmware transfer stopped at sync: no_answer",
        ),
        (
            FirmwareError,
            (FirmwareStep.WRITE, 0, FirmwareFailure.REFUSED, 0),
            "firmware transfer stopped at write, package 0: refused (code 0)",
        ),
    ],
)
def test_error_says_what_the_battery_reported(
    kind: type[Exception], known: tuple[object, ...], text: str
) -> None:
    """Codes and packages count from 0."""
    assert str(kind(*known)) == text


@pytest.mark.parametrize("step", FirmwareStep)
@pytest.mark.parametrize("reason", FirmwareFailure)
def test_battery_may_restart_after_the_last_step_unless_it_refused_that(
    step: FirmwareStep, reason: FirmwareFailure
) -> None:
    """Then the identity is read again, as after a success."""
    error = FirmwareError(step, 7, reason, 2)
    assert (error.step, error.package, error.reason, error.code) == (
        step,
        7,
        reason,
        2,
    )
    expected = step is FirmwareStep.FINISH and reason is not FirmwareFailure.REFUSED
    assert error.may_restart is expected
