"""The client has a command for every operation of the Admin API: each is run, and its calls are seen."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import typer

from controlplane.application import create_app
from controlplane.cli import main as cli
from controlplane.operations.service import acknowledge, list_waiting
from nodelink.contract.states import NodeKind
from support.client_site import ClientSite, open_client_site
from support.controlplane_site import add_group, add_node

API_PATH = "/api/v1"
WRONG_USAGE = 2

NOT_FOR_PEOPLE = {
    ("POST", "/enrolments"): "a node calls it with its join token",
}

COMMANDS = """
whoami
status
history
history --node mail1
probes
metrics
nodes
nodes show mail1
nodes ask mail1
nodes label mail1 Berlin
nodes group mail1 eu
retire mail9
join-token mail3 --kind mail
ports show mail1
ports reset mail1 imap_tls
groups
groups create us
groups show eu
groups label eu Europe
groups delete us
turn
turn rotate-secret --yes
turn usage
turn zone
dns
policy
policy --group eu
policy --node mail1
quota 2G
quota 2G --group eu
quota 2G --node mail1
federation
federation --group eu
federation --node mail1
federation switch off
federation switch off --group eu
federation switch off --node mail1
federation servers
federation rotate-keys mail1
exchangers
exchangers add relay https://relay.example.org
exchangers show relay
exchangers change relay --every 5m
exchangers remove relay
settings
settings set max_message_size 40M
settings reset max_message_size
settings --node mail1
settings set max_message_size 40M --node mail1
settings reset max_message_size --node mail1
services
services disable turn
services --node mail1
services disable turn --node mail1
webhooks
webhooks create https://example.org/hook
webhooks show ID
webhooks change ID --burst 7
webhooks test ID
webhooks deliveries ID
webhooks delete ID
registration-tokens
registration-tokens create
registration-tokens show ID
registration-tokens change ID --uses 9
registration-tokens delete ID
accounts
accounts totals
accounts show a@mail1.example.org --node mail1
accounts create a@mail1.example.org --node mail1
accounts quota a@mail1.example.org 5G --node mail1
accounts delete a@mail1.example.org --node mail1 --yes
accounts delete a@mail1.example.org b@mail1.example.org --node mail1 --yes
accounts import FILE --node mail1
accounts export - --node mail1
ban a@mail1.example.org --node mail1
unban a@mail1.example.org --node mail1
blocklist
purge all --account a@mail1.example.org --node mail1 --yes
purge all --node mail1 --yes
queue show mail1
queue purge mail1 --yes
notice Hello
operations
admin-tokens
admin-tokens create bob
admin-tokens show ID
admin-tokens revoke ID
audit
audit export -
"""

Operation = tuple[str, str]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ClientSite]:
    with open_client_site(tmp_path) as site:
        yield site


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[Operation]:
    """Note what passes through the HTTP client: method, and path below the API's."""
    seen: set[Operation] = set()
    send = httpx.Client.send

    def note_and_send(client: httpx.Client, request: httpx.Request, **options: object) -> httpx.Response:
        seen.add((request.method, urlsplit(str(request.url)).path.removeprefix(API_PATH)))
        return send(client, request, **options)  # type: ignore[arg-type] # whatever the client was given

    monkeypatch.setattr(httpx.Client, "send", note_and_send)
    monkeypatch.setattr("controlplane.client.operation_commands.WAIT_SECONDS", 0.0)
    monkeypatch.setattr(cli, "app", typer.main.get_command(cli.app))  # built once, not for each line
    return seen


def list_operations(site: ClientSite) -> set[Operation]:
    paths = create_app(site.plane).openapi()["paths"]
    return {
        (method.upper(), path.removeprefix(API_PATH)) for path, methods in paths.items() for method in methods
    }


def matches(path: str, template: str) -> bool:
    pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path) is not None


def name_operation(call: Operation, operations: set[Operation]) -> Operation:
    """Find which operation a call is: of those that match, the one with the fewest names in its path."""
    method, path = call
    found = [each for each in operations if each[0] == method and matches(path, each[1])]
    assert found, f"the API has no {method} {path}"
    return min(found, key=lambda each: each[1].count("{"))


def run_commands(site: ClientSite, file: Path) -> None:
    """Run all command lines; what `create` has made is the ID of those that follow."""
    made = ""
    for line in COMMANDS.strip().splitlines():
        words = [{"ID": made, "FILE": str(file)}.get(word, word) for word in line.split()]
        if "create" in words and words[0] in {"webhooks", "registration-tokens", "admin-tokens"}:
            made = site.read(*words)["id"]
            continue
        ended = site.call(*words)
        assert ended.code != WRONG_USAGE, (line, ended)


def finish_operations(site: ClientSite) -> tuple[str, str]:
    """Let the node say that all is done. Returns: IDs of an operation and of a change of many accounts."""
    with site.plane.sessions.begin() as session:
        waiting = list_waiting(session, "mail1")
        alone = next(operation.id for operation in waiting if operation.bulk_id is None)
        bulk = next(operation.bulk_id for operation in waiting if operation.bulk_id is not None)
        for operation in waiting:
            acknowledge(session, "mail1", operation.id, None, int(time.time()))
    return alone, bulk


def test_every_operation_of_the_api_has_a_command(
    site: ClientSite, called: set[Operation], tmp_path: Path
) -> None:
    add_node(site.plane, "mail1")
    add_node(site.plane, "mail9")
    add_node(site.plane, "turn1", NodeKind.TURN)
    add_group(site.plane, "eu", "mail1")
    file = tmp_path / "accounts.jsonl"
    file.write_text('{"address": "c@mail1.example.org", "password": "a long password"}\n')

    run_commands(site, file)
    for identity in finish_operations(site):
        assert "done" in site.run("operations", "watch", identity)

    operations = list_operations(site)
    covered = {name_operation(call, operations) for call in called}
    assert operations - covered == set(NOT_FOR_PEOPLE)
