"""Checks of what no general tool knows: `python -m script.validate`, see `script/lint`."""
