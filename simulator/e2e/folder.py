"""Create the configuration directory of the demo."""

from __future__ import annotations

import base64
import json
from pathlib import Path
import shutil
from typing import Any, Final
from zipfile import ZipFile

import bcrypt

from homeassistant.util import dt as dt_util

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent.parent
STUBS: Final = HERE / "stubs"
TEMPLATE: Final = HERE / "template"
CONFIGURATION: Final = "configuration.yaml"

USERNAME: Final = "demo"
PASSWORD: Final = "demo"
HOST: Final = "127.0.0.1"

BLUEPRINTS: Final = Path("blueprints", "automation", "voltgo_vlrv")
"""Where the repository has the blueprints, and Home Assistant looks for them."""

# The integration itself, and the one that brings the batteries.
INTEGRATION: Final = ROOT / "custom_components" / "voltgo_vlrv"
SIMULATOR: Final = HERE / "custom_components" / "voltgo_simulator"


def prepare(folder: Path, port: int, archive: Path | None = None) -> None:
    """Make a configuration directory, or bring one up to date; nothing of it is lost.

    The integration is the repository's own, or what is in the zip of a release.
    """
    for source in sorted(TEMPLATE.iterdir()):
        # In the other files is what a user saved.
        if source.name == CONFIGURATION or not (folder / source.name).exists():
            shutil.copyfile(source, folder / source.name)
    shutil.copytree(ROOT / BLUEPRINTS, folder / BLUEPRINTS, dirs_exist_ok=True)
    components = folder / "custom_components"
    components.mkdir(exist_ok=True)
    # Without it the folder of the same name in the search path would be taken instead.
    (components / "__init__.py").touch()
    _link(SIMULATOR, components)
    if archive is None:
        _link(INTEGRATION, components)
    else:
        _unpack(archive, installed(folder))
    storage = folder / ".storage"
    storage.mkdir(exist_ok=True)
    _write(storage, "http", _web_server(port), version=(2, 2))
    # Stored advertisements would show a battery before it advertises.
    (storage / "bluetooth.remote_scanners").unlink(missing_ok=True)
    if not (storage / "onboarding").exists():
        steps = ["user", "core_config", "analytics", "integration"]
        _write(storage, "onboarding", {"done": steps}, version=(4, 1))
        _write(storage, "auth_provider.homeassistant", _account(), version=(1, 1))


def installed(folder: Path) -> Path:
    """Return where Home Assistant finds the integration."""
    return folder / "custom_components" / INTEGRATION.name


def _link(source: Path, components: Path) -> None:
    link = components / source.name
    _clear(link)
    link.symlink_to(source, target_is_directory=True)


def _unpack(archive: Path, place: Path) -> None:
    """Do as HACS does: the files of the zip go straight into the integration's folder."""
    _clear(place)
    with ZipFile(archive) as opened:
        opened.extractall(place)


def _clear(place: Path) -> None:
    if place.is_symlink():
        place.unlink()
    elif place.is_dir():
        shutil.rmtree(place)


def _web_server(port: int) -> dict[str, Any]:
    """Return settings that are not on trial: on trial, they end after five minutes."""
    return {
        "stable": {
            "server_host": [HOST],
            "server_port": port,
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": False,
            "ssl_profile": "modern",
            "use_x_frame_options": True,
            "created_at": dt_util.utcnow().isoformat(),
            "error": None,
            "error_message": None,
        },
        "pending": None,
        "yaml_migration_done": True,
    }


def _account() -> dict[str, Any]:
    """Return the login; Home Assistant makes its user when it is first used."""
    password = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(rounds=12))
    return {
        "users": [
            {"username": USERNAME, "password": base64.b64encode(password).decode()}
        ]
    }


def _write(
    storage: Path, key: str, data: dict[str, Any], version: tuple[int, int]
) -> None:
    content = {
        "version": version[0],
        "minor_version": version[1],
        "key": key,
        "data": data,
    }
    (storage / key).write_text(json.dumps(content, indent=2), encoding="utf-8")
