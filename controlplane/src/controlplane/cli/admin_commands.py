"""Commands about admins: make a token, and show it once.

Not for: rules (admins/).
"""

import re
import sys
from typing import Annotated

import segno
import typer

from controlplane.admins.access import Role
from controlplane.admins.models import TokenRequest
from controlplane.admins.tokens import create_token, revoke_tokens
from controlplane.cli.opening import open_session, write_author
from controlplane.client.options import JsonOption
from controlplane.client.output import write_json
from controlplane.settings import ADMIN_NAME_PATTERN


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
    if as_json:
        typer.echo(write_json({"url": url, "token": token, "link": link}))
        return
    typer.echo(f"Address: {url}\nToken:   {token}\n")
    segno.make(link, micro=False).terminal(out=sys.stdout, compact=True)
    typer.echo("\nScan the code, or open the address and paste the token. It is not shown again.")
