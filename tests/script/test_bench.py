"""The arithmetic of the benchmarks; what they measure is no matter of a test."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
import sqlite3
import struct

import pytest

from script.benchmarks.footprint import (
    LIMITS,
    Footprint,
    Hour,
    Net,
    memory_by_part,
    memory_per_battery,
    missed,
    net_cost,
)
from script.benchmarks.rows import count_rows
from script.benchmarks.shown import ShownValues
from script.benchmarks.workload import (
    DAY,
    SAMPLES,
    STEP,
    WorkloadBattery,
    record_workload,
)

MET = Footprint(
    poll_ms_default=0.5,
    poll_ms_all=1.0,
    rows_default_10s=9_000,
    unchanged_rows=0,
    missed_steps=0,
    core_share_16=0.005,
    requests_per_poll=1.0,
    mib_per_battery=0.25,
    memory_ratio=1.125,
)


def test_footprint_of_several_runs_takes_the_fastest_of_each_hour() -> None:
    """What is ours, the bare client's and neither's are each taken by themselves."""
    runs = [
        [Hour(1.0, 0.5, 2.0, 0.30), Hour(3.0, 0.9, 2.5, 0.20)],
        [Hour(1.4, 0.4, 2.2, 0.10), Hour(2.0, 0.8, 2.0, 0.40)],
    ]
    net = net_cost(runs, [0.12, 0.05])
    assert net.bare == pytest.approx(0.6)
    assert net.poll == pytest.approx(0.9)
    assert net.other == pytest.approx(0.1)
    assert net.total == pytest.approx(1.0)
    assert net.floor == pytest.approx(2.0)


def test_cost_of_a_poll_is_that_on_the_machine_of_the_targets() -> None:
    """On one that takes twice as long for as many states, it is half of what it was."""
    here = Net(bare=0.5, poll=0.9, other=0.1, floor=40 * 0.02)
    assert here.on_reference(40, 0.02) == pytest.approx(1.0)
    slower = Net(bare=1.0, poll=1.8, other=0.2, floor=40 * 0.04)
    assert slower.on_reference(40, 0.02) == pytest.approx(1.0)


def test_footprint_of_runs_of_different_length_is_refused() -> None:
    """An hour that one run lacks is not left out silently."""
    with pytest.raises(ValueError):
        net_cost([[Hour(1, 1, 1, 0)], [Hour(1, 1, 1, 0)] * 2], [0.0, 0.0])


def registers(
    *, voltage: int = 5200, current: int = 100, high: int = 3255, charge: int = 60
) -> list[int]:
    """Return registers in their units: 0.01 V, 0.1 A, mV, %."""
    words = [voltage, current & 0xFFFF, *[3250] * 15, high, *[0] * 23]
    words[24] = charge
    return words


SHOWN = {
    "voltage": "52.0",
    "current": "10.0",
    "power": "520",
    "cell_voltage_delta": "5",
    "state_of_charge": "60",
}


@pytest.mark.parametrize(
    ("change", "missed_steps"),
    [
        ({}, 0),
        # Power with it: 5.3 W are a step of its.
        ({"current": 101}, 0),
        ({"current": 102}, 2),
        ({"voltage": 5199}, 0),
        ({"voltage": 5202}, 1),
        ({"high": 3256}, 0),
        ({"high": 3253}, 1),
        # A whole percent is no noise.
        ({"charge": 61}, 1),
    ],
)
def test_value_that_is_more_than_a_step_off_is_missed(
    change: dict[str, int], missed_steps: int
) -> None:
    """One step is the noise of each reading."""
    values = ShownValues()
    values.compare(0.0, registers(**change), SHOWN)
    assert (values.compared, values.missed) == (5, missed_steps)


def test_value_that_is_off_for_more_than_a_minute_is_missed() -> None:
    """By one step, also by another one meanwhile; a right one starts the minute again."""
    values = ShownValues()
    for now, voltage in ((0, 5201), (30, 5199), (60, 5201), (70, 5200), (80, 5201)):
        values.compare(now, registers(voltage=voltage), SHOWN)
    assert values.missed == 0
    values.compare(140.0, registers(voltage=5201), SHOWN)
    assert values.missed == 0
    values.compare(140.1, registers(voltage=5201), SHOWN)
    assert values.missed == 1


def test_value_that_is_not_shown_is_missed() -> None:
    """It is no value that is right."""
    values = ShownValues()
    values.compare(0.0, registers(), {"voltage": "unavailable", "current": "unknown"})
    assert values.missed == 2


def test_value_that_is_negative_is_read_with_its_sign() -> None:
    """A battery that is discharged."""
    values = ShownValues()
    shown = {"current": "-10.0", "power": "-520"}
    values.compare(0.0, registers(current=-100), shown)
    values.compare(10.0, registers(current=-101), shown)
    assert values.missed == 0
    values.compare(20.0, registers(current=-102), shown)
    assert values.missed == 2


def test_memory_is_net_of_the_bare_client() -> None:
    """The batteries and the radio are in both."""
    assert memory_per_battery((100, 130), (90, 100), 10) == 2


def test_memory_is_assigned_to_the_part_that_allocated_it() -> None:
    """A folder of the integration, of Home Assistant, or a package; largest first."""
    packages = "/venv/lib/python3.14/site-packages"
    ours = "/project/custom_components/voltgo_vlrv/battery"
    before = {f"{packages}/homeassistant/core.py": 1 << 20}
    after = {
        f"{packages}/homeassistant/core.py": 5 << 20,
        f"{packages}/bleak/client.py": 2 << 20,
        f"{ours}/info.py": 3 << 20,
        f"{ours}/access.py": 3 << 20,
        "/usr/lib/python3.14/json.py": 1 << 20,
    }
    parts = memory_by_part(before, after, 2)
    assert list(parts.items()) == [
        ("custom_components/voltgo_vlrv/battery", 3.0),
        ("homeassistant/core.py", 2.0),
        ("bleak", 1.0),
        ("Python", 0.5),
    ]


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"poll_ms_default": 0.751}, "poll_ms_default"),
        ({"poll_ms_all": 1.21}, "poll_ms_all"),
        ({"rows_default_10s": 10_001}, "rows_default_10s"),
        ({"unchanged_rows": 1}, "unchanged_rows"),
        ({"missed_steps": 1}, "missed_steps"),
        ({"core_share_16": 0.02}, "core_share_16"),
        ({"requests_per_poll": 1.01}, "requests_per_poll"),
        ({"requests_per_poll": 0.99}, "requests_per_poll"),
        ({"memory_ratio": 1.151}, "memory_ratio"),
    ],
)
def test_target_that_is_missed_is_named_alone(
    change: dict[str, float], name: str
) -> None:
    """A value beyond its limit is named, and nothing else."""
    assert not list(missed(MET))
    (failure,) = missed(replace(MET, **change))
    assert failure.startswith(f"{name} is ")


def test_targets_at_their_limits_are_met() -> None:
    """Only of the core's share the limit is too much."""
    assert not list(missed(replace(LIMITS, core_share_16=0.0199)))


