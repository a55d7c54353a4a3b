"""Tests of the config and options flows."""
