"""Builds the library's wheel and source archive, and checks them without Home Assistant.

Run by `script/release` with the interpreter of .venv, from the root of the repository.
The check installs the wheel into empty environments, one for the oldest Python that it
allows (if this machine has one) and one for the newest, and there runs the command, the
library's own tests on the installed files, and the benchmark of the decoder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
from typing import Final
from zipfile import ZipFile

from .progress import show_progress
from .release_zip import sections

OUTPUT: Final = Path("dist")
OLDEST: Final = (3, 13)
PACKAGES: Final = ("vlrv_ble", "vlrv_cli")
CHANGELOG: Final = Path("cli/CHANGELOG.md")
LIBRARY: Final = Path("custom_components/voltgo_vlrv/vlrv")
# What the tests and the benchmark of the library need beside it.
TEST_REQUIREMENTS: Final = (
    "bumble",
    "habluetooth",
    "hypothesis",
    "pytest",
    "pytest-asyncio",
    "pytest-socket",
)
COMMAND_CHECK: Final = Path("script/release_command.py")
PINS: Final = Path("requirements_test.txt")
PEER: Final = "aiobmsble"
FORBIDDEN: Final = ("homeassistant", "habluetooth")
RECORDED: Final = "1002010564b7"
"""The reply of a battery with the module ID 5."""
_IMPORT: Final = f"""
import sys, vlrv_ble, vlrv_cli.commands
print(vlrv_ble.__file__, *[name for name in {FORBIDDEN} if name in sys.modules])
"""

# What the tests need beside their own folders, and under which name.
_TEST_MODULES: Final = {
    "tests/library_conftest.py": "tests/conftest.py",
    "tests/radio_env.py": "tests/radio_env.py",
    "tests/seeding.py": "tests/seeding.py",
}
_BENCHMARK: Final = """
import sys
from script.benchmarks import decode
if __name__ == "__main__":
    sys.exit(not decode.run())
"""
_PYTEST_INI: Final = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
addopts = -q -p no:cacheprovider
"""


class PackageError(Exception):
    """The package is not as it should be."""


def _run(command: Sequence[str | Path], **options: object) -> str:
    """Run a command and return what it prints; raises PackageError with that."""
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
        **options,  # type: ignore[call-overload]
    )
    if done.returncode:
        raise PackageError(
            f"{' '.join(map(str, command[:4]))} ended with {done.returncode}:\n"
            f"{done.stdout}{done.stderr}"
        )
    return str(done.stdout)


def _uv() -> str:
    """Return uv: the machine's, or that of the environment that script/setup made."""
    own = Path(sys.executable).with_name("uv")
    found = shutil.which("uv") or (str(own) if own.exists() else None)
    if found is None:
        raise PackageError("uv is missing, run script/setup")
    return found


def build(root: Path, output: Path) -> Path:
    """Build wheel and source archive into `output`; return the wheel."""
    output.mkdir(exist_ok=True)
    for old in (*output.glob("vlrv_ble-*.whl"), *output.glob("vlrv_ble-*.tar.gz")):
        old.unlink()
    _run([_uv(), "build", "--quiet", "--out-dir", output, root])
    (wheel,) = output.glob("vlrv_ble-*.whl")
    return wheel


def problems_of(wheel: Path, root: Path) -> Iterator[str]:
    """Return what is missing in a wheel, or should not be in it."""
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        f"vlrv_ble/{path.name}"
        for path in (root / LIBRARY).iterdir()
        if path.suffix == ".py" or path.name == "py.typed"
    } | {f"vlrv_cli/{path.name}" for path in (root / "cli/vlrv_cli").glob("*.py")}
    expected.add("vlrv_ble/CHANGELOG.md")
    yield from (f"{name}: missing in the wheel" for name in sorted(expected - names))
    yield from (f"{name}: does not belong there" for name in sorted(names - expected))
    version = wheel.name.split("-")[1]
    released = sections((root / CHANGELOG).read_text(encoding="utf-8"))
    if version not in {found for found, _, text in released if text.strip()}:
        yield f"{CHANGELOG}: nothing is said of {version}"


def check_contents(wheel: Path, root: Path) -> None:
    """Raise PackageError unless the wheel has every file that it needs, and no other."""
    if problems := list(problems_of(wheel, root)):
        raise PackageError("\n".join(problems))


# --- checking -------------------------------------------------------------------------


def find_python(version: tuple[int, int]) -> Path | None:
    """Return a Python of this version on this machine, None if there is none."""
    name = "python{}.{}".format(*version)
    folders = (
        Path.home() / ".pyenv/versions",
        Path.home() / ".local/share/uv/python",
    )
    candidates = [Path(found)] if (found := shutil.which(name)) else []
    for folder in folders:
        candidates += sorted(folder.glob(f"*{version[0]}.{version[1]}*/bin/{name}"))
    for candidate in candidates:
        works = subprocess.run(
            [candidate, "-c", "import ssl, sqlite3"], check=False, capture_output=True
        )
        if not works.returncode:
            return candidate
    return None


