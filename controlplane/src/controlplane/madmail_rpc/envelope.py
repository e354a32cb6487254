"""Read the request inside a POST, and write the answer.

    {"method": …, "resource": …, "headers": {"Authorization": "Bearer …"}, "body": {…}}
    {"status": …, "resource": …, "body": …, "error": null, "version": …}          HTTP 200 in any case

For: pure functions.
Not for: what resources there are (dispatch.py), nor who may call (endpoints.py).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from pydantic import JsonValue

BAD_JSON = "invalid JSON request body"

Body = Mapping[str, JsonValue]


class RpcError(Exception):
    """An answer with an error. The text is for the admin."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """What is asked. `token` is that of the inner headers, `None` where those have none."""

    method: str
    resource: str
    token: str | None = field(repr=False)
    body: Body = field(repr=False)


@dataclass(frozen=True, slots=True)
class RpcAnswer:
    """What is answered."""

    body: JsonValue
    status: int = 200


def read_envelope(content: bytes) -> RpcRequest:
    """Read a request.

    Raises:
        RpcError: It is none (400).
    """
    try:
        envelope = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RpcError(400, BAD_JSON) from error
    if not isinstance(envelope, dict) or not _is_clean(envelope):
        raise RpcError(400, BAD_JSON)
    method, resource = envelope.get("method"), envelope.get("resource")
    headers, body = envelope.get("headers"), envelope.get("body")
    method, resource = "GET" if method is None else method, "" if resource is None else resource
    headers, body = {} if headers is None else headers, {} if body is None else body
    if not isinstance(method, str) or not isinstance(resource, str):
        raise RpcError(400, BAD_JSON)
    if not isinstance(headers, dict) or not isinstance(body, dict):
        raise RpcError(400, BAD_JSON)
    return RpcRequest(method.upper(), resource, _find_token(headers), body)


def write_answer(resource: str | None, answer: RpcAnswer, version: str) -> bytes:
    """Write an answer; an empty 2xx body is a success as well."""
    return _write(
        {"status": answer.status, "resource": resource, "body": answer.body, "error": None}, version
    )


def write_error(resource: str | None, error: RpcError, version: str) -> bytes:
    """Write an answer with an error; one about the envelope itself names no resource."""
    envelope: dict[str, JsonValue] = {"status": error.status}
    if resource is not None:
        envelope["resource"] = resource
    return _write(envelope | {"error": error.text}, version)


def read_bearer(header: str) -> str | None:
    """Read the token of an Authorization header; `None` where there is none."""
    scheme, _, token = header.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" and token.strip() else None


def _write(envelope: dict[str, JsonValue], version: str) -> bytes:
    return json.dumps(envelope | {"version": version}, allow_nan=False).encode()


def _find_token(headers: Mapping[str, JsonValue]) -> str | None:
    for name, value in headers.items():
        if name.lower() == "authorization" and isinstance(value, str):
            return read_bearer(value)
    return None


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("JSON has no such number")


def _is_clean(envelope: JsonValue) -> bool:
    """Tell whether all texts are such as databases take: no NUL, no half of a surrogate pair."""
    waiting: list[JsonValue] = [envelope]
    while waiting:
        match waiting.pop():
            case str() as text:
                if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
                    return False
            case list() as items:
                waiting += items
            case dict() as members:
                waiting += [*members, *members.values()]
            case _:
                pass
    return True
