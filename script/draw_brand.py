"""Draw the pictures in custom_components/voltgo_vlrv/brand/.

A battery with a view: mountains, a road, and a radio wave where the sun would be.
Home Assistant shows them for the integration, the dark ones on a dark background.
Run from the root of the repository: .venv/bin/python script/draw_brand.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import sys
from typing import Final, NamedTuple

from PIL import Image, ImageDraw

FOLDER: Final = Path("custom_components/voltgo_vlrv/brand")
HEIGHT: Final = 256
HORIZON: Final = 186.0
WIDTHS: Final = {"icon": 256, "logo": 512}
# Drawn larger and then reduced, which smooths the edges.
OVERSAMPLING: Final = 4
COLOURS: Final = 64  # keep a picture below 15 kB


class Palette(NamedTuple):
    """The colours of one variant."""

    case: str
    sky: str
    far: str
    near: str
    snow: str
    road: str
    line: str
    wave: str


LIGHT: Final = Palette(
    case="#22313f",
    sky="#d5ecf2",
    far="#6aa3a8",
    near="#2e6f73",
    snow="#ffffff",
    road="#3d4c5a",
    line="#ffffff",
    wave="#e0792b",
)
DARK: Final = Palette(
    case="#e6edf2",
    sky="#1c2b36",
    far="#3f7a80",
    near="#5aa7a5",
    snow="#f4fafb",
    road="#8496a3",
    line="#1c2b36",
    wave="#f2984d",
)


class Brush:
    """Draws in units of a picture 256 high, whatever its real size."""

    def __init__(self, width: int, scale: int) -> None:
        """Start with nothing but transparency."""
        self.scale = scale
        self.image = Image.new("RGBA", (width * scale, HEIGHT * scale))
        self.draw = ImageDraw.Draw(self.image)

    def box(self, *corners: float, radius: float, fill: str) -> None:
        """Fill a rectangle with round corners: left, top, right, bottom."""
        scaled = [value * self.scale for value in corners]
        self.draw.rounded_rectangle(scaled, radius * self.scale, fill)

    def area(self, *points: tuple[float, float], fill: str) -> None:
        """Fill a polygon."""
        self.draw.polygon([(x * self.scale, y * self.scale) for x, y in points], fill)

    def arc(self, x: float, y: float, radius: float, width: float, fill: str) -> None:
        """Draw a quarter of a ring to the upper left, with round ends."""
        outer = radius + width / 2
        corners = [v * self.scale for v in (x - outer, y - outer, x + outer, y + outer)]
        self.draw.arc(corners, 180, 270, fill, round(width * self.scale))
        self.dot(x - radius, y, width / 2, fill)
        self.dot(x, y - radius, width / 2, fill)

    def dot(self, x: float, y: float, radius: float, fill: str) -> None:
        """Fill a circle."""
        corners = [
            v * self.scale for v in (x - radius, y - radius, x + radius, y + radius)
        ]
        self.draw.ellipse(corners, fill)


def _mountain(
    brush: Brush, x: float, top: float, *, half: float, fill: str, snow: str
) -> None:
    """Draw a mountain on the horizon with its peak at x, top, and snow on it."""
    base = HORIZON
    slope = (base - top) / half
    brush.area((x - half, base), (x, top), (x + half, base), fill=fill)
    depth = 0.3 * (base - top)
    reach = depth / slope
    brush.area(
        (x, top),
        (x + reach, top + depth),
        (x + reach * 0.4, top + depth * 0.75),
        (x, top + depth * 1.15),
        (x - reach * 0.4, top + depth * 0.75),
        (x - reach, top + depth),
        fill=snow,
    )


def draw(width: int, scale: int, palette: Palette) -> Image.Image:
    """Draw one picture, `width` x 256 times `scale`."""
    brush = Brush(width, scale * OVERSAMPLING)
    left, right, top, bottom, wall = 12.0, width - 12.0, 44.0, 244.0, 14.0
    for x in (left + 30, right - 30 - 46):  # the terminals
        brush.box(x, 18, x + 46, top + 20, radius=8, fill=palette.case)
    brush.box(left, top, right, bottom, radius=26, fill=palette.case)

    # What is inside of the case is drawn apart and then cut to its round shape.
    view = Brush(width, scale * OVERSAMPLING)
    view.box(0, 0, width, HEIGHT, radius=0, fill=palette.sky)
    middle, wide = width / 2, width > HEIGHT
    if wide:
        _mountain(view, 96, 124, half=84, fill=palette.far, snow=palette.snow)
    _mountain(
        view,
        middle + (92 if wide else 50),
        112 if wide else 140,
        half=84,
        fill=palette.far,
        snow=palette.snow,
    )
    _mountain(
        view,
        middle - (84 if wide else 42),
        92,
        half=96,
        fill=palette.near,
        snow=palette.snow,
    )
    view.box(0, HORIZON, width, HEIGHT, radius=0, fill=palette.near)
    view.area(
        (middle - 5, HORIZON),
        (middle + 5, HORIZON),
        (middle + 56, HEIGHT),
        (middle - 56, HEIGHT),
        fill=palette.road,
    )
    for near, far in ((192, 198), (204, 214), (221, 240)):  # the middle of the road
        half = [0.6 + (y - HORIZON) / 18 for y in (near, far)]
        view.area(
            (middle - half[0], near),
            (middle + half[0], near),
            (middle + half[1], far),
            (middle - half[1], far),
            fill=palette.line,
        )
    x, y = right - wall - 22, top + wall + 60
    view.dot(x, y, 8, palette.wave)
    for radius in (21.0, 35.0, 49.0):
        view.arc(x, y, radius, 7, palette.wave)

    hole = Brush(width, scale * OVERSAMPLING)
    hole.box(
        left + wall, top + wall, right - wall, bottom - wall, radius=14, fill="#ffffff"
    )
    brush.image.paste(view.image, mask=hole.image.getchannel("A"))
    return brush.image.resize((width * scale, HEIGHT * scale), Image.Resampling.LANCZOS)


def pictures() -> Iterator[tuple[str, Image.Image]]:
    """Yield every picture with the name Home Assistant looks for."""
    for variant, palette in (("", LIGHT), ("dark_", DARK)):
        for name, width in WIDTHS.items():
            for suffix, scale in (("", 1), ("@2x", 2)):
                picture = draw(width, scale, palette)
                yield (
                    f"{variant}{name}{suffix}.png",
                    picture.quantize(COLOURS, Image.Quantize.FASTOCTREE),
                )


def main() -> int:
    """Draw them all."""
    FOLDER.mkdir(exist_ok=True)
    for name, picture in pictures():
        picture.save(FOLDER / name, optimize=True)
        print(f"{(FOLDER / name).stat().st_size:6} bytes  {FOLDER / name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
