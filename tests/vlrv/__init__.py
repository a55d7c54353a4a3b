"""Tests of the battery's language and its client."""
