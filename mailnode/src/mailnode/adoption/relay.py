"""Find the accounts of a chatmail relay.

    /home/vmail/mail/example.org/alice@example.org/
        password             {SHA512-CRYPT}$6$…; written at each login
        cur, new, .Folder    Maildir (maildir.py)
        subscriptions        a name on each line; of Dovecot 2.3 below "V<tab>2", with tabs between levels

For: adopting.py, on the directory of the relay's domain or a copy of it.
Not for: the relay's DKIM key (adopting.py reads the file that the operator names).
"""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from mailnode.adoption.maildir import read_maildir
from mailnode.adoption.sources import AdoptionError, FoundAccount, FoundMailbox
from mailnode.imap.errors import BadCommandError
from mailnode.imap.mailbox_name import decode_name
from mailnode.store.mail_store import HIERARCHY_DELIMITER, INBOX

SCHEME = "{SHA512-CRYPT}"
_DELIMITER = "."
_SUBSCRIPTIONS_2 = "V\t2\n\n"


def find_accounts(directory: Path) -> Sequence[FoundAccount]:
    """Find all accounts by address. Raises: AdoptionError."""
    if not directory.is_dir():
        raise AdoptionError(f"{directory} is no directory. Name the one that holds ADDRESS/password.")
    accounts = [_describe(path) for path in sorted(directory.iterdir()) if "@" in path.name]
    if not accounts:
        raise AdoptionError(
            f"{directory} holds no account. Name the directory of the relay's domain, such as "
            "/home/vmail/mail/example.org, or a copy of it."
        )
    return accounts


def _describe(path: Path) -> FoundAccount:
    open_mailboxes = partial(_open_mailboxes, path)
    try:
        kept = (path / "password").read_text().strip()
        last_login = int((path / "password").stat().st_mtime)
    except (OSError, UnicodeError):
        return FoundAccount(path.name, "", None, open_mailboxes, "it has no password: nobody has logged in")
    return FoundAccount(path.name, kept.removeprefix(SCHEME), last_login, open_mailboxes)


def _open_mailboxes(path: Path) -> Iterator[FoundMailbox]:
    """Read the INBOX, and the folders beside it. Raises: AdoptionError, OSError."""
    subscribed = _read_subscriptions(path / "subscriptions")
    now_seconds = int(time.time())
    yield read_maildir(path, INBOX, now_seconds, is_subscribed=INBOX in subscribed)
    for folder in sorted(path.iterdir()):
        if folder.name.startswith(_DELIMITER) and (folder / "cur").is_dir():
            wire = folder.name[1:]
            try:
                name = decode_name(wire.encode()).replace(_DELIMITER, HIERARCHY_DELIMITER)
            except BadCommandError as error:
                raise AdoptionError(f"its folder {wire} has a name that no mail server may use") from error
            yield read_maildir(folder, name, now_seconds, is_subscribed=wire in subscribed)


def _read_subscriptions(path: Path) -> frozenset[str]:
    """Read which mailboxes are subscribed, by their names on the wire."""
    if not path.exists():
        return frozenset()
    text = path.read_text("utf-8", "surrogateescape")
    if text.startswith(_SUBSCRIPTIONS_2):
        text = text.removeprefix(_SUBSCRIPTIONS_2).replace("\t", _DELIMITER)
    return frozenset(text.split("\n"))
