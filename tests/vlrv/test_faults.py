"""Which keys the bits of the protection word have."""

from __future__ import annotations

import pytest

from custom_components.voltgo_vlrv.vlrv.faults import (
    FAULTS,
    UNKNOWN_BIT,
    Protections,
    active_faults,
)


def test_no_protection_is_no_fault() -> None:
    """As most of the time."""
    assert active_faults(Protections(0)) == frozenset()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.key)
def test_protection_alone_has_its_key(fault: object) -> None:
    """Each line of the table."""
    assert active_faults(fault.mask) == {fault.key}  # type: ignore[attr-defined]


def test_bits_without_a_name_are_told_by_their_number() -> None:
    """A newer firmware may use more than any document describes; 16 bits at most."""
    known = 0
    for fault in FAULTS:
        known |= int(fault.mask)
    unknown = [bit for bit in range(16) if not known >> bit & 1]
    assert unknown
    everything = active_faults(Protections(0xFFFF))
    assert everything == {fault.key for fault in FAULTS} | {
        f"{UNKNOWN_BIT}{bit}" for bit in unknown
    }
    assert active_faults(Protections(1 << unknown[-1])) == {
        f"{UNKNOWN_BIT}{unknown[-1]}"
    }
