"""Texts from the air hold nothing that a screen or a state could not."""

from __future__ import annotations

import unicodedata

from hypothesis import given, strategies as st
import pytest

from custom_components.voltgo_vlrv.vlrv.text import (
    MAX_NAME_LENGTH,
    ascii_text,
    clean_text,
)


@pytest.mark.parametrize(
    ("received", "shown"),
    [
        ("ZT-25.6V100Ah-1238", "ZT-25.6V100Ah-1238"),
        ("ZT-1\0\0\0", "ZT-1"),
        ("\0ZT\0-1 ", "ZT-1"),
        ("  Wohnmobil \t hinten\r\n", "Wohnmobil hinten"),
        ("Büro 電池", "Büro 電池"),
        ("a\x1b[31mb\x7f", "a[31mb"),
        ("a\u202eb\u200bc\ufeff", "abc"),
        ("a\u00a0\u2028b", "a b"),
        ("\ud800x", "x"),
        ("\0\0 \0", ""),
        ("x" * 300, "x" * MAX_NAME_LENGTH),
        ("x" * 63 + " y", "x" * 63),
    ],
)
def test_clean_text_of_a_received_name_can_be_shown(received: str, shown: str) -> None:
    """NUL, blanks and control characters of real and of hostile names."""
    assert clean_text(received) == shown


@given(st.text(), st.integers(0, 100))
def test_clean_text_of_anything_is_clean_and_stays_so(text: str, length: int) -> None:
    """Whatever is received, and cleaned twice."""
    cleaned = clean_text(text, length)
    assert len(cleaned) <= length
    assert cleaned == cleaned.strip() == clean_text(cleaned, length)
    assert not any(unicodedata.category(char).startswith("C") for char in cleaned)


@given(st.binary(max_size=40))
def test_ascii_text_of_anything_is_printable_ascii(data: bytes) -> None:
    """A field may hold any bytes."""
    text = ascii_text(data)
    assert text.isascii()
    assert not text or text.isprintable()
    assert len(text) <= len(data)
