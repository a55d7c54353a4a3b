"""Stand-ins for packages that the demo can do without; Python imports this at start.

Home Assistant sets up its cameras, voices and infrared senders whether there are any or
not, and the first page of the user interface asks for the list of all actions: it never
loads when one of these cannot be imported. Nothing in them is called, and some need
a compiler to install. Whichever is installed is used instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
import sys
from types import ModuleType
from typing import Any

PACKAGES = {
    "gazetteer_matcher",  # conversation
    "haffmpeg",  # camera, text to speech
    "infrared_protocols",  # infrared
    "mutagen",  # text to speech
    "pymicro_vad",  # voice pipeline
    "pyspeex_noise",  # voice pipeline
    "rf_protocols",  # radio frequency
    "turbojpeg",  # camera
}


async def _nothing(*_args: Any, **_kwargs: Any) -> None:
    """Do nothing, whatever it is that should be done."""


class _AbsentType(type):
    """Has every attribute, as an enumeration has members."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing


class Absent(metaclass=_AbsentType):
    """Whatever class is asked for; its methods do nothing."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        """Take anything."""

    def __getattr__(self, name: str) -> Any:
        """Return a method that does nothing."""
        if name.startswith("__"):
            raise AttributeError(name)
        return _nothing


class AbsentModule(ModuleType):
    """A module that holds whatever is imported from it."""

    def __getattr__(self, name: str) -> Any:
        """Return a class of that name."""
        if name.startswith("__"):
            raise AttributeError(name)
        return _AbsentType(name, (Absent,), {"__module__": self.__name__})


class AbsentFinder(MetaPathFinder, Loader):
    """Finds the packages above and all that is below them, when no other finder does."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Return how to load a stand-in, None for any other module."""
        if fullname.partition(".")[0] not in PACKAGES:
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make an empty module."""
        return AbsentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Fill it with nothing."""


sys.meta_path.append(AbsentFinder())
