"""Survivors of mutation that are accepted: each with a reason, and in the code as it is."""

from __future__ import annotations

from pathlib import Path
import tomllib

INTEGRATION = Path("custom_components/voltgo_vlrv")
FIELDS = {"file", "function", "old", "new", "reason"}


def test_accepted_survivors_have_a_reason_and_are_in_the_code() -> None:
    """One whose lines have changed has to be tried again."""
    content = tomllib.loads(
        Path("script/mutation/accepted.toml").read_text(encoding="utf-8")
    )
    assert content["accepted"]
    for entry in content["accepted"]:
        assert entry.keys() == FIELDS
        assert all(entry.values()), entry
        source = (INTEGRATION / entry["file"]).read_text(encoding="utf-8")
        assert entry["old"] in " ".join(map(str.strip, source.splitlines())), entry
