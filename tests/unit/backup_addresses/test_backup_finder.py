"""Where backup addresses are found: by whom offers, how much room there is, and what the link is."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest

from mailnode.accounts.app_form import is_added_by_app
from mailnode.accounts.policy import Policy
from mailnode.backup_addresses.finder import ASKED_AT_ONCE, MAX_ROUNDS, BackupFinder
from mailnode.backup_addresses.offer import (
    MAX_OFFER_BYTES,
    OFFER_DIGEST,
    OFFER_PATH,
    BackupOffer,
    decide_offer,
    read_offer,
)
from mailnode.backup_addresses.place import find_place, write_link
from mailnode.federation.siblings import Sibling, Siblings
from nodelink.contract.states import SiblingNode
from support.backup_places import KEY, OFFER, PIN, make_place, make_sibling
from support.pages_login_link import read_login_link

PORTS = (993, 465)


def offer_of(
    policy: Policy, weight: int = 100, accounts: int = 49, *, has_room: bool = True
) -> BackupOffer | None:
    return decide_offer(policy, weight=weight, accounts=accounts, has_room=has_room, ports=PORTS)


def offer_with(load: float) -> BackupOffer:
    return OFFER.model_copy(update={"accounts_per_weight": load})


@dataclass
class Fleet:
    """Siblings that answer, or do not; it counts who was asked."""

    offers: dict[str, BackupOffer | None]
    silent: frozenset[str] = frozenset()
    asked: Counter[str] = field(default_factory=Counter)
    now: float = 0.0

    def finder(self) -> BackupFinder:
        siblings = Siblings()
        siblings.replace(
            SiblingNode(
                name=name,
                mail_domain=f"{name}.example.org",
                host=f"{name}.example.org",
                port=443,
                public_key=KEY.x,
                tls_pin=None,
            )
            for name in self.offers
        )
        return BackupFinder(siblings=siblings, transport=self, clock=lambda: self.now)

    async def fetch(self, sibling: Sibling, path: str, digest: str, max_bytes: int) -> bytes | None:
        assert (path, digest, max_bytes) == (OFFER_PATH, OFFER_DIGEST, MAX_OFFER_BYTES)
        self.asked[sibling.node] += 1
        if sibling.node in self.silent:
            await asyncio.Event().wait()
        offer = self.offers[sibling.node]
        return None if offer is None else offer.model_dump_json().encode()


@pytest.mark.parametrize(
    ("policy", "is_offered"),
    [
        (Policy(), True),
        (Policy(jit_enabled=False), True),
        (Policy(app_accounts_enabled=False), True),
        (Policy(registration_open=False), False),
        (Policy(registration_token_required=True), False),
    ],
)
def test_node_offers_what_anybody_gets(policy: Policy, *, is_offered: bool) -> None:
    assert (offer_of(policy) is not None) is is_offered


def test_offer_tells_room_as_placement_measures_it() -> None:
    offer = offer_of(Policy())

    assert offer is not None
    assert offer.accounts_per_weight == 0.5
    assert (offer.imap_tls_port, offer.smtp_tls_port) == PORTS
    assert offer_of(Policy(), weight=1) is not None
    assert offer_of(Policy(), weight=0) is None
    assert offer_of(Policy(), has_room=False) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"no json",
        b"[" * 4000,
        b'{"accounts_per_weight": NaN}',
        OFFER.model_dump_json().encode()[:-9],
    ],
)
def test_answer_that_is_no_offer_offers_nothing(content: bytes) -> None:
    assert read_offer(content) is None


def test_link_leads_an_app_to_the_node_that_makes_the_account() -> None:
    place = make_place("mail2")

    assert place.domain == "mail2.example.org"
    assert write_link(place) == "dcaccount:https://mail2.example.org/new"


def test_link_to_a_node_that_no_ca_vouches_for_is_a_login_of_one_person_alone() -> None:
    place = make_place("mail2", tls_pin=PIN)
    first, second = (read_login_link(write_link(place)) for _ in range(2))

    assert first.address != second.address
    assert first.password != second.password
    assert first.address.endswith("@mail2.example.org")
    assert first.certificate_checks == "3"
    assert not is_added_by_app(first.address, first.password)
    no_jit = OFFER.model_copy(update={"makes_unknown_logins": False})
    assert find_place(make_sibling("mail2", tls_pin=PIN), no_jit) is None
    assert find_place(make_sibling("mail2"), no_jit) is not None


@pytest.mark.anyio
async def test_node_with_the_most_room_comes_first() -> None:
    fleet = Fleet({"mail2": offer_with(3), "mail3": offer_with(1), "mail4": None, "mail5": offer_with(2)})

    found = await fleet.finder().find(2)

    assert [place.domain for place in found] == ["mail3.example.org", "mail5.example.org"]


@pytest.mark.anyio
@pytest.mark.parametrize("count", [0, 1, 2, 3])
async def test_no_more_are_found_than_are_wanted_and_offer(count: int) -> None:
    fleet = Fleet({"mail2": OFFER, "mail3": OFFER})

    assert len(await fleet.finder().find(count)) == min(count, 2)
    assert bool(fleet.asked) is bool(count)


@pytest.mark.anyio
async def test_node_that_does_not_answer_is_waited_for_only_so_long() -> None:
    fleet = Fleet({"mail2": OFFER, "mail3": OFFER}, silent=frozenset({"mail3"}))

    async with asyncio.timeout(5):
        found = await fleet.finder().find(2)

    assert [place.domain for place in found] == ["mail2.example.org"]


@pytest.mark.anyio
async def test_nobody_is_found_where_there_is_nobody() -> None:
    assert list(await Fleet({}).finder().find(4)) == []


@pytest.mark.anyio
async def test_large_fleet_is_not_asked_as_a_whole() -> None:
    fleet = Fleet({f"mail{number}": None for number in range(200)})

    assert list(await fleet.finder().find(1)) == []
    assert fleet.asked.total() == ASKED_AT_ONCE * MAX_ROUNDS


@pytest.mark.anyio
async def test_many_visitors_at_once_have_the_siblings_asked_once_in_two_seconds() -> None:
    fleet = Fleet({"mail2": OFFER})
    finder = fleet.finder()

    await asyncio.gather(*(finder.find(1) for _ in range(20)))
    assert fleet.asked == {"mail2": 1}
    fleet.offers["mail2"] = None
    fleet.now += 1.9
    assert len(await finder.find(1)) == 1
    fleet.now += 0.2
    assert list(await finder.find(1)) == []
    assert fleet.asked == {"mail2": 2}
