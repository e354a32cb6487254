"""What a mail node keeps on disk of a control plane that it does not reach now: its enrolment, and a state.

For: tests that start the program and need a policy, but no control plane.
"""

import time
from collections.abc import Sequence
from pathlib import Path

from nodelink.channel.node_files import NodeFiles
from nodelink.contract.documents import DocumentType, sign_document
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.federation import FederationState
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import DesiredState, MailNodeState, NodeKind, SiblingNode
from support.mailnode_process import HOST
from support.peering_site import find_free_port

NODE = "mail1"


def make_identity(state_directory: Path) -> str:
    """Make the key of a node, unless it has one; return the public half, for its siblings."""
    return NodeFiles(state_directory / "node").load_identity().public.x


def enrol(
    state_directory: Path,
    federation: FederationState | None,
    *,
    node: str = NODE,
    siblings: Sequence[SiblingNode] = (),
) -> None:
    """Write it where the program finds it."""
    key = PrivateKey.generate()
    files = NodeFiles(state_directory / "node")
    files.keep_enrolment(
        Enrolment(
            node=node,
            kind=NodeKind.MAIL,
            url=f"https://{HOST}:{find_free_port()}",
            trusted_keys=(key.public.x,),
            tls_pin=None,
        )
    )
    state = MailNodeState(
        registration_open=True,
        jit_enabled=True,
        quota_bytes=1 << 30,
        message_bytes=1 << 20,
        turn=None,
        federation=federation,
        siblings=tuple(siblings),
    )
    desired = DesiredState(
        node=node,
        revision=1,
        issued_at_seconds=int(time.time()),
        trusted_keys=(key.public.x,),
        state=state,
    )
    files.keep_state(sign_document(key, DocumentType.DESIRED_STATE, desired), (key.public,))
