"""What is refused on machines is said in exactly one line of the host's journal.

    a stranger, a retired node, from a client's computer ────────────────▶ control
    a control plane with the right certificate, that replays and alters ──▶ mail2
    a hand on the disk ───────────────────────────────────────────────────▶ turn2

The other side is the contract's own code, so that nothing but what is to be refused is wrong.
"""

import asyncio
import secrets
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from lab_network import GATEWAY_IPV4
from nodelink.channel.client_tls import build_client_context
from nodelink.channel.node_files import KeptState, NodeFiles
from nodelink.contract.assertions import make_assertion
from nodelink.contract.frames import Answer, Desired, Query
from nodelink.contract.keys import PrivateKey, PublicKey
from nodelink.contract.states import open_desired_state
from support.clocks import until, wait_until
from support.deployed_fleet import ROOT, UNITS, run_on
from support.lab import CONTROL, CONTROL_NAME, PROGRAMS, LabFleet
from support.node_channel import HTTPS_PORT, ControlPlane, altered, reported

pytestmark = [pytest.mark.lab, pytest.mark.netns]

CERTIFICATES = ROOT / ".lab/certificates"
CA_FILE = CERTIFICATES / "ca.pem"
ALTERED = "the document was altered: its signature does not hold"
ELSEWHERE = f"{GATEWAY_IPV4} {CONTROL_NAME}"


@dataclass(frozen=True, slots=True)
class Guest:
    """A node on a client's computer, which has joined the fleet by a token."""

    fleet: LabFleet
    name: str
    token: str
    directory: Path

    @property
    def files(self) -> NodeFiles:
        return NodeFiles(self.directory / "node")

    def join(self, directory: Path) -> str:
        """Have the real program join, with a state directory; return what it said."""
        settings = {
            "STATE_DIRECTORY": directory,
            "CONTROLPLANE_CA_FILE": CA_FILE,
            "PUBLIC_NAME": self.name,
            "LISTEN_ADDRESSES": self.fleet.network.address("a"),
        }
        environment = [f"TURNNODE_{name}={value}" for name, value in settings.items()]
        program = str(PROGRAMS / "turnnode")
        ended = self.fleet.network.run("a", "env", *environment, program, "join", self.token)
        return ended.stdout + ended.stderr

    def knock(self, key: PrivateKey) -> int:
        """Open the node's channel with a key, and close it; return the status of the answer."""
        return self.fleet.network.call("a", lambda: asyncio.run(self._knock(key)))

    async def _knock(self, key: PrivateKey) -> int:
        url = f"https://{CONTROL_NAME}"
        assertion = make_assertion(key, node=self.name, audience=url, now_seconds=int(time.time()))
        try:
            async with connect(
                f"wss://{CONTROL_NAME}/api/v1/channel",
                host=CONTROL,
                ssl=build_client_context(None, CA_FILE),
                additional_headers={"authorization": f"Bearer {assertion}"},
                proxy=None,
            ):
                return 101
        except InvalidStatus as refusal:
            return refusal.response.status_code

    def refusals(self, event: str) -> list[dict[str, object]]:
        """Wait until the control plane has said something about this node; read the lines."""

        def read() -> list[dict[str, object]]:
            lines = [line for line in self.fleet.events("control", event) if line.get("node") == self.name]
            return [{name: value for name, value in line.items() if name != "left_out"} for line in lines]

        wait_until(lambda: bool(read()))
        return read()


@pytest.fixture
def guest(fleet: LabFleet, tmp_path: Path) -> Iterator[Guest]:
    name = f"guest-{secrets.token_hex(4)}"
    token = fleet.madfleet("join-token", name, "--kind", "turn", "2>/dev/null").strip()
    guest = Guest(fleet, name, token, tmp_path / "guest")
    assert f"This is now node {name}" in guest.join(guest.directory)
    yield guest
    if name in fleet.madfleet("nodes", "--json"):
        fleet.madfleet("retire", name)


def channel_refused(guest: Guest, problem: str) -> list[dict[str, object]]:
    return [{"event": "channel refused", "level": "warning", "node": guest.name, "problem": problem}]


def test_wrong_key_is_refused_in_one_line(guest: Guest) -> None:
    assert guest.knock(PrivateKey.generate()) == 401

    assert guest.refusals("channel refused") == channel_refused(
        guest, "the assertion is not signed by this node's key"
    )


