"""The pages as a browser meets them, without running scripts: signing in, and what each page says."""

import re
from collections.abc import Iterator
from html import unescape

import pytest
from fastapi.testclient import TestClient

from controlplane.admins.access import Role
from controlplane.admins.tokens import revoke_tokens
from controlplane.admins.web_sessions import COOKIE, VALID_FOR_SECONDS
from controlplane.application import WRONG_TOKEN_BURST, create_app
from controlplane.health.samples import keep_samples
from controlplane.nodes.desk import Desk
from controlplane.plane import Plane
from nodelink.contract.reports import ProbeReport
from nodelink.contract.states import NodeKind
from support.controlplane_site import (
    AUTHOR,
    NOW,
    PUBLIC_URL,
    Clock,
    add_group,
    add_node,
    add_token,
    make_report,
)
from support.web_admin import PageReader, read_forms, send, sign_in

PAGES = [
    "/admin",
    "/admin?kind=turn",
    "/admin/nodes/mail1",
    "/admin/nodes/turn1",
    "/admin/nodes/mail1/queue",
    "/admin/groups",
    "/admin/groups/eu",
    "/admin/registration",
    "/admin/accounts",
    "/admin/accounts?search=x",
    "/admin/accounts/new",
    "/admin/blocklist",
    "/admin/operations",
    "/admin/federation",
    "/admin/federation/servers",
    "/admin/dns",
    "/admin/groups/eu/federation",
    "/admin/nodes/mail1/federation",
    "/admin/operations?state=failed",
    "/admin/admin-tokens",
    "/admin/audit",
    "/admin/audit?admin=nobody",
    "/admin/nodes/mail9",
    "/admin/nowhere",
]

