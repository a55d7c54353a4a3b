"""What was compared, and what differed."""

from __future__ import annotations

from datetime import datetime


class Comparison:
    """Counts comparisons by subject, and keeps those that differ."""

    def __init__(self) -> None:
        """Start with nothing compared."""
        self.counts: dict[str, int] = {}
        self.differences: list[str] = []
        self._subject = ""

    def about(self, subject: str) -> None:
        """Name what is compared from here on."""
        self._subject = subject

    def equal(self, what: str, shown: object, true: object) -> None:
        """Compare what has to be the same."""
        self.holds(what, shown == true, f"shown {shown!r}, true {true!r}")

    def near(self, what: str, shown: object, true: float, tolerance: float) -> None:
        """Compare a number that may be off by a tolerance."""
        try:
            number = float(str(shown))
        except ValueError:
            number = float("nan")
        self.holds(
            what,
            abs(number - true) <= tolerance,
            f"shown {shown}, true {true:.5g}, tolerance {tolerance:g}",
        )

    def at(self, what: str, shown: object, true: float, tolerance: float) -> None:
        """Compare a time as text with one in s of Unix time; tolerance in s."""
        try:
            number = datetime.fromisoformat(str(shown)).timestamp()
        except ValueError:
            number = float("nan")
        self.near(what, number, true, tolerance)

    def holds(self, what: str, is_true: bool, otherwise: str) -> None:
        """Count a comparison, and note what does not hold."""
        self.counts[self._subject] = self.counts.get(self._subject, 0) + 1
        if not is_true:
            self.differences.append(f"{self._subject}, {what}: {otherwise}")
