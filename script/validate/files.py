"""Hygiene of all files: encoding, contents that do not belong here, links."""

from pathlib import Path
import re

from .common import Problems, load_json, text_files

# Beside ASCII and letters: what units and ranges are written with.
_BESIDE_ASCII = "°·–µ×±½Ω√≤≥→…"
_FORBIDDEN = {
    "package index": r"""(?imx) https?://[^\s"'<>()]*(?:pypi|pythonhosted|npmjs|registry
        |artifactory|nexus|mirror|/simple\b|proxy\.golang|/debian\b|/ubuntu\b)
        | --(?:extra-)?index-url | ^deb(?:-src)?\s+https?:
        | \b(?:PIP|UV)_\w*INDEX\w*\s*[:=]\s*["']?[^\s"'$}{-]""",
    "one machine's path": r"(?<![\w.$}/*-])/(?:work|root|home/(?!assis)\w+|Users/\w+)\b",
    "word": r"(?i)\b(?:nobody|whoever|anew|in\svain|all\sthe\ssame|lets?\sgo)\b",
}
# What owners read says it as Home Assistant's own pages do.
_OWNER_WORD = (
    r"(?i)\b(?:click|pick|any\smore|by\sitself|by\sthemselves|phone\sapp|heard)\b"
)
_OWNER_PAGE = re.compile(r"README\.md|docs/[\w-]+\.md|.*/strings\.json|blueprints/.*")
_EXEMPT = "script/validate/files.py CONTRIBUTING.md tests/script/test_validate.py"
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def check_text() -> Problems:
    """Check that files are UTF-8 with plain punctuation and LF, and none is generated."""
    for path, text in text_files().items():
        if path.suffix == ".json":
            load_json(path)
        is_ended = not text or re.search(r"[^\n]\n\Z", text)
        if path.suffix in (".log", ".orig", ".rej") or not is_ended:
            yield f"{path}: generated, or without exactly one newline at the end"
        allowed = text if path.parent.name == "translations" else _BESIDE_ASCII
        for number, line in enumerate(text.split("\n"), 1):
            odd = [c for c in line if not (c.isascii() or c.isalpha() or c in allowed)]
            if odd or line != line.rstrip() or "\ufffd" in line:
                yield f"{path}:{number}: blanks at the end, or not allowed: {odd}"


def check_contents() -> Problems:
    """Check that there is no package index, no local path, and only plain words."""
    for path, text in text_files().items():
        owner = {"owner": _OWNER_WORD} if _OWNER_PAGE.fullmatch(f"{path}") else {}
        for what, pattern in {**_FORBIDDEN, **owner}.items():
            is_exempt = what == "word" and f"{path}" in _EXEMPT
            for match in re.finditer(pattern, text) if not is_exempt else ():
                line = text.count("\n", 0, match.start()) + 1
                yield f"{path}:{line}: {match[0]}"


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"(?m)^#+ (.+)$", text_files()[path].lower())
    plain = [re.sub(r"\]\([^)]*\)|[^\w\- ]", "", heading) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


def check_links() -> Problems:
    """Check that relative links lead to files and headings that exist."""
    for path in text_files():
        for name, anchor in (
            _LINK.findall(text_files()[path]) if path.suffix == ".md" else ()
        ):
            target = (path.parent / name).resolve() if name else path.resolve()
            if not target.exists():
                yield f"{path}: {name} does not exist"
            elif anchor and anchor not in anchors(target.relative_to(Path.cwd())):
                yield f"{path}: {name}#{anchor}: there is no such heading"
