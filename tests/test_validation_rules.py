"""The rules of Home Assistant's validator, and its reports on how it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import json
from pathlib import Path
import shutil

import pytest

from homeassistant.core import HomeAssistant
from homeassistant.helpers import frame
from homeassistant.loader import async_get_integration
from homeassistant.setup import async_setup_component
from script import check_texts

from .conftest import USAGE_REPORT
from custom_components.voltgo_vlrv.const import DOMAIN

ROOT = Path(__file__).parent.parent
INTEGRATION = ROOT / check_texts.INTEGRATION
SIMULATOR = ROOT / check_texts._SIMULATOR

type Check = Callable[[], Iterable[str]]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of both integrations, which the checks read."""
    for folder in (INTEGRATION, SIMULATOR):
        shutil.copytree(
            folder,
            tmp_path / folder.relative_to(ROOT),
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    monkeypatch.chdir(tmp_path)
    for cached in (check_texts._json, check_texts._tree):
        cached.cache_clear()
    return tmp_path


def _without_http(folder: Path) -> None:
    path = folder / check_texts.INTEGRATION / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["after_dependencies"].remove("http")
    path.write_text(json.dumps(manifest))


def _with_device_filter(folder: Path) -> None:
    path = folder / check_texts.INTEGRATION / "services.yaml"
    text = path.read_text()
    path.write_text(
        text.replace(
            "  target:\n", f"  target:\n    device: {{integration: {DOMAIN}}}\n"
        )
    )


def _without_steps(folder: Path) -> None:
    path = folder / check_texts._SIMULATOR / "translations" / "en.json"
    texts = json.loads(path.read_text())
    del texts["config"]["step"]
    path.write_text(json.dumps(texts))


@pytest.mark.parametrize(
    ("check", "spoil", "problem"),
    [
        (check_texts.check_dependencies, _without_http, "http is no dependency"),
        (check_texts.check_targets, _with_device_filter, "target.device is refused"),
        (check_texts.check_flows, _without_steps, "config.step is missing"),
    ],
)
def test_validation_check_spoiled_tree_reports_only_the_spoiled_rule(
    tree: Path, check: Check, spoil: Callable[[Path], None], problem: str
) -> None:
    """The tree as it is passes."""
    assert list(check()) == []
    spoil(tree)
    for cached in (check_texts._json, check_texts._tree):
        cached.cache_clear()
    (found,) = check()
    assert problem in found


def test_hacs_manifest_zip_release_hides_the_default_branch() -> None:
    """The zip is attached to releases only; the branch itself cannot be installed."""
    manifest = json.loads((ROOT / "hacs.json").read_text())
    assert manifest["zip_release"] is True
    assert manifest["hide_default_branch"] is True


async def test_usage_report_about_the_integration_is_collected(
    hass: HomeAssistant, usage_reports: list[str]
) -> None:
    """What is collected fails the test at its end, unless it is taken out as here."""
    await async_setup_component(hass, "homeassistant", {})
    await async_get_integration(hass, DOMAIN)
    frame.report_usage("tries this", integration_domain=DOMAIN)
    (report,) = usage_reports
    assert report.startswith(f"{USAGE_REPORT} '{DOMAIN}' tries this")
    usage_reports.clear()
