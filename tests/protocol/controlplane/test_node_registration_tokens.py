"""A node's registration tokens: redeemed at its own page alone, counted at the control plane."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from imaplib import IMAP4, IMAP4_SSL

import httpx
import pytest
from fastapi.testclient import TestClient

from controlplane.admins.access import WHOLE_FLEET
from controlplane.nodes.enrolment import retire_node
from controlplane.plane import Plane
from controlplane.registration import tokens
from controlplane.registration.token_models import InvitationRequest
from fleet_plan import FleetPlan
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.http.app import create_app
from mailnode.registration_tokens.redeemer import TokenRedeemer
from nodelink.contract.assertions import make_assertion
from nodelink.contract.enrolment import Enrolment
from nodelink.contract.keys import PrivateKey
from nodelink.contract.registration import digest_redemption
from nodelink.contract.states import NodeKind
from support.controlplane_site import (
    AUTHOR,
    NOW,
    PUBLIC_URL,
    add_group,
    add_group_token,
    add_node,
    add_node_token,
    open_client,
)
from support.pages_site import SITE, CountingRegistrar
from support.whole_fleet import WholeFleet, bearer, running_fleet, trust_all

TOKENS = "/api/v1/registration-tokens"
JSON = {"content-type": "application/json"}


class Fleet:
    """A fleet where whoever registers needs a token, and unknown logins make no account."""

    def __init__(self, whole: WholeFleet) -> None:
        self.whole = whole

    def call(self, method: str, path: str, fields: object = None) -> dict[str, object]:
        headers = {**bearer(self.whole.token), **JSON, "if-match": "*"}
        content = None if fields is None else json.dumps(fields).encode()
        status, _, body = self.whole.send(method, path, content, headers)
        assert status < 300, body
        found: dict[str, object] = json.loads(body)
        return found

    def make(self, **fields: object) -> dict[str, object]:
        return self.call("POST", TOKENS, fields)

    def count(self, made: dict[str, object]) -> object:
        return self.call("GET", f"{TOKENS}/{made['id']}")["used_count"]

    def redeem(self, plan: FleetPlan, made: dict[str, object], path: str = "/new") -> httpx.Response:
        return self.post(plan, f"{path}?token={made['token']}")

    def post(self, plan: FleetPlan, path: str, **body: object) -> httpx.Response:
        url = f"https://{plan.mail_host}:{plan.ports.https}{path}"
        return httpx.post(url, json=body or None, verify=trust_all(), timeout=30, trust_env=False)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with running_fleet(tmp_path_factory.mktemp("fleet")) as whole:
        fleet = Fleet(whole)
        fleet.call("PATCH", "/api/v1/policy", {"registration_token_required": True, "jit_enabled": False})
        ends_at = time.monotonic() + 10
        while fleet.post(whole.plan, "/new").status_code == 200:
            assert time.monotonic() < ends_at
        while fleet.post(whole.second, "/new").status_code == 200:
            assert time.monotonic() < ends_at
        yield fleet


def log_in(plan: FleetPlan, address: str, password: str) -> bool:
    """Tell whether somebody is let in."""
    context: ssl.SSLContext = trust_all()
    imap = IMAP4_SSL(plan.mail_host, plan.ports.imap_tls, ssl_context=context, timeout=20)
    with closing(imap.sock):
        try:
            imap.login(address, password)
        except IMAP4.error:
            return False
        with suppress(OSError):
            imap.logout()
        return True


def test_token_is_redeemed_at_its_node_as_often_as_it_says(fleet: Fleet) -> None:
    made = fleet.make(node="mail1", max_uses=1)
    plan = fleet.whole.plan

    first, second = fleet.redeem(plan, made), fleet.redeem(plan, made)

    assert made["register_url"] == f"https://{plan.mail_host}:{plan.ports.https}/?token={made['token']}"
    assert (first.status_code, second.status_code) == (200, 403)
    assert "used up" in second.json()["reason"]
    assert log_in(plan, first.json()["email"], first.json()["password"])
    assert fleet.count(made) == 1


def test_of_many_at_once_no_more_get_in_than_the_token_says(fleet: Fleet) -> None:
    made = fleet.make(node="mail2", max_uses=5)

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: fleet.redeem(fleet.whole.second, made), range(20)))

    addresses = {answer.json()["email"] for answer in answers if answer.status_code == 200}
    assert len(addresses) == 5
    assert fleet.count(made) == 5


def test_without_a_token_nobody_comes_in(fleet: Fleet) -> None:
    plan = fleet.whole.plan

    answer = fleet.post(plan, "/new")

    assert (answer.status_code, "token is required" in answer.json()["reason"]) == (403, True)
    domain = str(fleet.redeem(plan, fleet.make(node="mail1")).json()["email"]).partition("@")[2]
    assert not log_in(plan, f"stranger1@{domain}", "a password of a stranger")


def test_token_is_read_from_json_and_by_the_button(fleet: Fleet) -> None:
    made, plan = fleet.make(node="mail1", max_uses=2), fleet.whole.plan

    assert fleet.post(plan, "/new", token=made["token"]).status_code == 200
    page = fleet.redeem(plan, made, "/register")
    assert (page.status_code, 'id="password"' in page.text) == (200, True)
    assert fleet.count(made) == 2


def test_token_of_elsewhere_is_refused_and_not_counted(fleet: Fleet) -> None:
    of_fleet, of_node = fleet.make(), fleet.make(node="mail1")
    plan, second = fleet.whole.plan, fleet.whole.second

    at_node = fleet.redeem(plan, of_fleet)
    page = fleet.redeem(plan, of_fleet, "/register?lang=fa&")
    at_other = fleet.redeem(second, of_node)
    status, _, body = fleet.whole.send("POST", f"/new?token={of_node['token']}")

    origin = f"https://{plan.mail_host}:{plan.ports.https}"
    assert (at_node.status_code, fleet.whole.url in at_node.json()["reason"]) == (403, True)
    assert page.status_code == 403
    assert (at_other.status_code, origin in at_other.json()["reason"]) == (403, True)
    assert (status, origin in json.loads(body)["reason"]) == (403, True)
    assert fleet.whole.send("POST", f"/join?token={of_node['token']}")[0] == 403
    assert (fleet.count(of_fleet), fleet.count(of_node)) == (0, 0)


def test_expired_token_is_refused(fleet: Fleet) -> None:
    made = fleet.make(node="mail1", expires_at_seconds=1)

    answer = fleet.redeem(fleet.whole.plan, made)

    assert (answer.status_code, "expired" in answer.json()["error"]) == (403, True)
    assert fleet.count(made) == 0


@pytest.fixture
def identity() -> PrivateKey:
    return PrivateKey.generate()


def open_pages(identity: PrivateKey, policy: Policy) -> TestClient:
    """Open the pages of a node whose control plane is away."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"https://127.0.0.1:{free.getsockname()[1]}"
    enrolment = Enrolment(
        node="mail1", kind=NodeKind.MAIL, url=url, trusted_keys=(identity.public.x,), tls_pin=None
    )
    redeemer = TokenRedeemer(identity=identity, enrolment=enrolment, build_tls=trust_all)
    accounts = CountingRegistrar(policy=PolicyHolder(policy))
    app = create_app(accounts=accounts, read_site=lambda: SITE, redeemer=redeemer)
    return TestClient(app, base_url="https://mail.example.org", follow_redirects=False)


