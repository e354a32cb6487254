"""A full queue to many destinations, some of them dead: the living get theirs at full speed, and once.

    senders ── SMTP ──▶ mailnode, whose name server is away: all of it is queued ── kill -9
                            │ its state, copied for each run
                            ▼
                        mailnode ──▶ destinations that live, and some that do not

QUEUE_MESSAGES, QUEUE_DESTINATIONS, QUEUE_DEAD: how many; `make check-full` has 10,000, 100 and 10.
Needs root, for a network of its own.
"""

import asyncio
import json
import os
import re
import shutil
import smtplib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import uvloop

from mailnode.federation.lane import AT_ONCE
from mailnode.store.sqlite_store import SqliteMailStore
from nodelink.contract.federation import FederationMode, FederationState
from support.clocks import until
from support.cut_off_node import enrol
from support.destinations import SERVERS, Destination, Destinations, find_message_id, own_network
from support.mail_clients import trusting_context
from support.mailnode_process import HOST, RunningNode, running_node
from support.openpgp_messages import armored, encrypted_mail, real_packets
from support.peering_site import find_free_port

MESSAGES = int(os.environ.get("QUEUE_MESSAGES", "300"))
DESTINATIONS = int(os.environ.get("QUEUE_DESTINATIONS", "12"))
DEAD = int(os.environ.get("QUEUE_DEAD", "4"))
EACH = MESSAGES // DESTINATIONS
LIVING = (DESTINATIONS - DEAD) * EACH
IS_SHORT = MESSAGES < 5_000
LEAST_RATIO = 0.3 if IS_SHORT else 0.8
"""Of the rates with the dead and without; the second that the short form takes is measured roughly."""
TURNS = (0, DEAD) if IS_SHORT else (0, DEAD, 0, DEAD)
"""How many are dead at each turn: whatever else the machine does is not to fall upon one side."""
KILLS_AT = (0.5,) if IS_SHORT else (0.25, 0.5, 0.75)
"""The node is killed when the living have these shares of theirs."""

DOMAIN = "home.example"
PASSWORD = "correct horse battery"
SENDERS = 4
METRICS_PORT = 9_479
ADDRESSES = re.compile(rf"{re.escape(SERVERS)}\.[0-9]+")
"""What stays out of the journal: who got mail, one by one."""
LONGEST_SECONDS = 180 if IS_SHORT else 900
PAUSE_SECONDS = 0.1

pytestmark = pytest.mark.timeout(4 * LONGEST_SECONDS)

Parcel = tuple[str, str]
"""The domain that a message is for, and its Message-ID."""
Show = Callable[[str], None]
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Site:
    """A network, the destinations in it, and the state of a node that has everything queued."""

    thread: ThreadPoolExecutor
    destinations: Destinations
    filled: Path
    fill_seconds: float

    def run(self, work: Coroutine[object, object, ResultT]) -> ResultT:
        """Run something in the network."""
        return self.thread.submit(lambda: uvloop.run(work)).result()

    @asynccontextmanager
    async def opened(self, dead_count: int) -> AsyncIterator[Destinations]:
        """Have the destinations there, the first ones dead."""
        async with AsyncExitStack() as stack:
            await self.destinations.open(stack, dead_count)
            yield self.destinations
            await until(self.destinations.are_quiet)

    @asynccontextmanager
    async def running(self, directory: Path) -> AsyncIterator[RunningNode]:
        """Run a node that reaches them, with the state in a directory, until it is killed with the block."""
        async with AsyncExitStack() as stack:
            names = self.destinations.names
            program = run_node(directory, names.port, self.destinations)
            yield await asyncio.to_thread(stack.enter_context, program)

    def copy_state(self, directory: Path) -> Path:
        shutil.copytree(self.filled / "state", directory / "state")
        return directory


