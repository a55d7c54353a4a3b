"""Tests over Home Assistant's own ESPHome integration and simulated Bluetooth proxies."""
