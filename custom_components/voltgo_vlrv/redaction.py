"""Remove from diagnostics what identifies a battery, its adapters or its user.

By value: an address, a serial number or a name may appear in a title, an error message, a
Bluetooth name or a frame, whatever the key.
"""

from __future__ import annotations

from collections.abc import Iterable
import re
from typing import Any, Final

from homeassistant.components.diagnostics import REDACTED

from .vlrv.const import ADVERTISED_NAMES

MIN_LENGTH: Final = 4
"""Shorter serial numbers and names are removed only where they are the whole value."""

_HEX: Final = "0-9a-fA-F"
_SEPARATOR: Final = "[:_. -]"
_ANY_ADDRESS: Final = re.compile(
    f"(?<![{_HEX}])[{_HEX}]{{2}}(?:{_SEPARATOR}[{_HEX}]{{2}}){{5}}(?![{_HEX}])"
)
_ADDRESS: Final = re.compile("(?:[0-9a-f]{2}){6,}")
# Letters that form a word, unlike those of ratings and models such as "12.8V100Ah-7C".
_WORD: Final = re.compile(r"[^\W\d_]{3}")


class Redactor:
    """Replace private values in what diagnostics contain.

    Adapters and names get numbers, so that a reader can tell which of them it was.
    """

    def __init__(
        self,
        addresses: Iterable[str],
        adapters: Iterable[str],
        serial_numbers: Iterable[str] = (),
        names: Iterable[str] = (),
    ) -> None:
        """Prepare the patterns; adapters such as `hci0` and names of products stay."""
        secrets = [
            *_address_patterns(addresses),
            *(_text_pattern(serial) for serial in serial_numbers if _is_serial(serial)),
        ]
        self._replacements = [(pattern, REDACTED) for pattern in secrets]
        # A name that is nothing but a secret needs no number.
        private = {
            name
            for name in names
            if name and not is_product_name(name) and self._redact(name) != REDACTED
        }
        self._names = [
            (_text_pattern(name), f"**NAME {number}**")
            for number, name in enumerate(sorted(private, key=_longest_first), 1)
        ]
        self._replacements += [
            (pattern, f"**ADAPTER {number}**")
            for number, adapter in enumerate(adapters, 1)
            if (pattern := _address_pattern(adapter)) is not None
        ]
        self._replacements.append((_ANY_ADDRESS, REDACTED))

    def __call__(self, value: Any) -> Any:
        """Return a value of JSON types without private parts; keys may hold addresses."""
        if isinstance(value, str):
            for pattern, replacement in self._names:
                value = pattern.sub(replacement, value)
            return self._redact(value)
        if isinstance(value, dict):
            return {self._redact(key): self(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self(item) for item in value]
        return value

    def _redact(self, text: str) -> str:
        for pattern, replacement in self._replacements:
            text = pattern.sub(replacement, text)
        return text


def _longest_first(name: str) -> tuple[int, str]:
    """Sort names so that one that contains another is replaced first."""
    return -len(name), name


def is_product_name(name: str) -> bool:
    """Return whether a name only tells a product, as batteries leave the factory.

    Any other name was chosen by a user, and may be that of a person or a place.
    """
    for known in ADVERTISED_NAMES:
        if name.startswith(known.prefix):
            return _WORD.search(name.removeprefix(known.prefix)) is None
    return False


def _is_serial(text: str) -> bool:
    """Return whether a text can be a serial number, unlike filler such as zeros."""
    return len(text) >= MIN_LENGTH and len(set(text)) > 2


def _text_pattern(text: str) -> re.Pattern[str]:
    """Return what finds a text as a word, or in a frame as the hexadecimal of its bytes."""
    if len(text) < MIN_LENGTH:
        return re.compile(rf"\A{re.escape(text)}\Z")
    return re.compile(
        rf"(?<![^\W_]){re.escape(text)}(?![^\W_])|{text.encode().hex()}", re.IGNORECASE
    )


def _address_patterns(addresses: Iterable[str]) -> Iterable[re.Pattern[str]]:
    """Yield what finds addresses, and their last four digits in a name."""
    for address in addresses:
        if (pattern := _address_pattern(address)) is not None:
            yield pattern
        if end := re.sub(f"[^{_HEX}]", "", address)[-4:]:
            yield re.compile(rf"(?<=VLRV )\b{end}\b|(?<=\(){end}(?=\))", re.IGNORECASE)


def _address_pattern(address: str) -> re.Pattern[str] | None:
    """Return what finds an address as text, as bytes, or as text in bytes."""
    digits = re.sub(r"[^0-9a-z]", "", address.lower())
    if not _ADDRESS.fullmatch(digits):
        return None
    octets = [digits[at : at + 2] for at in range(0, len(digits), 2)]
    as_text = "(?:3a|5f|2e|20|2d)?".join(
        "".join(
            f"(?:{digit.encode().hex()}|{digit.upper().encode().hex()})"
            for digit in octet
        )
        for octet in octets
    )
    separated = f"{_SEPARATOR}?"
    return re.compile(
        "|".join((separated.join(octets), separated.join(reversed(octets)), as_text)),
        re.IGNORECASE,
    )
