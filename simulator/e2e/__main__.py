"""Home Assistant as the demo runs it, with BlueZ; the arguments are Home Assistant's."""

from __future__ import annotations

import sys

from homeassistant.__main__ import main

from .local_adapter import start_before_home_assistant

if __name__ == "__main__":
    start_before_home_assistant()
    sys.exit(main())
