"""Tests of the command `vlrv`."""
