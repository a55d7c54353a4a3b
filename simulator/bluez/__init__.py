"""A simulated message bus with BlueZ, for Home Assistant's own `bluetooth` integration.

It covers the path of a local adapter: bleak's BlueZ backend, bleak-retry-connector and
habluetooth's own scanner, over D-Bus.
"""
