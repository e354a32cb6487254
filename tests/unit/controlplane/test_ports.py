"""Which ports may be moved where, and where TURN is to be had after that."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.errors import ControlPlaneError
from controlplane.nodes.port_errors import (
    MailPortClosedError,
    PortsUnknownError,
    PortTakenError,
    TurnPortClosedError,
    WrongPortError,
)
from controlplane.nodes.ports import check_ports
from controlplane.nodes.turn_access import TurnCandidate, TurnService, choose_named_service
from nodelink.contract.ports import PORTS, PortName, PortReport
from nodelink.contract.reports import Report
from nodelink.contract.states import NodeKind
from support.controlplane_site import make_report

CONFIGURED = {
    PortName.SUBMISSION: 587,
    PortName.SUBMISSION_TLS: 465,
    PortName.IMAP: 143,
    PortName.IMAP_TLS: 993,
    PortName.TURN: 3478,
}
USUAL = TurnService("turn.example.org", 3478)


def report_of(kind: NodeKind, *alternates: int, **effective: int) -> Report:
    ports = [
        PortReport(
            name=name,
            configured=CONFIGURED[name],
            effective=effective.get(name, CONFIGURED[name]),
            problem=None,
        )
        for name in PORTS[kind]
    ]
    return make_report(kind, ports=ports, alternate_ports=alternates)


def judge(
    change: Mapping[PortName, int | None],
    *alternates: int,
    kind: NodeKind = NodeKind.MAIL,
    former: Mapping[PortName, int | None] | None = None,
) -> type[ControlPlaneError] | None:
    try:
        check_ports(kind, report_of(kind, *alternates), {**(former or {}), **change}, change)
    except ControlPlaneError as refusal:
        return type(refusal)
    return None


def test_port_moves_only_to_what_is_open() -> None:
    assert judge({PortName.IMAP_TLS: 8993}, 8993) is None
    assert judge({PortName.IMAP_TLS: 8992}, 8993) is MailPortClosedError
    assert judge({PortName.IMAP_TLS: 8994}, 8993) is MailPortClosedError
    assert judge({PortName.IMAP_TLS: 993}) is None
    assert judge({PortName.IMAP_TLS: None}) is None
    assert judge({PortName.TURN: 443}, kind=NodeKind.TURN) is TurnPortClosedError
    assert judge({PortName.TURN: 443}, 443, kind=NodeKind.TURN) is None


def test_refusal_names_the_variable() -> None:
    assert "mailnode_alternate_ports" in MailPortClosedError.public_text
    assert "turnnode_alternate_ports" in TurnPortClosedError.public_text
    assert (MailPortClosedError.status, TurnPortClosedError.status) == (400, 400)


def test_node_has_only_the_ports_of_its_kind() -> None:
    assert judge({PortName.TURN: 443}, 443) is WrongPortError
    assert judge({PortName.IMAP: None}, kind=NodeKind.TURN) is WrongPortError


def test_two_services_are_never_at_one_port() -> None:
    assert judge({PortName.IMAP: 8000, PortName.IMAP_TLS: 8000}, 8000) is PortTakenError
    assert judge({PortName.IMAP: 8000}, 8000, former={PortName.SUBMISSION: 8000}) is PortTakenError
    assert judge({PortName.IMAP: 8000, PortName.SUBMISSION: None}, 8000) is None


def test_port_where_another_service_still_is_must_be_left_first() -> None:
    report = report_of(NodeKind.MAIL, 8000, 8001, imap=8000, imap_tls=8001)
    change = {PortName.IMAP: 8001, PortName.IMAP_TLS: 8000}

    with pytest.raises(PortTakenError):
        check_ports(NodeKind.MAIL, report, change, change)


@pytest.mark.parametrize("report", [None, make_report()])
def test_node_that_has_not_said_what_is_open_is_waited_for(report: Report | None) -> None:
    with pytest.raises(PortsUnknownError):
        check_ports(NodeKind.MAIL, report, {}, {PortName.IMAP: 8143})
    check_ports(NodeKind.MAIL, report, {}, {PortName.IMAP: None})


@given(
    st.dictionaries(st.sampled_from(PORTS[NodeKind.MAIL]), st.none() | st.integers(1, 65535)),
    st.lists(st.integers(1024, 65535), max_size=4),
)
def test_what_is_let_through_gives_each_service_an_open_port_of_its_own(
    change: dict[PortName, int | None], alternates: list[int]
) -> None:
    if judge(change, *alternates) is not None:
        return
    places = [change.get(name) or CONFIGURED[name] for name in PORTS[NodeKind.MAIL]]
    assert len(set(places)) == len(places)
    assert set(places) <= {*CONFIGURED.values(), *alternates}


def candidate(port: int, *, is_moved: bool = True, is_connected: bool = True) -> TurnCandidate:
    return TurnCandidate("turn1", "192.0.2.1", port, is_connected=is_connected, is_moved=is_moved)


def test_name_of_all_turn_nodes_follows_once_all_have_moved() -> None:
    moved = TurnService("turn.example.org", 443)

    assert choose_named_service([candidate(443), candidate(443)], USUAL, USUAL) == moved
    assert choose_named_service([candidate(443), candidate(3478, is_moved=False)], USUAL, USUAL) == USUAL
    assert choose_named_service([candidate(443), candidate(53)], USUAL, moved) == USUAL
    assert choose_named_service([candidate(443), candidate(53, is_connected=False)], USUAL, USUAL) == moved


def test_name_of_all_turn_nodes_keeps_its_port_while_none_is_connected() -> None:
    moved = TurnService("turn.example.org", 443)

    assert choose_named_service([candidate(443, is_connected=False)], USUAL, moved) == moved
    assert choose_named_service([], USUAL, None) == USUAL
    assert choose_named_service([], USUAL, TurnService("192.0.2.1", 443)) == USUAL


def test_port_that_differs_by_ansible_alone_is_not_followed() -> None:
    assert choose_named_service([candidate(4000, is_moved=False)], USUAL, USUAL) == USUAL
