"""Errors of the library: one type for each failure that a caller may treat differently."""

from __future__ import annotations

from enum import StrEnum


class VlrvError(Exception):
    """Any failure to talk to a battery.

    Nothing was changed in the battery, except as `FirmwareError` says.
    """


class NotVlrvError(VlrvError):
    """The device does not speak this protocol, as a battery of another brand."""


class NotReachableError(VlrvError):
    """Connecting failed: out of range, switched off, or connected to another device."""


class NoSlotError(NotReachableError):
    """Every adapter and proxy in range has all its connection slots in use."""


class ConnectionLostError(VlrvError):
    """The connection was lost during an operation.

    Whether a write was applied is unknown.
    """


class CorruptStreamError(ConnectionLostError):
    """The connection was closed because the device sent too much that is no frame."""


class NotSentError(ConnectionLostError):
    """The connection was lost before this was sent: it surely was not applied."""


class NoAnswerError(VlrvError):
    """The battery did not answer in time; the connection remains.

    Whether a write was applied is unknown.
    """


class RefusedError(VlrvError):
    """The battery refused the request.

    `code` comes from the battery: the exception code of a register read, or the status
    byte of a setting (1 seen in recordings, its cause is grade C).
    """

    def __init__(self, code: int) -> None:
        """Keep the code."""
        super().__init__(f"refused by the battery (code {code})")
        self.code = code


class ImplausibleError(VlrvError):
    """A reply arrived intact and yet cannot be true, so none of it is used.

    `reasons` names every check that failed (`validation.Implausible`).
    """

    def __init__(self, reasons: tuple[str, ...]) -> None:
        """Keep the reasons."""
        super().__init__(f"implausible sample: {', '.join(reasons)}")
        self.reasons = reasons


class FirmwareStep(StrEnum):
    """The steps of a firmware transfer, in order."""

    SYNC = "sync"
    START = "start"
    WRITE = "write"
    FINISH_WRITE = "finish_write"
    FINISH = "finish"


class FirmwareFailure(StrEnum):
    """Why a step of a firmware transfer failed."""

    PACKAGE_TOO_LARGE = "package_too_large"
    """Nothing was sent: the connection is not known to carry a package in one piece."""
    NO_ANSWER = "no_answer"
    CONNECTION_LOST = "connection_lost"
    REFUSED = "refused"
    BAD_REPLY = "bad_reply"
    """The reply has another layout than it should have."""
    WRONG_PACKAGE = "wrong_package"
    """The battery confirmed another package than the one sent."""
    UNEXPECTED = "unexpected"
    """A programming error, or one of the Bluetooth stack: the cause of the FirmwareError."""


class FirmwareError(VlrvError):
    """A firmware transfer stopped at `step`; nothing was sent after that.

    `package` counts from 0 and is set while writing, `code` is the battery's own when
    it refused. Failed at sync, the battery is as it was; later, an incomplete image may
    be in its flash, but it was not told to start that.
    """

    def __init__(
        self,
        step: FirmwareStep,
        package: int | None,
        reason: FirmwareFailure,
        code: int | None = None,
    ) -> None:
        """Keep what is known."""
        at = step if package is None else f"{step}, package {package}"
        why = reason if code is None else f"{reason} (code {code})"
        super().__init__(f"firmware transfer stopped at {at}: {why}")
        self.step = step
        self.package = package
        self.reason = reason
        self.code = code

    @property
    def may_restart(self) -> bool:
        """Return whether the battery may have taken the last step and restart."""
        return (
            self.step is FirmwareStep.FINISH
            and self.reason is not FirmwareFailure.REFUSED
        )
