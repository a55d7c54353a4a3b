"""Mutation testing: mutmut's operators, and a runner that knows this repository's tests."""
