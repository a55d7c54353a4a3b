"""Numbers of the firmware, ESPHome 2026.10.0 on an ESP32."""

from __future__ import annotations

from typing import Final

from aioesphomeapi.model import BluetoothProxyFeature

VERSION: Final = "2026.10.0"
API_VERSION: Final = (1, 19)
SHORT_UUID_API_MINOR: Final = 12  # clients of this minor version take 16-bit UUIDs

ADVERTISEMENT_BATCH: Final = 16
FLUSH_INTERVAL: Final = 0.1  # s
ESTABLISH_TIMEOUT: Final = 20.0  # s; CONFIG_BT_BLE_ESTAB_LINK_CONN_TOUT
DISCONNECT_TIMEOUT: Final = 10.0  # s; GATT_DISCONNECT_TIMEOUT_MS
KEEPALIVE_TIMEOUT: Final = 150.0  # s
MAX_SERVICES_SIZE: Final = 1360  # bytes of services in one message

# Errors of the stack, whose names bleak-esphome knows.
NOT_CONNECTED: Final = -1
CONNECTION_TIMEOUT: Final = 0x08
TERMINATED_BY_HOST: Final = 0x16
FAILED_TO_ESTABLISH: Final = 0x3E
CONNECTION_CANCELED: Final = 0x100

# Feature flags of a firmware of 2026 [get_feature_flags].
PASSIVE: Final = (
    BluetoothProxyFeature.PASSIVE_SCAN
    | BluetoothProxyFeature.RAW_ADVERTISEMENTS
    | BluetoothProxyFeature.FEATURE_STATE_AND_MODE
)
ACTIVE: Final = (
    PASSIVE
    | BluetoothProxyFeature.ACTIVE_CONNECTIONS
    | BluetoothProxyFeature.REMOTE_CACHING
    | BluetoothProxyFeature.PAIRING
    | BluetoothProxyFeature.CACHE_CLEARING
    | BluetoothProxyFeature.CONNECTION_PARAMS_SETTING
)
