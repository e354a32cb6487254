"""The modes of notifications, and what the reports of nodes add up to."""

import pytest

from controlplane.fleet_settings.push import PushMode, add_up_push, read_mode, write_mode
from controlplane.policy.models import PolicyValues
from nodelink.contract.figures import PUSH_FAILURES
from nodelink.contract.reports import Report
from nodelink.contract.states import PUSH_FAILURES_BEFORE_PAUSE, NodeKind
from support.controlplane_site import make_report

VALUES = PolicyValues(
    registration_open=True,
    jit_enabled=True,
    registration_token_required=False,
    quota_bytes=1 << 30,
    message_bytes=1 << 24,
    message_retention_days=0,
    unused_account_days=0,
    large_message_retention_days=0,
    auto_trim=True,
    turn_enabled=True,
    push_enabled=True,
    push_pauses=False,
    turn_announced_port=0,
)


def failing(count: int) -> Report:
    return make_report(figures={PUSH_FAILURES: float(count), "notifications_pushed": 2.0})


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize("mode", PushMode)
def test_mode_is_read_back_from_what_it_writes(mode: PushMode, pauses: bool) -> None:
    before = VALUES.model_copy(update={"push_pauses": pauses})

    assert read_mode(before.model_copy(update=write_mode(mode))) is mode


def test_mode_that_is_off_remembers_how_it_was_on() -> None:
    assert write_mode(PushMode.OFF).keys() == {"push_enabled"}


def test_successes_are_added_up_and_the_worst_failures_count() -> None:
    found = add_up_push(PushMode.ON, [failing(1), failing(7), make_report(NodeKind.TURN)])

    assert (found.successes, found.failures_in_a_row, found.has_proxy) == (4, 7, True)
    assert not found.is_pausing


@pytest.mark.parametrize(
    ("counts", "is_pausing"),
    [
        ([PUSH_FAILURES_BEFORE_PAUSE - 1], False),
        ([PUSH_FAILURES_BEFORE_PAUSE], True),
        ([PUSH_FAILURES_BEFORE_PAUSE + 1] * 2, True),
        ([PUSH_FAILURES_BEFORE_PAUSE, 0], False),
        ([], False),
    ],
)
def test_fleet_pauses_when_all_of_its_nodes_do(counts: list[int], is_pausing: bool) -> None:
    reports = [failing(count) for count in counts]

    assert add_up_push(PushMode.AUTO, reports).is_pausing is is_pausing


def test_nodes_that_have_reported_and_know_no_proxy_have_none() -> None:
    assert add_up_push(PushMode.ON, []).has_proxy
    assert not add_up_push(PushMode.ON, [make_report()]).has_proxy
    assert add_up_push(PushMode.ON, [make_report(), failing(0)]).has_proxy