@dataclass(frozen=True, slots=True)
class Drain:
    """How fast the living got theirs. `waiting_seconds`: the node could have worked, had it had a CPU."""

    messages: int
    seconds: float
    cpu_seconds: float
    waiting_seconds: float

    @property
    def rate(self) -> float:
        """Messages per second in which the node had a CPU, or needed none."""
        return self.messages / (self.seconds - self.waiting_seconds)

    def __str__(self) -> str:
        cpu_ms = 1_000 * self.cpu_seconds / self.messages
        return (
            f"{self.messages} in {self.seconds:.1f} s, {self.waiting_seconds:.1f} s of it without a CPU:"
            f" {self.rate:.0f} messages/s, CPU {cpu_ms:.2f} ms each"
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("queue")
    destinations = Destinations(directory, DESTINATIONS)
    with own_network(f"madfleet-queue-{os.getpid()}") as thread:
        fill_seconds = thread.submit(fill_queue, directory, destinations).result()
        yield Site(thread, destinations, directory, fill_seconds)


def test_dead_destinations_slow_nobody(site: Site, tmp_path: Path, show: Show) -> None:
    alive: list[Drain] = []
    dead: list[Drain] = []
    for turn, dead_count in enumerate(TURNS):
        drained = site.run(drain(site, site.copy_state(tmp_path / str(turn)), dead_count))
        (dead if dead_count else alive).append(drained)

    ratio = mean_rate(dead) / mean_rate(alive)
    show(f"queue: {EACH * DESTINATIONS} queued by SMTP in {site.fill_seconds:.1f} s, by {SENDERS} senders")
    show(f"queue, all {DESTINATIONS} alive: {'; '.join(map(str, alive))}")
    show(f"queue, {DEAD} of {DESTINATIONS} dead, to the others: {'; '.join(map(str, dead))}")
    show(f"queue: {ratio:.2f} of the rate without the dead")
    assert ratio > LEAST_RATIO


def test_kill_loses_nothing_and_repeats_only_what_was_being_handed_over(
    site: Site, tmp_path: Path, show: Show
) -> None:
    in_flight, repeated = site.run(deliver_over_kills(site, site.copy_state(tmp_path / "killed")))

    show(
        f"queue, {len(KILLS_AT)} kill -9 with {DEAD} of {DESTINATIONS} dead: 0 of {EACH * DESTINATIONS} lost;"
        f" {in_flight} had been taken and were still queued, {repeated} of them came twice, all others once"
    )


def mean_rate(drains: Sequence[Drain]) -> float:
    return sum(each.rate for each in drains) / len(drains)


def fill_queue(directory: Path, destinations: Destinations) -> float:
    """Submit everything to a node that reaches no name server, and kill it; return how long it took."""
    enrol(directory / "state", FederationState(is_enabled=True, mode=FederationMode.ACCEPT))
    parcels = [
        (each.domain, f"{number}.{each.domain}") for number in range(EACH) for each in destinations.all
    ]
    with (
        run_node(directory, find_free_port(), destinations) as node,
        ThreadPoolExecutor(SENDERS) as threads,
    ):
        began_at = time.monotonic()
        send = partial(submit, node.ports["SMTP_TLS_PORT"])
        shares = [parcels[number::SENDERS] for number in range(SENDERS)]
        list(threads.map(send, range(SENDERS), shares))
        return time.monotonic() - began_at


def submit(port: int, number: int, parcels: Sequence[Parcel]) -> None:
    """Log in and send these messages; whatever is not acknowledged is an error."""
    sender = f"sender{number}@{DOMAIN}"
    armor = armored(real_packets())
    with smtplib.SMTP_SSL(HOST, port, context=trusting_context(), timeout=LONGEST_SECONDS) as client:
        client.login(sender, PASSWORD)
        for domain, message_id in parcels:
            mail = bytes(encrypted_mail(armor, sender, f"{message_id}@localhost"))
            client.sendmail(sender, f"bob@{domain}", mail)


async def drain(site: Site, directory: Path, dead_count: int) -> Drain:
    """Let a node work the queue off. The living get each message once, and those of the dead wait."""
    async with site.opened(dead_count) as destinations:
        async with site.running(directory) as node:
            await wait_for(node, lambda: destinations.count_taken() > 0)
            began_at, cpu_seconds, waiting_seconds = read_clocks(node)
            taken = destinations.count_taken()
            await wait_for(node, lambda: destinations.count_taken() >= count(destinations.living))
            ended_at, cpu_seconds_then, waiting_seconds_then = read_clocks(node)
            drained = Drain(
                destinations.count_taken() - taken,
                ended_at - began_at,
                cpu_seconds_then - cpu_seconds,
                waiting_seconds_then - waiting_seconds,
            )
            await wait_until_queued(node, count(destinations.dead))
            if not IS_SHORT:  # the most patient attempt lasts longer than a minute
                dead = {each.domain for each in destinations.dead}
                await wait_for(node, lambda: read_failed(directory / "log") >= dead)
        see_equal(destinations.read_taken(), Counter(list_parcels(destinations.living)))
        looked_up = {name for name, kind in destinations.names.asked if kind == "A"}
        assert {each.far.host for each in destinations.all} <= looked_up  # the dead were tried
        assert not set(ADDRESSES.findall((directory / "log").read_text()))
    return drained


async def deliver_over_kills(site: Site, directory: Path) -> tuple[int, int]:
    """Kill the node again and again, and see each time what it holds.

    Returns how many messages some kill found taken and still queued, and how many came once more.
    """
    sent = set(list_parcels(site.destinations.all))
    doubtful: Counter[Parcel] = Counter()
    before: Counter[Parcel] = Counter()
    async with site.opened(DEAD) as destinations:
        for share in KILLS_AT:
            async with site.running(directory) as node:
                goal = share * LIVING
                await wait_for(node, lambda: destinations.count_taken() >= goal)  # noqa: B023 - awaited here
            await until(destinations.are_quiet)
            taken, queued = destinations.read_taken(), await read_queue(directory)
            assert len(queued) > count(destinations.dead)  # this was the middle
            assert set() == set(taken) - sent
            assert set() == sent - queued - set(taken)  # what it let go has arrived
            new = taken - before
            assert max(new.values()) == 1
            in_flight = set(new) & queued
            assert max(Counter(domain for domain, _ in in_flight).values(), default=0) <= AT_ONCE
            doubtful.update(in_flight)
            before = taken
        async with site.running(directory) as node:
            await wait_until_queued(node, count(destinations.dead))
        await until(destinations.are_quiet)
        taken = destinations.read_taken()
    see_equal(Counter(set(taken)), Counter(list_parcels(destinations.living)))
    assert max((taken - before).values()) == 1
    repeated = taken - Counter(set(taken))
    see_equal(repeated - doubtful, Counter())
    await deliver_to_the_revived(site, directory)
    return doubtful.total(), repeated.total()


async def deliver_to_the_revived(site: Site, directory: Path) -> None:
    """Have the dead come back: they get theirs, and nobody anything else."""
    dead = site.destinations.dead
    async with site.opened(0) as destinations:
        async with site.running(directory) as node:
            await wait_for(node, lambda: destinations.count_taken() >= count(dead))
            await wait_until_queued(node, 0)
        see_equal(destinations.read_taken(), Counter(list_parcels(dead)))


def run_node(
    directory: Path, dns_port: int, destinations: Destinations
) -> AbstractContextManager[RunningNode]:
    """Run the program with a name server at a port."""
    return running_node(
        directory,
        log=directory / "log",
        opens_registration=False,
        MAIL_DOMAIN=DOMAIN,
        DNS_SERVERS=HOST,
        DNS_PORT=dns_port,
        PEERS_CA_FILE=destinations.ca_file,
        METRICS_PORT=METRICS_PORT,
        MESSAGES_PER_MINUTE=0,
        NOTIFICATION_PROXY="",
    )


def count(destinations: Sequence[Destination]) -> int:
    return EACH * len(destinations)


def list_parcels(destinations: Sequence[Destination]) -> list[Parcel]:
    return [(each.domain, f"{number}.{each.domain}") for number in range(EACH) for each in destinations]


async def read_queue(directory: Path) -> set[Parcel]:
    """Read what a node that was killed has in its queue."""
    async with AsyncExitStack() as stack:
        store = SqliteMailStore(directory / "state" / "mail")
        await store.start(stack)
        found = set()
        for domain in await store.count_outgoing():
            for row in await store.list_outgoing(domain, MESSAGES):
                message = await store.read_body(row.body_id)
                assert message is not None
                found.add((domain, find_message_id(message)))
        assert (await store.read_outgoing_usage()).message_count == len(found)
        return found


def see_equal(found: Counter[Parcel], expected: Counter[Parcel]) -> None:
    """Assert it, and show what differs rather than all of it."""
    assert (found - expected, expected - found) == (Counter(), Counter())


async def wait_for(node: RunningNode, is_true: Callable[[], bool]) -> None:
    """Wait for something as long as the node lives."""
    await until(lambda: node.process.poll() is not None or is_true(), LONGEST_SECONDS)
    assert node.process.poll() is None, "the node has ended by itself"


async def wait_until_queued(node: RunningNode, wanted: int) -> None:
    """Wait until a node, which may just be starting, says that it has so many messages queued."""
    line = f"\nmailnode_queued_messages {wanted:.1f}\n"
    async with asyncio.timeout(LONGEST_SECONDS):
        while line not in await asyncio.to_thread(read_metrics):
            assert node.process.poll() is None, "the node has ended by itself"
            await asyncio.sleep(PAUSE_SECONDS)


def read_failed(log: Path) -> set[str]:
    """Read which destinations an attempt has failed at."""
    lines = [line for line in log.read_text().splitlines() if '"delivery failed"' in line]
    return {json.loads(line)["destination"] for line in lines}


def read_metrics() -> str:
    """Read the figures of a node; none as long as it does not give any."""
    try:
        with urlopen(f"http://{HOST}:{METRICS_PORT}/metrics", timeout=LONGEST_SECONDS) as answer:
            return str(answer.read().decode())
    except URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            return ""
        raise


def read_clocks(node: RunningNode) -> tuple[float, float, float]:
    """Read the time, a node's user and system time, and how long its loop has waited for a CPU.

    Source: proc(5), /proc/pid/stat; Documentation/scheduler/sched-stats.rst of the kernel, which says of
    /proc/pid/schedstat that it is about the first thread.
    """
    process = Path(f"/proc/{node.process.pid}")
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    cpu_seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    waiting_ns = int((process / "schedstat").read_text().split()[1])
    return time.monotonic(), cpu_seconds, waiting_ns / 1e9
