"""The subcommands of `vlrv`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
import csv
from dataclasses import asdict
from datetime import datetime
from functools import partial
import json
import logging
from pathlib import Path
import sys
from typing import Any, Final, NoReturn

import bleak
import click
from rich.console import Console
from rich.table import Table
from rich.text import Text
from vlrv_ble import (
    BatteryStatus,
    NoAnswerError,
    NotReachableError,
    NotVlrvError,
    RefusedError,
    VlrvClient,
    VlrvError,
    find_model,
    scan as scan_batteries,
)
from vlrv_ble.gatt import radio_call
from vlrv_ble.settings import GET_CAN, GET_RS485
from vlrv_ble.trace import redacted_hex

from .dump import read_everything
from .explain import Explanation, explain
from .recordings import (
    MAX_FILE_SIZE,
    RecordedFrame,
    RecordingError,
    frames_in,
    frames_of_file,
    parse_hex,
)

EXIT_FAILED: Final = 1
"""The battery or the file could not be read. 2 is a wrong command line."""
EXIT_NO_BATTERY: Final = 3
"""The device is no such battery, or nothing was found."""

_WATCHED: Final = (
    "state_of_charge",
    "voltage",
    "current",
    "power",
    "remaining_capacity",
    "max_temperature",
    "operating_state",
)

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)


@contextmanager
def _progress(text: str) -> Iterator[Callable[[str], None]]:
    """Show what is going on, on a terminal; yield what changes the text."""
    if not _err.is_terminal:
        yield lambda _: None
        return
    with _err.status(text) as status:
        yield status.update


_address = click.argument("address")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_timeout = click.option(
    "--timeout",
    default=10.0,
    show_default=True,
    type=click.FloatRange(1, 300),
    help="Seconds to look for the battery.",
)


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """End with one line on the standard error output."""
    _err.print(Text(f"vlrv: {message}", style="red"), soft_wrap=True)
    sys.exit(code)


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; ends the process with one line if it fails."""
    try:
        return asyncio.run(work)
    except NotVlrvError as err:
        fail(f"this is no such battery: {err}", EXIT_NO_BATTERY)
    except NotReachableError as err:
        if isinstance(err.__cause__, OSError):  # no D-Bus, or none that may be used
            fail(f"there is no usable Bluetooth: {err}")
        fail(str(err))
    except VlrvError as err:
        fail(str(err) or type(err).__name__)
    except KeyboardInterrupt:
        sys.exit(130)


@click.group()
@click.version_option(package_name="vlrv-ble", prog_name="vlrv")
@click.option("--debug", is_flag=True, help="Print the log of the Bluetooth stack.")
def vlrv(debug: bool) -> None:
    """Read Voltgo VLRV and related LiFePO4 batteries over Bluetooth LE.

    Nothing is ever written to a battery. A battery that is connected to another device,
    such as a phone or Home Assistant, does not answer.
    """
    # An error is one line; what the stack logs beside it is for those who ask for it.
    handlers = None if debug else [logging.NullHandler()]
    level = logging.DEBUG if debug else logging.CRITICAL
    logging.basicConfig(level=level, handlers=handlers)


@vlrv.command()
@click.option(
    "--seconds",
    default=10.0,
    show_default=True,
    type=click.FloatRange(1, 300),
    help="How long to listen.",
)
@_json
def scan(seconds: float, as_json: bool) -> None:
    """List devices that may be such a battery, the likeliest first."""
    with _progress(f"Listening for {seconds:g} s"):
        found = run(scan_batteries(seconds))
    rows = [
        {
            "name": result.name,
            "address": result.device.address,
            "rssi": result.rssi,
            "score": result.score,
        }
        for result in found
    ]
    if as_json:
        _print_json(rows)
    elif rows:
        table = Table("Name", "Address", "Signal (dBm)", "Likeliness (1-7)")
        for row in rows:
            table.add_row(*[Text(str(value)) for value in row.values()])
        _out.print(table)
    if not rows:
        fail("no such battery advertises here", EXIT_NO_BATTERY)


