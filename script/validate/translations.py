"""Texts of strings.json in every language, and whether anything uses them.

That what is used exists is checked while the tests run: tests/translation_check.py.
"""

import ast
from fnmatch import fnmatchcase
import re

from . import common
from .common import INTEGRATION, STRINGS, Problems, flatten, load_json

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
# Keys that Home Assistant gives a meaning to; all others are the integration's.
_STRUCTURE = """config options entity exceptions issues selector device services triggers
    conditions step fix_flow data data_description title description name message fields
    menu_options progress abort error flow_title state state_attributes event_type on off
    binary_sensor button event select sensor switch text todo update
    already_configured already_in_progress reconfigure_successful"""


def check_languages() -> Problems:
    """Check that each language has all texts, with the same placeholders."""
    source = dict(flatten(load_json(STRINGS)))
    for key, text in source.items():
        if not text or text != text.strip() or "://" in text:
            yield f"{STRINGS}: {key}: empty, with blanks around it, or with an address"
        if (field := key.replace(".data_description.", ".data.")) not in source:
            yield f"{STRINGS}: {key}: there is no {field}"
    for path in (INTEGRATION / "translations").glob("*.json"):
        language = dict(flatten(load_json(path)))
        yield from common.differences(source, language, STRINGS, path)
        for key in source.keys() & language.keys():
            ours, theirs = source[key], language[key]
            if path.stem == "en" and ours != theirs:
                yield f"{path}: {key}: differs from strings.json"
            if {*_PLACEHOLDER.findall(ours)} != {*_PLACEHOLDER.findall(theirs)}:
                yield f"{path}: {key}: other placeholders than strings.json"


def check_unused() -> Problems:
    """Check that each key of a text occurs in the code, as a literal or part of one."""
    used, built = set(_STRUCTURE.split()), []
    for path in common.python_files(f"{INTEGRATION}"):
        for node in common.syntax_nodes(path):
            if isinstance(node, ast.Constant):
                used.add(str(node.value))
            elif isinstance(node, ast.Name) and node.id.isupper():
                used.add(node.id.lower())  # a member of an enumeration
            elif isinstance(node, ast.JoinedStr):
                pattern = re.sub(r"\{[^}]*\}", "*", ast.unparse(node)[2:-1])
                if re.search("[a-z]{3}", pattern):
                    built.append(pattern)
    for name in ("services", "triggers", "conditions"):
        used.update(re.findall(r"\w+", (INTEGRATION / f"{name}.yaml").read_text()))
    for key, _ in flatten(load_json(STRINGS)):
        # The types of an event are its faults, each with what happened to it.
        for part in key.partition(".event_type.")[0].split("."):
            if part not in used and not any(fnmatchcase(part, p) for p in built):
                yield f"{STRINGS}: {key}: nothing uses '{part}'"
