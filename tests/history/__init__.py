"""Tests of what follows from samples over time."""
