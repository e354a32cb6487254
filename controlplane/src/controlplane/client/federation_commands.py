"""Commands about servers of others: with whom mail is exchanged, where it goes, and what passed.

Not for: mail between the nodes of the fleet, which needs no permission.
"""

from enum import StrEnum
from typing import Annotated

import typer

from controlplane.client.account_commands import print_live
from controlplane.client.api import Api, Document, write_path
from controlplane.client.connection import open_api
from controlplane.client.errors import MisuseError
from controlplane.client.operation_commands import wait_for
from controlplane.client.options import FLEET, GroupOption, JsonOption, NodeArgument, NodeOption, has_command
from controlplane.client.output import Column, Row, moment_of, print_done, print_item, print_list


class Transport(StrEnum):
    """By what mail goes to a server of others, and comes from one: by HTTP it only goes."""

    HTTPS = "https"
    HTTP = "http"
    SMTP = "smtp"


DomainArgument = Annotated[str, typer.Argument(metavar="DOMAIN", help="Such as example.org or [192.0.2.1].")]
TransportOption = Annotated[
    Transport | None, typer.Option("--transport", help="About this one only; otherwise about all.")
]

federation = typer.Typer(
    help="Look at with whom mail is exchanged, and change it.", invoke_without_command=True
)
rules = typer.Typer(help="Name domains: blocked ones in mode accept, allowed ones in mode reject.")
endpoints = typer.Typer(help="Set where mail for a domain goes instead of to its MX.")


class ModeWord(StrEnum):
    """What holds for a domain without a rule; `fleet` follows again."""

    ACCEPT = "accept"
    REJECT = "reject"
    FLEET = FLEET


class FederationWord(StrEnum):
    """Whether mail is exchanged with others; `fleet` follows again."""

    ON = "on"
    OFF = "off"
    FLEET = FLEET


