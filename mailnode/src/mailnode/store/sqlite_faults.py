"""What can be wrong with the rows of a store, and what sets each right.

    rows ──▶ each rule: find ──▶ how many ──▶ mend, if that is wanted

For: checking.py, which runs the rules in this order inside one transaction.
Not for: files of large bodies, or a database that cannot be read at all.

A rule that loses something says so: what it removes cannot be read any more in any case. Rules that follow
count again what the ones before have removed.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

USES = (
    "DROP TABLE IF EXISTS temp.body_use",
    "CREATE TEMP TABLE body_use (body_id INTEGER PRIMARY KEY, message_count, least_bytes, most_bytes)",
    """
    INSERT INTO temp.body_use SELECT body_id, count(*), min(size_bytes), max(size_bytes)
    FROM (SELECT body_id, size_bytes FROM message UNION ALL SELECT body_id, size_bytes FROM outgoing)
    GROUP BY body_id
    """,
)
"""Who has which body; there is no index for it, because only a check asks."""

UNREADABLE = "CREATE TEMP TABLE unreadable (body_id INTEGER PRIMARY KEY)"
"""The bodies whose file is missing or of another size; whoever looks at files fills it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What must not be found. `found` is SQL after FROM; `mend` sets right what it finds."""

    what: str
    found: str
    mend: Sequence[str]
    loses: bool = False


_OF_ACCOUNTS = ("usage", "mailbox", "subscription", "metadata", "device_token", "notification")


def _belongs(child: str, column: str, parent: str, *, loses: bool = False) -> Rule:
    found = f"{child} WHERE {column} NOT IN (SELECT id FROM {parent})"  # noqa: S608 - constants of this module
    what = f"rows of {child} belong to no {parent}"
    return Rule(what, found, (f"DELETE FROM {found}",), loses=loses)  # noqa: S608 - as above


_UNFIT = """
    body JOIN temp.body_use ON body_id = body.id
    WHERE rest IS NOT NULL AND (header IS NULL OR least_bytes <> length(header) + length(rest))
    OR least_bytes <> most_bytes OR body.id IN (SELECT body_id FROM temp.unreadable)
"""
_HELD = """
    (SELECT account.id AS id, coalesce(sum(message.size_bytes), 0) AS held_bytes,
     count(message.uid) AS held_count
     FROM account LEFT JOIN mailbox ON mailbox.account_id = account.id
     LEFT JOIN message ON message.mailbox_id = mailbox.id GROUP BY account.id)
"""

REFERENCE_RULES: Sequence[Rule] = (
    *(_belongs(child, "account_id", "account", loses=child == "mailbox") for child in _OF_ACCOUNTS),
    _belongs("message", "mailbox_id", "mailbox", loses=True),
    _belongs("body_share", "body_id", "body"),
)

BODY_RULES: Sequence[Rule] = (
    Rule(
        "bodies do not have the size that their messages say, or have lost their file",
        _UNFIT,
        (f"DELETE FROM body WHERE id IN (SELECT body.id FROM {_UNFIT})",),  # noqa: S608 - constants
        loses=True,
    ),
    Rule(
        "messages have no body",
        "message WHERE NOT EXISTS (SELECT 1 FROM body WHERE id = body_id)",
        ("DELETE FROM message WHERE NOT EXISTS (SELECT 1 FROM body WHERE id = body_id)",),
        loses=True,
    ),
    Rule(
        "messages that wait for other servers have no body",
        "outgoing WHERE NOT EXISTS (SELECT 1 FROM body WHERE id = body_id)",
        ("DELETE FROM outgoing WHERE NOT EXISTS (SELECT 1 FROM body WHERE id = body_id)",),
        loses=True,
    ),
)

_HIGHEST_UID = "(SELECT max(uid) FROM message WHERE mailbox_id = id)"
_GIVES_TWICE = f"mailbox WHERE uid_next <= {_HIGHEST_UID}"
_HIGHEST_VALIDITY = "(SELECT max(uid_validity) FROM mailbox)"
_NO_INBOX = (
    "account WHERE NOT EXISTS"
    " (SELECT 1 FROM mailbox WHERE mailbox.account_id = account.id AND mailbox.name = 'INBOX')"
)
_ADD_INBOX = f"""
    INSERT INTO mailbox (account_id, name, uid_validity)
    SELECT id, 'INBOX', (SELECT value FROM last_uid_validity) + row_number() OVER () FROM {_NO_INBOX}
"""  # noqa: S608 - constants of this module
_RAISE_VALIDITY = (
    f"UPDATE last_uid_validity SET value = {_HIGHEST_VALIDITY} WHERE value < {_HIGHEST_VALIDITY}"  # noqa: S608 - as above
)

COUNT_RULES: Sequence[Rule] = (
    Rule(
        "bodies belong to no message",
        "body WHERE id NOT IN (SELECT body_id FROM temp.body_use)",
        ("DELETE FROM body WHERE id NOT IN (SELECT body_id FROM temp.body_use)",),
    ),
    Rule(
        "bodies count their messages wrongly",
        "temp.body_use AS use LEFT JOIN body_share AS share ON share.body_id = use.body_id"
        " WHERE coalesce(share.message_count, 1) <> use.message_count",
        (
            "DELETE FROM body_share",
            "INSERT INTO body_share SELECT body_id, message_count FROM temp.body_use WHERE message_count > 1",
        ),
    ),
    Rule(
        "accounts count what they hold wrongly",
        f"{_HELD} LEFT JOIN usage ON account_id = id"
        " WHERE size_bytes IS NOT held_bytes OR message_count IS NOT held_count",
        (
            "DELETE FROM usage",
            f"INSERT INTO usage (account_id, size_bytes, message_count) SELECT * FROM {_HELD}",  # noqa: S608 - as above
        ),
    ),
    Rule(
        "mailboxes would give a UID twice",
        _GIVES_TWICE,
        (f"UPDATE mailbox SET uid_next = 1 + {_HIGHEST_UID} WHERE uid_next <= {_HIGHEST_UID}",),  # noqa: S608 - as above
    ),
    Rule(
        "new mailboxes would get a UIDVALIDITY twice",
        f"last_uid_validity WHERE value < {_HIGHEST_VALIDITY}",
        (_RAISE_VALIDITY,),
    ),
    Rule("accounts have no INBOX", _NO_INBOX, (_ADD_INBOX, _RAISE_VALIDITY)),
)


def count_found(connection: sqlite3.Connection, rule: Rule) -> int:
    """Count what a rule finds. Raises: sqlite3.Error."""
    (count,) = connection.execute(f"SELECT count(*) FROM {rule.found}").fetchone()  # noqa: S608 - constants of this module
    return int(count)


def mend(connection: sqlite3.Connection, rule: Rule) -> None:
    """Set right what a rule finds. Raises: sqlite3.Error."""
    for statement in rule.mend:
        connection.execute(statement)
