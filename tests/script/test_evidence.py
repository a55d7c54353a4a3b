"""What owners send answers open questions, and names the line that changes."""

from __future__ import annotations

import json
from pathlib import Path
import sys

import pytest

from simulator.battery import build_reply, settings_frame
from tests.vlrv.captures import PATH as CAPTURES, needs_captures
from tests.vlrv.samples import CELLS, frame

# As script/evidence does it.
sys.path.insert(0, str(Path(__file__).parents[2] / "cli"))

from script.evidence_report import (
    PROTOCOL,
    QUESTIONS,
    Evidence,
    changed_row,
    main,
    report,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / PROTOCOL).read_text(encoding="utf-8")


def answers(tmp_path: Path, *frames: bytes) -> list[str]:
    """Return the report on a download of diagnostics with these frames."""
    path = tmp_path / "diagnostics.json"
    path.write_text(
        json.dumps({"data": {"trace": {"received": [item.hex() for item in frames]}}}),
        encoding="utf-8",
    )
    evidence = Evidence()
    assert evidence.add_file(path) == len(frames)
    return list(report(evidence, PAGE))


def test_every_question_has_a_line_in_the_page() -> None:
    """A table that was rewritten takes its questions along."""
    for question in QUESTIONS:
        assert changed_row(PAGE, question.row, "x") is not None, question.asks


def test_balancing_is_compared_with_the_cells(tmp_path: Path) -> None:
    """The line becomes one with what was seen."""
    found = answers(tmp_path, frame(balancing=0x0080))
    text = "\n".join(found)
    assert "0x0080: cells [8] of" in text
    assert "these are the highest (diagnostics.json: data.trace.received[0])" in text
    (old,) = [line for line in found if line.startswith("  - | 38 |")]
    (new,) = [line for line in found if line.startswith("  + | 38 |")]
    assert old in "\n".join(f"  - {line}" for line in PAGE.splitlines())
    assert "| A |" in new
    assert "seen: 0x0080" in new


def test_balancing_of_other_cells_is_said_to_contradict(tmp_path: Path) -> None:
    """Bit 0 as cell 8, for example."""
    assert "not the highest" in "\n".join(answers(tmp_path, frame(balancing=0x0001)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"protection": 0x8008}, "bit 3 (cell_undervoltage), bit 15 (without a name)"),
        ({"warning": 0x1000}, "bit 12 (low_capacity)"),
        ({"error": 0x0022}, "bit 5 (without a name)"),
        ({"status_flags": 0x8000}, "0x8000, with 8 cells"),
        ({"switch_flags": 0x0011}, "0x0010, with"),
        ({"current": -5.0, "operating_state": 2}, "agrees with the state in 1 samples"),
        ({"current": 5.0, "operating_state": 2}, "against it: 8 cells"),
        ({"cycles": 7}, "30 = 7"),
    ],
)
def test_value_that_was_never_seen_answers_its_question(
    tmp_path: Path, changes: dict[str, int], expected: str
) -> None:
    """With what else the battery reported at that moment."""
    assert expected in "\n".join(answers(tmp_path, frame(**changes)))


def test_settings_and_firmware_frames_are_shown_whole(tmp_path: Path) -> None:
    """Their layout is the question."""
    text = "\n".join(
        answers(
            tmp_path,
            settings_frame(0x0A, b"\0"),
            settings_frame(0x0B, b"\x01\x02"),
            build_reply(b"\x64\x01\x01\0\0"),
        )
    )
    assert "10 0a 01 00 25 76" in text
    assert "  - | 0B, 0C |" in text
    assert "64 01 01 00 00" in text


def test_what_is_known_or_impossible_answers_nothing(tmp_path: Path) -> None:
    """A battery at rest, a foreign block, a known setting."""
    known = {"current": 0.0, "max_charge_current": 0, "cycles": 0}
    assert (
        answers(
            tmp_path,
            frame(cell_voltages=CELLS, **known),
            frame({24: 398}, protection=1),
            settings_frame(0x02, b"\x01"),
        )
        == []
    )


def test_file_that_cannot_be_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are read nevertheless."""
    good, bad = tmp_path / "good.txt", tmp_path / "bad.json"
    good.write_text(frame(balancing=1).hex(" "), encoding="utf-8")
    bad.write_text("{", encoding="utf-8")
    assert main([str(bad), str(tmp_path / "missing"), str(good)]) == 1
    printed = capsys.readouterr()
    assert "cells being balanced:" in printed.out
    assert printed.err.count("evidence: ") == 2


@needs_captures
def test_recorded_frames_answer_what_the_page_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No warning, protection or balancing was ever recorded."""
    assert main([str(CAPTURES)]) == 0
    printed = capsys.readouterr().out
    assert "bits of the warning word" not in printed
    assert "cells being balanced" not in printed
    assert "bits of the error word:" in printed
