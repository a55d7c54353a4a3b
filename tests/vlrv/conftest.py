"""Fixtures for the tests of the battery's language."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def auto_enable_custom_integrations() -> None:
    """Set no Home Assistant up for what does not know it; nor discover the battery."""
