"""The whole suite over a proxy: what differs from the simulated adapter, and why.

`script/test --over esphome` sets TEST_OVER. Each test that uses `bluetooth_env` then
goes through Home Assistant's own `esphome`. A listed test is expected to fail: one that
passes fails the run, so that its line is deleted, and so does a line without a test.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

OVER_ESPHOME: Final = os.environ.get("TEST_OVER") == "esphome"
TESTS: Final = Path(__file__).parent.parent

DIFFERENCES: Final[dict[str, dict[str, str]]] = {}
"""Reasons by file and test, with or without the test's parameters."""


def expect_differences(items: list[pytest.Item]) -> None:
    """Expect the tests to fail that are listed."""
    for file in DIFFERENCES:
        if not (TESTS / file).is_file():
            raise pytest.UsageError(f"{__name__} lists {file}, which does not exist")
    for item in items:
        assert isinstance(item, pytest.Function)
        file = item.path.relative_to(TESTS).as_posix()
        reasons = DIFFERENCES.get(file, {})
        for name in reasons:
            if not hasattr(item.module, name.partition("[")[0]):
                raise pytest.UsageError(f"{__name__}: {file} has no {name}")
        for name in (item.name, item.originalname):
            if name in reasons:
                reason = reasons[name]
                item.add_marker(pytest.mark.xfail(strict=True, reason=reason))
                break
