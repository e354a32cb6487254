"""What forms of the web admin change, and that no other form changes anything."""

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from controlplane.admins.access import Role
from controlplane.application import create_app
from controlplane.nodes.desk import Desk
from controlplane.nodes.enrolment import read_node
from controlplane.nodes.groups import find_group_name
from controlplane.nodes.models import Node
from controlplane.plane import Plane
from controlplane.policy.models import FleetPolicy, OverridesPublic
from controlplane.policy.service import read_fleet_policy, read_node_policy
from controlplane.web.policy_form import FIELDS
from nodelink.contract.states import NodeKind
from support.controlplane_site import PUBLIC_URL, Clock, add_group, add_node, make_report
from support.web_admin import read_forms, send, sign_in

POLICY = "/admin/policy"
NODE = "/admin/nodes/mail1"


@pytest.fixture
def browser(plane: Plane) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    add_node(plane, "turn1", NodeKind.TURN)
    add_group(plane, "eu")
    with TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL) as browser:
        sign_in(browser, plane)
        yield browser


def fleet_policy(plane: Plane) -> FleetPolicy:
    with plane.sessions() as session:
        return read_fleet_policy(session)


def node(plane: Plane, name: str = "mail1") -> Node:
    with plane.sessions() as session:
        return read_node(session, name)


def overrides(plane: Plane) -> OverridesPublic:
    with plane.sessions() as session:
        return OverridesPublic.model_validate(read_node_policy(session, "mail1"))


def test_fleet_s_policy_is_changed_by_its_form(browser: TestClient, plane: Plane) -> None:
    answer = send(
        browser,
        "/admin/registration",
        POLICY,
        registration_open="no",
        quota_bytes="500M",
        unused_account_days="۹۰",
        turn_lifetime_seconds="3",
    )

    assert "Saved. Connected nodes follow" in answer.text
    assert answer.url.path == "/admin/registration"
    policy = fleet_policy(plane)
    assert (policy.registration_open, policy.quota_bytes) == (False, 500 << 20)
    assert (policy.unused_account_days, policy.turn_lifetime_seconds) == (90, 3 * 86_400)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("quota_bytes", "much"),
        ("quota_bytes", "1K"),
        ("quota_bytes", ""),
        ("quota_bytes", "1025T"),
        ("message_retention_days", "-1"),
        ("message_retention_days", "9" * 30),
        ("turn_lifetime_seconds", "31"),
        ("turn_allocations", "0"),
        ("turn_announced_port", "65536"),
        ("turn_announced_port", "-1"),
        ("registration_open", "perhaps"),
    ],
)
def test_field_that_cannot_be_taken_is_named(
    browser: TestClient, plane: Plane, field: str, text: str
) -> None:
    before = fleet_policy(plane)

    answer = send(browser, "/admin/registration", POLICY, **{field: text})

    assert "A field holds what cannot be taken" in answer.text
    assert f"field={field}" in str(answer.url)
    assert fleet_policy(plane).revision == before.revision


def test_port_of_calls_is_named_by_form_and_refused_where_nobody_listens(
    browser: TestClient, plane: Plane
) -> None:
    Desk(plane, Clock()).note_report("turn1", make_report(NodeKind.TURN, udp_ports=(3478, 443)))

    assert "as TURN nodes say" in browser.get(NODE).text

    page = send(browser, NODE, f"{NODE}/policy", turn_announced_port="۴۴۳").text
    assert overrides(plane).turn_announced_port == 443
    assert "as TURN nodes say" not in page
    refused = send(browser, "/admin/registration", POLICY, turn_announced_port="53")

    assert "No TURN node takes clients at this UDP port" in refused.text
    assert fleet_policy(plane).turn_announced_port == 0
    assert "443, 3478" in browser.get("/admin/turn").text


def test_node_differs_and_follows_again(browser: TestClient, plane: Plane) -> None:
    page = send(browser, NODE, f"{NODE}/policy", registration_open="no", quota_bytes="2G").text
    assert "set here" in page
    assert (overrides(plane).registration_open, overrides(plane).quota_bytes) == (False, 2 << 30)

    send(browser, NODE, f"{NODE}/policy", registration_open="", quota_bytes="")
    assert overrides(plane) == OverridesPublic.model_validate(dict.fromkeys(OverridesPublic.model_fields))


