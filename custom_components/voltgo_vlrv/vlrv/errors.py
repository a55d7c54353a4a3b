"""What can go wrong with a battery, as types that a caller can tell apart."""

from __future__ import annotations

from enum import StrEnum


class VlrvError(Exception):
    """Any failure to talk to a battery.

    Nothing was changed in the battery, except as `FirmwareError` says.
    """


class NotVlrvError(VlrvError):
    """The device does not speak this language: another brand of battery, for example."""


class NotReachableError(VlrvError):
    """No connection came about: out of range, switched off, or in use elsewhere."""


class NoSlotError(NotReachableError):
    """Every adapter and proxy that hears the battery has all its connections in use."""


class ConnectionLostError(VlrvError):
    """The connection broke while something was asked."""


class CorruptStreamError(ConnectionLostError):
    """The connection was closed because the device sent too much that is no frame."""


class NotSentError(ConnectionLostError):
    """The connection was gone before this was sent."""


class NoAnswerError(VlrvError):
    """The connection stands, but the battery did not answer in time."""


class RefusedError(VlrvError):
    """The battery answered that it will not do it.

    `code` is the battery's own: the exception code of a register read, or the status
    byte of a setting (1 seen in recordings, its cause is grade C).
    """

    def __init__(self, code: int) -> None:
        """Keep the code."""
        super().__init__(f"refused by the battery (code {code})")
        self.code = code


class ImplausibleError(VlrvError):
    """A sample arrived intact and yet cannot be true, so none of it is used.

    `reasons` names every check that failed (`registers.Implausible`).
    """

    def __init__(self, reasons: tuple[str, ...]) -> None:
        """Keep the reasons."""
        super().__init__(f"implausible sample: {', '.join(reasons)}")
        self.reasons = reasons


class FirmwareStep(StrEnum):
    """The steps of a firmware transfer, in order, as keys of their texts."""

    SYNC = "sync"
    START = "start"
    WRITE = "write"
    FINISH_WRITE = "finish_write"
    FINISH = "finish"


class FirmwareFailure(StrEnum):
    """Why a step of a firmware transfer failed, as keys of the texts."""

    PACKAGE_TOO_LARGE = "package_too_large"
    """Nothing was sent: the connection is not known to carry a package in one piece."""
    NO_ANSWER = "no_answer"
    CONNECTION_LOST = "connection_lost"
    REFUSED = "refused"
    BAD_REPLY = "bad_reply"
    """What came back has another layout than it should have."""
    WRONG_PACKAGE = "wrong_package"
    """Another package than the one sent was confirmed."""


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
