"""The command about the DNS: its options.

Not for: what it does (dns_work.py), which is loaded when it is wanted: no other command asks name servers.
"""

from pathlib import Path
from typing import Annotated

import typer

from controlplane.client.connection import open_api
from controlplane.client.options import JsonOption, YesOption


def add_dns_commands(app: typer.Typer) -> None:
    """Add this command to the command line."""
    app.command("dns")(show_dns)


def show_dns(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    *,
    domain: Annotated[str | None, typer.Option("--domain", help="Of this mail or TURN name only.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with what is published; exit code 1 if it differs.")
    ] = False,
    update_wanted: Annotated[
        bool, typer.Option("--update", help="Have the server of --server change what differs (RFC 2136).")
    ] = False,
    server: Annotated[
        str | None, typer.Option("--server", help="Name server to ask or to change; otherwise this host's.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", help="Key that signs updates, as tsig-keygen writes it.")
    ] = None,
    authority: Annotated[
        str | None,
        typer.Option(
            "--certificate-authority",
            help="Who alone may certify the names (CAA), or `none`; otherwise whoever has.",
        ),
    ] = None,
    is_sure: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the records that the DNS must have for this fleet, as a zone file."""
    from controlplane.client.dns_work import DnsWish, carry_out  # noqa: PLC0415 - as above

    wish = DnsWish(domain, check, update_wanted, server, key_file, is_sure, as_json)
    with open_api(context) as api:
        query = {"certificate_authority": None if authority is None else authority.lower()}
        carry_out(wish, api.get("/dns", query))
