"""Workflows at GitHub, and the forms for reports there."""

from __future__ import annotations

import json
import os
from pathlib import Path
import re
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
GITHUB: Final = ROOT / ".github"
WORKFLOWS: Final = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS: Final = sorted(
    path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"
)

each_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
each_form = pytest.mark.parametrize("file", FORMS, ids=lambda file: file.stem)


def load(file: Path) -> Any:
    """Read a YAML file."""
    return yaml.safe_load(file.read_text())


def steps(file: Path) -> list[dict[str, Any]]:
    """Return all steps of a workflow."""
    return [
        step for job in load(file)["jobs"].values() for step in job.get("steps", ())
    ]


@each_workflow
def test_workflow_actions_are_pinned(file: Path) -> None:
    """A name like v7 or main may be something else tomorrow."""
    used = [step["uses"] for step in steps(file) if "uses" in step]
    assert used
    for action in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action


@each_workflow
def test_workflow_permissions_are_minimal(file: Path) -> None:
    """Only publishing writes, and no token stays behind for scripts to find."""
    workflow = load(file)
    assert workflow["permissions"] == {"contents": "read"}
    writing = {name for name, job in workflow["jobs"].items() if "permissions" in job}
    assert writing == ({"publish"} if file.stem == "release" else set())
    for step in steps(file):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_workflow_scripts_exist_and_are_executable(file: Path) -> None:
    """And they can be executed."""
    ran = [
        match[0]
        for step in steps(file)
        if (match := re.match(r"(\.ci|script)/\w+", step.get("run", "")))
    ]
    assert ran
    for script in ran:
        assert os.access(ROOT / script, os.X_OK), script


def test_release_workflow_publishes_the_checked_zip() -> None:
    """All checks come first, and the zip is the one that they were made on."""
    jobs = load(GITHUB / "workflows" / "release.yml")["jobs"]
    assert set(jobs["publish"]["needs"]) == jobs.keys() - {"publish"}
    ran = "\n".join(step.get("run", "") for step in jobs["publish"]["steps"])
    assert ran.index("sha256sum --check") < ran.index("gh release create")
    told = json.loads((ROOT / "hacs.json").read_text())
    assert f"dist/{told['filename']}" in ran
    # It has nothing installed that could change the zip.
    assert "pip" not in ran and "--check --tag" not in ran


@each_form
def test_issue_form_is_valid(file: Path) -> None:
    """Name, description, and fields that have a label and an identity each."""
    form = load(file)
    assert form["name"] and form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    identities = [field["id"] for field in fields]
    assert len(identities) == len(set(identities)) > 0
    for field in fields:
        assert field["type"] in ("dropdown", "input", "textarea")
        assert field["attributes"]["label"]
        assert ("options" in field["attributes"]) is (field["type"] == "dropdown")
    assert len({field["attributes"]["label"] for field in fields}) == len(fields)


@pytest.mark.parametrize(
    ("form", "needed"),
    [
        ("bug", {"screen", "diagnostics", "version", "home_assistant", "battery"}),
        ("battery", {"name", "label", "screen", "diagnostics", "home_assistant"}),
    ],
)
def test_issue_form_asks_for_all_that_is_needed(form: str, needed: set[str]) -> None:
    """No question has to be asked again."""
    body = load(GITHUB / "ISSUE_TEMPLATE" / f"{form}.yml")["body"]
    required = {
        field.get("id")
        for field in body
        if field.get("validations", {}).get("required") is True
    }
    assert needed <= required


def test_issue_form_links_exist() -> None:
    """Also the page about troubleshooting."""
    for link in load(GITHUB / "ISSUE_TEMPLATE" / "config.yml")["contact_links"]:
        assert (ROOT / link["url"].partition("/blob/main/")[2]).is_file()
    guide = (ROOT / "CONTRIBUTING.md").read_text()
    linked = [
        target for target in re.findall(r"\]\(([^)#]+)\)", guide) if ":" not in target
    ]
    assert linked
    for target in linked:
        assert (ROOT / target).is_file(), target
    for script in re.findall(r"`((?:script|\.ci)/\w+)", guide):
        assert os.access(ROOT / script, os.X_OK), script


def test_container_runs_the_setup_script() -> None:
    """By the same script as any machine."""
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert container["postCreateCommand"] == "script/setup"
    assert os.access(ROOT / "script" / "setup", os.X_OK)
