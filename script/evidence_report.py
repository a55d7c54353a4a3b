"""Which open question of the protocol recorded frames answer; run by `script/evidence`.

Each question is a function from the evidence of all files to findings. It states what
was seen, never what it means: that is up to the developer who changes the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
import sys
from typing import Final, NamedTuple

from vlrv_ble import BatteryStatus, decode_status
from vlrv_ble.faults import Errors, OperatingState, Protections, Warnings
from vlrv_ble.frames import (
    FIRMWARE_FAMILY,
    READ_REGISTERS,
    SETTINGS_FAMILY,
    STATUS_FAMILY,
)
from vlrv_ble.registers import HEATING_ENABLED_BIT, STATUS_COUNTS
from vlrv_ble.thresholds import THRESHOLD_READS, decode_threshold_block
from vlrv_ble.validation import implausibilities
from vlrv_cli.recordings import MAX_FILE_SIZE, RecordingError, frames_of_file

PROTOCOL: Final = Path("docs/development/protocol.md")
MAX_SHOWN: Final = 5
"""Findings of a question that are printed; the rest is counted."""

_STATUS_LENGTHS: Final = {5 + 2 * count for count in STATUS_COUNTS}
_THRESHOLD_LENGTHS: Final = {5 + 2 * count: start for start, count in THRESHOLD_READS}


class Sample(NamedTuple):
    """One plausible status reply of a file."""

    source: str
    status: BatteryStatus


class Frame(NamedTuple):
    """One other frame of a file."""

    source: str
    data: bytes


@dataclass
class Evidence:
    """What the files hold."""

    samples: list[Sample] = field(default_factory=list)
    settings: list[Frame] = field(default_factory=list)
    firmware: list[Frame] = field(default_factory=list)
    thresholds: list[Frame] = field(default_factory=list)

    def add_file(self, path: Path) -> int:
        """Add the frames of a file; return how many it has.

        Raises RecordingError or OSError.
        """
        if path.stat().st_size > MAX_FILE_SIZE:
            raise RecordingError("too large")
        count = 0
        for recorded in frames_of_file(path.read_bytes()):
            self._add(f"{path.name}: {recorded.source}", recorded.frame)
            count += 1
        return count

    def _add(self, source: str, frame: bytes) -> None:
        if frame[0] == SETTINGS_FAMILY:
            self.settings.append(Frame(source, frame))
        elif frame[0] == FIRMWARE_FAMILY:
            self.firmware.append(Frame(source, frame))
        elif frame[:2] == bytes((STATUS_FAMILY, READ_REGISTERS)):
            if len(frame) in _STATUS_LENGTHS:
                status = decode_status(frame)
                if not implausibilities(status):
                    self.samples.append(Sample(source, status))
            elif len(frame) in _THRESHOLD_LENGTHS:
                self.thresholds.append(Frame(source, frame))


class Question(NamedTuple):
    """One open question of the protocol."""

    asks: str
    row: str
    """How the line of the table begins that an answer changes."""
    find: Callable[[Evidence], Iterator[str]]


def _context(status: BatteryStatus) -> str:
    state = status.operating_state
    return (
        f"{len(status.cells)} cells {min(status.cells)}-{max(status.cells)} mV, "
        f"{status.current:+.1f} A, {status.state_of_charge} %, "
        f"{'unknown state' if state is None else state.name.lower()}, "
        f"probes {list(status.temperatures)} °C"
    )


def _distinct(
    evidence: Evidence, key: Callable[[BatteryStatus], int]
) -> Iterator[Sample]:
    """Return the first sample with each value other than 0."""
    seen = {0}
    for sample in evidence.samples:
        if (value := key(sample.status)) not in seen:
            seen.add(value)
            yield sample


def _register(number: int, mask: int = 0xFFFF) -> Callable[[BatteryStatus], int]:
    return lambda status: (
        status.registers[number] & mask if number < len(status.registers) else 0
    )


def _word(number: int, mask: int = 0xFFFF) -> Callable[[Evidence], Iterator[str]]:
    """Return what finds values other than 0 of a register."""
    value = _register(number, mask)

    def find(evidence: Evidence) -> Iterator[str]:
        for sample in _distinct(evidence, value):
            yield (
                f"0x{value(sample.status):04x}, with {_context(sample.status)} "
                f"({sample.source})"
            )

    return find


def _flags(
    number: int, kind: type[Warnings | Protections | Errors]
) -> Callable[[Evidence], Iterator[str]]:
    value = _register(number)

    def find(evidence: Evidence) -> Iterator[str]:
        for sample in _distinct(evidence, value):
            word = value(sample.status)
            names = [
                f"bit {bit} ({(kind(1 << bit).name or 'without a name').lower()})"
                for bit in range(16)
                if word >> bit & 1
            ]
            yield f"{', '.join(names)}, with {_context(sample.status)} ({sample.source})"

    return find


def _current(evidence: Evidence) -> Iterator[str]:
    expected = {OperatingState.CHARGING: 1, OperatingState.DISCHARGING: -1}
    agree = contradict = 0
    example = ""
    for sample in evidence.samples:
        status = sample.status
        if (sign := expected.get(status.operating_state)) and status.current:  # type: ignore[arg-type]
            if status.current * sign > 0:
                agree += 1
            else:
                contradict += 1
                example = f"{_context(status)} ({sample.source})"
    if agree or contradict:
        yield f"the sign agrees with the state in {agree} samples, not in {contradict}"
    if example:
        yield f"against it: {example}"


def _cycles(evidence: Evidence) -> Iterator[str]:
    def order(status: BatteryStatus) -> int:
        high, low = status.registers[29:31]
        return (1 if high else 0) | (2 if low else 0)

    texts = {1: "only 29 counts", 2: "only 30 counts", 3: "both are not 0"}
    for sample in _distinct(evidence, order):
        high, low = sample.status.registers[29:31]
        yield (
            f"{texts[order(sample.status)]}: 29 = {high}, 30 = {low}, "
            f"{len(sample.status.cells)} cells ({sample.source})"
        )


def _balancing(evidence: Evidence) -> Iterator[str]:
    for sample in _distinct(evidence, lambda status: status.balancing):
        status = sample.status
        highest = sorted(status.cells)[-len(status.balancing_cells) :]
        fits = status.balancing_cells and all(
            status.cells[number - 1] >= highest[0] for number in status.balancing_cells
        )
        yield (
            f"0x{status.balancing:04x}: cells {list(status.balancing_cells)} of "
            f"{list(status.cells)} mV, {'these are' if fits else 'not'} the highest "
            f"({sample.source})"
        )


def _charge_limit(evidence: Evidence) -> Iterator[str]:
    for sample in _distinct(evidence, _register(22)):
        status = sample.status
        yield (
            f"{status.registers[22]}, with a full capacity of "
            f"{status.full_capacity or 0:.0f} Ah, {status.state_of_charge} % and "
            f"{list(status.temperatures)} °C ({sample.source})"
        )


def _setting(*functions: int) -> Callable[[Evidence], Iterator[str]]:
    def find(evidence: Evidence) -> Iterator[str]:
        seen = set()
        for frame in evidence.settings:
            if frame.data[1] in functions and frame.data not in seen:
                seen.add(frame.data)
                yield f"{frame.data.hex(' ')} ({frame.source})"

    return find


def _firmware(evidence: Evidence) -> Iterator[str]:
    for frame in evidence.firmware:
        yield f"{frame.data.hex(' ')} ({frame.source})"


def _thresholds(evidence: Evidence) -> Iterator[str]:
    # Only the newer generation answers 41 registers.
    is_newer = any(len(sample.status.registers) == 41 for sample in evidence.samples)
    for frame in evidence.thresholds:
        start = _THRESHOLD_LENGTHS[len(frame.data)]
        found = decode_threshold_block(frame.data[3:-2], start)
        if is_newer:
            values = ", ".join(f"{key} {value:g}" for key, value in found.items())
            yield f"registers from {start}: {values or 'all 0'} ({frame.source})"


QUESTIONS: Final = (
    Question("sign of the current", "| 1 |", _current),
    Question("meaning of register 22", "| 22 |", _charge_limit),
    Question("high byte of the status word", "| 25 |", _word(25, 0xFF00)),
    Question("bits of the warning word", "| 26 |", _flags(26, Warnings)),
    Question("bits of the protection word", "| 27 |", _flags(27, Protections)),
    Question("bits of the error word", "| 28 |", _flags(28, Errors)),
    Question("order of the cycles", "| 29-30 |", _cycles),
    Question("cells being balanced", "| 38 |", _balancing),
    Question("register 39", "| 39 |", _word(39)),
    Question("heater allowed", "| 40 |", _word(40, HEATING_ENABLED_BIT)),
    Question(
        "other bits of register 40", "| 40 |", _word(40, 0xFFFF ^ HEATING_ENABLED_BIT)
    ),
    Question("thresholds of the newer generation", "Grade B: read by", _thresholds),
    Question("name", "| 09 |", _setting(0x09)),
    Question("heater", "| 0A |", _setting(0x0A)),
    Question("functions 0B and 0C", "| 0B, 0C |", _setting(0x0B, 0x0C)),
    Question("function 0D", "| 0D |", _setting(0x0D)),
    Question("firmware transfer", "## 9. Firmware", _firmware),
)


def changed_row(page: str, row: str, finding: str) -> tuple[str, str] | None:
    """Return a line of the page as it is and as it could be; None if it is not there.

    In a table the finding is added to the last cell and the grade becomes A.
    """
    lines = page.splitlines()
    number = next((n for n, line in enumerate(lines) if line.startswith(row)), None)
    if number is None:
        return None
    line = lines[number]
    if not line.startswith("|"):
        return line, f"{line} [seen: {finding}]"
    head = number
    while lines[head - 1].startswith("|"):
        head -= 1
    titles = [cell.strip() for cell in lines[head].strip("|").split("|")]
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if "Grade" in titles:
        cells[titles.index("Grade")] = "A"
    if titles[-1] == "Remarks":
        cells[-1] = "; ".join(filter(None, (cells[-1], f"seen: {finding}")))
    return line, f"| {' | '.join(cells)} |"


def report(evidence: Evidence, page: str) -> Iterator[str]:
    """Return the lines of the report."""
    for question in QUESTIONS:
        findings = list(question.find(evidence))
        if not findings:
            continue
        yield f"{question.asks}:"
        yield from (f"  {finding}" for finding in findings[:MAX_SHOWN])
        if len(findings) > MAX_SHOWN:
            yield f"  and {len(findings) - MAX_SHOWN} more"
        short = findings[0].split(" (", 1)[0]
        if (change := changed_row(page, question.row, short)) is not None:
            yield f"  - {change[0]}"
            yield f"  + {change[1]}"
        yield ""


def main(arguments: list[str]) -> int:
    """Print what the files say; return the exit code."""
    evidence = Evidence()
    failed = False
    for name in arguments:
        try:
            count = evidence.add_file(Path(name))
        except (OSError, RecordingError) as err:
            failed = True
            print(f"evidence: {name}: {err}", file=sys.stderr)
            continue
        print(f"{Path(name).name}: {count} frames")
    print()
    root = Path(__file__).parents[1]
    lines = list(report(evidence, (root / PROTOCOL).read_text(encoding="utf-8")))
    print("\n".join(lines) if lines else "No open question is answered.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
