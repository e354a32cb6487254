"""The list of siblings that every mail node's desired state names: kept, read and signed.

For: desired.py, which renews it with the revisions, and the desk, which hands it out.
Not for: who stands in it (siblings.py).
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel import Session, select

from controlplane.nodes.models import FleetSiblings
from controlplane.signing.keyring import read_key_rows, read_signing_keys
from controlplane.vault import Vault
from nodelink.contract.documents import DocumentType, digest_content, sign_content
from nodelink.contract.frames import Siblings
from nodelink.contract.siblings import SiblingList
from nodelink.contract.states import SiblingListName, SiblingNode

THE_ROW = 1


def renew_sibling_list(session: Session, siblings: Sequence[SiblingNode]) -> SiblingListName:
    """Keep who the siblings are now, with the next revision if that has changed; return the list's name.

    The caller has begun a change.
    """
    row = session.get(FleetSiblings, THE_ROW)
    if row is None or _write(row.revision, siblings) != row.content:
        revision = 1 if row is None else row.revision + 1
        content = _write(revision, siblings)
        fields = {"id": THE_ROW, "revision": revision, "digest": digest_content(content), "content": content}
        row = session.merge(FleetSiblings.model_validate(fields))
        session.flush()
    return _name(row)


def read_sibling_list_name(session: Session) -> SiblingListName | None:
    """Read which list desired states name now; `None` before the first."""
    row = session.get(FleetSiblings, THE_ROW)
    return None if row is None else _name(row)


def read_siblings(session: Session) -> SiblingList | None:
    """Read the list itself, for nodes that know no document of its kind."""
    row = session.get(FleetSiblings, THE_ROW)
    return None if row is None else SiblingList.model_validate_json(row.content)


def measure_siblings(session: Session) -> int:
    """Tell how many bytes the list has."""
    row = session.get(FleetSiblings, THE_ROW)
    return 0 if row is None else len(row.content)


@dataclass(slots=True)
class SignedSiblings:
    """The list as a frame, signed once for all channels, for as long as neither it nor the key changes."""

    vault: Vault
    _of: tuple[str, str] = field(init=False, default=("", ""))
    _frame: str = field(init=False, default="")
    _signing: threading.Lock = field(init=False, default_factory=threading.Lock)

    def read(self, session: Session, digest: str) -> str | None:
        """Read the frame of the list that a node wants; `None` if another one holds by now."""
        if session.exec(select(FleetSiblings.digest)).first() != digest:
            return None
        key = read_key_rows(session).present.public_key
        with self._signing:
            if self._of != (digest, key):
                content = session.get_one(FleetSiblings, THE_ROW).content
                signing = read_signing_keys(session, self.vault).current
                document = sign_content(signing, DocumentType.SIBLINGS, content)
                self._frame = Siblings(document=document).model_dump_json()
                self._of = digest_content(content), signing.public.x
            return self._frame


def _write(revision: int, siblings: Sequence[SiblingNode]) -> str:
    return SiblingList(revision=revision, siblings=tuple(siblings)).model_dump_json()


def _name(row: FleetSiblings) -> SiblingListName:
    return SiblingListName(revision=row.revision, digest=row.digest)
