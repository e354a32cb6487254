"""The pages as a browser meets them, without running scripts."""

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from controlplane.admins.access import Role
from controlplane.admins.tokens import revoke_tokens
from controlplane.admins.web_sessions import COOKIE, VALID_FOR_SECONDS
from controlplane.application import WRONG_TOKEN_BURST, create_app
from controlplane.nodes.desk import Desk
from controlplane.plane import Plane
from controlplane.policy.service import read_fleet_policy
from nodelink.contract.states import NodeKind
from support.controlplane_site import AUTHOR, PUBLIC_URL, Clock, add_node, add_token, make_report


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def browser(plane: Plane, clock: Clock) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    add_node(plane, "turn1", NodeKind.TURN)
    with TestClient(create_app(plane, clock=clock), base_url=PUBLIC_URL) as browser:
        yield browser


def sign_in(browser: TestClient, plane: Plane, role: Role = Role.OWNER) -> str:
    """Sign in; return the page of the fleet."""
    answer = browser.post("/sign-in", data={"token": add_token(plane, role)})
    assert (answer.status_code, answer.url.path) == (200, "/admin")
    return answer.text


def read_forms(page: str) -> list[dict[str, str]]:
    forms = re.findall(r'action="/admin/policy".*?</form>', page, re.DOTALL)
    field = re.compile(r'name="(\w+)"(?: [^>]*)? value="([^"]*)"')
    return [dict(field.findall(form)) for form in forms]


def is_open(plane: Plane) -> bool:
    with plane.sessions() as session:
        return read_fleet_policy(session).registration_open


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


def test_pages_load_nothing_from_elsewhere(browser: TestClient, plane: Plane) -> None:
    pages = browser.get("/").text + sign_in(browser, plane)

    assert not re.search(r"(?:src|href|action)=\"(?!/)", pages)
    assert "style=" not in pages
    for asset in set(re.findall(r'"(/assets/[^"]+)"', pages)):
        assert browser.get(asset).status_code == 200


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


def test_visitor_who_is_not_signed_in_is_sent_to_the_front_page(browser: TestClient) -> None:
    answer = browser.get("/admin", follow_redirects=False)

    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_session_ends_by_time_sign_out_and_revocation(
    browser: TestClient, plane: Plane, clock: Clock
) -> None:
    page = sign_in(browser, plane)
    clock.now += VALID_FOR_SECONDS
    assert browser.get("/admin").url.path == "/"
    clock.now -= VALID_FOR_SECONDS
    assert browser.get("/admin").url.path == "/admin"

    assert browser.post("/sign-out", data={"key": read_forms(page)[0]["key"]}).url.path == "/"
    assert browser.get("/admin").url.path == "/"

    sign_in(browser, plane)
    with plane.sessions.begin() as session:
        revoke_tokens(session, AUTHOR, "alice")
    assert browser.get("/admin").url.path == "/"


def test_fleet_is_shown_with_health_of_each_node(browser: TestClient, plane: Plane, clock: Clock) -> None:
    hostile = make_report(public_name="<script>", problems=("Disk & <b>",), overrides=("registration_open",))
    Desk(plane, clock).note_report("mail1", hostile)

    page = sign_in(browser, plane)

    assert "&lt;script&gt;" in page
    assert "Disk &amp; &lt;b&gt;" in page
    assert "set on the node itself" in page
    assert "problem" in page
    assert "never seen" in page


def test_registration_is_closed_and_opened_by_its_button(browser: TestClient, plane: Plane) -> None:
    page = sign_in(browser, plane)

    page = browser.post("/admin/policy", data=read_forms(page)[0]).text
    assert "Connected nodes follow" in page
    assert not is_open(plane)

    browser.post("/admin/policy", data=read_forms(page)[0])
    assert is_open(plane)


def test_node_differs_and_follows_again_by_its_buttons(browser: TestClient, plane: Plane) -> None:
    forms = read_forms(sign_in(browser, plane))
    assert forms[-1]["node"] == "mail1"

    forms = read_forms(browser.post("/admin/policy", data=forms[-1]).text)
    assert [form.get("registration_open") for form in forms[-2:]] == ["yes", "fleet"]

    forms = read_forms(browser.post("/admin/policy", data=forms[-1]).text)
    assert forms[-1]["registration_open"] == "no"
    assert is_open(plane)


@pytest.mark.parametrize(
    ("quota", "notice"), [("500M", "Saved"), ("much", "A quota is"), ("1K", "A quota is")]
)
def test_quota_is_set_in_words_of_people(browser: TestClient, plane: Plane, quota: str, notice: str) -> None:
    form = read_forms(sign_in(browser, plane))[2]
    assert form["quota"] == "1G"

    page = browser.post("/admin/policy", data=form | {"quota": quota}).text

    assert notice in page
    with plane.sessions() as session:
        assert read_fleet_policy(session).quota_bytes == (500 << 20 if notice == "Saved" else 1 << 30)


def test_button_of_an_old_page_changes_nothing(browser: TestClient, plane: Plane) -> None:
    form = read_forms(sign_in(browser, plane))[0]
    browser.post("/admin/policy", data=form)

    page = browser.post("/admin/policy", data=form | {"registration_open": "yes"}).text

    assert "Somebody else has changed this" in page
    assert not is_open(plane)


@pytest.mark.parametrize("key", ["", "0" * 64, "ü"])
def test_form_of_another_site_is_refused(browser: TestClient, plane: Plane, key: str) -> None:
    form = read_forms(sign_in(browser, plane))[0]

    answer = browser.post("/admin/policy", data=form | {"key": key})

    assert (answer.status_code, is_open(plane)) == (403, True)


def test_viewer_sees_no_buttons_and_may_not_press_them(browser: TestClient, plane: Plane) -> None:
    page = sign_in(browser, plane, Role.VIEWER)
    assert read_forms(page) == []
    key = re.search(r'name="key" value="(\w+)"', page)
    assert key is not None

    form = {"key": key[1], "revision": "1", "registration_open": "no"}
    assert browser.post("/admin/policy", data=form).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"revision": ""},
        {"revision": "x"},
        {"registration_open": "perhaps"},
        {"node": "mail9"},
        {"node": "\0"},
    ],
)
def test_form_that_was_tampered_with_changes_nothing(
    browser: TestClient, plane: Plane, change: dict[str, str]
) -> None:
    form = read_forms(sign_in(browser, plane))[0]

    answer = browser.post("/admin/policy", data=form | change)

    assert answer.status_code in {200, 404}
    assert is_open(plane)
