"""Tests of what is known of and done to one battery."""
