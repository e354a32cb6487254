"""Commands about admins: make a token, and show it once.

Not for: rules (admins/).
"""

import json
import re
import sys
from base64 import urlsafe_b64encode
from typing import Annotated

import segno
import typer

from controlplane.admins.access import Role
from controlplane.admins.models import TokenRequest
from controlplane.admins.tokens import create_token, revoke_tokens
from controlplane.cli.opening import open_session, write_author
from controlplane.client.options import JsonOption
from controlplane.client.output import write_json
from controlplane.settings import ADMIN_NAME_PATTERN, MADMAIL_ADMIN_ORIGIN


def check_admin_name(name: str) -> str:
    """Refuse what is no name of an admin."""
    if not re.match(ADMIN_NAME_PATTERN, name):
        raise typer.BadParameter("a name has up to 64 letters, digits, blanks and any of . _ @ -")
    return name


def add_admin_commands(app: typer.Typer) -> None:
    """Add the commands about admins to the command line."""
    app.command("admin-token")(make_admin_token)


def make_admin_token(
    context: typer.Context,
    *,
    name: Annotated[
        str, typer.Option("--name", callback=check_admin_name, help="Who will use it; logs name him.")
    ] = "owner",
    role: Annotated[Role, typer.Option("--role", help="What he is trusted with.")] = Role.OWNER,
    replace: Annotated[
        bool, typer.Option("--replace", help="Revoke all tokens that this name has had so far.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make an admin token; print it with the address and a QR code. It is shown now only."""
    author = write_author()
    with open_session(context) as (plane, session):
        if replace:
            revoke_tokens(session, author, name)
        _, token = create_token(session, plane.vault, author, TokenRequest(name=name, role=role))
        url = f"{plane.settings.public_url}/admin"
        link = f"{plane.settings.public_url}/#token={token}"
        api_url = f"{plane.settings.public_url}{plane.settings.admin_path}"
    madmail_link = write_madmail_link(api_url, token)
    if as_json:
        links = {"link": link, "api_url": api_url, "madmail_link": madmail_link}
        typer.echo(write_json({"url": url, "token": token} | links))
        return
    typer.echo(f"Address: {url}\nToken:   {token}\n")
    segno.make(link, micro=False).terminal(out=sys.stdout, compact=True)
    typer.echo("\nScan the code, or open the address and paste the token. It is not shown again.")
    typer.echo(f"\nFor Madmail's admin web:\nAdmin API: {api_url}\nLink:      {madmail_link}\n")
    segno.make(madmail_link, micro=False, error="l").terminal(out=sys.stdout, compact=True)


def write_madmail_link(api_url: str, token: str) -> str:
    """Write the link that signs in at Madmail's admin web. What is behind the # stays in the browser."""
    content = json.dumps({"u": api_url, "t": token}, separators=(",", ":")).encode()
    return f"{MADMAIL_ADMIN_ORIGIN}/#{urlsafe_b64encode(content).decode().rstrip('=')}"
