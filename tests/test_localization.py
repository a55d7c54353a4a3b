"""Texts from untrusted sources, and the summary of faults."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.localization import (
    MAX_PLAIN_TEXT,
    STATE_MAX,
    fault_list,
    plain_text,
)
from custom_components.voltgo_vlrv.vlrv.faults import FAULTS

TRANSLATIONS = Path("custom_components/voltgo_vlrv/translations")
LANGUAGES = sorted(path.stem for path in TRANSLATIONS.glob("*.json"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ZT-12100 (2) & co_1.bin", "ZT-12100 (2) & co_1.bin"),
        ("<br>SHA-256: 000<!--", "brSHA-256: 000!--"),
        ("[win](https://example.com)", "win(https example.com)"),
        ("www.example.com me@example.com", "example.com me example.com"),
        ("**Pylon** `x` ~~y~~ a|b \\\\", "Pylon x y ab"),
        ("\0 a\nb\u202ec ", "a bc"),
    ],
)
def test_plain_text_with_markup_keeps_only_text(text: str, shown: str) -> None:
    """Messages are Markdown with HTML: a name from the air must not format them."""
    assert plain_text(text) == shown


@given(st.text(), st.integers(1, 40))
def test_plain_text_of_any_text_is_short_and_stays_the_same(
    text: str, max_length: int
) -> None:
    """A second pass finds nothing more, so removing cannot create markup."""
    shown = plain_text(text, max_length)
    assert len(shown) <= max_length
    assert plain_text(shown, max_length) == shown
    assert "://" not in shown
    assert not set(shown) & set("<>[]*`|\\\n")
    assert "~~" not in shown


def test_plain_text_with_long_text_is_cut() -> None:
    """A file name or a title can be as long as its sender likes."""
    assert plain_text("x" * 10_000) == "x" * MAX_PLAIN_TEXT


@pytest.mark.parametrize("length", range(1, 60))
def test_fault_list_with_long_names_fits_into_a_state(length: int) -> None:
    """A state of 256 characters would be unknown, with all faults active."""
    names = {fault.key: "x" * length for fault in FAULTS}
    text = fault_list(names, names)
    assert len(text) <= STATE_MAX
    assert text.startswith("x" * length)
    assert text.endswith("...") == (len(", ".join(names.values())) > STATE_MAX)


@pytest.mark.parametrize("language", LANGUAGES)
def test_fault_list_of_every_set_of_faults_fits_into_a_state(language: str) -> None:
    """All 16,384 sets in each language, with nothing but whole names before the end."""
    assert len(LANGUAGES) == 5
    assert len(FAULTS) == 14
    texts = json.loads((TRANSLATIONS / f"{language}.json").read_text(encoding="utf-8"))
    names = texts["selector"]["fault"]["options"]
    error = names["error"].replace("{code}", "FFFF")
    longest = 0
    for bits in range(1 << len(FAULTS)):
        active = [fault.key for at, fault in enumerate(FAULTS) if bits >> at & 1]
        text = fault_list(names, active, errors=0xFFFF)
        longest = max(longest, len(text))
        shown = text.removesuffix(", ...").split(", ")
        expected = [*(names[key] for key in active), error]
        assert shown == (expected[: len(shown)] if text.endswith("...") else expected)
    assert 240 < longest <= STATE_MAX
