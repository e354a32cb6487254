"""The list of siblings, a document of its own: asked for, checked, kept, and in force with the state."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from nodelink.channel.node_files import NodeFiles
from nodelink.contract.documents import DocumentType, digest_content, sign_document
from nodelink.contract.errors import MalformedError
from nodelink.contract.frames import Desired, Siblings, SiblingsWanted
from nodelink.contract.keys import PrivateKey, PublicKey
from nodelink.contract.siblings import SiblingList, open_siblings
from nodelink.contract.states import (
    MAX_SIBLINGS,
    DesiredState,
    MailNodeState,
    NodeState,
    SiblingListName,
    SiblingNode,
)
from self_signed import make_certificate
from support.clocks import until
from support.node_channel import CONTROL_KEY, NEXT_KEY, ControlPlane, altered, connected, make_node, reported

pytestmark = pytest.mark.anyio

STRANGER = PrivateKey.generate()
KEY = PrivateKey.generate().public.x


def make_list(revision: int, *names: str) -> SiblingList:
    siblings = tuple(
        SiblingNode(
            name=name,
            mail_domain=f"{name}.example.org",
            host=f"{name}.example.org",
            port=443,
            public_key=KEY,
            tls_pin=None,
        )
        for name in names
    )
    return SiblingList(revision=revision, siblings=siblings)


def sign(content: SiblingList, key: PrivateKey = CONTROL_KEY) -> str:
    return sign_document(key, DocumentType.SIBLINGS, content)


def name_of(content: SiblingList) -> SiblingListName:
    return SiblingListName(revision=content.revision, digest=digest_content(content.model_dump_json()))


def desired(revision: int, content: SiblingList | None, key: PrivateKey = CONTROL_KEY) -> str:
    state = MailNodeState(
        registration_open=True,
        jit_enabled=True,
        quota_bytes=1 << 30,
        message_bytes=1 << 25,
        turn=None,
        sibling_list=content and name_of(content),
    )
    trusted = (CONTROL_KEY.public.x, NEXT_KEY.public.x) if key is CONTROL_KEY else (key.public.x,)
    return sign_document(
        key,
        DocumentType.DESIRED_STATE,
        DesiredState(node="mail1", revision=revision, issued_at_seconds=0, trusted_keys=trusted, state=state),
    )


def siblings_of(state: NodeState) -> list[str]:
    assert isinstance(state, MailNodeState)
    return [sibling.name for sibling in state.siblings]


FIRST = make_list(1, "mail1", "mail2")
SECOND = make_list(2, "mail1", "mail2", "mail3")


@pytest.fixture
def control_plane(tmp_path: Path) -> ControlPlane:
    files = NodeFiles(tmp_path / "node")
    return ControlPlane(*make_certificate(tmp_path, "localhost"), files.load_identity().public)


async def test_list_that_the_state_names_is_asked_for_and_put_in_force(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        await control_plane.send(Desired(document=desired(1, FIRST)))
        await until(
            lambda: control_plane.last(SiblingsWanted) == SiblingsWanted(digest=name_of(FIRST).digest)
        )
        assert siblings_of(node.states[-1]) == []  # a state waits for no list

        await control_plane.send(Siblings(document=sign(FIRST)))
        await until(lambda: len(node.states) == 2)
        assert siblings_of(node.states[-1]) == ["mail2"]  # a node needs not be told of itself

        await control_plane.send(Desired(document=desired(2, SECOND)))
        await until(lambda: reported(control_plane) == 2)
        assert siblings_of(node.states[-1]) == ["mail2"]  # the former list, until the new one is there
        await control_plane.send(Siblings(document=sign(SECOND)))
        await until(lambda: siblings_of(node.states[-1]) == ["mail2", "mail3"])
        assert node.agent.tell_lacking_siblings() is None


async def test_state_with_a_list_that_is_held_asks_for_nothing(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        await control_plane.send(Desired(document=desired(1, FIRST)))
        await control_plane.send(Siblings(document=sign(FIRST)))
        await until(lambda: len(node.states) == 2)
        control_plane.heard.clear()
        for document in (desired(2, FIRST), desired(3, FIRST, NEXT_KEY)):  # a new key signs no list anew
            await control_plane.send(Desired(document=document))
        await until(lambda: node.agent.applied_revision == 3)

        assert siblings_of(node.states[-1]) == ["mail2"]
        assert control_plane.last(SiblingsWanted) is None


async def test_list_that_does_not_hold_is_refused_in_one_line(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        with capture_logs() as lines:
            await control_plane.send(Siblings(document=sign(FIRST)))
            await control_plane.send(Desired(document=desired(1, FIRST)))
            await control_plane.send(Siblings(document=sign(FIRST)))
            await control_plane.send(Desired(document=desired(2, SECOND)))
            bad = (
                sign(SECOND, STRANGER),
                altered(sign(SECOND)),
                sign(FIRST),
                sign(make_list(2, "mail1", "evil")),
                sign(make_list(3, "mail1", "evil")),
                desired(9, SECOND),
                "garbage",
            )
            for document in bad:
                await control_plane.send(Siblings(document=document))
            await control_plane.send(Siblings(document=sign(SECOND)))
            await until(lambda: len(node.states) == 4)

    assert [
        (line["log_level"], line["node"], line["problem"]) for line in lines if "refused" in line["event"]
    ] == [
        ("error", "mail1", problem)
        for problem in (
            "no list of siblings is wanted here",
            "the document is signed by a key that is not trusted here",
            "the document was altered: its signature does not hold",
            "the list of siblings is an old one: revision 1, while 2 is wanted",
            "the list of siblings is not the one that the desired state names",
            "the list of siblings is not the one that the desired state names",
            "this is no madfleet-siblings+jws",
            "this is no signed document",
        )
    ]
    assert siblings_of(node.states[-1]) == ["mail2", "mail3"]


async def test_list_is_in_force_after_a_restart_without_the_control_plane(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        await control_plane.send(Desired(document=desired(1, FIRST)))
        await control_plane.send(Siblings(document=sign(FIRST)))
        await until(lambda: len(node.states) == 2)
        await control_plane.send(Desired(document=desired(2, SECOND, NEXT_KEY)))
        await until(lambda: reported(control_plane) == 2)

    again = make_node(NodeFiles(tmp_path / "node"), "https://localhost:1", "0" * 64)
    assert again.agent.restore()
    assert siblings_of(again.states[0]) == ["mail2"]
    assert again.agent.tell_lacking_siblings() == name_of(SECOND).digest


@pytest.mark.parametrize(
    "damage",
    ["no json", f'{{"document_keys": ["{KEY}"], "document": "x.y.z"}}'],
    ids=["no json", "no document"],
)
async def test_kept_list_that_was_changed_is_asked_for_anew(
    control_plane: ControlPlane, tmp_path: Path, damage: str
) -> None:
    async with connected(control_plane, tmp_path) as (node, _):
        await control_plane.send(Desired(document=desired(1, FIRST)))
        await control_plane.send(Siblings(document=sign(FIRST)))
        await until(lambda: len(node.states) == 2)
    (tmp_path / "node" / "siblings.json").write_text(damage)

    again = make_node(NodeFiles(tmp_path / "node"), "https://localhost:1", "0" * 64)
    assert again.agent.restore()
    assert siblings_of(again.states[0]) == []
    assert again.agent.tell_lacking_siblings() == name_of(FIRST).digest


def test_another_control_plane_forgets_the_list(tmp_path: Path) -> None:
    node = make_node(NodeFiles(tmp_path / "node"), "https://localhost:1", "0" * 64)
    (tmp_path / "node" / "siblings.json").write_text("{}")

    node.files.keep_enrolment(node.agent.enrolment)

    assert node.files.read_siblings() is None


@pytest.mark.parametrize("count", [MAX_SIBLINGS - 1, MAX_SIBLINGS, MAX_SIBLINGS + 1])
def test_list_holds_as_many_as_a_fleet_may_have(count: int) -> None:
    first = make_list(1, "mail1").siblings[0]
    content = SiblingList.model_construct(revision=1, siblings=(first,) * count)
    document = sign(content)
    trusted = (PublicKey(CONTROL_KEY.public.x),)

    if count > MAX_SIBLINGS:
        with pytest.raises(MalformedError):
            open_siblings(document, trusted)
    else:
        name, opened = open_siblings(document, trusted)
        assert (len(opened.siblings), name) == (count, name_of(content))