@vlrv.command()
@_address
@_timeout
@_json
def read(address: str, timeout: float, as_json: bool) -> None:
    """Read values, identity, thresholds and settings once."""
    found = run(_read(address, timeout))
    if as_json:
        _print_json(found)
        return
    for name, values in found.items():
        table = Table(title=name, title_justify="left", show_header=False)
        for key, value in values.items():
            table.add_row(key, Text("–" if value is None else str(value)))
        if values:
            _out.print(table)


async def _read(address: str, max_wait: float) -> dict[str, dict[str, Any]]:
    async with await _client(address, max_wait) as client:
        with _progress("Reading"):
            status = await client.read_status()
            identity = await _optional(client.read_identity)
            thresholds = await _optional(client.read_thresholds)
            settings: dict[str, Any] = {
                "module_id": await _optional(client.read_module_id)
            }
            for key, function in (("can", GET_CAN), ("rs485", GET_RS485)):
                protocols = await _optional(partial(client.read_protocols, function))
                settings[key] = protocols and {
                    "selected": protocols.selected,
                    "names": list(protocols.names),
                }
    model = find_model(status.cell_count, status.full_capacity)
    return {
        "status": status_values(status),
        "identity": {
            **({} if identity is None else asdict(identity)),
            "model_by_size": model and model.name,
        },
        "thresholds": dict(thresholds or {}),
        "settings": settings,
    }


