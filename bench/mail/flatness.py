"""What a message costs as stores grow: from none to a million messages, from ten to 100,000 accounts.

For: `--flat`. Stores are filled by the store's own statements, in one transaction each; then all nodes run
beside one another, and are measured in turn, so that the host's other work hits all alike.
Not for: how long a store takes to be filled by mail.
"""

import argparse
import secrets
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from mail.checkout import Checkout, serve_checkout
from mail.closed_loop import Result, Shape, Target, make_password
from mail.messages import make_body, make_header
from mailnode.accounts.keyed_hash import PEPPER_BYTES, KeyedHash
from mailnode.store.mail_store import AccountId, BodyId, Recipient
from mailnode.store.sqlite_accounts import add_account
from mailnode.store.sqlite_bodies import StoredBody
from mailnode.store.sqlite_mail import deliver
from mailnode.store.sqlite_schema import open_writer
from mailnode.store.sqlite_store import DATABASE_NAME
from mailnode.store.sqlite_writer import Transaction

FILLED_AT_SECONDS = 1_790_000_000
SMALL_ENCRYPTED_BYTES = 300
PER_TRANSACTION = 10_000
NEVER_FULL_BYTES = 1 << 40
PORTS_APART = 1_000
FIRST_PORTS = 24_000

Measure = Callable[[Target, Shape], Result]


@dataclass(frozen=True, slots=True)
class Size:
    """What a store holds before anything is measured."""

    messages: int
    accounts: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a message costs there, and in relation to the store that it is compared with."""

    name: str
    cpu_ms: float
    ratio: float

    def describe(self) -> str:
        """Write it for a reader."""
        return f"{self.name:<40} CPU ms per message {self.cpu_ms:.2f}, of the first {self.ratio:.2f}"


def measure_flatness(home: Path, options: argparse.Namespace, measure: Measure) -> list[Cost]:
    """Measure by messages, then by accounts. Each ratio is the median of those of the rounds."""
    share = options.flat_share
    many, most = round(10_000 * share), round(100_000 * share)
    by_messages = [Size(count, many) for count in (0, round(100_000 * share), round(1_000_000 * share))]
    by_accounts = [Size(0, 10), Size(0, many), Size(0, most)]
    sizes = list(dict.fromkeys((*by_messages, *by_accounts)))
    shape = Shape(pairs=options.pairs, seconds=options.seconds)
    rounds: dict[Size, list[float]] = {size: [] for size in sizes}
    with ExitStack() as stack:
        nodes = {size: stack.enter_context(_serve(home, size, place)) for place, size in enumerate(sizes)}
        for _ in range(options.rounds):
            for size, node in nodes.items():
                rounds[size].append(measure(node.describe(), shape).cpu_ms_per_message)
    return [
        Cost(
            f"{name} {getattr(size, name)}",
            statistics.median(rounds[size]),
            statistics.median(
                now / first for now, first in zip(rounds[size], rounds[series[0]], strict=True)
            ),
        )
        for name, series in (("messages", by_messages), ("accounts", by_accounts))
        for size in series
    ]


def _serve(home: Path, size: Size, place: int) -> AbstractContextManager[Checkout]:
    directory = home / f"{size.messages}-{size.accounts}"
    directory.mkdir()
    state = directory / "state"
    state.mkdir(mode=0o700)
    began = time.perf_counter()
    fill(state / "mail", size)
    print(f"Filled with {size} in {time.perf_counter() - began:.0f} s", flush=True)
    return serve_checkout(directory, FIRST_PORTS + PORTS_APART * place)


def fill(directory: Path, size: Size) -> None:
    """Fill a store that no node has open, as evenly as can be."""
    directory.mkdir(mode=0o700)
    connection = open_writer(directory / DATABASE_NAME)
    password_hash = KeyedHash(secrets.token_bytes(PEPPER_BYTES)).hash(make_password())
    message = make_header("somebody@chat.example.org") + make_body(SMALL_ENCRYPTED_BYTES)
    accounts: list[AccountId] = []

    def add(transaction: Transaction, _: int) -> None:
        address = f"{secrets.token_hex(5)}@chat.example.org"
        account = add_account(transaction, address, password_hash, FILLED_AT_SECONDS, FILLED_AT_SECONDS)
        accounts.append(account.id)

    def put(transaction: Transaction, number: int) -> None:
        recipient = Recipient(accounts[number % len(accounts)], NEVER_FULL_BYTES)
        deliver(transaction, [recipient], StoredBody.split(BodyId(number + 1), message), FILLED_AT_SECONDS)

    _repeat(connection, size.accounts, add)
    _repeat(connection, size.messages, put)
    connection.close()


def _repeat(
    connection: sqlite3.Connection, count: int, operation: Callable[[Transaction, int], None]
) -> None:
    for start in range(0, count, PER_TRANSACTION):
        transaction = Transaction(connection.execute)
        transaction.execute("BEGIN IMMEDIATE")
        for number in range(start, min(count, start + PER_TRANSACTION)):
            operation(transaction, number)
        transaction.execute("COMMIT")
