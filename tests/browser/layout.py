"""What is on a page and where: overlaps, errors, and texts that cannot be read.

The page is looked at from outside: whichever elements the frontend uses, two texts never
lie upon each other, and no card is wider than the screen.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from playwright.async_api import Page

from simulator.e2e.polling import wait_until

LAYOUT_TIMEOUT: Final = 60.0  # s
MIN_CONTRAST: Final = 3.0  # as WCAG 2.2 demands of large text and of what is no text
BAD_TEXTS: Final = (
    "unknown",
    "unavailable",
    "entity not found",
    "configuration error",
    "undefined",
    "nan",
)

# Returns the cards and the texts of the view that are seen, with what they cover.
_SCRIPT: Final = """
() => {
  const parentOf = (node) =>
    node.assignedSlot ?? node.parentElement ?? node.getRootNode().host ?? null;
  const all = [];
  const walk = (root) => {
    for (const element of root.querySelectorAll('*')) {
      all.push(element);
      if (element.shadowRoot) walk(element.shadowRoot);
    }
  };
  walk(document);
  const view = all.find((element) => element.localName === 'hui-view');
  if (!view) return null;
  const ancestors = new Map();
  const inView = (element) => {
    if (element === null) return false;
    if (element === view) return true;
    if (!ancestors.has(element)) ancestors.set(element, inView(parentOf(element)));
    return ancestors.get(element);
  };
  const hidden = (element) =>
    !element.checkVisibility({opacityProperty: true, visibilityProperty: true});
  const box = (rect) => [rect.left, rect.top, rect.right, rect.bottom];
  const clipped = (rect, element) => {
    let [left, top, right, bottom] = box(rect);
    for (let at = element; at && at !== view; at = parentOf(at)) {
      const style = getComputedStyle(at);
      if (style.overflowX !== 'visible' && style.display !== 'inline') {
        const around = at.getBoundingClientRect();
        left = Math.max(left, around.left);
        right = Math.min(right, around.right);
        top = Math.max(top, around.top);
        bottom = Math.min(bottom, around.bottom);
      }
    }
    return [left, top, right, bottom];
  };
  const rgba = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    return text.startsWith('color(') ? [...parts.slice(-3).map((x) => x * 255), 1]
      : [...parts.slice(0, 3), parts[3] ?? 1];
  };
  const over = (top, below) =>
    [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const background = (element) => {
    const layers = [];
    for (let at = element; at; at = parentOf(at)) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] > 0) layers.push(color);
      if (color[3] === 1) break;
    }
    return layers.reduceRight((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((x) => x / 255)
      .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  const cards = [], texts = [], errors = [], cut = [];
  let nodes = 0;
  for (const element of all) {
    if (!inView(element) || hidden(element)) continue;
    if (element.localName === 'hui-card') {
      const rect = element.getBoundingClientRect();
      if (rect.width && rect.height) {
        const inner = element.firstElementChild?.shadowRoot?.querySelector('ha-card');
        cards.push({
          name: element.config?.entity ?? element.config?.type ?? '',
          box: box(rect),
          content: box((inner ?? element).getBoundingClientRect()),
        });
      }
    }
    if (element.localName === 'ha-tile-info') {
      for (const line of element.children) {
        if (line.scrollWidth > line.clientWidth) cut.push(line.textContent.trim());
      }
    }
    if (/^hui-(error|warning)/.test(element.localName)) errors.push(element.localName);
    if (['style', 'script', 'title', 'option'].includes(element.localName)) continue;
    for (const node of element.childNodes) {
      if (node.nodeType !== Node.TEXT_NODE || !node.data.trim()) continue;
      nodes += 1;
      const range = document.createRange();
      range.selectNodeContents(node);
      const style = getComputedStyle(element);
      const isSvg = element instanceof SVGElement;
      const below = background(element);
      const ink = over(rgba(isSvg ? style.fill : style.color), below);
      for (const rect of range.getClientRects()) {
        const [left, top, right, bottom] = clipped(rect, element);
        if (right - left < 2 || bottom - top < 2) continue;
        texts.push({
          text: node.data.trim(),
          node: nodes,
          box: [left, top, right, bottom],
          contrast: contrast(ink, below),
        });
      }
    }
  }
  return {
    width: innerWidth,
    scrolled: document.scrollingElement.scrollWidth,
    background: luminance(background(view)),
    cards, texts, errors, cut,
  };
}
"""

type Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""
type Found = dict[str, Any]


class Look(NamedTuple):
    """What of a page decides whether it looks right."""

    found: Found
    faults: list[str]


def _overlap(first: Box, second: Box, tolerance: float) -> bool:
    """Return whether two rectangles have more in common than their edges, in pixels."""
    return (
        min(first[2], second[2]) - max(first[0], second[0]) > tolerance
        and min(first[3], second[3]) - max(first[1], second[1]) > tolerance
    )


def _overlaps(items: list[Found], key: str, tolerance: float) -> list[str]:
    return [
        f"{one[key]!r} and {other[key]!r} overlap: {one['box']} {other['box']}"
        for at, one in enumerate(items)
        for other in items[at + 1 :]
        # A text that is cut off has a rectangle for its dots, too.
        if one.get("node", at) != other.get("node", -1)
        and _overlap(one["box"], other["box"], tolerance)
    ]


def faults_of(found: Found, *, dark: bool) -> list[str]:
    """Return what is wrong with what `_SCRIPT` found on a page, in words."""
    cards, texts, width = found["cards"], found["texts"], found["width"]
    faults = [f"there is a {name}" for name in found["errors"]]
    faults += [f"{text!r} is cut off" for text in found["cut"]]
    if found["scrolled"] > width:
        faults.append(f"it is {found['scrolled']} wide on a screen of {width}")
    if (found["background"] < 0.2) is not dark:
        faults.append(f"its background has the luminance {found['background']:.2f}")
    for card in cards:
        left, _, right, _ = card["box"]
        if left < -1 or right > width + 1:
            faults.append(f"{card['name']!r} is from {left} to {right}")
        # What is taller than its place in the grid lies upon the next card.
        if card["content"][3] > card["box"][3] + 1:
            faults.append(f"{card['name']!r} is too tall: {card['content']}")
    faults += _overlaps(cards, "name", 1.0)
    # Lines of text are a little higher than what is written in them.
    faults += _overlaps(texts, "text", 3.0)
    for text in texts:
        if text["text"].lower() in BAD_TEXTS:
            faults.append(f"it says {text['text']!r}")
        if text["contrast"] < MIN_CONTRAST:
            faults.append(f"{text['text']!r} has a contrast of {text['contrast']:.1f}")
    return faults


async def settled_look(page: Page, *texts: str, dark: bool) -> Found:
    """Wait until a view is free of faults and nothing moves on it, and return it.

    All of `texts` are on it. Raises DemoError with what is wrong to the end.
    """
    looks: list[Look] = []

    async def fine() -> bool:
        found = await page.evaluate(_SCRIPT)
        if found is None:
            looks[:] = [Look({}, ["there is no view"])]
            return False
        seen = {text["text"] for text in found["texts"]}
        faults = [f"{text!r} is missing" for text in texts if text not in seen]
        faults += faults_of(found, dark=dark)
        before, looks[:] = looks[:], [Look(found, faults)]
        return (
            not faults
            and bool(before)
            and [card["box"] for card in before[0].found.get("cards", ())]
            == [card["box"] for card in found["cards"]]
        )

    await wait_until(
        fine,
        LAYOUT_TIMEOUT,
        lambda: "\n".join(looks[0].faults) or "the view does not come to rest",
    )
    return looks[0].found


def in_order(found: Found, *texts: str) -> list[str]:
    """Return those of the texts that are on the page, from top to bottom."""
    tops = {
        text["text"]: text["box"][1]
        for text in reversed(found["texts"])
        if text["text"] in texts
    }
    return sorted(tops, key=tops.__getitem__)