def add_federation_commands(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    federation.add_typer(rules, name="rule")
    federation.add_typer(endpoints, name="endpoint")
    app.add_typer(federation, name="federation")


@federation.callback()
def show_federation(
    context: typer.Context, *, group: GroupOption = None, node: NodeOption = None, as_json: JsonOption = False
) -> None:
    """Show what holds; or do something about it."""
    if has_command(context):
        return
    with open_api(context) as api:
        found = api.get(find_federation_path(group, node))
    if as_json:
        print_item(found, [], as_json=True)
        return
    print_item(found["in_force"], POLICY_COLUMNS, as_json=False)


@federation.command("switch")
def switch(
    context: typer.Context,
    state: FederationWord,
    *,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn on or off whether mail is exchanged with servers of others at all."""
    value = None if state is FederationWord.FLEET else state is FederationWord.ON
    answer = _change(context, group, node, {"is_enabled": value})
    word = "on" if answer["in_force"]["is_enabled"] else "off"
    print_done(answer, f"Mail to and from servers of others is {word}.", as_json=as_json)


@federation.command("mode")
def change_mode(
    context: typer.Context,
    mode: ModeWord,
    *,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what holds for a domain that no rule names."""
    answer = _change(context, group, node, {"mode": None if mode is ModeWord.FLEET else mode.value})
    print_done(answer, f"The mode is {answer['in_force']['mode']}.", as_json=as_json)


@federation.command("transports")
def change_transports(
    context: typer.Context,
    transports: Annotated[list[Transport], typer.Argument(help="All that may be used.")],
    *,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say by what mail may go, and come: by HTTP it only goes, and names are not encrypted on that way."""
    answer = _change(context, group, node, {"transports": [each.value for each in transports]})
    print_done(answer, f"Mail goes by {_write_transports(answer['in_force'])}.", as_json=as_json)


@federation.command("unknown-recipients")
def change_unknown_recipients(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="refuse|drop|fleet", help="What becomes of their mail.")],
    *,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether mail for nobody is refused, or taken and dropped, so that nobody can try names out."""
    words: dict[str, bool | None] = {"refuse": False, "drop": True, FLEET: None}
    if what not in words:
        raise MisuseError(f"Write refuse, drop or {FLEET}.")
    answer = _change(context, group, node, {"drops_unknown_recipients": words[what]})
    word = "taken and dropped" if answer["in_force"]["drops_unknown_recipients"] else "refused"
    print_done(answer, f"Mail for nobody is {word}.", as_json=as_json)


@rules.command("add")
def add_rule(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    domain: DomainArgument,
    *,
    transport: TransportOption = None,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name a domain in a rule."""
    with open_api(context) as api:
        path = find_federation_path(group, node)
        kept = [rule for rule in _read_own(api, path)["rules"] if not _is_rule(rule, domain, transport)]
        answer = api.patch(path, {"rules": [*kept, {"domain": domain, "transport": transport}]})
    print_done(answer, f"There is a rule about {domain}.", as_json=as_json)


@rules.command("remove")
def remove_rule(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    domain: DomainArgument,
    *,
    transport: TransportOption = None,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a rule."""
    with open_api(context) as api:
        path = find_federation_path(group, node)
        own = _read_own(api, path)["rules"]
        kept = [rule for rule in own if not _is_rule(rule, domain, transport)]
        if len(kept) == len(own):
            raise MisuseError(f"There is no such rule about {domain} here. `madfleet federation` lists them.")
        answer = api.patch(path, {"rules": kept})
    print_done(answer, f"The rule about {domain} is removed.", as_json=as_json)


@federation.command("dismiss")
def dismiss(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    domain: DomainArgument,
    *,
    undo: Annotated[bool, typer.Option("--undo", help="Deliver its mail again.")] = False,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take mail for a domain from users, and drop it without a word."""
    with open_api(context) as api:
        path = find_federation_path(group, node)
        kept = [each for each in _read_own(api, path)["dismissed"] if each != domain.lower()]
        answer = api.patch(path, {"dismissed": kept if undo else [*kept, domain]})
    sentence = f"Mail for {domain} is delivered again." if undo else f"Mail for {domain} is dropped."
    print_done(answer, sentence, as_json=as_json)


@endpoints.command("set")
def set_endpoint(  # noqa: PLR0913 - a command has as many options as it needs
    context: typer.Context,
    domain: DomainArgument,
    target: Annotated[str, typer.Argument(help="A host, host:port, or a URL with https, http or smtp.")],
    *,
    comment: Annotated[str, typer.Option("--comment", help="For other operators.")] = "",
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set where mail for a domain goes."""
    with open_api(context) as api:
        path = find_federation_path(group, node)
        kept = [each for each in _read_own(api, path)["endpoints"] if each["domain"] != domain.lower()]
        added = {"domain": domain, "target": target, "comment": comment}
        answer = api.patch(path, {"endpoints": [*kept, added]})
    print_done(answer, f"Mail for {domain} goes to {target}.", as_json=as_json)


@endpoints.command("remove")
def remove_endpoint(
    context: typer.Context,
    domain: DomainArgument,
    *,
    group: GroupOption = None,
    node: NodeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let mail for a domain go to its MX again."""
    with open_api(context) as api:
        path = find_federation_path(group, node)
        own = _read_own(api, path)["endpoints"]
        kept = [each for each in own if each["domain"] != domain.lower()]
        if len(kept) == len(own):
            raise MisuseError(f"No endpoint is set for {domain} here. `madfleet federation` lists them.")
        answer = api.patch(path, {"endpoints": kept})
    print_done(answer, f"Mail for {domain} goes to its MX.", as_json=as_json)


@federation.command("servers")
def list_servers(
    context: typer.Context, *, group: GroupOption = None, node: NodeOption = None, as_json: JsonOption = False
) -> None:
    """List the servers of others that nodes have exchanged mail with, as the nodes say at this moment."""
    with open_api(context) as api:
        found = api.get("/federation/servers", {"group": group, "node": node})
    empty = "No mail was exchanged with servers of others."
    print_live(found["items"], found["missing_nodes"], SERVER_COLUMNS, as_json=as_json, empty=empty)


@federation.command("keys")
def show_keys(context: typer.Context, node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """Show the DKIM records of a node, which its domain's DNS must have."""
    with open_api(context) as api:
        report = api.get(write_path("nodes", node))["report"] or {}
    print_list(
        report.get("dkim_keys", []), KEY_COLUMNS, as_json=as_json, empty="The node has told of no key."
    )


@federation.command("rotate-keys")
def rotate_keys(context: typer.Context, node: NodeArgument, *, as_json: JsonOption = False) -> None:
    """Have a node announce its next signing keys; they sign an hour after the DNS has them."""
    with open_api(context) as api:
        order = api.post(write_path("nodes", node, "dkim-keys"), {})
        sentence = f"The next keys are made. `madfleet federation keys {node}` shows what to publish."
        wait_for(api, order, sentence, as_json=as_json)


def find_federation_path(group: str | None, node: str | None) -> str:
    """Find where the words of a group, of a node or of the fleet are. Raises: MisuseError."""
    if group is not None and node is not None:
        raise MisuseError("Say --group or --node, not both.")
    if group is not None:
        return write_path("groups", group, "federation")
    return "/federation" if node is None else write_path("nodes", node, "federation")


def _change(context: typer.Context, group: str | None, node: str | None, change: Document) -> Document:
    with open_api(context) as api:
        return api.patch(find_federation_path(group, node), change)


def _read_own(api: Api, path: str) -> Document:
    own: Document = api.get(path)["own"]
    return own


def _is_rule(rule: Document, domain: str, transport: Transport | None) -> bool:
    return (rule["domain"], rule["transport"]) == (domain.lower(), transport)


def _write_transports(in_force: Row) -> str:
    return _join(in_force.get("transports"))


def _join(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else ""


def _write_rules(in_force: Row) -> str:
    value = in_force.get("rules")
    named = value if isinstance(value, list) else []
    return ", ".join(f"{each['domain']} ({each['transport'] or 'all'})" for each in named)


def _write_endpoints(in_force: Row) -> str:
    value = in_force.get("endpoints")
    named = value if isinstance(value, list) else []
    return ", ".join(f"{each['domain']} -> {each['target']}" for each in named)


POLICY_COLUMNS: list[Column] = [
    ("Mail with others", "is_enabled"),
    ("Mode", "mode"),
    ("Transports", _write_transports),
    ("Drops mail for nobody", "drops_unknown_recipients"),
    ("Rules", _write_rules),
    ("Dismissed", lambda row: _join(row.get("dismissed"))),
    ("Endpoints", _write_endpoints),
]
SERVER_COLUMNS: list[Column] = [
    ("DOMAIN", "domain"),
    ("NODE", "node_name"),
    ("WAIT", "queued"),
    ("HTTPS", "delivered_https"),
    ("HTTP", "delivered_http"),
    ("SMTP", "delivered_smtp"),
    ("REFUSED", "refused"),
    ("TAKEN", "received"),
    ("SEEN (UTC)", moment_of("last_seen_seconds")),
    ("LAST PROBLEM", "last_problem"),
]
KEY_COLUMNS: list[Column] = [("SELECTOR", "selector"), ("STAGE", "stage"), ("RECORD", "record")]
