"""The whole suite over a proxy: what differs from the simulated adapter, and why.

`script/test --over esphome` sets TEST_OVER. Each test that uses `bluetooth_env` then
goes through Home Assistant's own `esphome`. A listed test is expected to fail: one that
passes fails the run, so that its line is deleted, and so does a line without a test.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import pytest

OVER_ESPHOME: Final = os.environ.get("TEST_OVER") == "esphome"
TESTS: Final = Path(__file__).parent.parent

_PATCHED: Final = "patches or looks into the client of the simulated adapter"
_TIMING: Final = "counts seconds of the simulated adapter; a proxy takes longer"
_NAME: Final = (
    "the name is in the scan response, and a proxy scans passively by default"
)
_ORDER: Final = "depends on which of several things is first, some 0.1 s apart"
_SLOT: Final = (
    "the proxy frees or reports a slot a moment after the integration returns"
)

FOLDERS: Final[dict[str, str]] = {
    "simulator/bluetooth": "tests the simulated adapter itself",
}
"""Reasons by folder; all tests in it are skipped."""

NOT_APPLICABLE: Final[dict[str, dict[str, str]]] = {
    "vlrv/test_connecting.py": dict.fromkeys(
        (
            "test_connect_to_an_absent_battery_fails_in_time",
            "test_connect_to_a_battery_held_by_a_phone_is_not_reachable",
            "test_subscription_without_an_answer_times_out",
            "test_subscription_without_answer_ends_before_it_is_cancelled",
            "test_connection_lost_right_after_subscribing_is_reported",
            "test_connection_that_is_lost_without_a_report_is_not_used",
            "test_service_without_its_characteristics_is_foreign",
            "test_disconnect_cancels_a_connection_that_waits_its_turn",
            "test_connection_lost_between_requests_is_reported",
            "test_disconnect_during_a_request_ends_it",
            "test_write_that_fails_is_a_lost_connection",
            "test_write_that_hangs_is_no_answer",
            "test_disconnect_never_raises",
            "test_disconnect_without_an_answer_times_out",
            "test_disconnect_twice_while_connecting_cancels_the_attempt",
            "test_error_of_a_stopped_bluetooth_service_is_a_lost_connection",
        ),
        _PATCHED,
    ),
    "connection/test_crowded.py": {
        "test_sixteen_batteries_on_three_slow_slots_keep_their_values": _PATCHED
    },
    "connection/test_sharing.py": {
        "test_connection_attempts_over_one_adapter_are_sequential": _PATCHED
    },
    "vlrv/test_client.py": {
        "test_connect_cancelled_between_any_two_steps_leaves_nothing": _PATCHED
    },
    "vlrv/test_stack.py": dict.fromkeys(
        (
            "test_error_of_any_kind_on_a_connection_is_a_lost_connection",
            "test_disconnect_that_fails_is_repeated_until_the_connection_is_gone",
            "test_disconnect_that_fails_ends_with_the_report_of_the_stack",
            "test_connecting_while_a_disconnect_fails_tries_it_once_more_first",
            "test_error_of_any_kind_while_clearing_the_cache_is_only_logged",
            "test_error_of_any_kind_while_asking_for_the_connection_means_that_it_is_gone",
            "test_error_of_any_kind_right_after_subscribing_is_a_lost_connection",
        ),
        _PATCHED,
    ),
}
"""Reasons by file and test; these are skipped."""

DIFFERENCES: Final[dict[str, dict[str, str]]] = {
    "bank/test_energy.py": {
        "test_bank_energy_after_an_early_power_cut_makes_no_step": _ORDER
    },
    "battery/test_settings_heater_and_name.py": {
        "test_stop_during_a_heater_command_does_not_wait": _ORDER,
        "test_heater_without_register_40_is_not_created": _NAME,
    },
    "connection/test_error_reason.py": {
        "test_reason_slots_are_free_is_not_a_lack_of_slots": _SLOT
    },
    "connection/test_releasing.py": {
        "test_release_action_for_several_batteries_is_simultaneous": _ORDER
    },
    "test_diagnostics.py": {"test_diagnostics_number_the_adapters_in_range": _NAME},
    "vlrv/test_connecting.py": {
        "test_subscription_that_fails_leaves_no_connection[disconnect_on_subscribe]": (
            "a proxy reports the loss after it has answered the subscription"
        )
    },
    "vlrv/test_requests.py": {"test_request_with_a_dropped_reply_is_repeated": _TIMING},
    "connection/test_calling.py": {
        "test_status_without_usable_answers_is_silent[each_poll-no]": _TIMING,
        "test_status_without_usable_answers_is_silent[each_poll-nonsense]": (_TIMING),
    },
    "connection/test_sharing.py": {
        "test_slot_that_becomes_free_is_used_at_once": "removes slots that are in use",
        "test_slot_issue_of_a_removed_battery_is_deleted": (
            "removes slots that are in use"
        ),
        "test_release_while_connecting_cancels_the_attempt": _SLOT,
    },
    "flows/test_discovery_flow.py": {
        "test_flow_with_a_late_scan_response_takes_the_name": _NAME
    },
    "flows/test_manual_flow.py": {
        "test_manual_flow_after_a_failure_shows_the_reason_and_can_be_repeated[fail_slots-no_slot]": _SLOT
    },
    "test_coordinator.py": {
        "test_stop_while_a_connection_attempt_hangs_does_not_wait": _SLOT
    },
}
"""Reasons by file and test, with or without the test's parameters."""


def expect_differences(items: list[pytest.Item]) -> None:
    """Skip the tests that do not apply, and expect those to fail that differ."""
    for file in (*FOLDERS, *NOT_APPLICABLE, *DIFFERENCES):
        if not (TESTS / file).exists():
            raise pytest.UsageError(f"{__name__} lists {file}, which does not exist")
    for item in items:
        assert isinstance(item, pytest.Function)
        file = item.path.relative_to(TESTS).as_posix()
        for folder, reason in FOLDERS.items():
            if file.startswith(f"{folder}/"):
                item.add_marker(pytest.mark.skip(reason=reason))
        skipped = NOT_APPLICABLE.get(file, {})
        if (reason := skipped.get(item.originalname)) is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
        reasons = DIFFERENCES.get(file, {})
        for name in (*skipped, *reasons):
            if not hasattr(item.module, name.partition("[")[0]):
                raise pytest.UsageError(f"{__name__}: {file} has no {name}")
        for name in (item.name, item.originalname):
            if name in reasons:
                reason = reasons[name]
                item.add_marker(pytest.mark.xfail(strict=True, reason=reason))
                break
