"""The pages about servers of others: what their forms change, and what they show."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from controlplane.admins.access import Role
from controlplane.application import create_app
from controlplane.federation.models import FederationPublic
from controlplane.federation.service import describe_federation
from controlplane.plane import Plane
from nodelink.contract.federation import FederationMode, PeerTransport
from support.controlplane_site import PUBLIC_URL, Clock, add_group, add_node, add_token
from support.web_admin import read_forms, send, sign_in

FLEET, GROUP, NODE = "/admin/federation", "/admin/groups/eu/federation", "/admin/nodes/mail1/federation"


@pytest.fixture
def browser(plane: Plane) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    add_group(plane, "eu", "mail1")
    with TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL) as browser:
        sign_in(browser, plane)
        yield browser


def read(plane: Plane, *, group: str | None = None, node: str | None = None) -> FederationPublic:
    with plane.sessions() as session:
        return describe_federation(session, group=group, node=node)


def test_form_of_the_policy_shows_what_holds_and_changes_it(browser: TestClient, plane: Plane) -> None:
    fields = read_forms(browser.get(FLEET).text)[f"{FLEET}/policy"].fields
    assert (fields["is_enabled"], fields["mode"], fields["transports"]) == ("yes", "accept", "https smtp")

    answer = send(browser, FLEET, f"{FLEET}/policy", mode="reject", transports="https", is_enabled="no")

    assert answer.url.path == FLEET
    assert "Saved. Connected nodes follow" in answer.text
    in_force = read(plane).in_force
    assert (in_force.is_enabled, in_force.mode) == (False, FederationMode.REJECT)
    assert in_force.transports == [PeerTransport.HTTPS]
    assert "Only these domains are allowed." in answer.text


@pytest.mark.parametrize("address", [GROUP, NODE])
def test_group_and_node_differ_and_follow_again(browser: TestClient, plane: Plane, address: str) -> None:
    send(browser, address, f"{address}/policy", mode="reject")
    assert read(plane, node="mail1").in_force.mode is FederationMode.REJECT
    assert read(plane).in_force.mode is FederationMode.ACCEPT

    send(browser, address, f"{address}/policy", mode="")

    assert read(plane, node="mail1").in_force.mode is FederationMode.ACCEPT


def test_transports_that_were_set_by_other_means_stay_as_they_are(browser: TestClient, plane: Plane) -> None:
    url = "/api/v1/federation"
    headers = {"if-match": "*", "authorization": f"Bearer {add_token(plane)}"}
    assert browser.patch(url, json={"transports": ["http", "smtp"]}, headers=headers).status_code == 200

    send(browser, FLEET, f"{FLEET}/policy")

    assert read(plane).in_force.transports == [PeerTransport.HTTP, PeerTransport.SMTP]


def test_rules_are_added_shown_and_removed(browser: TestClient, plane: Plane) -> None:
    for transport in ("any", "smtp"):
        send(browser, FLEET, f"{FLEET}/add-rule", domain=" Bad.Example ", transport=transport)
    page = browser.get(FLEET).text
    assert page.count("bad.example</bdi>") == 2
    assert [rule.transport for rule in read(plane).own.rules] == [None, PeerTransport.SMTP]
    assert "said further up" in browser.get(NODE).text

    form = read_forms(page)[f"{FLEET}/remove-rule"].fields  # the last one of the page
    browser.post(f"{FLEET}/remove-rule", data=form)

    assert [rule.transport for rule in read(plane).own.rules] == [None]


def test_endpoints_and_dismissed_domains_come_and_go(browser: TestClient, plane: Plane) -> None:
    target = "https://192.0.2.7:8443/mxdeliv"
    send(browser, NODE, f"{NODE}/set-endpoint", domain="a.example", target=target, comment="x <b>")
    send(browser, NODE, f"{NODE}/add-dismissed", domain="b.example")
    page = browser.get(NODE).text
    assert (target in page, "x &lt;b&gt;" in page, "b.example" in page) == (True, True, True)
    own = read(plane, node="mail1").own
    assert ([each.target for each in own.endpoints], own.dismissed) == ([target], ["b.example"])

    send(browser, NODE, f"{NODE}/remove-endpoint")
    send(browser, NODE, f"{NODE}/remove-dismissed")

    own = read(plane, node="mail1").own
    assert (own.endpoints, own.dismissed) == ([], [])


@pytest.mark.parametrize(
    ("what", "changes", "field"),
    [
        ("add-rule", {"domain": "no domain"}, "Domain"),
        ("add-rule", {"domain": "a.example", "transport": "pigeon"}, "Domain"),
        ("add-dismissed", {"domain": ""}, "Domain"),
        ("set-endpoint", {"domain": "a.example", "target": "ftp://a"}, "Where to"),
        ("policy", {"mode": "perhaps"}, "A domain without a rule"),
        ("policy", {"transports": "pigeon"}, "Mail goes and comes by"),
    ],
)
def test_field_that_cannot_be_taken_is_named(
    browser: TestClient, plane: Plane, what: str, changes: dict[str, str], field: str
) -> None:
    before = read(plane)

    answer = send(browser, FLEET, f"{FLEET}/{what}", **changes)

    assert f"<strong>{field}</strong>" in answer.text
    assert read(plane) == before


def test_form_of_an_old_page_and_one_that_is_none_change_nothing(browser: TestClient, plane: Plane) -> None:
    old = read_forms(browser.get(FLEET).text)[f"{FLEET}/add-rule"].fields
    send(browser, FLEET, f"{FLEET}/add-rule", domain="a.example")

    answer = browser.post(f"{FLEET}/add-rule", data=old | {"domain": "b.example"})

    assert "Somebody else has changed this" in answer.text
    assert [rule.domain for rule in read(plane).own.rules] == ["a.example"]
    assert browser.post(f"{FLEET}/nothing", data=old).status_code in {404, 422}


def test_viewer_sees_and_is_offered_no_form(browser: TestClient, plane: Plane) -> None:
    send(browser, FLEET, f"{FLEET}/add-rule", domain="a.example")
    sign_in(browser, plane, Role.VIEWER)

    page = browser.get(FLEET).text

    assert "a.example" in page
    assert not [action for action in read_forms(page) if action.startswith(FLEET)]


def test_what_passes_names_nodes_that_do_not_answer(browser: TestClient) -> None:
    page = browser.get(f"{FLEET}/servers").text

    assert "No mail has passed yet." in page
    assert "These nodes did not answer" in page
    assert ">mail1<" in page
