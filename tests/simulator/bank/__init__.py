"""Tests of simulated banks."""
