"""What stored files of ours have in common: they may be damaged, or another's."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util.json import json_loads

# What reading a file raises that is not as we wrote it.
FOREIGN: Final = (
    HomeAssistantError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    TypeError,
    ValueError,
)


async def async_delete_garbled(hass: HomeAssistant, store: Store[Any]) -> bool:
    """Delete what is no JSON: for that, Home Assistant would ask for a backup.

    Returns whether there was such a file; raises OSError.
    """
    if garbled := await hass.async_add_executor_job(_is_garbled, store.path):
        await store.async_remove()
    return garbled


def _is_garbled(path: str) -> bool:
    try:
        json_loads(Path(path).read_bytes())
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False
