"""Answer a POST that is sent again as it was answered before, and do nothing twice.

    POST, Idempotency-Key: k ──▶ change ──▶ answer ──▶ both kept by one commit
    the same again           ──▶ the kept answer
    k with another request   ──▶ 422

For: requests whose answer may get lost on the way.
Not for: refusals; a request that has changed nothing may be sent again with the same key.

A key belongs to the token that it came with, and is good for a day. Two that come at once cannot both find it
unused: the first has begun a change, and the second waits for its commit. An answer may hold a secret that is
shown once, so it is kept encrypted.

Source: draft-ietf-httpapi-idempotency-key-header-07.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from fastapi.routing import APIRoute
from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field, Session, SQLModel, col, delete

from controlplane.admins.tokens import Caller
from controlplane.dependencies import Now, PlaneDep, SessionDep
from controlplane.nodes.fleet import begin_change
from controlplane.rest.errors import (
    KeyReusedError,
)
from controlplane.rest.refusals import refuses
from controlplane.rest.replay import AnsweredBeforeError
from controlplane.vault import Vault

KEPT_SECONDS = 86_400
KEPT_HEADERS = ("content-type", "etag", "location")
PURPOSE = "idempotent request"


class KeptAnswer(SQLModel, table=True):
    """The answer to a request that came with a key."""

    __tablename__ = "kept_answer"
    __table_args__ = (Index("kept_answer_created_at_seconds", "created_at_seconds"),)

    token: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    request_hash: str
    status: int
    headers: str = Field(sa_type=Text)
    sealed_body: str = Field(sa_type=Text)
    created_at_seconds: int = Field(sa_type=BigInteger)


@dataclass(frozen=True, slots=True)
class Claim:
    """A key that is being used for the first time, in the transaction of the change."""

    session: Session
    vault: Vault
    token: str
    key: str
    request_hash: str
    now_seconds: int

    def keep(self, answer: Response) -> None:
        """Keep the answer, to be committed with the change."""
        headers = {name: answer.headers[name] for name in KEPT_HEADERS if name in answer.headers}
        self.session.add(
            KeptAnswer.model_validate(
                {
                    "token": self.token,
                    "key": self.key,
                    "request_hash": self.request_hash,
                    "status": answer.status_code,
                    "headers": json.dumps(headers),
                    "sealed_body": self.vault.seal(self._name, bytes(answer.body).decode()),
                    "created_at_seconds": self.now_seconds,
                }
            )
        )
        self.session.flush()

    def find(self) -> Response | None:
        """Find the answer that was given before. Raises: KeyReusedError."""
        row = self.session.get(KeptAnswer, (self.token, self.key))
        if row is None or row.created_at_seconds <= self.now_seconds - KEPT_SECONDS:
            forget_answers(self.session, self.now_seconds)
            return None
        if row.request_hash != self.request_hash:
            raise KeyReusedError
        body = self.vault.open(self._name, row.sealed_body)
        return Response(body, row.status, json.loads(row.headers) | {"idempotency-replayed": "true"})

    @property
    def _name(self) -> str:
        return f"{PURPOSE} {self.token} {self.key}"


async def read_body(request: Request) -> bytes:
    """Read the body of a request; the framework reads it again from memory."""
    return await request.body()


@refuses(KeyReusedError)
def claim_key(  # noqa: PLR0913, PLR0917 - what the framework hands in
    request: Request,
    session: SessionDep,
    plane: PlaneDep,
    now: Now,
    body: Annotated[bytes, Depends(read_body)],
    idempotency_key: Annotated[
        str | None,
        Header(pattern=r"^[\x21-\x7e]{1,128}$", description="A key of your own for this request."),
    ] = None,
) -> None:
    """Claim the key of a request, if it came with one. Stands behind the gate, which knows the caller.

    Raises:
        AnsweredBeforeError: It was answered before.
        KeyReusedError: The key came with another request.
    """
    if idempotency_key is None:
        return
    caller: Caller = request.state.caller
    content = f"{request.method} {request.url.path}?{request.url.query}\n{body.hex()}"
    claim = Claim(
        session, plane.vault, caller.prefix, idempotency_key, plane.vault.hash(PURPOSE, content), now
    )
    begin_change(session)
    answer = claim.find()
    if answer is not None:
        raise AnsweredBeforeError(answer)
    request.state.claim = claim


def forget_answers(session: Session, now_seconds: int) -> None:
    """Forget answers that are a day old."""
    session.exec(delete(KeptAnswer).where(col(KeptAnswer.created_at_seconds) <= now_seconds - KEPT_SECONDS))


class IdempotentRoute(APIRoute):
    """A route that keeps its answer where a key was claimed, before the session is committed."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]  # Coroutine is an Awaitable
        """Wrap the framework's handler; what it lends is given back only after this returns."""
        handle = super().get_route_handler()

        async def handle_and_keep(request: Request) -> Response:
            answer = await handle(request)
            claim: Claim | None = getattr(request.state, "claim", None)
            if claim is not None:
                await run_in_threadpool(claim.keep, answer)
            return answer

        return handle_and_keep


Once = Annotated[None, Depends(claim_key)]