async def _optional[T](read_it: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
    """Return what not every battery answers, None where this one does not."""
    try:
        return await read_it()
    except (NoAnswerError, RefusedError):
        return None


def status_values(status: BatteryStatus) -> dict[str, Any]:
    """Return the values of a sample as what JSON knows."""
    state = status.operating_state
    values = {
        **asdict(status),
        "operating_state": None if state is None else state.name.lower(),
        "power": status.power,
        "is_full": status.is_full,
    }
    for key in ("warnings", "protections", "errors"):
        flags = getattr(status, key)
        values[key] = {
            "word": int(flags),
            "names": [flag.name.lower() for flag in flags if flag.name],
        }
    del values["frame"]
    return values


@vlrv.command()
@_address
@_timeout
@click.option(
    "--interval",
    default=10.0,
    show_default=True,
    type=click.FloatRange(1, 3600),
    help="Seconds between two samples.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many samples.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@_json
def watch(
    address: str,
    timeout: float,
    interval: float,
    count: int | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Print one line for each sample until interrupted.

    A lost connection is restored; what goes wrong meanwhile is printed to the standard
    error output.
    """
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if as_csv:
        writer.writerow(("time", *_WATCHED))

    def show(status: BatteryStatus) -> None:
        values = status_values(status)
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        if as_json:
            click.echo(json.dumps({"time": now, **values}))
        elif as_csv:
            writer.writerow((now, *[values[key] for key in _WATCHED]))
        else:
            faults = " ".join(values["protections"]["names"])
            click.echo(
                f"{now}  {values['state_of_charge']:3} %  {values['voltage']:6.2f} V  "
                f"{values['current']:+7.1f} A  {values['operating_state'] or '?'}"
                f"{'  ' + faults if faults else ''}"
            )
        sys.stdout.flush()

    run(_watch(address, timeout, interval, count, show))


async def _watch(
    address: str,
    max_wait: float,
    interval: float,
    count: int | None,
    show: Callable[[BatteryStatus], None],
) -> None:
    loop = asyncio.get_running_loop()
    samples = 0
    async with await _client(address, max_wait) as client:
        while True:
            due = loop.time() + interval
            try:
                await client.connect()
                show(await client.read_status())
                samples += 1
            except NotVlrvError:
                raise
            except VlrvError as err:
                _err.print(Text(f"vlrv: {err}", style="yellow"), soft_wrap=True)
            if count is not None and samples >= count:
                return
            await asyncio.sleep(max(0, due - loop.time()))


@vlrv.command()
@_address
@_timeout
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write to this file instead of the standard output.",
)
def dump(address: str, timeout: float, output: Path | None) -> None:
    """Read all registers and settings into one JSON, without serial and address.

    This is what a report on a battery that is not fully supported needs.
    """

    async def work() -> dict[str, Any]:
        async with await _client(address, timeout) as client:
            with _progress("Reading") as show:
                return await read_everything(
                    client, address, lambda step: show(f"Reading {step}")
                )

    text = json.dumps(run(work()), indent=2) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as err:
        fail(f"{output}: {err.strerror or err}")
    _err.print(f"Written to {output}", highlight=False)


@vlrv.command()
@click.argument("recording", nargs=-1, required=True, metavar="HEX|FILE")
@_json
def decode(recording: tuple[str, ...], as_json: bool) -> None:
    """Explain recorded frames: HEX bytes or a FILE.

    A file is a Bluetooth log (btsnoop), an app's log with hexadecimal bytes, a download of
    diagnostics or a dump. Each value has the grade of its evidence: A recorded from real
    batteries, B a vendor document or another driver, C inferred, not proven.
    """
    count = 0
    request: bytes | None = None
    explanations = []
    name = " ".join(recording)
    for recorded in _recorded(name):
        explanation = explain(recorded.frame, request=request, sent=recorded.sent)
        if explanation.title.startswith("request: "):
            request = recorded.frame
        count += 1
        if as_json:
            explanations.append(
                {
                    "source": recorded.source,
                    "sent": recorded.sent,
                    "frame": redacted_hex(recorded.frame),
                    **explanation.as_dict(),
                }
            )
        else:
            _print_explanation(recorded, explanation)
    if as_json:
        _print_json(explanations)
    if not count:
        fail(f"no frame of this protocol in {name[:60]!r}")


def _recorded(recording: str) -> Iterator[RecordedFrame]:
    path = Path(recording)
    try:
        is_file = path.is_file()
    except OSError:  # a long text of hexadecimal bytes is no name of a file
        is_file = False
    if not is_file:
        data = parse_hex(recording)
        if data is None:
            fail(f"neither hexadecimal bytes nor a file: {recording[:60]!r}")
        frames = frames_in(data)
        if not frames:
            # With the reason why it is none.
            frames = [data]
        for frame in frames:
            yield RecordedFrame("", None, frame)
        return
    try:
        if path.stat().st_size > MAX_FILE_SIZE:
            fail(f"{recording}: larger than {MAX_FILE_SIZE // 2**20} MB")
        with _progress("Reading the file"):
            data = path.read_bytes()
        yield from frames_of_file(data)
    except OSError as err:
        fail(f"{recording}: {err.strerror or err}")
    except RecordingError as err:
        fail(f"{recording}: {err}")


def _print_explanation(recorded: RecordedFrame, explanation: Explanation) -> None:
    direction = {True: " >", False: " <", None: ""}[recorded.sent]
    head = f"{recorded.source}{direction} {explanation.title}".strip()
    _out.print(Text(head, style="bold"), soft_wrap=True)
    for problem in explanation.problems:
        _out.print(Text(f"  {problem}", style="red"), soft_wrap=True)
    for line in explanation.lines:
        mark = {None: "", "A": "", "B": "  (B)", "C": "  (C, not proven)"}[line.grade]
        _out.print(Text(f"  {line.name}: {line.value}{mark}"), soft_wrap=True)


async def _client(address: str, max_wait: float) -> VlrvClient:
    """Return a client for the battery with this address.

    Raises NotReachableError when it does not advertise.
    """
    with (
        _progress(f"Looking for {address}"),
        radio_call("scanning", NotReachableError),
    ):
        device = await bleak.BleakScanner.find_device_by_address(address, max_wait)
    if device is None:
        raise NotReachableError(
            f"{address} does not advertise: it is out of range, switched off, or "
            "connected to another device"
        )
    return VlrvClient.from_device(device)


def _print_json(content: Any) -> None:
    click.echo(json.dumps(content, indent=2))