def test_while_the_control_plane_is_away_the_visitor_is_asked_to_come_again(identity: PrivateKey) -> None:
    client = open_pages(identity, Policy(registration_token_required=True))

    answers = [client.post("/new", params={"token": "some-token"}) for _ in range(25)]

    assert {answer.status_code for answer in answers} == {503}  # none of them counts as a wrong one
    assert answers[0].headers["retry-after"] == "60"
    assert "cannot be checked" in answers[0].json()["reason"]


def test_wrong_tokens_are_limited(identity: PrivateKey) -> None:
    client = open_pages(identity, Policy())

    statuses = [client.post("/new", params={"token": "not a token"}).status_code for _ in range(21)]

    assert statuses == [403] * 20 + [429]
    assert client.post("/new").status_code == 200


def test_page_passes_a_token_on(identity: PrivateKey) -> None:
    client = open_pages(identity, Policy(registration_token_required=True))

    page = client.get("/", params={"token": 'a"><hostile'}).text
    bare = client.get("/").text

    assert 'action="/register?lang=en&amp;token=a%22%3E%3Chostile"' in page
    assert page.count("hostile") == page.count("%22%3E%3Chostile")
    assert "dcaccount:https://mail.example.org/new?token=a%22" in page
    assert 'href="/?lang=fa&amp;token=a%22%3E%3Chostile"' in page
    assert ("/register" in bare, "token is required" in bare) == (False, True)
    assert client.get("/", params={"token": "x" * 5000}).text == bare
    opened = client.get("/new", params={"token": "some-token"})
    assert opened.headers["location"] == "dcaccount:https://mail.example.org/new?token=some-token"


