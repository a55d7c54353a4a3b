"""What HACS installs: the zip of a release."""

from __future__ import annotations

import ast
from collections.abc import Callable
import io
import json
import os
from pathlib import Path
import shutil
import struct
import subprocess
from typing import Final
from zipfile import ZipFile, ZipInfo

import pytest

from script.release_zip import INTEGRATION, ReleaseError, build, check, sections

ROOT: Final = Path(__file__).parents[2]


def copy_to(place: Path) -> Path:
    """Make a repository with what a release is built from."""
    shutil.copytree(
        ROOT / INTEGRATION,
        place / INTEGRATION,
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    for name in ("CHANGELOG.md", "hacs.json"):
        shutil.copyfile(ROOT / name, place / name)
    for command in (("init", "--quiet"), ("add", "--all")):
        subprocess.run(["git", *command], cwd=place, check=True)
    return place


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Have a repository of our own to break."""
    return copy_to(tmp_path / "repository")


def packed(content: dict[str, bytes]) -> bytes:
    """Zip files in a way that is not that of a release."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as archive:
        for name, data in content.items():
            archive.writestr(ZipInfo(name, (2026, 11, 24, 12, 0, 0)), data)
    return buffer.getvalue()


def test_zip_of_a_release_holds_the_folder(repository: Path) -> None:
    """Its files are at the top, where HACS unpacks them."""
    archive = build(repository)
    assert check(archive, repository, "v" + version_of(repository)) == []
    with ZipFile(io.BytesIO(archive)) as opened:
        for name in opened.namelist():
            assert opened.read(name) == (ROOT / INTEGRATION / name).read_bytes()
        assert {"manifest.json", "vlrv/frames.py", "bank/config_flow.py"} <= {
            *opened.namelist()
        }


def version_of(repository: Path) -> str:
    """Return the version that the manifest tells."""
    manifest = json.loads((repository / INTEGRATION / "manifest.json").read_text())
    return str(manifest["version"])


def test_zip_of_the_same_files_has_the_same_bytes(
    repository: Path, tmp_path: Path
) -> None:
    """Whenever, by whomever and in whatever order they were written."""
    folder = repository / INTEGRATION
    other = tmp_path / "other"
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file():
            copy = other / INTEGRATION / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
            copy.chmod(0o600)
            os.utime(copy, (2_000_000_000, 2_000_000_000))
    cache = other / INTEGRATION / "vlrv" / "__pycache__"
    cache.mkdir()
    (cache / "frames.cpython-314.pyc").write_bytes(b"compiled")
    assert build(other) == build(repository)


def test_zip_with_a_symbolic_link_is_refused(repository: Path) -> None:
    """What it points to is not in the zip."""
    (repository / INTEGRATION / "readme.py").symlink_to(ROOT / "README.md")
    with pytest.raises(ReleaseError, match="symbolic link"):
        build(repository)


def remove(name: str) -> Callable[[Path], object]:
    """Delete a file, from git too."""
    return lambda root: subprocess.run(
        ["git", "rm", "-rqf", str(INTEGRATION / name)], cwd=root, check=True
    )


def add(name: str, *, tracked: bool) -> Callable[[Path], object]:
    """Write a file, and let git know of it or not."""

    def do(root: Path) -> None:
        (root / INTEGRATION / name).write_text("")
        if tracked:
            subprocess.run(["git", "add", "--all"], cwd=root, check=True)

    return do


def edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    """Change a file."""

    def do(root: Path) -> None:
        text = (root / name).read_text()
        assert old in text
        (root / name).write_text(text.replace(old, new))

    return do


MANIFEST: Final = str(INTEGRATION / "manifest.json")


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        *(
            (remove(name), f"{name}: missing")
            for name in (
                "manifest.json",
                "config_flow.py",
                "services.yaml",
                "triggers.yaml",
                "conditions.yaml",
                "translations/nl.json",
                "brand/icon.png",
            )
        ),
        (add("left_over.py", tracked=False), "left_over.py: not known to git"),
        (add("notes.txt", tracked=True), "notes.txt: nothing that"),
        (add("compiled.pyc", tracked=True), "compiled.pyc: nothing that"),
        (edit(MANIFEST, '"version": "', '"version": "9'), "CHANGELOG.md ends with"),
        (edit("CHANGELOG.md", " - 20", " in 20"), "CHANGELOG.md ends with nothing"),
        (edit("CHANGELOG.md", " - 20", " - in-20"), "has no date"),
        (
            edit("CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n- New.\n"),
            "still",
        ),
        (edit("hacs.json", "voltgo_vlrv.zip", "other.zip"), "hacs.json"),
        (edit("hacs.json", "true", "false"), "hacs.json"),
    ],
)
def test_release_check_with_one_fault_finds_it(
    repository: Path, break_it: Callable[[Path], object], complaint: str
) -> None:
    """One thing at a time, so that each check shows that it can fail."""
    tag = "v" + version_of(repository)
    break_it(repository)
    assert complaint in "\n".join(check(build(repository), repository, tag))


def test_release_check_with_another_tag_fails(repository: Path) -> None:
    """A tag that was set on the wrong commit is found."""
    assert "the tag is v0.0.1" in check(build(repository), repository, "v0.0.1")[0]


def test_zip_check_with_another_zip_fails(repository: Path) -> None:
    """Another time or content, a wrong order, a link, something that was forgotten."""
    with ZipFile(io.BytesIO(build(repository))) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    del files["bank/config_flow.py"]
    backwards = dict(reversed(files.items())) | {"switch.py": b"# other\n"}
    found = "\n".join(check(packed(backwards), repository))
    for complaint in (
        "bank/config_flow.py: missing, git has it",
        "switch.py: differs from the repository",
        "switch.py: with a time of its own",
        "switch.py: not a plain file",
        "not in order",
    ):
        assert complaint in found


def test_changelog_sections_are_found() -> None:
    """The newest comes first, and links at the end belong to none."""
    text = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2027-01-02\n\n- New.\n\n[1.2.3]: https://x\n"
    assert sections(text) == [
        ("Unreleased", None, ""),
        ("1.2.3", "2027-01-02", "- New."),
    ]


def test_release_script_runs_on_an_old_python() -> None:
    """The machine that publishes has no newer one, and installs nothing."""
    source = (ROOT / "script" / "release_zip.py").read_text()
    ast.parse(source, feature_version=(3, 11))


def test_hacs_manifest_zip_release_hides_the_default_branch() -> None:
    """The zip is attached to releases only; the branch itself cannot be installed."""
    manifest = json.loads((ROOT / "hacs.json").read_text())
    assert manifest["zip_release"] is True
    assert manifest["hide_default_branch"] is True


@pytest.mark.parametrize("name", ["icon", "logo"])
@pytest.mark.parametrize(("variant", "size"), [("", 256), ("@2x", 512)])
def test_brand_picture_has_the_height_that_home_assistant_asks_for(
    name: str, variant: str, size: int
) -> None:
    """Icons are square, too."""
    header = (ROOT / INTEGRATION / "brand" / f"{name}{variant}.png").read_bytes()[:24]
    assert header.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", header[16:])
    assert height == size
    assert name == "logo" or width == size
