"""Simulated Voltgo VLRV batteries for tests, the demo and the benchmark."""
