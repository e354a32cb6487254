"""The command `turnnode probe`.

For: people, monitoring and tests: it prints what a call through a TURN node was like, and its exit code says
whether that is good enough.
Not for: the call itself (sides.py).
"""

import asyncio
import json
import logging
import time
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from turnnode.errors import ProbeFailedError
from turnnode.probe.access import IcePolicy, Load, TurnAccess, server_of
from turnnode.probe.results import CallResult
from turnnode.relay.credentials import password_of

EXIT_FAILED = 1
EXIT_BAD_USAGE = 2
MINTED_SECONDS = 86_400


class Role(StrEnum):
    """Which side of the call this process is."""

    BOTH = "both"
    OFFER = "offer"
    ANSWER = "answer"


def probe(  # noqa: PLR0913, PLR0917 - each is an option of the command
    url: Annotated[str, typer.Argument(help="The TURN node, as apps get it: turn:HOST:PORT")],
    username: Annotated[str, typer.Option(help="User name of the credentials.")] = "",
    password: Annotated[str, typer.Option(help="Password of the credentials.")] = "",
    secret_file: Annotated[
        Path | None, typer.Option(help="File with the fleet's TURN secret, to make credentials with.")
    ] = None,
    policy: Annotated[
        IcePolicy, typer.Option(help="`relay`: only through the TURN node. `all`: any way.")
    ] = IcePolicy.RELAY,
    role: Annotated[
        Role, typer.Option(help="`offer` and `answer` are two processes; connect stdout to stdin both ways.")
    ] = Role.BOTH,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long to speak.")] = 5,
    packets_per_second: Annotated[int, typer.Option(min=1, max=1000, help="Data packets.")] = 50,
    deadline_seconds: Annotated[float, typer.Option(min=1, max=120, help="Time to connect.")] = 20,
    max_loss_percent: Annotated[float, typer.Option(min=0, max=100, help="More than that fails.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,  # noqa: FBT002 - a switch
) -> None:
    """Make a test call through a TURN node and print connect time, round trips and loss.

    A name of several addresses is tried at each of them first: one line says which works and which is dead.
    """
    load = Load(
        seconds=seconds, packets_per_second=packets_per_second, connect_deadline_seconds=deadline_seconds
    )
    for chatty in ("aioice", "aiortc"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    try:
        server_of(url)
        access = read_access(url, username, password, secret_file)
        is_whole = True
        if role is Role.BOTH:
            access, is_whole = choose_address(access, as_json=as_json)
        result = asyncio.run(_play(role, access, policy, load))
    except ProbeFailedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(EXIT_FAILED) from error
    if result is None:
        return
    typer.echo(json.dumps(result.as_json()) if as_json or role is Role.OFFER else result.as_text())
    if result.loss_percent > max_loss_percent:
        typer.echo(
            f"{result.loss_percent:.2f} % of the packets were lost, more than {max_loss_percent:g} %. "
            "Look at the node's load, its counters and the way to it.",
            err=True,
        )
        raise typer.Exit(EXIT_FAILED)
    if not is_whole:
        raise typer.Exit(EXIT_FAILED)


def choose_address(access: TurnAccess, *, as_json: bool) -> tuple[TurnAccess, bool]:
    """Try each address of a name that has several, and print what each did.

    Returns:
        Access by an address that works, for the call, and whether all addresses work.

    Raises:
        ProbeFailedError: None works over IPv4, by which the call goes.
    """
    from turnnode.probe.addresses import list_urls, try_addresses  # noqa: PLC0415 - aioice: only who asks waits

    urls = list_urls(access.url)
    if len(urls) == 1:
        return access, True
    results = asyncio.run(try_addresses(urls, access.username, access.password))
    if as_json:
        typer.echo(json.dumps({"type": "addresses", "addresses": [each.as_json() for each in results]}))
    else:
        typer.echo("\n".join(each.as_text() for each in results))
    working = [each.url for each in results if each.problem is None]
    for_call = [url for url in working if "[" not in url]  # aiortc takes no IPv6 address of a TURN node
    if not for_call:
        raise ProbeFailedError(f"No IPv4 address of {access.url} works. Look at its nodes.")
    return replace(access, url=for_call[0]), len(working) == len(urls)


def read_access(url: str, username: str, password: str, secret_file: Path | None) -> TurnAccess:
    """Return the credentials that were given, or make some with the secret.

    Raises:
        ProbeFailedError: There are neither, or the secret cannot be read.
    """
    if username and password:
        return TurnAccess(url=url, username=username, password=password)
    if secret_file is None:
        raise ProbeFailedError("There are no credentials. Give --username and --password, or --secret-file.")
    try:
        secret = secret_file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ProbeFailedError(f"{secret_file} cannot be read. Check its name and its owner.") from error
    minted = str(int(time.time()) + MINTED_SECONDS)
    return TurnAccess(url=url, username=minted, password=password_of(secret, minted))


async def _play(role: Role, access: TurnAccess, policy: IcePolicy, load: Load) -> CallResult | None:
    """Be one side or both; the callee has no result of its own, the caller's has all."""
    from turnnode.probe.sides import be_called, call, call_oneself  # noqa: PLC0415 - aiortc: only who calls waits
    from turnnode.probe.signalling import open_standard_wire  # noqa: PLC0415 - goes with it

    if role is Role.BOTH:
        return await call_oneself(access, policy, load)
    wire = await open_standard_wire()
    if role is Role.OFFER:
        return await call(wire, access, policy, load)
    await be_called(wire, access, policy, load)
    return None