def test_inheritance_says_whose_word_counts(browser: TestClient) -> None:
    send(browser, NODE, f"{NODE}/group", group="eu")
    send(browser, "/admin/groups/eu", "/admin/groups/eu/policy", quota_bytes="3G")

    page = browser.get(NODE).text

    line = re.search(r'(?s)id="field-quota_bytes-hint".*?</div>\s*</div>', page)
    assert line is not None
    assert "3 GiB" in line[0]
    assert "from the group" in line[0]
    assert 'placeholder="3G"' in line[0]
    assert page.count("from the fleet") == len(FIELDS) - 1


def test_node_is_named_weighed_drained_and_moved(browser: TestClient, plane: Plane) -> None:
    send(browser, NODE, NODE, label="Frankfurt", weight="50", is_draining="yes")
    send(browser, NODE, f"{NODE}/group", group="eu")

    changed = node(plane)
    assert (changed.label, changed.weight, changed.is_draining) == ("Frankfurt", 50, True)
    with plane.sessions() as session:
        assert find_group_name(session, "mail1") == "eu"
    send(browser, NODE, f"{NODE}/group", group="")
    with plane.sessions() as session:
        assert find_group_name(session, "mail1") is None


def test_node_is_retired_when_its_name_was_written(browser: TestClient, plane: Plane) -> None:
    assert "cannot be taken" in send(browser, NODE, f"{NODE}/retire", name="mail2").text
    assert node(plane).name == "mail1"

    answer = send(browser, NODE, f"{NODE}/retire", name="mail1")

    assert (answer.url.path, "Removed." in answer.text) == ("/admin", True)
    assert browser.get(NODE).status_code == 404


def test_group_is_made_named_and_removed(browser: TestClient) -> None:
    answer = send(browser, "/admin/groups", "/admin/groups", name="asia", label="Asia")
    assert answer.url.path == "/admin/groups/asia"
    assert "already" in send(browser, "/admin/groups", "/admin/groups", name="asia").text
    assert "cannot be taken" in send(browser, "/admin/groups", "/admin/groups", name="As IA").text

    assert "East" in send(browser, "/admin/groups/asia", "/admin/groups/asia", label="East").text
    send(browser, NODE, f"{NODE}/group", group="asia")
    assert "Nodes are in this group" in send(browser, "/admin/groups/asia", "/admin/groups/asia/remove").text
    send(browser, NODE, f"{NODE}/group", group="")
    assert "Removed." in send(browser, "/admin/groups/asia", "/admin/groups/asia/remove").text


def test_registration_token_is_made_shown_changed_and_removed(browser: TestClient) -> None:
    list_page, tokens = "/admin/registration", "/admin/registration-tokens"
    answer = send(browser, list_page, tokens, max_uses="20", comment="Choir", valid_days="2")
    place = answer.url.path
    assert 'class="qr"' in answer.text
    assert re.search(rf'id="link"[^>]*>{PUBLIC_URL}/join\?token=[a-z0-9]{{24}}<', answer.text)

    answer = send(browser, place, place, max_uses="30", comment="Choir & friends", valid_days="")
    assert "Choir &amp; friends" in answer.text
    assert "/ 30" in browser.get(list_page).text

    assert "Removed." in send(browser, place, f"{place}/remove").text
    assert browser.get(place).status_code == 404


def test_registration_token_of_a_node_says_so(browser: TestClient) -> None:
    list_page, tokens = "/admin/registration", "/admin/registration-tokens"

    answer = send(browser, list_page, tokens, max_uses="1", node="mail1", comment="Tenors")

    assert '<bdi dir="ltr">mail1</bdi>' in answer.text
    assert re.search(r'<td data-label="For"><bdi dir="ltr">mail1</bdi></td>', browser.get(list_page).text)
    refused = send(browser, list_page, tokens, max_uses="1", node="mail9")
    assert "There is no node of this name." in refused.text


def test_admin_token_is_shown_once_and_revoked(browser: TestClient) -> None:
    place = "/admin/admin-tokens"
    answer = send(browser, place, place, name="bob", role="operator", scope="node mail1")
    found = re.search(r"madfleet-admin-([0-9a-f]{8})-[\w-]{43}", answer.text)
    assert found is not None
    assert f'id="link" dir="ltr">{PUBLIC_URL}/#token={found[0]}<' in answer.text

    page = browser.get(place).text
    assert found[0] not in page
    assert f"<code>{found[1]}</code>" in page
    revoke = f"{place}/{found[1]}/revoke"
    assert revoke in read_forms(page)
    assert "revoked" in send(browser, place, revoke).text
    assert revoke not in read_forms(browser.get(place).text)


