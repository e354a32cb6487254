"""A POST that is sent again with its key is answered the same and does nothing twice."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, func, select

from controlplane.admins.access import Role
from controlplane.application import create_app
from controlplane.plane import Plane
from controlplane.rest.idempotency import KEPT_SECONDS, KeptAnswer
from controlplane.rest.upkeep import Upkeep
from support.controlplane_site import Clock, add_token, open_client

TOKENS = "/api/v1/admin-tokens"
BODY = {"name": "bob", "role": "viewer"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(plane: Plane, clock: Clock) -> Iterator[TestClient]:
    with open_client(plane, create_app(plane, clock=clock)) as client:
        yield client


def post(client: TestClient, key: str, body: object = None, url: str = TOKENS) -> Response:
    return client.post(url, json=BODY if body is None else body, headers={"idempotency-key": key})


def count_tokens(client: TestClient) -> int:
    return len(client.get(TOKENS).json()["items"])


def test_answer_is_given_again_and_nothing_is_done_twice(client: TestClient, plane: Plane) -> None:
    first, second = post(client, "k"), post(client, "k")

    assert (second.status_code, second.json()) == (201, first.json())
    for name in ("location", "etag", "content-type"):
        assert second.headers[name] == first.headers[name]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert count_tokens(client) == 2
    plane.engine.dispose()
    content = b"".join(path.read_bytes() for path in plane.settings.state_directory.glob("*.sqlite*"))
    assert first.json()["token"].split("-", 3)[3].encode() not in content


def test_answer_outlives_a_restart(client: TestClient, plane: Plane) -> None:
    first = post(client, "k")

    with TestClient(create_app(plane, clock=Clock()), headers=dict(client.headers)) as again:
        assert post(again, "k").json() == first.json()


def test_of_many_at_once_one_does_it(client: TestClient) -> None:
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: post(client, "k"), range(6)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert count_tokens(client) == 2


def test_key_with_another_request_is_refused(client: TestClient) -> None:
    post(client, "k")

    for answer in (
        post(client, "k", BODY | {"role": "operator"}),
        post(client, "k", {"name": "x"}, "/api/v1/groups"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/key_reused")
    assert count_tokens(client) == 2


def test_key_belongs_to_its_token(client: TestClient, plane: Plane) -> None:
    first = post(client, "k")
    client.headers["authorization"] = f"Bearer {add_token(plane, name='carol')}"

    assert post(client, "k").json()["id"] != first.json()["id"]


def test_answer_is_not_given_to_whoever_may_not_ask_any_more(client: TestClient, plane: Plane) -> None:
    made = client.post(TOKENS, json={"name": "dora", "role": "owner"}).json()
    headers = {"authorization": f"Bearer {made['token']}", "idempotency-key": "k"}
    assert client.post(TOKENS, json=BODY, headers=headers).status_code == 201
    client.delete(f"{TOKENS}/{made['id']}")

    assert client.post(TOKENS, json=BODY, headers=headers).status_code == 401
    headers["authorization"] = f"Bearer {add_token(plane, Role.VIEWER)}"
    assert client.post(TOKENS, json=BODY, headers=headers).status_code == 403


def test_refused_request_leaves_its_key_unused(client: TestClient) -> None:
    assert post(client, "k", {"name": "EU"}, "/api/v1/groups").status_code == 422
    assert post(client, "k", {"name": "eu"}, "/api/v1/groups").status_code == 201
    assert post(client, "l", {"name": "eu"}, "/api/v1/groups").status_code == 409
    client.delete("/api/v1/groups/eu")
    assert post(client, "l", {"name": "eu"}, "/api/v1/groups").status_code == 201


def test_change_that_could_not_be_saved_leaves_its_key_unused(client: TestClient, plane: Plane) -> None:
    count_tokens(client)  # notes the use of the token, which is a commit of its own

    @event.listens_for(plane.sessions, "before_commit", once=True)
    def fill_the_disk(_: Session) -> None:
        raise OperationalError("COMMIT", None, OSError("disk full"))

    assert post(client, "k").status_code == 503
    assert count_tokens(client) == 1
    assert "idempotency-replayed" not in post(client, "k").headers
    assert count_tokens(client) == 2


@pytest.mark.parametrize(("age", "count"), [(KEPT_SECONDS - 1, 2), (KEPT_SECONDS, 3)])
def test_key_is_good_for_a_day(client: TestClient, clock: Clock, age: int, count: int) -> None:
    post(client, "k")
    clock.now += age
    post(client, "k")

    assert count_tokens(client) == count


def test_answers_that_nobody_asks_for_are_forgotten(client: TestClient, plane: Plane, clock: Clock) -> None:
    post(client, "k")
    clock.now += KEPT_SECONDS
    Upkeep(plane, clock).tidy()

    with plane.sessions() as session:
        assert session.exec(select(func.count()).select_from(KeptAnswer)).one() == 0


@pytest.mark.parametrize(
    ("key", "status"), [("x" * 128, 201), ("x" * 129, 422), ("", 422), ("a b", 422), ("~!", 201)]
)
def test_key_is_judged(client: TestClient, key: str, status: int) -> None:
    assert post(client, key).status_code == status
