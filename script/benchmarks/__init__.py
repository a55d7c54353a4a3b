"""Benchmarks of the integration's cost; `script/bench` runs them."""
