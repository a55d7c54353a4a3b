"""Translations inside states and messages, and text from untrusted sources.

Home Assistant translates the names of entities and the texts of messages. What is put
into a state or a placeholder is translated here, to the system language.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
import re
from typing import Final, NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .vlrv.faults import FAULTS, UNKNOWN_BIT
from .vlrv.text import clean_text

_SELECTOR: Final = "selector"
STATE_MAX: Final = 255
"""The length limit of a state in Home Assistant, in characters."""
MAX_PLAIN_TEXT: Final = 100
"""The length limit of an untrusted text, in characters."""
MAX_ADAPTERS_TEXT: Final = 1000
"""The length limit of a description of adapters, in characters."""

# Markup of Markdown and HTML, and texts that they turn into a link.
_MARKUP: Final = frozenset("<>[]*`|\\")
# One tilde alone may be a name.
_STRIKETHROUGH: Final = re.compile("~{2,}")
_AUTOLINK: Final = re.compile(r"://|\bwww\.|@", re.IGNORECASE)


class Translations(NamedTuple):
    """Texts in the system language, by their keys in `selector` of strings.json."""

    faults: Mapping[str, str]
    settings: Mapping[str, str]
    firmware_steps: Mapping[str, str]
    versions: Mapping[str, str]
    bank: Mapping[str, str]
    dashboard: Mapping[str, str]
    maintenance: Mapping[str, str]
    capacity_test: Mapping[str, str]


_TRANSLATIONS: HassKey[Translations] = HassKey(f"{DOMAIN}_translations")


async def async_load_translations(hass: HomeAssistant) -> None:
    """Load the translations; called before an entry is set up."""
    texts = await async_get_translations(
        hass, hass.config.language, _SELECTOR, {DOMAIN}
    )

    def options(selector: str) -> Mapping[str, str]:
        prefix = f"component.{DOMAIN}.{_SELECTOR}.{selector}.options."
        return {
            key.removeprefix(prefix): text
            for key, text in texts.items()
            if key.startswith(prefix)
        }

    hass.data[_TRANSLATIONS] = Translations(
        options("fault"),
        options("setting"),
        options("firmware_step"),
        options("firmware_text"),
        options("bank"),
        options("dashboard"),
        options("maintenance"),
        options("capacity_test"),
    )


@callback
def translations(hass: HomeAssistant) -> Translations:
    """Return the translations; `async_load_translations` must have loaded them."""
    return hass.data[_TRANSLATIONS]


def plain_text(text: str, max_length: int = MAX_PLAIN_TEXT) -> str:
    """Return an untrusted text without markup, at most `max_length` characters long.

    For every placeholder that comes from the air, a file or another integration: Home
    Assistant renders messages as Markdown with HTML.
    """
    text = clean_text(text[: 4 * max_length], 4 * max_length)
    text = "".join(char for char in text if char not in _MARKUP)
    text = _STRIKETHROUGH.sub("", text)
    return " ".join(_AUTOLINK.sub(" ", text).split())[:max_length].rstrip()


def pending_text(names: Mapping[str, str], pending: Mapping[str, int | str]) -> str:
    """Return the settings that wait for a power cycle, at most STATE_MAX characters."""
    if not pending:
        return names["none"]
    settings = ", ".join(
        f"{names[setting]}: {value}" for setting, value in pending.items()
    )
    return names["pending"].replace("{settings}", settings)[:STATE_MAX]


def fault_list(
    names: Mapping[str, str],
    active: Iterable[str],
    *,
    errors: int = 0,
    in_protection: bool = False,
) -> str:
    """Return the active faults as one text of at most STATE_MAX characters.

    Protections are in the order of the manual. `errors` is the error word; the meaning
    of its bits is unknown, so they are shown in hexadecimal. `in_protection` says that
    the operating state is "protection", which is shown where no bit names the reason.
    """
    keys = set(active)
    parts = [names[fault.key] for fault in FAULTS if fault.key in keys]
    parts += [
        names["unknown_bit"].replace("{bit}", key.removeprefix(UNKNOWN_BIT))
        for key in sorted(keys, key=lambda key: (len(key), key))
        if key.startswith(UNKNOWN_BIT)
    ]
    if errors:
        parts.append(names["error"].replace("{code}", f"{errors:04X}"))
    if in_protection and not parts:
        parts.append(names["unnamed"])
    text = ", ".join(parts) or names["none"]
    if len(text) > STATE_MAX:
        # Cut between two faults; each fault also has a binary sensor.
        text = text[: text.rindex(", ", 0, STATE_MAX - len("..."))] + ", ..."
    return text
