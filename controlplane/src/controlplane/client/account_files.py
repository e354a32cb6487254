"""Files of accounts: what `madfleet accounts export` writes, and what can be imported.

    {"address": "alice@example.org", "password_hash": "$argon2id$…"}     a line each, as it is exported
    {"address": "bob@example.org", "password": "…"}
    {"users": [{"username": "carol@example.org", "hash": "sha256:…"}]}   one document, as Madmail exports it

Not for: judging addresses and hashes, which the control plane does.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from controlplane.client.errors import MisuseError

Account: TypeAlias = dict[str, str]

MAX_FILE_BYTES = 64 << 20
MAX_BATCH = 500
MAX_BATCH_BYTES = 40 << 10
"""A request's body has a limit, and each batch must be well within it."""

NAMES = {
    "address": "address",
    "username": "address",
    "password": "password",
    "password_hash": "password_hash",
}
NAMES |= {"hash": "password_hash"}


def read_accounts(text: str) -> list[Account]:
    """Read a file of accounts.

    Raises:
        MisuseError: It is none; the sentence names the line or the entry.
    """
    try:
        whole = json.loads(text)
    except RecursionError as error:
        raise MisuseError("This is no file of accounts: it is nested too deeply.") from error
    except ValueError:
        lines = ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())
        accounts = [_read_account(_read_line(line, number), f"line {number}") for number, line in lines]
    else:
        if isinstance(whole, dict) and "users" in whole:
            whole = whole["users"]
        entries = whole if isinstance(whole, list) else [whole]
        accounts = [_read_account(entry, f"entry {number}") for number, entry in enumerate(entries, 1)]
    if not accounts:
        raise MisuseError("There is no account in this file.")
    return accounts


def split_accounts(accounts: Sequence[Account]) -> Iterator[list[Account]]:
    """Split accounts into requests of a size that is taken."""
    batch: list[Account] = []
    size_bytes = 0
    for account in accounts:
        account_bytes = len(json.dumps(account)) + 2
        if batch and (len(batch) == MAX_BATCH or size_bytes + account_bytes > MAX_BATCH_BYTES):
            yield batch
            batch, size_bytes = [], 0
        batch.append(account)
        size_bytes += account_bytes
    if batch:
        yield batch


def _read_line(line: str, number: int) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MisuseError(f"Line {number} is no JSON. Correct it, or export the file anew.") from error


def _read_account(entry: object, where: str) -> Account:
    if not isinstance(entry, dict):
        raise MisuseError(f"There is no account in {where}; write an object with address and password_hash.")
    account = {NAMES[name]: value for name, value in entry.items() if name in NAMES and value is not None}
    has_one = ("password" in account) != ("password_hash" in account)
    if not has_one or "address" not in account or not all(isinstance(each, str) for each in account.values()):
        raise MisuseError(
            f"The account in {where} needs an address, and either a password or a password_hash."
        )
    return account
