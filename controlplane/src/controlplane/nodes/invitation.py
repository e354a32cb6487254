"""Write what a new node is given: a join token, or its enrolment.

For: endpoints and commands, which hold the open plane.
Not for: who becomes a node (enrolment.py).
"""

from controlplane.nodes.models import Node
from controlplane.plane import Plane
from nodelink.contract.enrolment import Enrolment, JoinToken, write_join_token
from nodelink.contract.states import NodeKind


def write_invitation(plane: Plane, secret: str) -> str:
    """Write a join token around its secret. Raises: CertificateError, if a key to be pinned is not there."""
    return write_join_token(
        JoinToken(url=plane.settings.public_url, secret=secret, tls_pin=plane.read_tls_pin())
    )


def describe_enrolment(plane: Plane, node: Node) -> Enrolment:
    """Say what a node keeps of its enrolment. Raises: CertificateError, as above."""
    return Enrolment(
        node=node.name,
        kind=NodeKind(node.kind),
        url=plane.settings.public_url,
        trusted_keys=plane.keys.trusted,
        tls_pin=plane.read_tls_pin(),
    )
