"""The Madmail RPC steers the machines: every resource of its reference, and what users see of it."""

import imaplib
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from support.clocks import wait_until
from support.deployed_fleet import ADDRESSES
from support.lab import MAIL2_NAME, MAIL_NAME, LabFleet
from support.mail_clients import open_imap, trusting_context
from support.rpc_reference import path_of, read_reference

pytestmark = [pytest.mark.lab, pytest.mark.netns]

IN_FORCE_SECONDS = 2


class Web:
    """The admin web on a client's computer, signed in by what the command prints."""

    def __init__(self, fleet: LabFleet) -> None:
        made = json.loads(fleet.madfleet("admin-token", "--name", f"rpc-{secrets.token_hex(3)}", "--json"))
        self._headers = {"Authorization": f"Bearer {made['token']}"}
        self._client = httpx.Client(
            base_url=f"https://{ADDRESSES['control']}", verify=trusting_context(), trust_env=False
        )

    def close(self) -> None:
        self._client.close()

    def call(self, method: str, resource: str, node: str | None = None, **body: object) -> dict[str, Any]:
        envelope = {"method": method, "resource": resource, "headers": self._headers, "body": body}
        answer = self._client.post(path_of(node), json=envelope)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
def web(fleet: LabFleet) -> Iterator[Web]:
    web = Web(fleet)
    yield web
    web.close()


def may_log_in(address: str, password: str) -> bool:
    try:
        open_imap(address, password).logout()
    except imaplib.IMAP4.error:
        return False
    return True


@pytest.mark.parametrize("node", [None, "mail1"])
def test_every_resource_is_what_the_reference_says(fleet: LabFleet, web: Web, node: str | None) -> None:
    def walk() -> None:
        for row in read_reference():
            if "GET" in row.methods:
                assert web.call("GET", row.resource, node)["status"] == 200, row
            if row.state == "ansible":
                refusal = web.call("POST", row.resource, node, action="set", value=2525)
                assert (refusal["status"], refusal["error"]) == (400, f"set by Ansible: {row.variable}")
            elif row.state == "absent" and "POST" in row.methods:
                fields = {"action": "enable", "subject": "s", "body": "b"}
                if row.resource.startswith("/admin/settings/") and "federation" not in row.resource:
                    fields = {"action": "set", "value": "1"}
                    fields |= {"action": "enable"} if row.name == "allow_inbound_remote_rcpt" else {}
                assert web.call("POST", row.resource, node, **fields)["status"] == 400, row

    fleet.network.call("a", walk)


def test_account_of_the_admin_web_works_until_it_is_deleted(fleet: LabFleet, web: Web) -> None:
    def use() -> None:
        for node, host in (("mail1", MAIL_NAME), ("mail2", MAIL2_NAME)):
            made = web.call("POST", "/admin/accounts", node)["body"]
            assert made["email"].endswith(f"@{host}")
            assert may_log_in(made["email"], made["password"])
            names = [each["username"] for each in web.call("GET", "/admin/accounts")["body"]["accounts"]]
            assert made["email"] in names
            assert web.call("DELETE", "/admin/accounts", username=made["email"])["status"] == 200
            assert not may_log_in(made["email"], made["password"])
            assert web.call("DELETE", "/admin/blocklist", username=made["email"])["status"] == 200

    fleet.network.call("a", use)


def test_toggle_of_the_admin_web_is_in_force_everywhere(
    fleet: LabFleet, web: Web, show: Callable[[str], None]
) -> None:
    def switch() -> float:
        def is_closed() -> bool:
            name, password = f"rpc{secrets.token_hex(4)}", secrets.token_hex(12)
            return not any(may_log_in(f"{name}@{host}", password) for host in (MAIL_NAME, MAIL2_NAME))

        try:
            assert web.call("POST", "/admin/registration", action="close")["body"] == {"status": "closed"}
            return wait_until(is_closed, 5 * IN_FORCE_SECONDS)
        finally:
            web.call("POST", "/admin/registration", action="open")

    seconds = fleet.network.call("a", switch)
    show(f"registration closed by the admin web on both mail nodes after {1000 * seconds:.0f} ms")
    assert seconds <= IN_FORCE_SECONDS
