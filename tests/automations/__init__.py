"""Tests of triggers, conditions and actions."""
