"""Names of files and adapters that the flows show, which are Markdown with HTML."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from homeassistant.core import HomeAssistant

from .helpers import pick, start_user_flow
from custom_components.voltgo_vlrv import options_flow
from tests.bluetooth_env import BluetoothEnvironment
from tests.common import battery


async def test_firmware_upload_with_markup_in_the_file_name_removes_it(
    hass: HomeAssistant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It could hide the real checksum, which is shown below the name."""
    file = tmp_path / "a.bin<br>SHA-256: `000`<!--"
    file.write_bytes(b"image")

    @contextmanager
    def uploaded(_hass: HomeAssistant, _file_id: str) -> Generator[Path]:
        yield file

    monkeypatch.setattr(options_flow, "process_uploaded_file", uploaded)
    upload = await hass.async_add_executor_job(options_flow._read_upload, hass, "1")
    assert upload.name == "a.binbrSHA-256: 000!--"
    assert upload.data == b"image"


async def test_manual_flow_with_markup_in_the_name_of_an_adapter_removes_it(
    hass: HomeAssistant, bluetooth_env: BluetoothEnvironment
) -> None:
    """The name comes from another integration."""
    pack = battery("idle", name="Grandma")
    await bluetooth_env.add_battery(pack)
    await bluetooth_env.add_adapter(name="**[proxy](https://x.io)**", slots=0)
    await bluetooth_env.heard(pack.address)
    result = await pick(hass, await start_user_flow(hass), pack.address)
    assert result["errors"] == {"base": "no_slot"}
    placeholders = result["description_placeholders"]
    assert placeholders is not None
    assert "proxy" in placeholders["adapters"]
    assert not set("*[]`<>") & set("".join(placeholders.values()))
