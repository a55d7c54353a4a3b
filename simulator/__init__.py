"""A Voltgo VLRV battery that is not there: for tests, the demo and the benchmark."""
