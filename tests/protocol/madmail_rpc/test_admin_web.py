"""What Madmail's admin web sends, screen by screen, to the fleet's address and to a node's.

The admin web itself is not here: what it calls, and what it takes from the answers, stands in the design.
"""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.rpc_reference import Rpc, path_of
from support.whole_fleet import WholeFleet

pytestmark = pytest.mark.timeout(120)

SITE = "https://admin.madmail.chat"
PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type",
}
SET_BY_ANSIBLE = {
    "smtp": "mailnode_inbound_smtp_port",
    "http": "mailnode_http_port",
    "https": "mailnode_https_port",
}
"""Ports that stay where Ansible has put them, and its variables."""
LOADS: list[tuple[str, object]] = [
    ("/admin/overview", None),
    ("/admin/status", None),
    ("/admin/storage", None),
    ("/admin/settings", None),
    ("/admin/accounts", None),
    ("/admin/blocklist", None),
    ("/admin/quota", {}),
    ("/admin/registration-token", None),
    ("/admin/settings/federation", None),
    ("/admin/federation/rules", None),
    ("/admin/federation/servers", None),
    ("/admin/dns", None),
    ("/admin/exchangers", None),
]
"""What it loads anew after nearly every change, at once."""


@pytest.fixture(params=[None, "mail1"], ids=["fleet", "node"])
def web(request: pytest.FixtureRequest, fleet: WholeFleet) -> Rpc:
    """The admin web, signed in at the fleet or at a node."""
    return Rpc(fleet, fleet.token, request.param)


def refresh(web: Rpc) -> dict[str, dict[str, Any]]:
    """Load everything anew; what each screen reads of it must be there."""
    with ThreadPoolExecutor(6) as pool:
        found = dict(
            zip(
                (resource for resource, _ in LOADS),
                pool.map(lambda load: web.get(*load), LOADS),
                strict=True,
            )
        )
    overview = found["/admin/overview"]
    assert isinstance(overview["version"], str)
    assert isinstance(overview["users"]["registered"], int)
    assert overview["uptime"]["duration"]
    assert all(isinstance(number, int | float) for number in overview["disk"].values())
    for card in ("federation_traffic", "push", "message_retention"):
        assert card in overview  # otherwise it is greyed out
    for name in ("smtp_hostname", "https_port", "http_port", "admin_path", "admin_web_path"):
        assert overview["settings"][name]["is_set"] is False
    for token in found["/admin/registration-token"]["tokens"]:
        assert isinstance(token["comment"], str)
    return found


def rewrite_base_url(url: str, settings: dict[str, dict[str, object]]) -> str:
    """Do what the admin web does with the address that it was given, by the settings."""
    parts = urlsplit(url)
    host, port, path = parts.hostname, parts.port, parts.path
    if settings["smtp_hostname"]["is_set"]:
        host = str(settings["smtp_hostname"]["value"])
    for name in ("https_port", "http_port"):
        if settings[name]["is_set"]:
            port = int(str(settings[name]["value"]))
    if settings["admin_path"]["is_set"]:
        path = str(settings["admin_path"]["value"])
    return f"{parts.scheme}://{host}:{port}{path}"


def test_browser_may_call_from_the_site_of_the_admin_web_only(web: Rpc) -> None:
    path = path_of(web.node)
    status, heard, content = web.fleet.send("OPTIONS", path, headers={"origin": SITE, **PREFLIGHT})
    assert (status, content) == (204, b"")
    assert heard["access-control-allow-origin"] == SITE
    assert heard["vary"] == "Origin"
    assert heard["access-control-allow-methods"] == "POST, OPTIONS"
    assert heard["access-control-allow-headers"] == "Authorization, Content-Type"
    assert heard["access-control-max-age"] == "86400"

    for origin in (
        "https://evil.example",
        "http://admin.madmail.chat",
        "https://admin.madmail.chat.evil.example",
        "null",
    ):
        status, heard, _ = web.fleet.send("OPTIONS", path, headers={"origin": origin, **PREFLIGHT})
        assert (status, "access-control-allow-origin" in heard) == (403, False)
    assert web.fleet.send("OPTIONS", path)[0] == 403
    assert web.fleet.send("GET", path)[0] == 405


def test_answer_to_another_site_cannot_be_read_by_its_page(fleet: WholeFleet) -> None:
    envelope = {"resource": "/admin/status", "headers": {"Authorization": f"Bearer {fleet.token}"}}
    _, heard, _ = fleet.send(
        "POST", "/api/admin", json.dumps(envelope).encode(), {"origin": "https://evil.example"}
    )

    assert "access-control-allow-origin" not in heard
    assert heard["vary"] == "Origin"


