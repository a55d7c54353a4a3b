"""Builds the zip of a release and checks what is in it.

Run by `script/release`, from the root of the repository, with nothing but Python 3.11
and git. HACS unpacks the zip into `custom_components/voltgo_vlrv`, so the files of that
folder are at its top. Nothing is compressed: compressed bytes differ between versions
of zlib, and a zip that was checked on one machine must be the same when another one,
which may publish it, builds it again.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import hashlib
import io
import json
from pathlib import Path
import re
import stat
import subprocess
import sys
from typing import Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

DOMAIN: Final = "voltgo_vlrv"
INTEGRATION: Final = Path("custom_components", DOMAIN)
OUTPUT: Final = Path("dist")
ARCHIVE: Final = OUTPUT / f"{DOMAIN}.zip"
NOTES: Final = OUTPUT / "notes.md"

# The earliest time that a zip can tell, for all files.
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_MODE: Final = stat.S_IFREG | 0o644
_UNIX: Final = 3

# What Home Assistant cannot do without, whatever git says.
_NEEDED: Final = frozenset(
    {
        "__init__.py",
        "manifest.json",
        "config_flow.py",
        "icons.json",
        "services.yaml",
        "triggers.yaml",
        "conditions.yaml",
        "brand/icon.png",
        "brand/logo.png",
        "vlrv/__init__.py",
        *(
            f"translations/{language}.json"
            for language in ("de", "en", "es", "fr", "nl")
        ),
    }
)
# What it knows to use. A new kind of file has to be added here.
_KNOWN: Final = re.compile(
    r"""
    (\w+/)*(\w+\.py | py\.typed)
    | (manifest|strings|icons)\.json
    | (services|triggers|conditions|quality_scale)\.yaml
    | \w+\.js
    | translations/[a-z]{2}(-[A-Za-z]+)?\.json
    | brand/(dark_)?(icon|logo)(@2x)?\.png
    """,
    re.VERBOSE,
)
_HEADING: Final = re.compile(r"^## \[(.+?)\](?: - (\S+))?$", re.MULTILINE)
_LINK: Final = re.compile(r"^\[[^\]]+\]: \S+$", re.MULTILINE)
_UNRELEASED: Final = "Unreleased"


class ReleaseError(Exception):
    """Something that no zip can be built from."""


# --- building -------------------------------------------------------------------------


def build(root: Path) -> bytes:
    """Return the zip of what is in the integration's folder, caches left out.

    Raises ReleaseError for a symbolic link: its target may not exist elsewhere.
    """
    folder = root / INTEGRATION
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_STORED) as archive:
        for name, path in sorted(_contents(folder)):
            if path.is_symlink():
                raise ReleaseError(f"{path} is a symbolic link")
            if path.is_dir():
                continue
            entry = ZipInfo(name, _TIME)
            # Whatever the machine and its permissions are.
            entry.create_system = _UNIX
            entry.external_attr = _MODE << 16
            archive.writestr(entry, path.read_bytes())
    return buffer.getvalue()


def _contents(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if "__pycache__" not in inside.parts:
            yield inside.as_posix(), path


# --- the change log -------------------------------------------------------------------


def sections(changelog: str) -> list[tuple[str, str | None, str]]:
    """Return version, date and text of each section of CHANGELOG.md, newest first."""
    changelog = _LINK.sub("", changelog)
    headings = list(_HEADING.finditer(changelog))
    ends = [heading.start() for heading in headings[1:]] + [len(changelog)]
    return [
        (heading[1], heading[2], changelog[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=True)
    ]


# --- checking -------------------------------------------------------------------------


def check(archive: bytes, root: Path, tag: str | None = None) -> list[str]:
    """Return what is wrong with a zip, or with what the repository says of it."""
    with ZipFile(io.BytesIO(archive)) as opened:
        files = {entry.filename: opened.read(entry) for entry in opened.infolist()}
        return [
            *_check_entries(opened.infolist()),
            *_check_contents(files, root),
            *_check_version(files, root, tag),
            *_check_hacs(root),
        ]


def _check_entries(entries: list[ZipInfo]) -> Iterator[str]:
    names = [entry.filename for entry in entries]
    if names != sorted(set(names)):
        yield "not in order, or a file is in it twice"
    for entry in entries:
        if not _KNOWN.fullmatch(entry.filename):
            yield f"{entry.filename}: nothing that Home Assistant uses"
        if entry.external_attr >> 16 != _MODE or entry.is_dir():
            yield f"{entry.filename}: not a plain file, or with odd permissions"
        if entry.date_time != _TIME:
            yield f"{entry.filename}: with a time of its own"
    for name in sorted(_NEEDED - set(names)):
        yield f"{name}: missing, Home Assistant needs it"


def _check_contents(files: dict[str, bytes], root: Path) -> Iterator[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", INTEGRATION.as_posix()],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    tracked = {
        Path(name).relative_to(INTEGRATION).as_posix() for name in listed if name
    }
    for name in sorted(tracked - files.keys()):
        yield f"{name}: missing, git has it"
    for name in sorted(files.keys() - tracked):
        yield f"{name}: not known to git"
    for name in sorted(files.keys() & tracked):
        path = root / INTEGRATION / name
        if not path.is_file() or path.read_bytes() != files[name]:
            yield f"{name}: differs from the repository"


def _check_version(
    files: dict[str, bytes], root: Path, tag: str | None
) -> Iterator[str]:
    version = str(json.loads(files.get("manifest.json", b"{}")).get("version"))
    found = sections((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    released = [section for section in found if section[0] != _UNRELEASED]
    newest, date, text = released[0] if released else ("nothing", None, "")
    if newest != version:
        yield f"manifest.json: {version}, but CHANGELOG.md ends with {newest}"
    if date is None or not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        yield f"CHANGELOG.md: {newest} has no date"
    if not text:
        yield f"CHANGELOG.md: nothing is said of {newest}"
    if tag is not None:
        if tag != f"v{version}":
            yield f"the tag is {tag}, but manifest.json has {version}"
        if any(name == _UNRELEASED and text for name, _, text in found):
            yield f"CHANGELOG.md: something is still under {_UNRELEASED}"


def _check_hacs(root: Path) -> Iterator[str]:
    told = json.loads((root / "hacs.json").read_text(encoding="utf-8"))
    if told.get("zip_release") is not True or told.get("filename") != ARCHIVE.name:
        yield f"hacs.json: does not name {ARCHIVE.name} as the zip of a release"


# --- the command ----------------------------------------------------------------------


def main() -> int:
    """Build, check, and write the zip and what is new."""
    parser = argparse.ArgumentParser(prog="script/release")
    parser.add_argument("--tag", help="the tag that is released, like v1.2.3")
    options = parser.parse_args()
    root = Path.cwd()
    try:
        archive = build(root)
        problems = check(archive, root, options.tag)
    except (ReleaseError, OSError, ValueError) as err:
        problems = [str(err)]
    if problems:
        print("release: FAILED", *problems, sep="\n  ", file=sys.stderr)
        return 1
    OUTPUT.mkdir(exist_ok=True)
    ARCHIVE.write_bytes(archive)
    found = sections((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    version, _, text = next(item for item in found if item[0] != _UNRELEASED)
    NOTES.write_text(f"{text}\n", encoding="utf-8")
    with ZipFile(io.BytesIO(archive)) as opened:
        count = len(opened.namelist())
    print(f"release: {ARCHIVE}, version {version}, {count} files, {len(archive)} bytes")
    print(f"release: SHA-256 {hashlib.sha256(archive).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