def test_result_line_has_a_fixed_form() -> None:
    """Names, order and form are fixed."""
    assert str(MET) == (
        "integration poll_ms_default=0.5000 poll_ms_all=1.0000 rows_default_10s=9000 "
        "unchanged_rows=0 missed_steps=0 core_share_16=0.0050 requests_per_poll=1.0000 "
        "mib_per_battery=0.2500 memory_ratio=1.1250"
    )


def test_rows_after_the_start_are_counted(tmp_path: Path) -> None:
    """Each entity has its own row before, which may be older than the time counted."""
    database = tmp_path / "test.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE states_meta (metadata_id, entity_id)")
        connection.execute(
            "CREATE TABLE states "
            "(state_id, entity_id, metadata_id, state, last_updated_ts)"
        )
        connection.executemany(
            "INSERT INTO states_meta VALUES (?, ?)",
            [(1, "sensor.a"), (2, "sensor.b"), (3, "sensor.foreign")],
        )
        connection.executemany(
            "INSERT INTO states VALUES (?, NULL, ?, ?, ?)",
            [
                (1, 1, "10", 99.0),
                (2, 3, "10", 100.0),
                (3, 1, "10", 100.0),  # unchanged, from before the time
                (4, 2, None, 101.0),  # the first of its entity, without a state
                (5, 1, "11", 102.0),
                (6, 2, "11", 103.0),
                (7, 2, "11", 104.0),  # unchanged
                (8, 1, "10", 105.0),  # as once before, but not as just before
                (9, 2, None, 106.0),
                (10, 2, None, 107.0),  # unchanged, without a state
                (11, 1, "10", 110.0),
            ],
        )
    assert count_rows(database, ["sensor.a", "sensor.b"], 100.0, 110.0) == (8, 3)
    assert count_rows(database, ["sensor.b"], 0.0, 1000.0) == (5, 2)
    assert count_rows(database, ["sensor.none"], 0.0, 1000.0) == (0, 0)


def test_workload_of_a_day_is_the_same_each_time() -> None:
    """It is the same each time, moves all day, and each battery has it."""
    samples = record_workload()
    assert samples[:360] == record_workload(360)
    assert len(samples) == SAMPLES
    for hour in range(24):
        begin = hour * 3600 // STEP
        assert len(set(samples[begin : begin + 3600 // STEP])) > 300
    clock = [0.0]
    first, second = (
        WorkloadBattery(number, samples, lambda: clock[0]) for number in (0, 1)
    )
    for time, sample in ((0.0, 0), (9.9, 0), (60.0, 6), (DAY + 60.0, 6)):
        clock[0] = time
        expected = list(struct.unpack(">41H", samples[sample]))
        assert first.registers(0, 41) == expected
        assert first.registers(0, 39) == expected[:39]
        # Half a minute behind.
        assert second.registers(0, 41) == list(
            struct.unpack(">41H", samples[sample - 3])
        )
