"""Actions, triggers and conditions in YAML, texts, icons and code."""

import importlib
import re

import yaml  # type: ignore[import-untyped]

from .common import INTEGRATION, STRINGS, Problems, differences, flatten, load_json

_ICONS = INTEGRATION / "icons.json"
# File and section, and which table of which module has them, if one has.
_SECTIONS = {
    "services": None,
    "triggers": ("trigger", "TRIGGERS"),
    "conditions": ("condition", "CONDITIONS"),
}


def check_automations() -> Problems:
    """Check that YAML, texts, icons and code have the same actions and fields."""
    for section, table in _SECTIONS.items():
        path = INTEGRATION / f"{section}.yaml"
        declared = yaml.safe_load(path.read_text())
        declared = {name: one or {} for name, one in declared.items() if name[0] != "."}
        yield from differences(declared, load_json(_ICONS)[section], path, _ICONS)
        if table is not None:
            module = importlib.import_module(".".join((*INTEGRATION.parts, table[0])))
            yield from differences(declared, getattr(module, table[1]), path, table[0])
        wanted = set()
        for name, one in declared.items():
            wanted |= {f"{name}.name", f"{name}.description"}
            if "device" in (one.get("target") or {}):
                yield f"{path}: {name}: Home Assistant refuses target.device"
            for key, field in one.get("fields", {}).items():
                wanted.add(f"{name}.fields.{key}.name")
                for select in field["selector"].values():
                    if words := (select or {}).get("translation_key"):
                        texts = load_json(STRINGS)["selector"][words]["options"]
                        yield from differences(select["options"], texts, path, words)
        texts = [key for key, _ in flatten(load_json(STRINGS)[section])]
        texts = [key for key in texts if not re.search(r"\.\w+\.\w+\.desc", key)]
        yield from differences(wanted, texts, path, STRINGS)


def check_icons() -> Problems:
    """Check that each icon belongs to an entity that exists."""
    entities = dict(flatten(load_json(STRINGS)["entity"]))
    for key, _ in flatten(load_json(_ICONS)["entity"]):
        if re.sub(r"\.(default|state\.\w+)$", ".name", key) not in entities:
            yield f"{_ICONS}: {key}: there is no such entity"
