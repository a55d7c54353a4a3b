"""Tests of the scripts and of the repository's files."""
