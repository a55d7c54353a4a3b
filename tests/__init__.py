"""Tests of the Voltgo VLRV integration and of its simulator."""