def pinned(names: Sequence[str], pins: str) -> list[str]:
    """Return requirements by name, with the versions that a requirements file has."""
    versions = dict(line.split("==", 1) for line in pins.splitlines() if "==" in line)
    return [f"{name}=={versions[name]}" if name in versions else name for name in names]


def _stage(root: Path, tree: Path, installed: Path) -> None:
    """Lay out the library's tests around the installed files, without the integration."""
    for package in ("custom_components", "custom_components/voltgo_vlrv", "tests"):
        (tree / package).mkdir()
        (tree / package / "__init__.py").touch()
    ignored = shutil.ignore_patterns("__pycache__", "e2e")
    shutil.copytree(installed, tree / LIBRARY, ignore=ignored)
    shutil.copytree(root / "simulator", tree / "simulator", ignore=ignored)
    shutil.copytree(
        root / "script/benchmarks", tree / "script/benchmarks", ignore=ignored
    )
    (tree / "script/__init__.py").touch()
    shutil.copyfile(root / COMMAND_CHECK, tree / COMMAND_CHECK)
    for folder in ("tests/vlrv", "tests/cli"):
        shutil.copytree(root / folder, tree / folder, ignore=ignored)
    for source, name in _TEST_MODULES.items():
        shutil.copyfile(root / source, tree / name)
    # The recorded frames, where there are any.
    (tree.parent / "shared").symlink_to(root.parent / "shared")
    (tree / "pytest.ini").write_text(_PYTEST_INI, encoding="utf-8")


def check(wheel: Path, root: Path, python: Path) -> None:
    """Install the wheel for one Python and use it there; raises PackageError."""
    with tempfile.TemporaryDirectory() as folder:
        venv, tree = Path(folder, "venv"), Path(folder, "tree")
        tree.mkdir()
        _run([_uv(), "venv", "--quiet", "--python", python, venv])
        bin_ = venv / "bin"
        install: list[str | Path] = [
            _uv(),
            "pip",
            "install",
            "--quiet",
            "--python",
            bin_ / "python",
        ]
        _run([*install, f"{wheel}[cli]"])
        # Elsewhere than in the repository: only what is installed is found.
        plain = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": ""}}
        version = _run([bin_ / "python", "-V"], **plain).split()[1]
        seen = _run([bin_ / "python", "-c", _IMPORT], **plain).split()
        if len(seen) > 1:
            raise PackageError(f"the library imports {', '.join(seen[1:])}")
        print(
            f"  Python {version}: {_run([bin_ / 'vlrv', '--version'], **plain).strip()}"
        )
        text = _run([bin_ / "vlrv", "decode", RECORDED], **plain)
        print(f"  Python {version}: vlrv decode: {' '.join(text.split())}")
        pins = (root / PINS).read_text(encoding="utf-8")
        _run([*install, *pinned(TEST_REQUIREMENTS, pins), PEER])
        _stage(root, tree, Path(seen[0]).parent)
        staged = {"cwd": str(tree), "env": {**os.environ, "PYTHONPATH": str(tree)}}
        last = _run([bin_ / "python", "-m", "pytest", "tests"], **staged)
        print(f"  Python {version}: tests: {last.strip().splitlines()[-1]}")
        seen_by = _run(
            [bin_ / "python", "-m", "script.release_command", bin_ / "vlrv"], **staged
        )
        print(f"  Python {version}: vlrv over BlueZ: {seen_by.strip()}")
        (tree / "benchmark.py").write_text(_BENCHMARK, encoding="utf-8")
        last = _run([bin_ / "python", "benchmark.py"], **staged)
        print(f"  Python {version}: {last.strip().splitlines()[-1]}")


def check_oldest(wheel: Path, root: Path) -> None:
    """Do the same on the oldest Python, if this machine has one."""
    if (oldest := find_python(OLDEST)) is not None:
        check(wheel, root, oldest)
    else:
        print("  not tried on Python {}.{}: there is none here".format(*OLDEST))


def main() -> int:
    """Build, check, and return the exit code."""
    parser = argparse.ArgumentParser(prog="script/release")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    root = Path.cwd()
    try:
        with show_progress("release", 3 if options.check else 1) as done:
            wheel = build(root, root / OUTPUT)
            check_contents(wheel, root)
            print(f"{wheel.relative_to(root)} and its source archive are complete")
            done(1)
            if options.check:
                check(wheel, root, Path(sys.executable))
                done(2)
                check_oldest(wheel, root)
    except PackageError as err:
        print(f"release: {err}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
