"""A simulated ESPHome Bluetooth proxy, for Home Assistant's own `esphome` integration.

It speaks the native API over TCP, so that tests cover the path that users use:
`esphome`, aioesphomeapi, bleak-esphome, habluetooth, the integration. Behavior follows
the source of the firmware, ESPHome 2026.10.0 (components `bluetooth_proxy`,
`bluetooth_connection`, `esp32_ble_tracker`, `api`); names in brackets are its functions.
"""
