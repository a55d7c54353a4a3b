"""The arithmetic of the comparison with the peer; what it measures is no matter of a test."""

from __future__ import annotations

import pytest

from script.benchmarks.environment import BARE, OURS

pytest.importorskip("aiobmsble", reason="the peer is measured on the newest only")

from script.benchmarks.peer import PEER, Comparison, Cost, compare

COSTS = {
    BARE: Cost(1.0, 3.0, 100.0, 1.0),
    OURS: Cost(1.5, 3.0, 110.0, 1.2),
    PEER: Cost(2.0, 3.0, 100.0, 1.0),
}


def test_comparison_takes_the_radio_off_both() -> None:
    """What the bare client costs says nothing of either."""
    assert compare(COSTS) == Comparison(0.5, 1.1, 1.2)


def test_comparison_with_less_than_the_radio_alone_is_refused() -> None:
    """Then something was not measured."""
    with pytest.raises(ValueError, match="radio"):
        compare({**COSTS, PEER: Cost(0.9, 3.0, 100.0, 1.0)})


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        (Comparison(1.0, 1.1, 1.2), True),
        (Comparison(1.01, 1.0, 1.0), False),
        (Comparison(1.0, 1.11, 1.0), False),
        (Comparison(1.0, 1.0, 1.21), False),
    ],
)
def test_targets_are_met_up_to_their_limits(
    comparison: Comparison, expected: bool
) -> None:
    """Each by itself."""
    assert comparison.is_met is expected


def test_peer_line_has_a_fixed_form() -> None:
    """Names, order and form are fixed."""
    assert str(Comparison(0.634, 1.0, 1.125)) == (
        "peer cpu_ratio=0.63 bytes_ratio=1.00 first_value_ratio=1.12"
    )
