"""Tests of the blueprints: each runs as a real automation."""
