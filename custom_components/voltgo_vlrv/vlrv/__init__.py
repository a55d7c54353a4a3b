"""Client for Voltgo VLRV and related LiFePO4 batteries over Bluetooth LE.

`scan` lists devices that may be such a battery, `probe` finds out, and `VlrvClient`
reads and sets one. `decode_status` works on a recorded reply without any connection.
Nothing in here depends on Home Assistant.

Every field carries the grade of its evidence: A recorded from real batteries, B a vendor
document or another driver, C inferred.
"""

from __future__ import annotations

from .client import VlrvClient
from .const import Timing
from .discovery import ScanResult, is_likely, scan
from .errors import (
    ConnectionLostError,
    CorruptStreamError,
    FirmwareError,
    ImplausibleError,
    NoAnswerError,
    NoSlotError,
    NotReachableError,
    NotSentError,
    NotVlrvError,
    RefusedError,
    VlrvError,
)
from .faults import Errors, OperatingState, Protections, Warnings
from .gatt import close_stale_connections
from .identity import Identity, Model, decode_identity, find_model
from .probe import ProbeResult, probe
from .registers import REGISTERS, BatteryStatus, Grade, Register, decode_status
from .settings import ProtocolList
from .thresholds import THRESHOLDS, Threshold, decode_thresholds
from .validation import decode_valid_status

__all__ = [
    "REGISTERS",
    "THRESHOLDS",
    "BatteryStatus",
    "ConnectionLostError",
    "CorruptStreamError",
    "Errors",
    "FirmwareError",
    "Grade",
    "Identity",
    "ImplausibleError",
    "Model",
    "NoAnswerError",
    "NoSlotError",
    "NotReachableError",
    "NotSentError",
    "NotVlrvError",
    "OperatingState",
    "ProbeResult",
    "Protections",
    "ProtocolList",
    "RefusedError",
    "Register",
    "ScanResult",
    "Threshold",
    "Timing",
    "VlrvClient",
    "VlrvError",
    "Warnings",
    "close_stale_connections",
    "decode_identity",
    "decode_status",
    "decode_thresholds",
    "decode_valid_status",
    "find_model",
    "is_likely",
    "probe",
    "scan",
]
