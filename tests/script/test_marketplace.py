"""Home Assistant's Marketplace installs what a release attaches.

With its own code, where Home Assistant has it and what it requires is installed.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from homeassistant.core import HomeAssistant
from script.release_zip import DOMAIN, INTEGRATION, build

REASON = "the Marketplace is part of Home Assistant since 2026.11"
integration = pytest.importorskip(
    "homeassistant.components.marketplace.repositories.integration",
    reason=REASON,
    exc_type=ImportError,
)
base = pytest.importorskip(
    "homeassistant.components.marketplace.repositories.base",
    reason=REASON,
    exc_type=ImportError,
)
ROOT = Path(__file__).parent.parent.parent


class FakeMarketplace:
    """What a repository asks of the Marketplace; GitHub serves one archive."""

    def __init__(self, hass: HomeAssistant, archive: bytes) -> None:
        """Serve the archive, whatever is asked for."""
        self.hass = hass
        self.core = SimpleNamespace(config_path=hass.config.config_dir)
        self.asked: list[Any] = []
        self._archive = archive

    async def async_download_file(self, url: Any, **_options: Any) -> bytes:
        """Return the archive."""
        self.asked.append(url)
        return self._archive

    async def async_save_file(self, path: str, content: bytes) -> bool:
        """Save a file."""
        return bool(await asyncio.to_thread(Path(path).write_bytes, content))


async def test_marketplace_custom_repository_installs_the_zip_of_a_release(
    hass: HomeAssistant,
) -> None:
    """The files end where Home Assistant loads them, and their manifest is accepted."""
    marketplace = FakeMarketplace(hass, await asyncio.to_thread(build, ROOT))
    repository = integration.IntegrationRepository(
        marketplace, "voltgo-vlrv/voltgo_vlrv"
    )
    hacs = json.loads((ROOT / "hacs.json").read_text())
    manifest = base.RepositoryManifest.from_dict(hacs)
    assert {key: getattr(manifest, key) for key in hacs} == hacs
    repository.repository_manifest = manifest
    repository.data.domain = DOMAIN
    repository.content.path.local = repository.localpath
    repository.ref = "v1.0.0"
    await repository.download_zip_files(repository.validate)
    assert repository.validate.errors == []
    assert "v1.0.0" in str(marketplace.asked)
    assert "voltgo_vlrv.zip" in str(marketplace.asked)
    await repository.async_check_written_content()
    installed = Path(hass.config.config_dir) / INTEGRATION
    assert (installed / "translations" / "de.json").is_file()
    assert (installed / "manifest.json").read_text() == (
        ROOT / INTEGRATION / "manifest.json"
    ).read_text()
