"""A battery as state and physics that answers request frames byte for byte.

It knows nothing of Bluetooth, of Home Assistant or of the integration, so that a
decoder tested against it is tested against the protocol and not against itself.
"""

from .bms import EPSILON
from .cells import OCV_CURVE
from .frames import build_reply, crc16, read_request, settings_frame, status_reply
from .identity import IDENTITY_START
from .presets import PRESETS, preset
from .replay import ReplayBattery
from .reported import (
    FAULT_BITS,
    HEATING_ENABLED,
    HEATING_FILM,
    OPERATING_STATES,
    STATUS_REGISTERS,
    ReportedState,
)
from .settings import (
    CAN_PROTOCOLS,
    RS485_PROTOCOLS,
    ZT_2024_CAN_PROTOCOLS,
    ZT_2024_RS485_PROTOCOLS,
    HeaterAnswer,
)
from .simulated import SimulatedBattery
from .thresholds import THRESHOLDS

__all__ = [
    "CAN_PROTOCOLS",
    "EPSILON",
    "FAULT_BITS",
    "HEATING_ENABLED",
    "HEATING_FILM",
    "IDENTITY_START",
    "OCV_CURVE",
    "OPERATING_STATES",
    "PRESETS",
    "RS485_PROTOCOLS",
    "STATUS_REGISTERS",
    "THRESHOLDS",
    "ZT_2024_CAN_PROTOCOLS",
    "ZT_2024_RS485_PROTOCOLS",
    "HeaterAnswer",
    "ReplayBattery",
    "ReportedState",
    "SimulatedBattery",
    "build_reply",
    "crc16",
    "preset",
    "read_request",
    "settings_frame",
    "status_reply",
]
