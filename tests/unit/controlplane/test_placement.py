"""On which node a new account is made, and which mail nodes are told of one another."""

from hypothesis import given
from hypothesis import strategies as st

from controlplane.nodes.siblings import MailCandidate, choose_siblings
from controlplane.registration.placement import Candidate, order_by_room
from nodelink.contract.keys import PrivateKey
from nodelink.contract.reports import MailPlaces
from nodelink.contract.siblings import SiblingList
from support.controlplane_site import make_report

KEY = PrivateKey.generate().public.x
PIN = "ab" * 32

candidates = st.builds(
    Candidate,
    node=st.text(min_size=1, max_size=3),
    weight=st.integers(0, 200),
    accounts=st.integers(0, 1000),
    is_open=st.booleans(),
    is_connected=st.booleans(),
)


def candidate(node: str, weight: int = 100, accounts: int = 0) -> Candidate:
    return Candidate(node, weight, accounts, is_open=True, is_connected=True)


def mail_node(node: str, residue: int, domain: str, host: str = "mail.example.org") -> MailCandidate:
    places = MailPlaces(host=host, imap_tls_port=993, smtp_tls_port=465, tls_pin=PIN)
    return MailCandidate(node, residue, KEY, make_report(public_name=domain, places=places))


@given(st.lists(candidates, max_size=6))
def test_only_connected_open_nodes_with_weight_are_asked(nodes: list[Candidate]) -> None:
    asked = order_by_room(nodes)

    usable = [node.node for node in nodes if node.is_open and node.is_connected and node.weight]
    assert sorted(asked) == sorted(usable)


def test_node_with_fewer_accounts_for_its_weight_goes_first() -> None:
    assert order_by_room([candidate("a", 100, 30), candidate("b", 50, 10)]) == ["b", "a"]
    assert order_by_room([candidate("a", 100, 18), candidate("b", 50, 10)]) == ["a", "b"]


def test_accounts_spread_as_the_weights_say() -> None:
    accounts = {"a": 0, "b": 0, "c": 0}
    weights = {"a": 100, "b": 50, "c": 0}
    for _ in range(300):
        order = order_by_room(candidate(node, weights[node], accounts[node]) for node in accounts)
        accounts[order[0]] += 1

    assert accounts == {"a": 200, "b": 100, "c": 0}


def test_siblings_are_told_where_to_reach_one_another() -> None:
    first, second = choose_siblings([mail_node("m2", 1, "two.example"), mail_node("m1", 0, "one.example")])

    assert (first.name, first.mail_domain, second.name) == ("m1", "one.example", "m2")
    assert (first.host, first.port, first.public_key) == ("mail.example.org", 443, KEY)
    assert first.tls_pin == PIN
    assert SiblingList(revision=1, siblings=(first, second)).leave_out("m1") == (second,)


def test_domain_belongs_to_the_node_that_was_enrolled_first() -> None:
    (sibling,) = choose_siblings([mail_node("a", 5, "One.example"), mail_node("z", 0, "one.example")])

    assert sibling.name == "z"


def test_node_that_says_nothing_of_use_is_no_sibling() -> None:
    silent = MailCandidate("a", 0, KEY, make_report(places=None))

    assert choose_siblings([silent, mail_node("b", 1, ""), mail_node("c", 2, "c.example", "a/b")]) == ()
