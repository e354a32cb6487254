"""Call the Admin API: one call, a whole list, a change, a stream of events.

For: commands. What goes wrong becomes one sentence (errors.py).
Not for: what is called; each command knows its own.
"""

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import quote

import httpx

from controlplane.client.errors import (
    ClientError,
    MisuseError,
    RefusedError,
    StrangeAnswerError,
    UnreachableError,
    UntrustedError,
)
from controlplane.client.target import Target

Document: TypeAlias = dict[str, Any]
Values: TypeAlias = Mapping[str, object]

TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 10.0
RETRY_SECONDS = 0.2
PAGE_ITEMS = 200
MAX_SENTENCES = 10


class Api:
    """The Admin API of one control plane. Every method raises a ClientError when it is not done."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._http = httpx.Client(
            headers={"authorization": f"Bearer {target.token}", "user-agent": "madfleet"},
            verify=target.build_tls(),
            timeout=httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS),
            trust_env=False,  # a token is for nobody's proxy
        )

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def get(self, path: str, query: Values | None = None) -> Document:
        """Read one thing."""
        return _read_document(self._call("GET", path, query=query))

    def list_all(self, path: str, query: Values | None = None) -> list[Document]:
        """Read a list to its end, page by page."""
        return [item for page in self.read_pages(path, query) for item in page["items"]]

    def read_pages(self, path: str, query: Values | None = None) -> Iterator[Document]:
        """Read the pages of a list, each when it is asked for."""
        cursor: str | None = None
        while True:
            page = self.get(path, {**(query or {}), "limit": PAGE_ITEMS, "cursor": cursor})
            if not isinstance(page.get("items"), list):
                raise self._find_strange()
            yield page
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def post(self, path: str, body: Values, query: Values | None = None) -> Document:
        """Have something made or done."""
        return _read_document(self._call("POST", path, query=query, body=body))

    def put(self, path: str, body: Values) -> Document:
        """Set one thing, whatever it was."""
        return _read_document(self._call("PUT", path, body=body, headers={"if-match": "*"}))

    def patch(self, path: str, body: Values) -> Document:
        """Change one thing, whatever it was: whoever types a value wants that value."""
        return _read_document(self._call("PATCH", path, body=body, headers={"if-match": "*"}))

    def delete(self, path: str, query: Values | None = None) -> Document:
        """Remove one thing; the answer is empty where that was done at once."""
        return _read_document(self._call("DELETE", path, query=query))

    def read_text(self, path: str, query: Values | None = None) -> Iterator[str]:
        """Read a file piece by piece, however long it is."""
        with self._answer_errors(), self._http.stream("GET", self._url(path), params=_clean(query)) as answer:
            if answer.is_error:
                answer.read()
                raise self._refuse(answer)
            yield from answer.iter_text()

    def read_events(self, path: str) -> Iterator[Document]:
        """Read the data of server-sent events until the server ends them."""
        waiting = httpx.Timeout(CONNECT_SECONDS, read=TIMEOUT_SECONDS * 2)
        headers = {"accept": "text/event-stream"}
        with (
            self._answer_errors(),
            self._http.stream("GET", self._url(path), headers=headers, timeout=waiting) as answer,
        ):
            if answer.is_error:
                answer.read()
                raise self._refuse(answer)
            for data in split_events(answer.iter_lines()):
                try:
                    event = json.loads(data)
                except (ValueError, RecursionError) as error:
                    raise self._find_strange() from error
                if not isinstance(event, dict):
                    raise self._find_strange()
                yield event

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Values | None = None,
        body: Values | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        gives_up_at = time.monotonic() + self.target.patience_seconds
        with self._answer_errors():
            while True:
                try:
                    answer = self._http.request(
                        method, self._url(path), params=_clean(query), json=body, headers=headers
                    )
                except httpx.ConnectError as error:
                    if time.monotonic() >= gives_up_at or _find_ssl_reason(error) is not None:
                        raise
                    time.sleep(RETRY_SECONDS)
                    continue
                if answer.is_error:
                    raise self._refuse(answer)
                return answer

    def _url(self, path: str) -> str:
        return self.target.url + path

    @contextmanager
    def _answer_errors(self) -> Iterator[None]:
        """Turn what a connection runs into, into a sentence."""
        url = self.target.url
        try:
            yield
        except httpx.TimeoutException as error:
            raise UnreachableError(f"{url} does not answer in time. Check address and network.") from error
        except httpx.ConnectError as error:
            reason = _find_ssl_reason(error)
            if reason is not None:
                raise UntrustedError(
                    f"The certificate of {url} is not trusted: {reason}. Name the file of its "
                    "authority with --ca, or check the address."
                ) from error
            raise UnreachableError(
                f"{url} cannot be reached: {_find_cause(error)}. Check the address, the network, "
                "and whether the control plane runs."
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnreachableError(
                f"The connection to {url} broke: {_find_cause(error)}. Try again."
            ) from error

    def _refuse(self, answer: httpx.Response) -> ClientError:
        """Read why a call was refused."""
        try:
            problem = answer.json()
            title, code = str(problem["title"]), str(problem["type"]).removeprefix("/problems/")
        except (ValueError, KeyError, TypeError, RecursionError):
            return self._find_strange(answer.status_code)
        if code == "about:blank":
            return self._find_strange(answer.status_code)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            title += " `madfleet admin-token` on the control plane's host makes one; `login` keeps it."
        errors = problem.get("errors")
        if isinstance(errors, list):
            fields = [_describe_field(each) for each in errors[:MAX_SENTENCES]]
            title = "; ".join([title.rstrip("."), *fields]) + "."
        return RefusedError(title, answer.status_code, code)

    def _find_strange(self, status: int | None = None) -> StrangeAnswerError:
        shown = f" ({status})" if status is not None else ""
        return StrangeAnswerError(
            f"What answers at {self.target.url} does not know this call{shown}. Check the address, with its "
            "path if it is not /api/v1, and whether the control plane is older than this command."
        )


def write_path(*parts: str) -> str:
    """Write a path of names, whatever is in them. Raises: MisuseError."""
    for part in parts:
        if part in {"", ".", ".."}:
            raise MisuseError(f"{part!r} is no name. The list shows the names.")
    return "".join("/" + quote(part, safe="@") for part in parts)


def split_events(lines: Iterator[str]) -> Iterator[str]:
    """Split lines into the data of events. Comments and other fields are left out.

    Source: WHATWG HTML section 9.2.6.
    """
    data: list[str] = []
    for line in lines:
        if not line:
            if data:
                yield "\n".join(data)
            data = []
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))


def _read_document(answer: httpx.Response) -> Document:
    if answer.status_code == httpx.codes.NO_CONTENT:
        return {}
    try:
        document = answer.json()
    except (ValueError, RecursionError) as error:
        raise StrangeAnswerError(
            f"What answers at {answer.url} is no Admin API. Check the address."
        ) from error
    return document if isinstance(document, dict) else {"value": document}


def _clean(query: Values | None) -> dict[str, str]:
    """Leave out what is not asked for."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in (query or {}).items()
        if value is not None
    }


def _describe_field(error: object) -> str:
    if not isinstance(error, dict):
        return "?"
    field = str(error.get("field")).removeprefix("body.").removeprefix("query.")
    return f"{field}: {str(error.get('problem')).removeprefix('Value error, ')}"


def _find_ssl_reason(error: BaseException) -> str | None:
    """Find in a chain of exceptions what is wrong with a certificate."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, ssl.SSLError):
            return cause.reason or "no TLS"
        cause = cause.__cause__ or cause.__context__
    return None


def _find_cause(error: BaseException) -> str:
    """Find the system's own word for it, at the end of the chain."""
    cause, text = error, ""
    while True:
        if isinstance(cause, OSError) and cause.strerror:
            text = cause.strerror
        following = cause.__cause__ or cause.__context__
        if following is None:
            return text or str(error) or type(error).__name__
        cause = following
