"""Manifest, dependencies and the versions of Home Assistant that are promised."""

from pathlib import Path
import re

from homeassistant.const import Platform, __version__ as HA_VERSION

from .common import INTEGRATION, SIMULATOR, Problems, load_json, python_files
from .layers import imports

_JBD_SERVICE = "0000ff00"
# Components that Home Assistant's validator lets every integration import.
_BASE = {*Platform, "frontend", "websocket_api"}
_COMPONENTS = ["homeassistant", "components"]


def check_manifest() -> Problems:
    """Check that the manifest needs nothing and discovers no other brand's batteries."""
    path = INTEGRATION / "manifest.json"
    manifest = load_json(path)
    if manifest["requirements"]:
        yield f"{path}: requirements must stay empty"
    for matcher in manifest["bluetooth"]:
        if not matcher.get("connectable"):
            yield f"{path}: {matcher}: not limited to what can be connected"
        if not re.match(r"[^*?\[]{3}", matcher.get("local_name", "any")):
            yield f"{path}: {matcher}: fewer than three characters to match"
        uuid = matcher.get("service_uuid", "") if len(matcher) == 2 else ""
        if uuid.startswith(_JBD_SERVICE):
            yield f"{path}: {matcher}: other brands advertise this service too"


def check_dependencies() -> Problems:
    """Check that the manifest names each component that is imported."""
    for folder in (INTEGRATION, SIMULATOR):
        manifest = load_json(folder / "manifest.json")
        named = _BASE | {path.stem for path in folder.glob("*.py")}
        named |= {*manifest["dependencies"], *manifest.get("after_dependencies", [])}
        if "bluetooth_adapters" in named:
            named.add("bluetooth")
        for path in python_files(f"{folder}"):
            for name, line in imports(path):
                parts = name.split(".")
                if parts[:2] == _COMPONENTS and parts[2] not in named:
                    yield f"{path}:{line}: {parts[2]} is no dependency in the manifest"


def check_versions() -> Problems:
    """Check that hacs.json promises what is tested, and the newest is installed."""
    promised = load_json(Path("hacs.json"))["homeassistant"]
    for name, version in (("_minimum", promised), ("", HA_VERSION)):
        path = Path(f"requirements_test{name}.txt")
        if f"homeassistant=={version}" not in path.read_text().splitlines():
            yield f"{path}: pins another version than {version}"
