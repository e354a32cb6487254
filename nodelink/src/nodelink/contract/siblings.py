"""The list of a fleet's mail nodes: one document for all of them, signed once for each revision.

    desired state ──names──▶ list of siblings      by the digest of its content
    node ──▶ siblings_wanted(digest)               and again, while it does not have the one that is named
         ◀── siblings(document)

For: both sides. In a fleet of 1,000 nodes the list is 200 kB; as a part of each node's desired state it would
have to be signed and sent again with every other change.
Not for: keeping it (channel/sibling_keeper.py), nor for who stands in it; the control plane decides that.

The desired state is protected against being an old one, and the digest hands that on to the list: a node
takes no list but the one that is named.
"""

from pydantic import Field

from nodelink.contract.documents import DocumentType, digest_content, open_content, read_content
from nodelink.contract.keys import PublicKey
from nodelink.contract.states import MAX_REVISION, MAX_SIBLINGS, Part, SiblingListName, SiblingNode


class SiblingList(Part):
    """All mail nodes that take mail for others, whoever reads it among them."""

    revision: int = Field(ge=1, le=MAX_REVISION)
    siblings: tuple[SiblingNode, ...] = Field(max_length=MAX_SIBLINGS)

    def leave_out(self, node: str) -> tuple[SiblingNode, ...]:
        """List all but one, who needs not be told of himself."""
        return tuple(sibling for sibling in self.siblings if sibling.name != node)


def open_siblings(document: str, trusted: tuple[PublicKey, ...]) -> tuple[SiblingListName, SiblingList]:
    """Check and read a list of siblings; return its name as well.

    The name is of the content as it was signed, so that fields which this version does not know are in it.

    Raises:
        UnsignedError: It is not signed by a trusted key, or was altered.
        MisaddressedError: It is another document.
        MalformedError: It cannot be read.
    """
    content = open_content(document, trusted, DocumentType.SIBLINGS)
    opened = read_content(content, SiblingList)
    return SiblingListName(revision=opened.revision, digest=digest_content(content)), opened