def test_retired_node_that_knocks_is_refused_in_one_line(guest: Guest, fleet: LabFleet) -> None:
    key = guest.files.load_identity()
    assert guest.knock(key) == 101
    fleet.madfleet("retire", guest.name)

    assert guest.knock(key) == 401
    assert guest.refusals("channel refused") == channel_refused(
        guest, "no node of this name is enrolled; it never was, or it is retired"
    )


def test_second_use_of_a_join_token_is_refused_in_one_line(guest: Guest, tmp_path: Path) -> None:
    assert "The control plane refuses: " in guest.join(tmp_path / "second")

    assert guest.refusals("join refused") == [
        {
            "event": "join refused",
            "level": "warning",
            "code": "join_refused",
            "node": guest.name,
            "problem": "the join token was used before, or withdrawn",
        }
    ]


def state_file(host: str) -> str:
    return f"/var/lib/{UNITS[host]}/node/desired-state.json"


def read_state(host: str) -> tuple[str, int]:
    """Read the desired state that a node keeps, as it was signed, and its revision."""
    kept = KeptState.model_validate_json(run_on(host, f"cat {state_file(host)}"))
    assert kept.document is not None
    keys = tuple(PublicKey(x) for x in kept.document_keys or kept.trusted_keys)
    return kept.document, open_desired_state(kept.document, keys, host).revision


@pytest.fixture
def states(fleet: LabFleet) -> Iterator[tuple[tuple[str, int], tuple[str, int]]]:
    """Two states of mail2 that the control plane has signed: registration open, and now closed."""
    former = read_state("mail2")
    fleet.madfleet("registration", "close")
    try:
        wait_until(lambda: read_state("mail2") != former)
        yield former, read_state("mail2")
    finally:
        fleet.madfleet("registration", "open")
        fleet.wait_until_ready()


@pytest.fixture
def led_astray(fleet: LabFleet) -> Iterator[ControlPlane]:
    """The control plane to which mail2 is led, instead of the right one."""
    chain, key = (CERTIFICATES / f"{CONTROL_NAME}.{part}.pem" for part in ("chain", "key"))
    node_key = PublicKey(run_on("mail2", "mailnode identity"))
    run_on("mail2", f"echo '{ELSEWHERE}' >>/etc/hosts; systemctl restart mailnode")
    try:
        yield ControlPlane(chain, key, node_key, HTTPS_PORT, GATEWAY_IPV4, CONTROL_NAME)
    finally:
        run_on("mail2", f"sed -i '/^{ELSEWHERE}$/d' /etc/hosts; systemctl restart mailnode")
        fleet.wait_until_ready()


@pytest.mark.anyio
async def test_desired_state_that_is_altered_or_replayed_is_refused_in_one_line(
    fleet: LabFleet, states: tuple[tuple[str, int], tuple[str, int]], led_astray: ControlPlane
) -> None:
    (former, former_revision), (present, present_revision) = states
    async with await led_astray.open():
        await until(lambda: bool(led_astray.channels))
        for document in (altered(present), former):
            await led_astray.send(Desired(document=document))
        await led_astray.send(Query(id="later", name="later"))
        await until(lambda: led_astray.last(Answer) is not None)

    refused = {"event": "desired state refused", "level": "error", "node": "mail2"}
    overtaken = f"revision {former_revision}, while {present_revision} is in force"
    assert fleet.events("mail2", "desired state refused") == [
        refused | {"problem": ALTERED},
        refused | {"problem": f"the desired state is an old one: {overtaken}"},
    ]
    assert reported(led_astray) == present_revision
    assert read_state("mail2") == (present, present_revision)


def test_kept_state_that_was_altered_is_refused_in_one_line_and_comes_again(fleet: LabFleet) -> None:
    path = state_file("turn2")
    kept, (document, revision) = run_on("turn2", f"cat {path}"), read_state("turn2")
    forged = shlex.quote(kept.replace(document, altered(document)))

    run_on("turn2", f"systemctl stop turnnode; printf %s {forged} >{path}; systemctl start turnnode")
    fleet.wait_until_ready()

    lines = fleet.events("turn2", "kept state not usable")
    assert [line["problem"] for line in lines] == [ALTERED]
    assert read_state("turn2")[1] == revision