def test_link_of_the_command_signs_in(fleet: WholeFleet) -> None:
    made = json.loads(fleet.plan.run("madfleet", "admin-token", "--name", "web", "--json"))
    assert made["api_url"] == f"{fleet.url}/api/admin"
    site, _, code = made["madmail_link"].partition("/#")
    found = json.loads(base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)))

    assert site == SITE
    assert re.fullmatch(r"[A-Za-z0-9_-]+", code)
    assert found == {"u": made["api_url"], "t": made["token"]}
    Rpc(fleet, found["t"]).get("/admin/overview")


def test_address_of_the_api_is_never_rewritten(web: Rpc) -> None:
    url = f"{web.fleet.url}{path_of(web.node)}"

    assert rewrite_base_url(url, web.get("/admin/overview")["settings"]) == url


def test_overview_screen(web: Rpc) -> None:
    refresh(web)
    web.post("/admin/services/message_retention", {"action": "enable"})
    web.post("/admin/settings/message_retention", {"action": "set", "value": "14d"})
    assert refresh(web)["/admin/overview"]["message_retention"] == {
        "enabled": True,
        "days": 14,
        "retention": "14d",
    }
    for retention in ("1h", "6h", "24h", "72h", "168h", "720h"):
        web.post("/admin/queue", {"action": "purge_older", "retention": retention})
    web.post("/admin/queue", {"action": "purge_read"})
    web.post("/admin/queue", {"action": "purge_all"})
    web.post("/admin/services/message_retention", {"action": "disable"})
    web.post("/admin/settings/message_retention", {"action": "reset"})
    for action in ("off", "auto", "on"):
        web.post("/admin/services/push", {"action": action})
        assert refresh(web)["/admin/overview"]["push"]["mode"] == action
    web.post("/admin/reload", {"scope": "full"})
    for _ in range(2):  # it polls so after "Apply & Restart"
        web.get("/admin/status")


def test_services_screen(web: Rpc) -> None:
    for resource, off, on in (
        ("/admin/registration", "close", "open"),
        ("/admin/registration/jit", "disable", "enable"),
        ("/admin/services/turn", "disable", "enable"),
        ("/admin/services/push", "disable", "enable"),
    ):
        web.post(resource, {"action": off})
        refresh(web)
        web.post(resource, {"action": on})
    for name in ("iroh", "admin_web", "auto_purge_seen", "webimap", "websmtp"):
        assert web.post(f"/admin/services/{name}", {"action": "disable"})["status"] == "disabled"
        web.refuse(400, "POST", f"/admin/services/{name}", {"action": "enable"})
    for name, value in (("smtp_hostname", "chat.example.org"), ("admin_path", "/secret"), ("language", "fa")):
        refusal = web.refuse(400, "POST", f"/admin/settings/{name}", {"action": "set", "value": value})
        assert refusal.startswith("set by Ansible: ")
    settings = refresh(web)["/admin/settings"]
    assert settings["registration"] == "open"
    assert settings["jit_registration"] == settings["turn_enabled"] == "enabled"


def test_proxy_screen(web: Rpc) -> None:
    for name in ("shadowsocks", "ss_ws", "ss_grpc", "http_proxy"):
        assert web.get(f"/admin/services/{name}")["status"] == "disabled"
        web.refuse(400, "POST", f"/admin/services/{name}", {"action": "enable"})
    for name in ("ss_password", "ss_port", "ss_cipher", "http_proxy_path"):
        web.refuse(400, "POST", f"/admin/settings/{name}", {"action": "set", "value": "8388"})


def test_ports_screen(web: Rpc) -> None:
    for name in ["smtp", "submission", "submission_tls", "imap", "imap_tls", "turn", "http", "https"]:
        shown = web.get(f"/admin/settings/{name}_port")
        assert (shown["value"], shown["is_set"]) == ("", False)  # so that links have the usual ports
        status = 409 if name == "turn" and web.node is not None else 400  # a mail node has none
        refusal = web.refuse(status, "POST", f"/admin/settings/{name}_port", {"action": "set", "value": 2525})
        if variable := SET_BY_ANSIBLE.get(name):
            assert refusal == f"set by Ansible: {variable}"
        elif status == 400:
            assert re.search(r"(mail|turn)node_alternate_ports", refusal)
        refusal = web.refuse(
            400, "POST", f"/admin/settings/{name}_local_only", {"action": "set", "value": "true"}
        )
        assert re.fullmatch(r"set by Ansible: (mail|turn)node_listen_addresses", refusal)
    for name in ("sasl_port", "iroh_port", "ss_port"):
        web.refuse(400, "POST", f"/admin/settings/{name}", {"action": "set", "value": 2525})
    assert "unknown resource" in web.refuse(
        404, "POST", "/admin/settings/sasl_local_only", {"action": "reset"}
    )