@pytest.mark.parametrize("scope", ["node mail9", "group none", "node", "fleet x", "moon"])
def test_admin_token_for_what_is_not_there_is_refused(browser: TestClient, scope: str) -> None:
    place = "/admin/admin-tokens"

    answer = send(browser, place, place, name="bob", role="operator", scope=scope)

    assert 'class="notice bad"' in answer.text
    assert "madfleet-admin-" not in answer.text


def test_audit_shows_finds_and_exports_what_was_changed(browser: TestClient) -> None:
    send(browser, NODE, NODE, label="Frankfurt")
    send(browser, "/admin/registration", POLICY, registration_open="no")

    assert "Frankfurt" in browser.get("/admin/audit").text
    found = browser.get("/admin/audit?action=fleet-policy.change&since=2000-01-01&until=x").text
    assert "registration_open" in found
    assert "Frankfurt" not in found
    assert "No entry matches" in browser.get("/admin/audit?until=2000-01-01").text
    exported = browser.get("/admin/audit/export?format=csv&target=mail1")
    assert "attachment" in exported.headers["content-disposition"]
    assert len(exported.text.splitlines()) == 3
    assert browser.get("/admin/audit/export?format=xml").status_code == 422


def test_form_of_an_old_page_changes_nothing(browser: TestClient, plane: Plane) -> None:
    form = read_forms(browser.get("/admin/registration").text)[POLICY].fields
    browser.post(POLICY, data=form | {"registration_open": "no"})

    page = browser.post(POLICY, data=form | {"registration_open": "yes"}).text

    assert "Somebody else has changed this" in page
    assert not fleet_policy(plane).registration_open


@pytest.mark.parametrize("key", ["", "0" * 64, "ü"])
def test_form_of_another_site_is_refused(browser: TestClient, plane: Plane, key: str) -> None:
    form = read_forms(browser.get("/admin/registration").text)[POLICY].fields

    answer = browser.post(POLICY, data=form | {"key": key, "registration_open": "no"})

    assert (answer.status_code, fleet_policy(plane).registration_open) == (403, True)
    assert "This form is too old" in answer.text


def test_key_of_another_session_is_none(browser: TestClient, plane: Plane) -> None:
    key = read_forms(browser.get("/admin/registration").text)[POLICY].fields["key"]
    browser.cookies.clear()
    sign_in(browser, plane)

    form = read_forms(browser.get("/admin/registration").text)[POLICY].fields
    assert browser.post(POLICY, data=form | {"key": key}).status_code == 403


@pytest.mark.parametrize("tag", ["", "x", '"x"', "\0"])
def test_form_that_was_tampered_with_changes_nothing(browser: TestClient, plane: Plane, tag: str) -> None:
    answer = send(browser, "/admin/registration", POLICY, tag=tag, registration_open="no")

    assert 'class="notice bad"' in answer.text
    assert fleet_policy(plane).registration_open


@pytest.mark.parametrize(
    "back", ["https://example.org/", "//example.org", "/admin//example.org", "/admin\\x", "javascript:x", ""]
)
def test_form_leads_to_none_but_our_own_pages(browser: TestClient, back: str) -> None:
    form = read_forms(browser.get("/admin/registration").text)[POLICY].fields

    answer = browser.post(POLICY, data=form | {"back": back}, follow_redirects=False)

    assert answer.headers["location"] == "/admin?notice=changed"


def test_viewer_may_send_no_form_at_all(browser: TestClient, plane: Plane) -> None:
    pages = ["/admin", NODE, "/admin/groups", "/admin/groups/eu", "/admin/registration"]
    pages += ["/admin/blocklist", "/admin/admin-tokens", "/admin/accounts/new"]
    forms = {action: form for page in pages for action, form in read_forms(browser.get(page).text).items()}
    del forms["/sign-out"]
    browser.cookies.clear()
    key = read_forms(sign_in(browser, plane, Role.VIEWER))["/sign-out"].fields["key"]

    answers = {
        action: browser.post(action, data=form.fields | {"key": key}).status_code
        for action, form in forms.items()
    }

    assert len(answers) >= 14
    assert set(answers.values()) == {403}, answers
