"""Become one of the fleet.

For: the commands `join` and `enrol` of a node.
"""

import asyncio
import sys
from pathlib import Path

import httpx
from pydantic import ValidationError

from nodelink.channel.client_tls import build_client_context
from nodelink.channel.node_files import NodeFiles
from nodelink.contract.enrolment import Enrolment, JoinRequest, JoinToken
from nodelink.contract.states import NodeKind

DEADLINE_SECONDS = 20
STANDARD_INPUT = Path("-")


class JoinError(Exception):
    """The node was not taken in; the text says why and what to do."""


def join_fleet(files: NodeFiles, kind: NodeKind, token: JoinToken, ca_file: Path | None = None) -> Enrolment:
    """Redeem a join token, and keep the enrolment.

    Raises:
        JoinError: The control plane cannot be reached, is not the right one, or refuses the token.
    """
    request = JoinRequest(join_secret=token.secret, kind=kind, public_key=files.load_identity().public.x)
    enrolment = asyncio.run(_redeem(token, request, ca_file))
    files.keep_enrolment(enrolment)
    return enrolment


def read_enrolment_file(path: Path, kind: NodeKind) -> Enrolment:
    """Read an enrolment that the control plane's admin command has written; `-` is standard input.

    Raises:
        JoinError: The file cannot be read, or is for another kind of node.
    """
    try:
        content = sys.stdin.buffer.read() if path == STANDARD_INPUT else path.read_bytes()
        enrolment = Enrolment.model_validate_json(content)
    except (OSError, ValidationError) as error:
        raise JoinError(f"{path} holds no enrolment. Write it with `madfleet enrol`.") from error
    if enrolment.kind is not kind:
        raise JoinError(f"{path} enrols a {enrolment.kind} node; this is a {kind} node.")
    return enrolment


async def _redeem(token: JoinToken, request: JoinRequest, ca_file: Path | None) -> Enrolment:
    try:
        context = build_client_context(token.tls_pin, ca_file)
        async with httpx.AsyncClient(verify=context, timeout=DEADLINE_SECONDS, trust_env=False) as client:
            answer = await client.post(
                f"{token.url}/api/v1/enrolments",
                content=request.model_dump_json(),
                headers={"content-type": "application/json"},
            )
    except (httpx.HTTPError, OSError) as error:
        raise JoinError(
            f"The control plane at {token.url} cannot be reached: {error}. Check the network and try again."
        ) from error
    if not answer.is_success:
        raise JoinError(f"The control plane refuses: {_read_title(answer)} Ask for a new join token.")
    try:
        enrolment = Enrolment.model_validate_json(answer.content)
    except ValidationError as error:
        raise JoinError(f"{token.url} answered with something else; is it a control plane?") from error
    return enrolment.model_copy(update={"url": token.url, "tls_pin": token.tls_pin})


def _read_title(answer: httpx.Response) -> str:
    try:
        title = answer.json().get("title")
    except (ValueError, AttributeError):
        title = None
    return title if isinstance(title, str) else f"status {answer.status_code}."
