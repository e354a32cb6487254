"""Malformed requests get a problem document, and the next request is served."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from controlplane.http_limits import MAX_BODY_BYTES
from controlplane.plane import Plane
from support.controlplane_site import add_node, open_client

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    with open_client(plane) as client:
        yield client


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"revision": 1e400}',
        b'{"revision": NaN}',
        b'{"revision": 1, "quota_bytes": "\\ud800"}',
        b"[" * 5000,
        b'{"revision":' * 3000,
    ],
)
def test_malformed_policy_is_a_problem(client: TestClient, body: bytes) -> None:
    answer = client.patch("/api/v1/policy", content=body, headers=JSON | {"if-match": "*"})

    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get("/api/v1/policy").json()["revision"] == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Mail1"),
        ("name", "-mail"),
        ("name", "mail1\n"),
        ("name", "mäil"),
        ("name", "x" * 64),
        ("name", ""),
        ("kind", "web"),
        ("valid_for_hours", 0),
        ("valid_for_hours", 721),
        ("replace_key", "perhaps"),
        ("colour", "blue"),
    ],
)
def test_malformed_invitation_is_refused(client: TestClient, field: str, value: object) -> None:
    body = {"name": "mail2", "kind": "mail"} | {field: value}

    assert client.post("/api/v1/join-tokens", json=body).status_code == 422


def test_text_that_is_no_unicode_is_refused(client: TestClient) -> None:
    body = b'{"name": "\\ud800", "kind": "mail"}'

    assert client.post("/api/v1/join-tokens", content=body, headers=JSON).status_code == 422


@pytest.mark.parametrize(("name", "hours"), [("x" * 63, 1), ("a", 720)])
def test_longest_and_shortest_invitation_are_accepted(client: TestClient, name: str, hours: int) -> None:
    body = {"name": name, "kind": "turn", "valid_for_hours": hours}

    assert client.post("/api/v1/join-tokens", json=body).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"join_secret": "short"},
        {"join_secret": "x" * 129},
        {"public_key": "no key"},
        {"public_key": "A" * 42},
        {"kind": "web"},
        {"colour": "blue"},
    ],
)
def test_malformed_enrolment_is_refused_and_what_it_said_is_not_repeated(
    client: TestClient, change: dict[str, str]
) -> None:
    secret = "a secret of an operator"
    body = {"join_secret": secret, "kind": "mail", "public_key": "A" * 43} | change

    answer = client.post("/api/v1/enrolments", json=body)

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/malformed")
    assert secret not in answer.text
    assert answer.json()["errors"]


@pytest.mark.parametrize(("extra", "status"), [(-1, 422), (0, 422), (1, 413)])
def test_body_has_a_largest_size(client: TestClient, extra: int, status: int) -> None:
    body = b'"' + b"x" * (MAX_BODY_BYTES - 2 + extra) + b'"'

    answer = client.post("/api/v1/join-tokens", content=body, headers=JSON)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_body_that_never_ends_is_cut_off(client: TestClient) -> None:
    def pour() -> Iterator[bytes]:
        for _ in range(2 * MAX_BODY_BYTES // 4096):
            yield b"x" * 4096

    assert client.post("/sign-in", content=pour(), headers=FORM).status_code == 413


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("PUT", "/api/v1/nodes", 405), ("GET", "/assets/..%2ftexts.py", 404)],
)
def test_unknown_path_or_method_is_a_problem(client: TestClient, method: str, path: str, status: int) -> None:
    assert client.request(method, path).status_code == status


def test_every_answer_keeps_browsers_from_more_than_pages_need(client: TestClient) -> None:
    for path in ("/", "/nowhere", "/api/v1/nodes"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("body", [b"token=%FF%FE", b"\xff", b"&" * 1000, b"token", b"token=" + b"x" * 9999])
def test_malformed_form_is_a_wrong_token(client: TestClient, body: bytes) -> None:
    assert client.post("/sign-in", content=body, headers=FORM).status_code == 401
