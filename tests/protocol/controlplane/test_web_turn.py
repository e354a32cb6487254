"""The page of the TURN service: its secrets, replacing them with two live ones, and who may."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlmodel import select

from controlplane.admins.access import Role
from controlplane.application import create_app
from controlplane.nodes.desk import Desk
from controlplane.nodes.models import Node
from controlplane.plane import Plane
from nodelink.contract.reports import CredentialUse
from nodelink.contract.states import NodeKind
from support.controlplane_site import (
    PUBLIC_URL,
    Clock,
    add_node,
    make_report,
    open_test_plane,
    read_turn_secrets,
)
from support.web_admin import PageReader, read_forms, send, sign_in

TURN = "/admin/turn"
ROTATE = "/admin/turn/secrets"
NAME = "turn.example.org"
USE = CredentialUse(pseudonym="0123456789abcdef", allocations=1, packets=9, bytes=3 << 20, dropped=7)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with open_test_plane(tmp_path, turn_name=NAME) as plane:
        add_node(plane, "mail1")
        add_node(plane, "turn1", NodeKind.TURN)
        yield plane


@pytest.fixture
def desk(plane: Plane, clock: Clock) -> Desk:
    return Desk(plane, clock)


@pytest.fixture
def browser(plane: Plane, clock: Clock) -> Iterator[TestClient]:
    with TestClient(create_app(plane, clock=clock), base_url=PUBLIC_URL) as browser:
        yield browser


def report(plane: Plane, desk: Desk) -> None:
    """Let the TURN node say that it has applied its newest state."""
    with plane.sessions() as session:
        revision = session.exec(select(Node.revision).where(Node.name == "turn1")).one()
    told = make_report(NodeKind.TURN, applied_revision=revision, addresses=("192.0.2.1",), credentials=(USE,))
    desk.note_report("turn1", told)


def read_text(page: str) -> str:
    return " ".join(PageReader(page).text.split())


def test_secret_is_replaced_with_two_live_ones(
    browser: TestClient, plane: Plane, desk: Desk, clock: Clock
) -> None:
    report(plane, desk)
    sign_in(browser, plane, Role.OPERATOR)
    [former] = read_turn_secrets(plane)

    page = send(browser, TURN, ROTATE)
    assert page.url.path == TURN
    text = read_text(page.text)
    assert "The next secret is on its way." in text
    assert "The next secret has not reached: turn1" in text
    assert "2 next " in text
    assert "1 in use " in text
    assert ROTATE not in read_forms(page.text)
    assert "Two secrets are live." in text

    report(plane, desk)
    assert desk.tend()
    text = read_text(browser.get(TURN).text)
    assert "2 in use " in text
    assert "1 former " in text
    assert "has not reached" not in text
    assert former in read_turn_secrets(plane)

    clock.now += 30 * 86_400
    report(plane, desk)
    assert desk.tend()
    sign_in(browser, plane, Role.OPERATOR)  # the session has ended long ago
    page = browser.get(TURN)
    assert "former" not in read_text(page.text).partition("Addresses")[0]
    assert ROTATE in read_forms(page.text)
    assert former not in read_turn_secrets(plane)


def test_third_secret_is_refused_on_the_page(browser: TestClient, plane: Plane) -> None:
    sign_in(browser, plane, Role.OPERATOR)
    form = read_forms(browser.get(TURN).text)[ROTATE]  # as in a second window, opened before

    browser.post(ROTATE, data=form.fields)
    again = browser.post(ROTATE, data=form.fields)

    assert again.url.path == TURN
    assert "The secret is being replaced already." in again.text
    assert len(read_turn_secrets(plane)) == 2


def test_no_secret_stands_on_the_page(browser: TestClient, plane: Plane) -> None:
    sign_in(browser, plane)
    page = send(browser, TURN, ROTATE).text

    secrets = read_turn_secrets(plane)
    assert len(secrets) == 2
    assert not any(secret in page for secret in secrets)


def test_viewer_sees_and_may_not_replace(browser: TestClient, plane: Plane, desk: Desk) -> None:
    report(plane, desk)
    forms = read_forms(sign_in(browser, plane, Role.VIEWER))
    page = browser.get(TURN)
    text = read_text(page.text)
    assert f"{NAME}. 60 IN A 192.0.2.1" in text
    assert "0123456789abcdef turn1 1 3 MiB 7" in text
    assert read_forms(page.text).keys() == {"/sign-out"}

    answer = browser.post(ROTATE, data={"key": forms["/sign-out"].fields["key"], "back": TURN})
    assert answer.status_code == 403
    assert len(read_turn_secrets(plane)) == 1


@pytest.mark.parametrize("key", ["", "forged", None])
def test_form_of_another_site_replaces_nothing(browser: TestClient, plane: Plane, key: str | None) -> None:
    sign_in(browser, plane)
    answer = browser.post(ROTATE, data={} if key is None else {"key": key, "back": TURN})

    assert answer.status_code == 403
    assert len(read_turn_secrets(plane)) == 1


def test_page_speaks_persian(browser: TestClient, plane: Plane) -> None:
    sign_in(browser, plane)
    page = browser.get(TURN, params={"lang": "fa"}).text

    assert "تعویض راز" in page
    assert "در حال استفاده" in page
    assert '<th scope="row">۱</th>' in page  # noqa: RUF001 - a Persian digit


def test_fleet_without_turn_nodes_is_told_what_to_do(tmp_path: Path) -> None:
    with (
        open_test_plane(tmp_path / "other") as plane,
        TestClient(create_app(plane, clock=Clock()), base_url=PUBLIC_URL) as browser,
    ):
        sign_in(browser, plane)
        assert "Set up a TURN node" in browser.get(TURN).text
