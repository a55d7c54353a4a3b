"""The library as others see it: its public names, and the Python it runs on."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from custom_components.voltgo_vlrv import vlrv

SOURCES = sorted(Path(vlrv.__file__).parent.glob("*.py"))
OLDEST_PYTHON = (3, 13)


def test_public_names_are_sorted_and_exist() -> None:
    """`from vlrv_ble import *` brings what is documented."""
    assert len(set(vlrv.__all__)) == len(vlrv.__all__)
    for name in vlrv.__all__:
        assert getattr(vlrv, name) is not None


def test_public_names_have_docstrings() -> None:
    """Also every public method and property."""
    missing = []
    for name in vlrv.__all__:
        item = getattr(vlrv, name)
        if not (inspect.isclass(item) or inspect.isfunction(item)):
            continue
        if not item.__doc__:
            missing.append(name)
        if inspect.isclass(item):
            missing += [
                f"{name}.{key}"
                for key, member in vars(item).items()
                if not key.startswith("_")
                and (inspect.isfunction(member) or isinstance(member, property))
                and not member.__doc__
            ]
    assert missing == []


def test_package_declares_its_types() -> None:
    """PEP 561."""
    assert (Path(vlrv.__file__).parent / "py.typed").exists()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_source_on_the_oldest_python_is_valid(source: Path) -> None:
    """Home Assistant's Python is newer than the one that others have."""
    ast.parse(source.read_text(encoding="utf-8"), feature_version=OLDEST_PYTHON)


def test_syntax_of_a_newer_python_is_noticed() -> None:
    """So the test above tests something."""
    with pytest.raises(SyntaxError):
        ast.parse(
            "try:\n    x\nexcept ValueError, KeyError:\n    y",
            feature_version=OLDEST_PYTHON,
        )
