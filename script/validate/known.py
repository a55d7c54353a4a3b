"""Exceptions that exist today. A check fails when a line here is no longer needed."""

IMPORTS: list[str] = []
SIZES: list[str] = []
WORDS: list[str] = []