def sign(key: PrivateKey, body: bytes, digest: str | None = None) -> dict[str, str]:
    assertion = make_assertion(
        key,
        node="mail1",
        audience=PUBLIC_URL,
        now_seconds=NOW,
        content_digest=digest or digest_redemption(body),
    )
    return {"authorization": f"Bearer {assertion}"}


def test_only_a_node_redeems_and_each_assertion_is_for_one_request(plane: Plane) -> None:
    key, body = add_node(plane, "mail1"), b'{"token":"some-token"}'
    with open_client(plane) as client:
        own = sign(key, body)

        statuses = [
            client.post("/api/v1/redemptions", content=sent, headers=headers).status_code
            for sent, headers in (
                (body, own),
                (body, own),
                (b'{"token":"other-token"}', sign(key, body)),
                (body, sign(PrivateKey.generate(), body)),
                (body, sign(key, body, "x")),
                (body, {}),
            )
        ]

    assert statuses == [200, 401, 401, 401, 401, 401]


def test_operator_of_a_node_manages_its_tokens_and_no_others(plane: Plane) -> None:
    for name in ("mail1", "mail2"):
        add_node(plane, name)
    add_node(plane, "turn1", NodeKind.TURN)
    add_group(plane, "eu", "mail1")
    with open_client(plane) as client:
        of_fleet = client.post(TOKENS, json={}).json()
        of_other = client.post(TOKENS, json={"node": "mail2"}).json()
        assert client.post(TOKENS, json={"node": "turn1"}).json()["type"] == "/problems/wrong_kind"
        assert client.post(TOKENS, json={"node": "mail9"}).json()["type"] == "/problems/unknown_node"
        for token in (add_node_token(plane, "mail1"), add_group_token(plane, "eu")):
            headers = {"authorization": f"Bearer {token}", "if-match": "*"}
            made = client.post(TOKENS, json={"node": "mail1"}, headers=headers)
            url = made.headers["location"]
            assert made.status_code == 201
            assert client.get(TOKENS, headers=headers).json()["items"] == [made.json()]
            assert client.patch(url, json={"max_uses": 3}, headers=headers).status_code == 200
            assert client.delete(url, headers=headers).status_code == 204
            for fields in ({}, {"node": "mail2"}, {"node": "mail9"}):
                assert client.post(TOKENS, json=fields, headers=headers).status_code == 403
            for other in (of_fleet, of_other):
                path = f"{TOKENS}/{other['id']}"
                assert client.get(path, headers=headers).status_code == 404
                assert client.patch(path, json={"max_uses": 3}, headers=headers).status_code == 404
                assert client.delete(path, headers=headers).status_code == 404
        assert len(client.get(TOKENS).json()["items"]) == 2


def test_tokens_of_a_node_go_with_it(plane: Plane) -> None:
    add_node(plane, "mail1")
    with plane.sessions.begin() as session:
        tokens.create_invitation(session, plane.vault, AUTHOR, InvitationRequest(node="mail1"))
        kept = tokens.create_invitation(session, plane.vault, AUTHOR, InvitationRequest()).id

        retire_node(session, plane.facts, "mail1", AUTHOR)

        rows = tokens.page_invitations(session, WHOLE_FLEET, "", 10)
        assert [row.id for row in rows] == [kept]