def test_accounts_screens(web: Rpc) -> None:
    made = web.post("/admin/accounts", {}, status=201)
    found = refresh(web)
    assert made["email"] in [each["username"] for each in found["/admin/accounts"]["accounts"]]
    assert all(
        isinstance(each[name], int)
        for each in found["/admin/accounts"]["accounts"]
        for name in ("created_at", "first_login_at", "last_login_at", "used_bytes", "max_bytes")
    )
    web.expect(200, "PUT", "/admin/quota", {"username": made["email"], "max_bytes": 10 << 20})
    web.expect(200, "DELETE", "/admin/quota", {"username": made["email"]})
    web.expect(200, "PUT", "/admin/quota", {"max_bytes": 1 << 30})
    exported = web.expect(200, "PATCH", "/admin/accounts", {"action": "export"})
    imported = web.expect(200, "PATCH", "/admin/accounts", {"action": "import", "users": exported["users"]})
    assert imported == {"imported": 0, "skipped": exported["total"]}
    web.expect(200, "DELETE", "/admin/accounts", {"username": made["email"]})
    blocked = refresh(web)["/admin/blocklist"]["blocked"]
    assert made["email"] in [each["username"] for each in blocked]
    web.expect(200, "DELETE", "/admin/blocklist", {"username": made["email"]})


def test_federation_and_notice_screens(web: Rpc) -> None:
    policy = "/admin/settings/federation"
    assert web.post(policy, {"enabled": True, "policy": "REJECT"})["policy"] == "REJECT"
    assert web.post(policy, {"enabled": True, "policy": "ACCEPT"})["policy"] == "ACCEPT"
    web.refuse(400, "PUT", "/admin/federation-size", {"size": "50M"})
    domain, relay = (
        {"domain": "example.com"},
        {"name": "one", "url": "https://192.0.2.7", "poll_interval": 60},
    )
    endpoint = {"lookup_key": "example.com", "target_host": "192.0.2.7"}
    web.post("/admin/federation/rules", domain)
    web.post("/admin/dns", endpoint, status=201)
    found = refresh(web)
    assert [rule["domain"] for rule in found["/admin/federation/rules"]["rules"]] == ["example.com"]
    assert found["/admin/dns"]["overrides"] == [{**endpoint, "comment": ""}]
    web.expect(200, "DELETE", "/admin/federation/rules", domain)
    web.expect(200, "DELETE", "/admin/dns", {"lookup_key": "example.com"})
    if web.node is None:
        web.post("/admin/exchangers", relay, status=201)
        web.expect(200, "PUT", "/admin/exchangers", {"name": "one", "enabled": False})
        web.expect(200, "DELETE", "/admin/exchangers", {"name": "one"})
    notice = web.get("/admin/notice")
    assert isinstance(notice["domain"], str)
    assert "encrypted" in web.refuse(400, "POST", "/admin/notice", {"subject": "Hello", "body": "All"})
    assert web.refuse(400, "POST", "/admin/notice", {"subject": "Hello"}) == "body is required"


@pytest.mark.parametrize("node", [None, "mail1"])
def test_tokens_screen(fleet: WholeFleet, node: str | None) -> None:
    web = Rpc(fleet, fleet.token, node)
    body = {"token": "choir-2030", "max_uses": 20, "comment": "Choir", "expires_in": "72h"}
    made = web.post("/admin/registration-token", body, status=201)
    found = refresh(web)["/admin/registration-token"]
    assert made in found["tokens"]
    web.expect(200, "DELETE", "/admin/registration-token", {"token": "choir-2030"})


def test_accounts_of_all_nodes_are_in_one_list(fleet: WholeFleet) -> None:
    web = Rpc(fleet, fleet.token)
    made = {
        node: Rpc(fleet, fleet.token, node).post("/admin/accounts", status=201)["email"]
        for node in ("mail1", "mail2")
    }
    names = [each["username"] for each in web.get("/admin/accounts")["accounts"]]

    assert set(made.values()) <= set(names)
    assert names == sorted(set(names))
    for node, address in made.items():
        own = [each["username"] for each in Rpc(fleet, fleet.token, node).get("/admin/accounts")["accounts"]]
        assert [name for name in made.values() if name in own] == [address]
    web.expect(200, "PUT", "/admin/quota", {"username": made["mail2"], "max_bytes": 7 << 20})
    assert web.get("/admin/quota", {"username": made["mail2"]})["max_bytes"] == 7 << 20
    Rpc(fleet, fleet.token, "mail1").refuse(404, "DELETE", "/admin/accounts", {"username": made["mail2"]})
