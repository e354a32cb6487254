"""The envelope of the Madmail RPC, whatever is sent: HTTP says 200, the answer is JSON, nothing breaks."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.admins.access import Role
from controlplane.application import create_app
from controlplane.madmail_rpc.dispatch import RESOURCES
from controlplane.madmail_rpc.envelope import (
    RpcAnswer,
    RpcError,
    RpcRequest,
    read_bearer,
    read_envelope,
    write_answer,
    write_error,
)
from controlplane.plane import Plane
from support.controlplane_site import PUBLIC_URL, Clock, add_node, add_token

any_text = st.text(max_size=40)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    "action",
    "value",
    "username",
    "max_bytes",
    "token",
    "max_uses",
    "comment",
    "expires_in",
    "expires_at",
    "scope",
    "wait",
    "size",
    "reason",
    "users",
    "retention",
    "domain",
    "enabled",
    "policy",
    "subject",
    "body",
    "name",
    "url",
]
any_value = any_json | st.sampled_from(
    [
        "enable",
        "disable",
        "open",
        "close",
        "set",
        "reset",
        "import",
        "export",
        "30d",
        "1h",
        "x@y",
        "\0",
        "\ud800",
        10**30,
    ]
)
any_body = st.dictionaries(st.sampled_from(FIELDS), any_value, max_size=4)
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def client(plane: Plane) -> Iterator[TestClient]:
    add_node(plane, "mail1")
    app = create_app(plane, clock=Clock())
    app.state.madmail_site = replace(app.state.madmail_site, carried_out_seconds=0)  # no node is there
    with TestClient(app, base_url=PUBLIC_URL) as client:
        yield client


def answer_of(client: TestClient, content: bytes, path: str = "/api/admin") -> dict[str, object]:
    heard = client.post(path, content=content)
    assert heard.status_code == 200
    assert heard.headers["content-type"] == "application/json"
    answer: dict[str, object] = json.loads(heard.content)
    assert isinstance(answer["status"], int)
    assert isinstance(answer["version"], str)
    return answer


@given(st.binary(max_size=200))
def test_any_bytes_are_an_envelope_or_refused(content: bytes) -> None:
    try:
        read_envelope(content)
    except RpcError as error:
        refusal = (error.status, error.text)
    else:
        return
    assert refusal == (400, "invalid JSON request body")


@given(any_json)
def test_any_json_is_an_envelope_or_refused(content: object) -> None:
    try:
        envelope = read_envelope(json.dumps(content).encode())
    except RpcError:
        envelope = RpcRequest("GET", "/admin/status", None, {})
    assert envelope.method == envelope.method.upper()
    assert json.loads(write_answer(envelope.resource, RpcAnswer({}), "1"))["error"] is None
    error = json.loads(write_error(None, RpcError(400, "x"), "1"))
    assert error == {"status": 400, "error": "x", "version": "1"}


@given(any_text)
def test_bearer_is_a_token_without_blanks_or_none(header: str) -> None:
    token = read_bearer(header)

    assert token is None or token == token.strip() != ""


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"resource": 1}',
        b'{"method": 1}',
        b'{"body": []}',
        b'{"headers": "x"}',
        b'{"body": {"value": NaN}}',
        b'{"resource": "\\ud800"}',
        b'{"resource": "\\u0000"}',
        b"[" * 100_000,
        b'{"body": ' + b'{"a":' * 50_000,
        b'{"body": {"a": ' + b"9" * 5_000 + b"}}",
        b"\xff\xfe",
    ],
)
def test_what_is_no_envelope_is_answered_so(client: TestClient, content: bytes) -> None:
    answer = answer_of(client, content)

    assert (answer["status"], answer["error"]) == (400, "invalid JSON request body")
    assert "resource" not in answer


@pytest.mark.parametrize(("size_bytes", "status"), [(1 << 20, 401), ((1 << 20) + 1, 413)])
def test_body_may_be_one_mebibyte(client: TestClient, size_bytes: int, status: int) -> None:
    start, end = b'{"resource": "/admin/status", "body": {"a": "', b'"}}'
    content = start + b"x" * (size_bytes - len(start) - len(end)) + end
    answer = answer_of(client, content)

    assert answer["status"] == status
    assert answer["error"] == ("unauthorized" if status == 401 else "request body too large")


@quick
@given(
    resource=st.sampled_from(sorted(RESOURCES)) | any_text,
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "get", "HEAD", ""]) | any_text,
    body=any_body | any_json,
    path=st.sampled_from(["/api/admin", "/api/nodes/mail1/admin", "/api/nodes/none/admin"]),
)
def test_no_call_of_an_admin_breaks_anything(  # noqa: PLR0917 - what Hypothesis makes
    client: TestClient, plane: Plane, resource: str, method: str, body: object, path: str
) -> None:
    token = add_token(plane, Role.OPERATOR)
    envelope = {
        "method": method,
        "resource": resource,
        "headers": {"authorization": f"Bearer {token}"},
        "body": body,
    }
    answer = answer_of(client, json.dumps(envelope).encode(), path)

    assert answer["status"] in {200, 201, 202, 400, 404, 405, 409, 503}, answer
    assert (answer["error"] is None) is (int(str(answer["status"])) < 300)
