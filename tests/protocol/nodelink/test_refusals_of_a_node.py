"""What a node refuses it says in exactly one line: the real program, and a control plane that does wrong."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from nodelink.channel.node_files import NodeFiles
from nodelink.contract.documents import DocumentType, sign_document
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.frames import Desired, KeyChanges, OperationFrame, ReportFrame
from nodelink.contract.key_changes import sign_key_change
from nodelink.contract.keys import PrivateKey
from nodelink.contract.operations import VALID_FOR_SECONDS, Operation
from nodelink.contract.states import DesiredState, NodeKind, TurnNodeState
from nodelink.daemon.tls import read_spki_pin
from self_signed import make_certificate
from support.clocks import until
from support.node_channel import CONTROL_KEY, NEXT_KEY, ControlPlane, altered, reported
from support.turn_process import TurnProcess, make_turn_process

pytestmark = pytest.mark.anyio

STRANGER = PrivateKey.generate()
THIRD_KEY = PrivateKey.generate()
STATE = TurnNodeState(
    realm="madfleet",
    secrets=("the fleet's own secret",),
    credential_lifetime_seconds=6 * 86_400,
    allocations_per_credential=16,
    allocations=100,
)
ALTERED = "the document was altered: its signature does not hold"
UNTRUSTED = "the document is signed by a key that is not trusted here"
EXPIRED = "the operation is not valid now; it is an old one, or the clocks differ"
OVERTAKEN = "the key change is for a key that another one follows already"


def state(revision: int, key: PrivateKey = CONTROL_KEY, *trusted: PrivateKey, node: str = "turn1") -> str:
    desired = DesiredState(
        node=node,
        revision=revision,
        issued_at_seconds=0,
        trusted_keys=tuple(each.public.x for each in trusted or (key,)),
        state=STATE,
    )
    return sign_document(key, DocumentType.DESIRED_STATE, desired)


def operation(key: PrivateKey = CONTROL_KEY, age_seconds: int = 0, node: str = "turn1") -> str:
    issued_at_seconds = int(time.time()) - age_seconds
    content = Operation(
        id="operation-1",
        node=node,
        name="unknown",
        arguments={},
        issued_at_seconds=issued_at_seconds,
        expires_at_seconds=issued_at_seconds + VALID_FOR_SECONDS,
    )
    return sign_document(key, DocumentType.OPERATION, content)


def link(former: PrivateKey, following: PrivateKey) -> str:
    return sign_key_change(former, following.public, 0)


@dataclass
class Site:
    """A control plane that a test lets do wrong, and a node that follows it."""

    control_plane: ControlPlane
    node: TurnProcess

    async def settle(self, document: str, revision: int) -> None:
        """Send a state that is good, and wait until it is in force: then all before it was judged."""
        await self.control_plane.send(Desired(document=document))
        await until(lambda: reported(self.control_plane) == revision)

    def refusals(self, event: str) -> list[object]:
        """Read why the node has refused something; there is nothing else in a line."""
        lines = self.node.read_events(event)
        problems = [line["problem"] for line in lines]
        fixed = {"event": event, "level": "error", "node": "turn1"}
        assert lines == [fixed | {"problem": problem} for problem in problems]
        return problems


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    files = NodeFiles(tmp_path / "kept")
    control_plane = ControlPlane(*make_certificate(tmp_path, "localhost"), files.load_identity().public)
    async with AsyncExitStack() as stack:
        server = await control_plane.open()
        stack.callback(server.close)
        enrolment = Enrolment(
            node="turn1",
            kind=NodeKind.TURN,
            url=control_plane.url,
            trusted_keys=(CONTROL_KEY.public.x,),
            tls_pin=read_spki_pin(control_plane.certificate),
        )
        files.keep_enrolment(enrolment)
        node = make_turn_process(tmp_path / "turn1", files)
        stack.enter_context(node.start())
        await until(lambda: control_plane.last(ReportFrame) is not None)
        yield Site(control_plane, node)


async def test_desired_state_that_does_not_hold_is_refused_in_one_line(site: Site) -> None:
    await site.settle(state(5), 5)
    for document in (altered(state(6)), state(7, STRANGER), state(4), state(8, node="turn2"), "garbage"):
        await site.control_plane.send(Desired(document=document))
    await site.settle(state(9), 9)

    assert site.refusals("desired state refused") == [
        ALTERED,
        UNTRUSTED,
        "the desired state is an old one: revision 4, while 5 is in force",
        "the desired state is for turn2, not for turn1",
        "this is no signed document",
    ]


async def test_operation_that_does_not_hold_is_refused_in_one_line(site: Site) -> None:
    too_old = VALID_FOR_SECONDS + 61
    documents = (operation(age_seconds=too_old), altered(operation()), operation(STRANGER))
    for number, document in enumerate((*documents, operation(node="turn2")), start=1):
        await site.control_plane.send(OperationFrame(document=document))
        await site.settle(state(number), number)

    assert site.refusals("operation refused") == [
        EXPIRED,
        ALTERED,
        UNTRUSTED,
        "the operation is for turn2, not for turn1",
    ]


async def test_forged_chain_of_keys_is_refused_in_one_line_for_each_attempt(site: Site) -> None:
    first, second = link(CONTROL_KEY, NEXT_KEY), link(NEXT_KEY, THIRD_KEY)
    chains = [
        (link(STRANGER, NEXT_KEY),),  # by nobody's key
        (second, first),  # in another order
        (altered(first),),
        (state(1),),  # another document
    ]
    for chain in chains:
        await site.control_plane.send(KeyChanges(documents=chain))
    await site.settle(state(2), 2)

    assert site.refusals("key change refused") == [
        UNTRUSTED,
        UNTRUSTED,
        ALTERED,
        "this is no madfleet-key-change+jws",
    ]


async def test_there_is_no_way_back_to_a_former_key(site: Site) -> None:
    chain = (link(CONTROL_KEY, NEXT_KEY), link(NEXT_KEY, THIRD_KEY))
    await site.control_plane.send(KeyChanges(documents=chain))
    await site.settle(state(1, THIRD_KEY), 1)
    await site.control_plane.send(KeyChanges(documents=chain))  # all of it again
    await site.control_plane.send(KeyChanges(documents=(link(CONTROL_KEY, STRANGER),)))
    await site.control_plane.send(Desired(document=state(2, CONTROL_KEY)))
    await site.control_plane.send(Desired(document=state(2, NEXT_KEY)))
    await site.settle(state(3, THIRD_KEY), 3)

    assert site.refusals("key change refused") == [UNTRUSTED, UNTRUSTED]
    assert site.refusals("desired state refused") == [UNTRUSTED, UNTRUSTED]
    frame = site.control_plane.last(ReportFrame)
    assert isinstance(frame, ReportFrame)
    assert frame.report.trusted_keys == (THIRD_KEY.public.x,)


async def test_second_successor_of_a_key_is_refused(site: Site) -> None:
    """Whoever has stolen the present key cannot put one of his own beside the next one."""
    await site.control_plane.send(KeyChanges(documents=(link(CONTROL_KEY, NEXT_KEY),)))
    await site.control_plane.send(KeyChanges(documents=(link(CONTROL_KEY, STRANGER),)))
    await site.control_plane.send(KeyChanges(documents=(link(CONTROL_KEY, NEXT_KEY),)))  # known already
    await site.settle(state(1, NEXT_KEY), 1)

    assert site.refusals("key change refused") == [OVERTAKEN]


async def test_storm_of_refusals_does_not_fill_the_journal(site: Site) -> None:
    for _ in range(500):
        await site.control_plane.send(Desired(document=state(7, STRANGER)))
    await site.settle(state(1), 1)

    assert site.refusals("desired state refused") == [UNTRUSTED] * 3
