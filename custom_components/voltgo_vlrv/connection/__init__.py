"""The one Bluetooth connection of a battery."""
