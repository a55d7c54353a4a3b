"""Words that stand inside of a state or a message, in the language of the house."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util.hass_dict import HassKey

from .const import DOMAIN
from .vlrv.faults import FAULTS, UNKNOWN_BIT

_SELECTOR: Final = "selector"
# The longest state that Home Assistant takes.
STATE_MAX: Final = 255
_MARKUP: Final = str.maketrans("", "", "<>[]*`")


class Words(NamedTuple):
    """Translated words by their keys."""

    faults: Mapping[str, str]
    settings: Mapping[str, str]
    firmware_steps: Mapping[str, str]
    versions: Mapping[str, str]
    bank: Mapping[str, str]
    dashboard: Mapping[str, str]


_WORDS: HassKey[Words] = HassKey(f"{DOMAIN}_words")


async def async_load_translations(hass: HomeAssistant) -> None:
    """Load the words, before anything of the integration is set up."""
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

    hass.data[_WORDS] = Words(
        options("fault"),
        options("setting"),
        options("firmware_step"),
        options("firmware_text"),
        options("bank"),
        options("dashboard"),
    )


@callback
def words(hass: HomeAssistant) -> Words:
    """Return the words that were loaded."""
    return hass.data[_WORDS]


def without_markup(text: str) -> str:
    """Return what came from the air as it may stand in a text with markup."""
    return text.translate(_MARKUP)


def fault_list(
    names: Mapping[str, str],
    active: Iterable[str],
    *,
    errors: int = 0,
    in_protection: bool = False,
) -> str:
    """Return what is wrong as one short text, protections in the order of the manual.

    `errors` is the error word, whose bits nobody has seen explained; `in_protection`
    says that the battery's state is a protection, whether it names one or not.
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
        # Cut between two faults; the sensors have them all.
        text = text[: text.rindex(", ", 0, STATE_MAX - 2)] + ", ..."
    return text
