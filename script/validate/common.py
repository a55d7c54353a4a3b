"""The files of the repository, each read once, and comparisons of what they hold."""

import ast
from collections.abc import Collection, Iterator, Mapping
import functools
import json
from pathlib import Path
import subprocess
from typing import Any

INTEGRATION = Path("custom_components", "voltgo_vlrv")
SIMULATOR = Path("simulator", "e2e", "custom_components", "voltgo_simulator")
STRINGS = INTEGRATION / "strings.json"

type Problems = Iterator[str]
type Keys = Collection[str]


@functools.cache
def text_files() -> Mapping[Path, str]:
    """Return the repository's text files, tracked or new; U+FFFD where not UTF-8."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    paths = [Path(name) for name in sorted(set(listed.split("\0")))]
    contents = {path: path.read_bytes() for path in paths if path.is_file()}
    texts = {path: content for path, content in contents.items() if 0 not in content}
    return {path: text.decode(errors="replace") for path, text in texts.items()}


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below folders."""
    paths = (path for path in text_files() if f"{path}".startswith(folders))
    return [path for path in paths if path.suffix == ".py"]


@functools.cache
def syntax_nodes(path: Path) -> list[ast.AST]:
    """Return every node of a file's source."""
    return list(ast.walk(ast.parse(text_files()[path], str(path))))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(result := dict(pairs)) != len(pairs):
        raise ValueError(f"a key occurs twice: {[key for key, _ in pairs]}")
    return result


@functools.cache
def load_json(path: Path) -> Any:
    """Return the content of a JSON file; ValueError where an object has a key twice."""
    return json.loads(path.read_text(), object_pairs_hook=_unique)


def flatten(texts: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every text with its dotted key."""
    for key, value in texts.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def differences(ours: Keys, theirs: Keys, here: object, there: object) -> Problems:
    """Yield what only one of two places has."""
    yield from (f"{here}: {key}: not in {there}" for key in ours if key not in theirs)
    yield from (f"{there}: {key}: not in {here}" for key in theirs if key not in ours)


def unless_known(found: Mapping[str, str], known: Keys) -> Problems:
    """Yield problems whose key is not known, and known keys that are not found."""
    yield from (problem for key, problem in found.items() if key not in known)
    for key in {*known} - found.keys():
        yield f"{key}: no longer an exception, remove it from script/validate"
