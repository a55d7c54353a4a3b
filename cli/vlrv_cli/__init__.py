"""Command line for Voltgo VLRV and related batteries: it reads, and writes nothing."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; ends the process with its exit code."""
    try:
        from .commands import vlrv  # noqa: PLC0415
    except ModuleNotFoundError as err:
        sys.exit(f'vlrv: {err.name} is missing, install "vlrv-ble[cli]"')
    vlrv()