NAMES = {
    "English",
    "TURN",
    "UDP",
    "JSON",
    "CSV",
    "QR",
    "Ansible",
    "DKIM",
    "Madmail",
    "IMAP",
    "SMTP",
    "madfleet",
    "alice",
}
NAMES |= {"eu", "mail", "turn"}
NAMES |= {"DMARC", "DNS", "MTA", "SPF", "STARTTLS", "STS", "TLS"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def browser(plane: Plane, clock: Clock) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    add_node(plane, "turn1", NodeKind.TURN)
    with TestClient(create_app(plane, clock=clock), base_url=PUBLIC_URL) as browser:
        yield browser


def test_front_page_says_what_this_is(browser: TestClient) -> None:
    page = browser.get("/")

    assert page.status_code == 200
    assert "This is the control plane of the fleet <bdi>madfleet</bdi>" in page.text
    assert 'lang="en" dir="ltr"' in page.text


@pytest.mark.parametrize("header", ["fa-IR,fa;q=0.9,en;q=0.5", "de, FA"])
def test_front_page_speaks_persian_to_those_who_read_it(browser: TestClient, header: str) -> None:
    assert 'lang="fa" dir="rtl"' in browser.get("/", headers={"accept-language": header}).text


def test_language_that_was_chosen_is_remembered(browser: TestClient) -> None:
    assert 'lang="fa"' in browser.get("/?lang=fa").text
    assert '<html lang="fa"' in browser.get("/").text
    assert '<html lang="en"' in browser.get("/?lang=en").text
    assert '<html lang="en"' in browser.get("/?lang=xx").text


def test_language_is_changed_on_the_page_that_is_shown(browser: TestClient, plane: Plane) -> None:
    sign_in(browser, plane)

    page = browser.get("/admin/operations?state=done&notice=changed").text

    assert 'href="/admin/operations?state=done&amp;lang=fa"' in page


def test_each_page_speaks_both_languages_wholly(browser: TestClient, plane: Plane, clock: Clock) -> None:
    add_group(plane, "eu", "mail1")
    for name, kind in (("mail1", NodeKind.MAIL), ("turn1", NodeKind.TURN)):
        probes = (
            ProbeReport(peer="mail2", at_seconds=NOW, seconds=0.5, problem=None),
            ProbeReport(peer="mail3", at_seconds=NOW, seconds=None, problem="no route"),
        )
        Desk(plane, clock).note_report(name, make_report(kind, probes=probes))
    with plane.sessions.begin() as session:
        keep_samples(session, NOW)
    sign_in(browser, plane)

    for path in PAGES:
        texts = {}
        for language in ("en", "fa"):
            answer = browser.get(path, headers={"accept-language": language})
            assert answer.status_code == (404 if path in PAGES[-2:] else 200)
            assert f'<html lang="{language}"' in answer.text
            assert not re.search(r"""(?:src|href|action)=["'](?!/|#)""", answer.text)
            assert "style=" not in answer.text
            assert not re.search(r"<script(?![^>]* src=)|\son[a-z]+=", answer.text)
            own = re.sub(r"(?s)<bdi.*?</bdi>|<output.*?</output>", "", answer.text)
            texts[language] = PageReader(own).text
        assert not re.search(r"%s|\bNone\b|Undefined", texts["en"] + texts["fa"]), path
        # Words in Latin letters that are left on a Persian page are names.
        left = set(re.findall(r"[A-Za-z]{2,}", texts["fa"]))
        assert left <= NAMES, path


def test_assets_are_served_and_may_be_kept(browser: TestClient, plane: Plane) -> None:
    page = sign_in(browser, plane) + browser.get("/admin/nodes/mail1").text + browser.get("/").text
    assets = set(re.findall(r'"(/assets/[^"]+)"', page))

    assert len(assets) == 9
    for asset in assets:
        answer = browser.get(asset)
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
    assert browser.get("/assets/../pages.py").status_code == 404


def test_wrong_token_is_told_so_in_words(browser: TestClient) -> None:
    answer = browser.post("/sign-in", data={"token": "wrong"})

    assert answer.status_code == 401
    assert "This token is not known" in answer.text
    assert COOKIE not in browser.cookies


def test_guesser_of_tokens_is_slowed_down(browser: TestClient, plane: Plane) -> None:
    for _ in range(WRONG_TOKEN_BURST):
        browser.post("/sign-in", data={"token": "wrong"})

    assert browser.post("/sign-in", data={"token": "wrong"}).status_code == 429
    sign_in(browser, plane)


def test_session_cookie_is_out_of_reach_of_scripts_and_other_sites(browser: TestClient, plane: Plane) -> None:
    answer = browser.post("/sign-in", data={"token": add_token(plane)}, follow_redirects=False)
    cookie = answer.headers["set-cookie"]

    assert answer.status_code == 303
    assert cookie.startswith("__Host-")
    for attribute in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert attribute in cookie


@pytest.mark.parametrize("path", ["/admin", "/admin/accounts", "/admin/history"])
def test_visitor_who_is_not_signed_in_is_sent_to_the_front_page(browser: TestClient, path: str) -> None:
    answer = browser.get(path, follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_part_of_a_page_sends_the_whole_page_to_the_front_when_the_session_is_over(
    browser: TestClient, plane: Plane, clock: Clock
) -> None:
    sign_in(browser, plane)
    clock.now += VALID_FOR_SECONDS

    answer = browser.get("/admin", headers={"hx-request": "true"}, follow_redirects=False)

    assert (answer.status_code, answer.headers["hx-redirect"]) == (401, "/?notice=session-over")
    assert "Your session is over" in browser.get("/admin").text


def test_session_ends_by_time_sign_out_and_revocation(
    browser: TestClient, plane: Plane, clock: Clock
) -> None:
    page = sign_in(browser, plane)
    clock.now += VALID_FOR_SECONDS
    assert browser.get("/admin").url.path == "/"
    clock.now -= VALID_FOR_SECONDS
    assert browser.get("/admin").url.path == "/admin"

    answer = browser.post("/sign-out", data=read_forms(page)["/sign-out"].fields)
    assert (answer.url.path, "You are signed out" in answer.text) == ("/", True)
    assert browser.get("/admin").url.path == "/"

    sign_in(browser, plane)
    with plane.sessions.begin() as session:
        revoke_tokens(session, AUTHOR, "alice")
    assert browser.get("/admin").url.path == "/"


def test_what_nodes_say_is_text_and_no_markup(browser: TestClient, plane: Plane, clock: Clock) -> None:
    hostile = make_report(public_name="<script>", problems=("Disk & <b>",), overrides=("registration_open",))
    Desk(plane, clock).note_report("mail1", hostile)

    page = sign_in(browser, plane)

    assert "&lt;script&gt;" in page
    assert "Disk &amp; &lt;b&gt;" in page
    assert "problem" in page
    assert "never seen" in page
    assert "set on the node itself" in browser.get("/admin/nodes/mail1").text


def test_nodes_that_are_away_are_named_with_what_to_do(
    browser: TestClient, plane: Plane, clock: Clock
) -> None:
    Desk(plane, clock).note_report("mail1", make_report())
    clock.now += 60
    page = sign_in(browser, plane)

    assert "Not connected:" in page
    assert "Look at their service and network." in page
    assert "is not connected: below is its last report" in browser.get("/admin/nodes/mail1").text
    assert "has never reported" in browser.get("/admin/nodes/turn1").text
    assert "The node is not connected. Look at its service" in browser.get("/admin/nodes/mail1/queue").text


def test_empty_fleet_says_how_to_get_a_node(plane: Plane, clock: Clock) -> None:
    with TestClient(create_app(plane, clock=clock), base_url=PUBLIC_URL) as browser:
        page = sign_in(browser, plane)
        assert "No node is in this fleet yet." in page

        answer = send(browser, "/admin", "/admin/join-tokens", name="mail1", hours="2")

    assert answer.status_code == 200
    assert re.search(r'id="join-token"[^>]*>[\w.-]{40,}<', answer.text)


def test_history_is_what_the_charts_draw(browser: TestClient, plane: Plane, clock: Clock) -> None:
    Desk(plane, clock).note_report("mail1", make_report())
    with plane.sessions.begin() as session:
        keep_samples(session, NOW)
    page = sign_in(browser, plane)

    assert 'data-source="/admin/history"' in page
    assert browser.get("/admin/history").json()["figures"]["accounts"][-1] == 3
    assert browser.get("/admin/nodes/mail1/history").json()["figures"]["accounts"][-1] == 3
    figures = set(re.findall(r'"figure": "(\w+)"', unescape(page)))
    assert figures == {"connected_nodes", "accounts"}


@pytest.mark.parametrize("role", list(Role))
def test_only_what_a_role_may_is_offered(browser: TestClient, plane: Plane, role: Role) -> None:
    page = sign_in(browser, plane, role)

    assert ("/admin/admin-tokens" in page) == (role is Role.OWNER)
    for path in ("/admin", "/admin/nodes/mail1", "/admin/registration", "/admin/groups", "/admin/blocklist"):
        forms = set(read_forms(browser.get(path).text)) - {"/sign-out"}
        assert bool(forms) == (role is not Role.VIEWER), path
