"""Tests of the simulated battery."""
