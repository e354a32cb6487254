"""The command that takes over another server's accounts and mail."""

import sys
import time
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mailnode.accounts.address import MailDomain
from mailnode.adoption import madmail, relay
from mailnode.adoption.adopting import HERE_ALREADY, Adopted, adopt, rehearse
from mailnode.adoption.sources import AdoptionError
from mailnode.settings import MailNodeSettings
from mailnode.store.backup import MAIL_DIRECTORY
from mailnode.store.mail_store import MailStoreError

EXIT_LEFT = 1
EXIT_REFUSED = 2
MAX_SHOWN = 20


class Kind(StrEnum):
    """What kind of server it was."""

    RELAY = "relay"
    MADMAIL = "madmail"


_FIND = {Kind.RELAY: relay.find_accounts, Kind.MADMAIL: madmail.find_accounts}


def add_adopt_command(app: typer.Typer, settings: Callable[[], MailNodeSettings]) -> None:
    """Add `adopt` to the command line."""

    @app.command("adopt")
    def adopt_server(
        kind: Annotated[Kind, typer.Argument(help="relay: chatmail; madmail: Madmail of version 1.")],
        directory: Annotated[
            Path,
            typer.Argument(help="/home/vmail/mail/DOMAIN, or Madmail's state directory; a copy is best."),
        ],
        *,
        dkim_key: Annotated[
            Path | None, typer.Option(help="Its private DKIM key; this node then signs with it, too.")
        ] = None,
        dkim_selector: Annotated[str, typer.Option(help="Under which it is published.")] = "opendkim",
        go: Annotated[
            bool, typer.Option("--go", help="Do it; otherwise everything is read, and nothing written.")
        ] = False,
    ) -> None:
        """Take over the accounts and mail of another server; the service must be stopped.

        Passwords, UIDs and UIDVALIDITY stay what they are. Exit code 1: some accounts were left out.
        """
        from mailnode.dkim.adopting import adopt_key  # noqa: PLC0415 - cryptography would slow every command
        from mailnode.dkim.errors import KeyFileError  # noqa: PLC0415 - as above

        read = settings()
        mail, domain = read.state_directory / MAIL_DIRECTORY, MailDomain.parse(read.mail_domain).name
        try:
            found = _FIND[kind](directory)
            adopted = adopt(found, mail, domain, say=_say) if go else rehearse(found, mail, domain)
            if go and dkim_key is not None:
                adopt_key(read.state_directory / "dkim-keys.json", dkim_key, dkim_selector, int(time.time()))
        except (AdoptionError, MailStoreError, KeyFileError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(EXIT_REFUSED) from error
        typer.echo(_describe(adopted, is_done=go))
        raise typer.Exit(EXIT_LEFT if any(why != HERE_ALREADY for _, why in adopted.left) else 0)


def _describe(adopted: Adopted, *, is_done: bool) -> str:
    megabytes = adopted.size_bytes / 1e6
    lines = [f"left out: {address}: {why}" for address, why in adopted.left[:MAX_SHOWN]]
    if len(adopted.left) > MAX_SHOWN:
        lines.append(f"left out: {len(adopted.left) - MAX_SHOWN} more")
    verb = "are taken over" if is_done else "can be taken over"
    lines.append(
        f"{adopted.accounts} accounts with {adopted.messages} messages ({megabytes:.1f} MB) in "
        f"{adopted.mailboxes} mailboxes {verb}."
    )
    if not is_done:
        lines.append("Nothing was written. Stop the service, and use --go to do it.")
    return "\n".join(lines)


def _say(step: str) -> None:
    """Tell a person at a terminal how far it is."""
    if sys.stderr.isatty():
        typer.echo(step, err=True)
