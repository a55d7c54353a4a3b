"""The wheel holds the library and the command, whole and nothing else."""

from __future__ import annotations

from pathlib import Path
import re
import sys
from zipfile import ZipFile

import pytest

from script.release_package import (
    LIBRARY,
    PackageError,
    check_contents,
    find_python,
    pinned,
    problems_of,
)

ROOT = Path(__file__).parents[2]


def wheel(
    folder: Path, *, without: str = "", extra: str = "", version: str = "1.0.0"
) -> Path:
    """Return a file like the wheel, with one file less or more."""
    path = folder / f"vlrv_ble-{version}-py3-none-any.whl"
    names = [f"vlrv_ble/{source.name}" for source in (ROOT / LIBRARY).glob("*.py")]
    names += [f"vlrv_cli/{name.name}" for name in (ROOT / "cli/vlrv_cli").glob("*.py")]
    names += [
        "vlrv_ble/py.typed",
        "vlrv_ble/CHANGELOG.md",
        "vlrv_ble-1.0.0.dist-info/METADATA",
        extra,
    ]
    with ZipFile(path, "w") as archive:
        for name in filter(None, names):
            if name != without:
                archive.writestr(name, b"")
    return path


def test_wheel_with_all_files_has_no_problem(tmp_path: Path) -> None:
    """As the build makes it."""
    check_contents(wheel(tmp_path), ROOT)
    assert not list(problems_of(wheel(tmp_path), ROOT))


@pytest.mark.parametrize(
    "name", ["vlrv_ble/py.typed", "vlrv_ble/client.py", "vlrv_cli/commands.py"]
)
def test_wheel_without_a_file_is_refused(tmp_path: Path, name: str) -> None:
    """Each file by its name."""
    with pytest.raises(PackageError, match=re.escape(f"{name}: missing")):
        check_contents(wheel(tmp_path, without=name), ROOT)


def test_wheel_with_a_foreign_file_is_refused(tmp_path: Path) -> None:
    """As a test or a recording that got into the folder."""
    with pytest.raises(PackageError, match=r"secret\.json: does not belong"):
        check_contents(wheel(tmp_path, extra="vlrv_ble/secret.json"), ROOT)


def test_wheel_of_a_version_without_a_changelog_is_refused(tmp_path: Path) -> None:
    """The package has one of its own."""
    with pytest.raises(PackageError, match=r"nothing is said of 9\.9\.9"):
        check_contents(wheel(tmp_path, version="9.9.9"), ROOT)


def test_test_requirements_have_the_versions_of_the_requirements_file() -> None:
    """The simulator fits one version of some; others are free."""
    assert pinned(["bumble", "pytest"], "# x\nbumble==0.0.236\n") == [
        "bumble==0.0.236",
        "pytest",
    ]


def test_python_that_is_not_there_is_not_found() -> None:
    """And the running one may be found under its version."""
    assert find_python((3, 99)) is None
    found = find_python(sys.version_info[:2])
    assert found is None or found.exists()
