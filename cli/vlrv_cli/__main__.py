"""`python -m vlrv_cli` is the same as `vlrv`."""

from __future__ import annotations

from . import main

main()
