"""The list of siblings as the control plane keeps, signs and hands it out."""

import json
from contextlib import suppress

import pytest

from controlplane.nodes.desk import Desk
from controlplane.nodes.enrolment import retire_node
from controlplane.nodes.models import FleetSiblings
from controlplane.nodes.sibling_lists import THE_ROW
from controlplane.plane import Plane
from controlplane.signing.service import announce_next_key, switch_key
from nodelink.contract.frames import Hello, Siblings, SiblingsWanted
from nodelink.contract.siblings import open_siblings
from nodelink.contract.states import SiblingListName
from support.controlplane_node import FakeNode, open_node
from support.controlplane_site import AUTHOR, NOW, Clock, add_node, make_report, serve_plane

pytestmark = pytest.mark.anyio

NODES = ("mail1", "mail2")


def add_mail_nodes(plane: Plane, *names: str) -> None:
    desk = Desk(plane, Clock(NOW))
    for name in names:
        add_node(plane, name)
        assert desk.note_report(name, make_report(public_name=f"{name}.example.org"))
    assert desk.renew_siblings() > 0


async def greet(node: FakeNode, trusted: tuple[str, ...]) -> None:
    hello = Hello(applied_revision=0, software_version="1", trusted_keys=trusted, reads_sibling_list=True)
    await node.say(hello)


async def hear_name(node: FakeNode) -> SiblingListName:
    state = await node.hear_mail_state()
    assert state.siblings == ()
    assert state.sibling_list is not None
    return state.sibling_list


async def hear_list(node: FakeNode, wanted: str) -> tuple[SiblingListName, list[str]]:
    await node.say(SiblingsWanted(digest=wanted))
    frame = await node.hear()
    assert isinstance(frame, Siblings)
    name, content = open_siblings(frame.document, node.trusted)
    return name, [sibling.name for sibling in content.siblings]


async def test_list_is_named_in_the_state_and_sent_to_whoever_asks(plane: Plane) -> None:
    add_mail_nodes(plane, *NODES)
    key = add_node(plane, "mail3")
    trusted = plane.keys.trusted
    async with serve_plane(plane) as port, open_node(port, "mail3", key, trusted) as node:
        await greet(node, trusted)
        name = await hear_name(node)

        assert await hear_list(node, name.digest) == (name, ["mail1", "mail2"])
        with plane.sessions.begin() as session:
            retire_node(session, plane.facts, "mail2", AUTHOR)
        following = await hear_name(node)
        assert following.revision == name.revision + 1
        assert await hear_list(node, following.digest) == (following, ["mail1"])


async def test_list_that_holds_no_more_is_not_sent(plane: Plane) -> None:
    add_mail_nodes(plane, *NODES)
    key = add_node(plane, "mail3")
    trusted = plane.keys.trusted
    async with serve_plane(plane) as port, open_node(port, "mail3", key, trusted) as node:
        await greet(node, trusted)
        name = await hear_name(node)

        for wanted in ("0" * 64, "\0"):
            await node.say(SiblingsWanted(digest=wanted))
        assert await hear_list(node, name.digest) == (name, ["mail1", "mail2"])


async def test_node_that_asks_too_often_is_sent_less(plane: Plane) -> None:
    add_mail_nodes(plane, *NODES)
    key = add_node(plane, "mail3")
    trusted = plane.keys.trusted
    async with serve_plane(plane) as port, open_node(port, "mail3", key, trusted) as node:
        await greet(node, trusted)
        name = await hear_name(node)

        for _ in range(50):
            await node.say(SiblingsWanted(digest=name.digest))
        heard = 0
        with suppress(TimeoutError):
            while True:
                assert isinstance(await node.hear(0.5), Siblings)
                heard += 1
        assert 3 <= heard <= 4


async def test_node_of_an_older_version_is_told_in_its_state(plane: Plane) -> None:
    add_mail_nodes(plane, *NODES)
    key = add_node(plane, "mail3")
    async with serve_plane(plane) as port, open_node(port, "mail3", key, plane.keys.trusted) as node:
        await node.greet()
        state = await node.hear_mail_state()

        assert state.sibling_list is None
        assert [sibling.name for sibling in state.siblings] == ["mail1", "mail2"]


def test_list_is_signed_once_for_all_and_anew_by_the_next_key(plane: Plane) -> None:
    add_mail_nodes(plane, *NODES)
    desk = Desk(plane, Clock(NOW))
    digest = read_digest(plane)

    (first,), second = desk.read_siblings([digest]), desk.read_siblings([digest, "0" * 64])

    assert first is second[0]
    assert second[1] is None
    with plane.sessions.begin() as session:
        announce_next_key(session, plane.vault, plane.facts, NOW)
        assert switch_key(session, plane.facts, NOW)
    assert read_digest(plane) == digest  # the list is the same one
    (third,) = desk.read_siblings([digest])
    assert third is not None
    open_siblings(json.loads(third)["document"], (plane.keys.current.public,))
    with plane.sessions.begin() as session:
        retire_node(session, plane.facts, "mail2", AUTHOR)
    assert desk.read_siblings([digest]) == [None]


def test_list_that_stays_the_same_keeps_its_revision(plane: Plane) -> None:
    add_mail_nodes(plane, *NODES)
    digest = read_digest(plane)

    Desk(plane, Clock(NOW)).renew_siblings()
    Desk(plane, Clock(NOW)).adopt_settings()

    assert read_digest(plane) == digest


def read_digest(plane: Plane) -> str:
    with plane.sessions() as session:
        return session.get_one(FleetSiblings, THE_ROW).digest
