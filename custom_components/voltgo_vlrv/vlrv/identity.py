"""Identity of a battery (registers 105-127), and the models of manual table 4-1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from .text import ascii_text

IDENTITY_START: Final = 105
IDENTITY_COUNT: Final = 23

_DATA_AT: Final = 3


class TextField(NamedTuple):
    """One line of the identity map: ASCII with NUL as filler, two bytes a register."""

    number: int
    field: str
    length: int  # bytes


TEXT_FIELDS: Final = (
    TextField(105, "model", 24),
    TextField(117, "firmware", 6),
    TextField(120, "serial", 16),
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Texts that a battery reports about itself (A). Each may be empty.

    `serial` is a date on some batteries and then the same on many.
    """

    model: str
    firmware: str
    serial: str


class Model(NamedTuple):
    """One line of manual table 4-1."""

    name: str
    cells: int
    nominal_voltage: float  # V
    capacity: int  # Ah
    energy: int  # Wh, as printed
    width: int  # mm
    depth: int  # mm
    height: int  # mm
    weight: float  # kg


MODELS: Final = (
    Model("VLRV1280A", 4, 12.8, 100, 1280, 308, 172, 220, 11.2),
    Model("VLRV2560A", 4, 12.8, 200, 2560, 460, 220, 213, 24),
    Model("VLRV5120A", 4, 12.8, 400, 5120, 460, 320, 247, 43),
    Model("VLRV2560B", 8, 25.6, 100, 2560, 460, 220, 213, 24),
    Model("VLRV5120B", 8, 25.6, 200, 5120, 460, 320, 247, 43.5),
    Model("VLRV5120C", 16, 51.2, 100, 5120, 460, 320, 247, 44),
)

# A learned capacity drifts from the printed one, and other sizes of the family exist.
CAPACITY_TOLERANCE: Final = 0.1


def decode_identity(frame: bytes) -> Identity:
    """Decode a whole, intact reply to a read of 23 or more registers from 105.

    Texts are cleaned as `text.ascii_text` says (A). Raises ValueError when the reply is
    shorter.
    """
    data = frame[_DATA_AT:-2]
    if len(data) < 2 * IDENTITY_COUNT:
        raise ValueError(f"an identity reply does not have {len(frame)} bytes")
    return Identity(
        **{
            text.field: ascii_text(data[at : at + text.length])
            for text in TEXT_FIELDS
            for at in (2 * (text.number - IDENTITY_START),)
        }
    )


def find_model(cell_count: int, full_capacity: float | None) -> Model | None:
    """Return the model with that many cells and about that capacity (Ah), if any."""
    if full_capacity is None:
        return None
    return next(
        (
            model
            for model in MODELS
            if model.cells == cell_count
            and abs(full_capacity - model.capacity)
            <= model.capacity * CAPACITY_TOLERANCE
        ),
        None,
    )
