"""What the control plane refuses to nodes it says in exactly one line: the real daemon, over TLS."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlmodel import col, select, update
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from controlplane.admins.audit import Author
from controlplane.nodes.enrolment import NewNode, create_ticket, enrol_node, retire_node
from controlplane.nodes.invitation import write_invitation
from controlplane.nodes.models import JoinTicket, JoinTokenRequest
from controlplane.plane import Plane, open_plane
from controlplane.settings import ControlPlaneSettings
from nodelink.channel.client_tls import build_client_context
from nodelink.channel.joining import JoinError, join_fleet
from nodelink.channel.node_files import NodeFiles
from nodelink.contract.assertions import make_assertion
from nodelink.contract.enrolment import JoinToken, read_join_token
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import NodeKind
from nodelink.daemon.complaints import SAME_BURST
from nodelink.daemon.settings import read_settings
from support.clocks import wait_until
from support.controlplane_process import Installation, install
from support.log_lines import read_events


@dataclass(frozen=True)
class Site:
    """A control plane that runs for all tests of this file; each has nodes of its own."""

    installation: Installation
    plane: Plane
    log: Path

    def enrol(self, name: str) -> PrivateKey:
        key = PrivateKey.generate()
        with self.plane.sessions.begin() as session:
            new = NewNode(name, NodeKind.TURN, key.public.x, key_is_replaced=False)
            enrol_node(session, self.plane.facts, new, Author("alice", "p", int(time.time())))
        return key

    def invite(self, name: str) -> JoinToken:
        with self.plane.sessions.begin() as session:
            request = JoinTokenRequest(name=name, kind=NodeKind.TURN)
            _, secret = create_ticket(
                session, self.plane.vault, request, Author("alice", "p", int(time.time()))
            )
        return read_join_token(write_invitation(self.plane, secret))

    def assert_identity(self, name: str, key: PrivateKey, age_seconds: int = 0, url: str = "") -> str:
        issued_at_seconds = int(time.time()) - age_seconds
        audience = url or self.installation.url
        return make_assertion(key, node=name, audience=audience, now_seconds=issued_at_seconds)

    def open_channel(self, assertion: str) -> connect:
        """Open a channel, in a loop: threads that read and write TLS side by side lose a request at times."""
        url = self.installation.url.replace("https", "wss") + "/api/v1/channel"
        headers = {"authorization": f"Bearer {assertion}"}
        context = build_client_context(self.plane.read_tls_pin())
        return connect(url, ssl=context, additional_headers=headers, proxy=None)

    def knock(self, assertion: str) -> int:
        """Open a channel and close it; return the status of the answer."""
        return asyncio.run(self._knock(assertion))

    async def _knock(self, assertion: str) -> int:
        try:
            async with self.open_channel(assertion) as channel:
                return 101 if channel.response is None else channel.response.status_code
        except InvalidStatus as refusal:
            return refusal.response.status_code

    def lines(self, event: str, node: str | None) -> list[dict[str, object]]:
        """Read the lines about a node; how many others were left out before depends on the order of tests."""
        lines = [line for line in read_events(self.log, event) if line.get("node") == node]
        return [{name: value for name, value in line.items() if name != "left_out"} for line in lines]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("control")
    installation = install(directory)
    settings = read_settings(ControlPlaneSettings, installation.settings)
    log = directory / "log"
    with open_plane(settings) as plane, installation.start(log):
        yield Site(installation, plane, log)


def channel_refused(node: str, problem: str) -> list[dict[str, object]]:
    line: dict[str, object] = {"event": "channel refused", "level": "warning", "problem": problem}
    return [line | {"node": node}]


def join_refused(problem: str, **node: object) -> list[dict[str, object]]:
    line: dict[str, object] = {
        "event": "join refused",
        "level": "warning",
        "code": "join_refused",
        "problem": problem,
    }
    return [line | node]


def test_wrong_key_is_refused_in_one_line(site: Site) -> None:
    site.enrol("wrong-key")

    assert site.knock(site.assert_identity("wrong-key", PrivateKey.generate())) == 401
    assert site.lines("channel refused", "wrong-key") == channel_refused(
        "wrong-key", "the assertion is not signed by this node's key"
    )


def test_replayed_assertion_is_refused_in_one_line(site: Site) -> None:
    assertion = site.assert_identity("replayed", site.enrol("replayed"))

    assert [site.knock(assertion), site.knock(assertion)] == [101, 401]
    assert site.lines("channel refused", "replayed") == channel_refused(
        "replayed", "the assertion was used before"
    )


def test_expired_assertion_is_refused_in_one_line(site: Site) -> None:
    key = site.enrol("expired")

    assert site.knock(site.assert_identity("expired", key, age_seconds=200)) == 401
    assert site.lines("channel refused", "expired") == channel_refused(
        "expired", "the assertion is not valid now; compare the clocks of both hosts"
    )


def test_assertion_for_another_control_plane_is_refused_in_one_line(site: Site) -> None:
    key = site.enrol("audience")

    assert site.knock(site.assert_identity("audience", key, url="https://other.example.org")) == 401
    assert site.lines("channel refused", "audience") == channel_refused(
        "audience", "the assertion is for somebody else"
    )


def test_retired_node_that_knocks_is_refused_in_one_line(site: Site) -> None:
    key = site.enrol("retired")
    with site.plane.sessions.begin() as session:
        retire_node(session, site.plane.facts, "retired", Author("alice", "p", int(time.time())))

    assert site.knock(site.assert_identity("retired", key)) == 401
    assert site.lines("channel refused", "retired") == channel_refused(
        "retired", "no node of this name is enrolled; it never was, or it is retired"
    )


def test_name_that_is_far_too_long_is_logged_in_part(site: Site) -> None:
    assert site.knock(site.assert_identity("x" * 500, PrivateKey.generate())) == 401
    assert len(site.lines("channel refused", "x" * 63)) == 1


def test_storm_of_knocks_does_not_fill_the_journal(site: Site) -> None:
    site.enrol("storm")
    stranger = PrivateKey.generate()

    assert {site.knock(site.assert_identity("storm", stranger)) for _ in range(20)} == {401}
    assert len(site.lines("channel refused", "storm")) == SAME_BURST
    assert site.knock(site.assert_identity("after-the-storm", stranger)) == 401
    assert read_events(site.log, "channel refused")[-1]["left_out"] == 20 - SAME_BURST


def refuse_to_join(directory: Path, token: JoinToken, kind: NodeKind = NodeKind.TURN) -> None:
    with pytest.raises(JoinError, match="The join token does not hold"):
        join_fleet(NodeFiles(directory), kind, token)


def test_second_use_of_a_join_token_is_refused_in_one_line(site: Site, tmp_path: Path) -> None:
    token = site.invite("twice")
    join_fleet(NodeFiles(tmp_path / "first"), NodeKind.TURN, token)

    refuse_to_join(tmp_path / "second", token)
    assert site.lines("join refused", "twice") == join_refused(
        "the join token was used before, or withdrawn", node="twice"
    )


def test_expired_join_token_is_refused_in_one_line(site: Site, tmp_path: Path) -> None:
    token = site.invite("late")
    with site.plane.sessions.begin() as session:
        of_this_node = col(JoinTicket.node_name) == "late"
        session.exec(update(JoinTicket).where(of_this_node).values(expires_at_seconds=int(time.time()) - 1))
    site.invite("another")  # which forgets tokens of long ago, but not this one

    refuse_to_join(tmp_path, token)
    assert site.lines("join refused", "late") == join_refused("the join token has expired", node="late")


def test_unknown_join_token_is_refused_in_one_line(site: Site, tmp_path: Path) -> None:
    token = site.invite("unknown").model_copy(update={"secret": "s" * 32})

    refuse_to_join(tmp_path, token)
    assert site.lines("join refused", None) == join_refused("the join token is unknown")


def test_join_token_for_another_kind_is_refused_in_one_line(site: Site, tmp_path: Path) -> None:
    refuse_to_join(tmp_path, site.invite("kind"), NodeKind.MAIL)

    assert site.lines("join refused", "kind") == join_refused(
        "the join token is for a turn node", node="kind"
    )


def test_join_token_of_long_ago_is_forgotten(site: Site) -> None:
    site.invite("old")
    with site.plane.sessions.begin() as session:
        of_this_node = col(JoinTicket.node_name) == "old"
        session.exec(update(JoinTicket).where(of_this_node).values(expires_at_seconds=1))
    site.invite("new")

    with site.plane.sessions() as session:
        assert session.exec(select(JoinTicket).where(of_this_node)).all() == []


@pytest.mark.anyio
async def test_retired_node_that_is_connected_leaves_in_one_line(site: Site) -> None:
    key = site.enrol("leaving")
    async with site.open_channel(site.assert_identity("leaving", key)) as channel:
        await channel.send('{"type":"hello","applied_revision":0,"software_version":"0.1.0"}')
        await asyncio.wait_for(channel.recv(), timeout=10)
        with site.plane.sessions.begin() as session:
            retire_node(session, site.plane.facts, "leaving", Author("alice", "p", int(time.time())))
        await asyncio.to_thread(wait_until, lambda: len(site.lines("node left", "leaving")) == 1)

    assert site.lines("node left", "leaving") == [
        {"event": "node left", "level": "info", "node": "leaving", "ending": 4401}
    ]
