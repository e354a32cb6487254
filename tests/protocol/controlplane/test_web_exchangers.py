"""The pages of exchangers: what their forms change, what they show, and who may."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from controlplane.admins.access import Role
from controlplane.application import create_app
from controlplane.exchangers.access import read_access
from controlplane.plane import Plane
from nodelink.contract.federation import MAX_EXCHANGERS, ExchangerAccess
from support.controlplane_site import PUBLIC_URL, Clock, add_node
from support.web_admin import PageReader, read_forms, send, sign_in

LIST, ONE = "/admin/exchangers", "/admin/exchangers/relay"
RELAY = {"name": "relay", "url": "https://relay.example.org:8443", "token": "t0p-secret"}
KNOWN = ExchangerAccess(name="relay", url=RELAY["url"], interval_seconds=60, token=RELAY["token"])


@pytest.fixture
def browser(plane: Plane) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    with TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL) as browser:
        sign_in(browser, plane)
        yield browser


def read(plane: Plane) -> list[ExchangerAccess]:
    """Read what nodes are told."""
    with plane.sessions() as session:
        return list(read_access(session, plane.vault))


def read_text(page: str) -> str:
    return " ".join(PageReader(page).text.split())


def test_exchanger_is_added_changed_and_removed(browser: TestClient, plane: Plane) -> None:
    assert LIST in browser.get("/admin/federation").text
    assert "No exchanger is asked." in browser.get(LIST).text

    page = send(browser, LIST, LIST, **RELAY)
    assert page.url.path == LIST
    assert "Saved. Connected nodes follow" in page.text
    assert "relay https://relay.example.org:8443 60 s Yes Yes" in read_text(page.text)
    assert read(plane) == [KNOWN]

    page = send(browser, ONE, ONE, poll_interval_seconds="۱۰", url="https://other.example.org")  # noqa: RUF001
    assert page.url.path == ONE
    changed = KNOWN.model_copy(update={"url": "https://other.example.org", "interval_seconds": 10})
    assert read(plane) == [changed]  # with its token

    send(browser, ONE, ONE, is_enabled="no")
    assert read(plane) == []
    page = send(browser, ONE, f"{ONE}/remove")
    assert page.url.path == LIST
    assert "Removed." in page.text
    assert browser.get(ONE).status_code == 404


@pytest.mark.parametrize(
    ("changes", "token"),
    [({"token": "another"}, "another"), ({"keeps_token": "no"}, None), ({}, RELAY["token"])],
)
def test_token_stays_goes_or_is_another(
    browser: TestClient, plane: Plane, changes: dict[str, str], token: str | None
) -> None:
    send(browser, LIST, LIST, **RELAY)

    page = send(browser, ONE, ONE, **changes)

    assert read(plane) == [KNOWN.model_copy(update={"token": token})]
    assert RELAY["token"] not in page.text
    assert ("It has a token" in page.text) is (token is not None)


def test_what_cannot_be_is_refused_on_the_page(browser: TestClient, plane: Plane) -> None:
    for changes, said in (
        ({"name": "Relay!"}, "A field holds what cannot be taken. Correct it, then save again: Name"),
        ({"url": "ftp://relay.example.org"}, "save again: Address"),
        ({"poll_interval_seconds": "0"}, "save again: Asked every (seconds)"),
        ({"poll_interval_seconds": "86401"}, "save again: Asked every (seconds)"),
        ({"token": "with blanks"}, "save again: Token"),
        ({"url": "http://relay.example.org"}, "A token must not travel in clear."),
    ):
        page = send(browser, LIST, LIST, **RELAY | changes)
        assert page.url.path == LIST
        assert said in read_text(page.text)
    assert read(plane) == []


def test_name_that_is_taken_and_one_too_many_are_refused(browser: TestClient, plane: Plane) -> None:
    form = read_forms(browser.get(LIST).text)[LIST].fields | RELAY
    for number in range(MAX_EXCHANGERS - 1):
        browser.post(LIST, data=form | {"name": f"relay{number}"})
    assert LIST in read_forms(browser.get(LIST).text)
    assert len(read(plane)) == MAX_EXCHANGERS - 1
    assert "already. Change that one" in browser.post(LIST, data=form | {"name": "relay0"}).text

    browser.post(LIST, data=form)
    assert LIST not in read_forms(browser.get(LIST).text)
    assert "Remove one that nobody needs." in browser.post(LIST, data=form | {"name": "more"}).text
    assert len(read(plane)) == MAX_EXCHANGERS


def test_change_by_a_page_that_is_out_of_date_is_refused(browser: TestClient, plane: Plane) -> None:
    send(browser, LIST, LIST, **RELAY)
    form = read_forms(browser.get(ONE).text)[ONE].fields
    send(browser, ONE, ONE, poll_interval_seconds="10")

    answer = browser.post(ONE, data=form | {"poll_interval_seconds": "30"})

    assert "refusal=changed_meanwhile" in str(answer.url)
    assert read(plane)[0].interval_seconds == 10


def test_viewer_sees_and_may_not_change(browser: TestClient, plane: Plane) -> None:
    send(browser, LIST, LIST, **RELAY)
    key = read_forms(sign_in(browser, plane, Role.VIEWER))["/sign-out"].fields["key"]
    for address in (LIST, ONE):
        page = browser.get(address)
        assert "relay.example.org" in page.text
        assert read_forms(page.text).keys() == {"/sign-out"}

    for action in (LIST, ONE, f"{ONE}/remove"):
        assert browser.post(action, data={"key": key, "back": LIST, **RELAY}).status_code == 403
    assert read(plane) == [KNOWN]


def test_form_of_another_site_changes_nothing(browser: TestClient, plane: Plane) -> None:
    send(browser, LIST, LIST, **RELAY)

    for action in (LIST, ONE, f"{ONE}/remove"):
        assert browser.post(action, data={"key": "forged", "back": LIST, "url": "x"}).status_code == 403
    assert read(plane) == [KNOWN]


def test_pages_speak_persian(browser: TestClient) -> None:
    send(browser, LIST, LIST, **RELAY)
    assert "۶۰ ثانیه" in browser.get(LIST, params={"lang": "fa"}).text
    assert "توکن دارد و همان می‌ماند" in browser.get(ONE).text
