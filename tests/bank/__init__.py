"""Tests of several batteries as one bank."""
