"""Tests over Home Assistant's own Bluetooth integration and a simulated BlueZ."""
