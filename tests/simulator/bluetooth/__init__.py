"""Tests of the virtual radio, adapter and peripheral."""
