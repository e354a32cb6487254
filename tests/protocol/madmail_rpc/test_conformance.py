"""Every resource of the Madmail RPC is what docs/reference/rpc.md says: live, Ansible or absent.

Over HTTPS, at real programs. What is live is seen by users, or read back by the Admin API.
"""

import base64
import hashlib
import hmac
import json
import re
import secrets
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controlplane.admins.access import Role
from controlplane.madmail_rpc.dispatch import RESOURCES
from fleet_plan import FleetPlan
from support.clocks import wait_until
from support.rpc_reference import Row, Rpc, read_reference
from support.rpc_users import User
from support.whole_fleet import WholeFleet, bearer

pytestmark = pytest.mark.timeout(120)

ROWS = read_reference()
BY_STATE = {state: [row for row in ROWS if row.state == state] for state in ("live", "ansible", "absent")}
IN_FORCE_SECONDS = 10  # 2 on a machine of its own
MADMAIL_V2 = """
status overview storage reload restart registration registration/jit services/turn services/iroh
services/admin_web services/auto_purge_seen services/message_retention services/webimap
services/websmtp services/push services/shadowsocks services/ss_ws services/ss_grpc
services/http_proxy services/webmail_dev settings/registration_token_required
settings/allow_inbound_remote_rcpt settings settings/federation message-size federation-size
accounts blocklist quota registration-token federation/rules federation/silent-dismiss
federation/servers dns exchangers notice queue
"""
SETTING_VALUES = """
smtp_port submission_port submission_tls_port imap_port imap_tls_port turn_port sasl_port iroh_port
ss_port ss_ws_port ss_grpc_port http_port https_port http_proxy_port http_proxy_path
http_proxy_username http_proxy_password smtp_hostname turn_realm turn_secret turn_relay_ip
turn_relay_port_min turn_relay_port_max turn_ttl iroh_relay_url ss_cipher ss_password admin_path
admin_web_path dclogin_imap_security dclogin_smtp_security language message_retention
webmail_cors_origins appendlimit max_message_size max_federation_size
"""
LOCAL_ONLY = "smtp submission submission_tls imap imap_tls turn iroh http https"
TOGGLES = """jit_registration turn_enabled iroh_enabled push_enabled ss_enabled ss_ws_enabled ss_grpc_enabled
http_proxy_enabled auto_purge_seen_enabled message_retention_enabled admin_web_enabled webimap_enabled
websmtp_enabled registration_token_required allow_inbound_remote_rcpt"""
PUSH_KEYS = {
    "enabled",
    "mode",
    "successful_notifications",
    "consecutive_failures",
    "auto_disable_after",
}
SETTING_KEYS = {"key", "value", "is_set", "restart_required"}
STATUS_KEYS = {
    "version",
    "imap",
    "turn",
    "shadowsocks",
    "users",
    "uptime",
    "sent_messages",
    "outbound_messages",
    "received_messages",
    "federation_traffic",
    "message_retention",
    "push",
}


def make_user(rpc: Rpc) -> User:
    made = rpc.post("/admin/accounts", status=201)
    assert set(made) == {"email", "password"}
    assert (len(made["email"].partition("@")[0]), len(made["password"])) == (12, 24)
    return User(rpc.fleet, made["email"], made["password"])


def stranger(fleet: WholeFleet, domain: str) -> User:
    return User(fleet, f"u{secrets.token_hex(6)}@{domain}", secrets.token_hex(12))


def soon(is_so: Callable[[], bool]) -> None:
    wait_until(is_so, IN_FORCE_SECONDS)


def concerned_plans(rpc: Rpc) -> list[FleetPlan]:
    """List the plans of the mail nodes that an endpoint is about."""
    return [rpc.fleet.plan] if rpc.node is not None else [rpc.fleet.plan, rpc.fleet.second]


def read_policy(fleet: WholeFleet, path: str = "/policy") -> dict[str, object]:
    status, _, content = fleet.send("GET", f"/api/v1{path}", headers=bearer(fleet.token))
    assert status == 200
    policy: dict[str, object] = json.loads(content)
    return policy


def test_reference_lists_every_resource_of_madmail_and_nothing_else() -> None:
    named = {f"/admin/{path}" for path in MADMAIL_V2.split()}
    named |= {f"/admin/settings/{name}" for name in SETTING_VALUES.split()}
    named |= {f"/admin/settings/{name}_local_only" for name in LOCAL_ONLY.split()}

    assert sorted(row.resource for row in ROWS) == sorted(named)
    assert {row.resource: row.methods for row in ROWS} == {
        resource: tuple(verbs) for resource, verbs in RESOURCES.items()
    }


@pytest.mark.parametrize("node", [None, "mail1", "turn1"])
def test_what_ansible_sets_is_shown_and_not_changed(fleet: WholeFleet, node: str | None) -> None:
    rpc = Rpc(fleet, fleet.token, node)
    for row in BY_STATE["ansible"]:
        shown = rpc.get(row.resource)
        assert shown == {
            "key": f"__{row.name.upper()}__",
            "value": "",
            "is_set": False,
            "restart_required": False,
        }
        for body in (
            {"action": "set", "value": "true"},
            {"action": "set", "value": 2525},
            {"action": "reset"},
        ):
            refusal = rpc.refuse(400, "POST", row.resource, body)
            assert refusal == f"set by Ansible: {row.variable}"
        assert rpc.refuse(400, "POST", row.resource, {"action": "x"}).startswith("invalid action: x")
        assert rpc.refuse(400, "POST", row.resource, {"action": "set", "value": ""}) == (
            "value is required for action 'set'"
        )
        rpc.refuse(405, "DELETE", row.resource)


@pytest.mark.parametrize("node", [None, "mail1"])
def test_what_is_absent_says_so_and_cannot_be_had(fleet: WholeFleet, node: str | None) -> None:
    rpc = Rpc(fleet, fleet.token, node)
    for row in BY_STATE["absent"]:
        name, is_service = row.name, "/services/" in row.resource or row.name == "allow_inbound_remote_rcpt"
        if is_service:
            shown = rpc.get(row.resource)
            assert shown["status"] == "disabled"
            assert rpc.post(row.resource, {"action": "disable"})["status"] == "disabled"
            assert "not offered" in rpc.refuse(400, "POST", row.resource, {"action": "enable"})
            assert "action must be" in rpc.refuse(400, "POST", row.resource, {"action": "restart"})
        elif row.resource.startswith("/admin/settings/") and name != "federation":
            assert rpc.get(row.resource)["is_set"] is False
            refusal = rpc.refuse(400, "POST", row.resource, {"action": "set", "value": "1"})
            assert refusal == f"not offered: this fleet has no {name}"
        else:
            for method in row.methods:
                if method == "GET":
                    rpc.get(row.resource)
                elif name == "notice":
                    body = {"subject": "s", "body": "b"}
                    for who in ({}, {"recipient": f"anna@{rpc.fleet.plan.mail_domain}"}):
                        assert "encrypted" in rpc.refuse(400, method, row.resource, body | who)
                    for left_out in body:
                        bad = {**body, left_out: ""}
                        assert left_out in rpc.refuse(400, method, row.resource, bad)
                else:
                    assert "not offered" in rpc.refuse(400, method, row.resource, {"size": "1M"})


def test_absent_lists_are_empty_in_their_shapes(rpc: Rpc) -> None:
    assert set(rpc.get("/admin/services/webmail_dev")) == {
        "status",
        "browser_access_enabled",
        "webimap_enabled",
        "websmtp_enabled",
        "cors_origins",
        "cors_origins_list",
    }
    notice = rpc.get("/admin/notice")
    assert set(notice) == {"total_users", "domain"}
    assert notice["total_users"] == rpc.get("/admin/accounts")["total"]


# One check for each live resource; a row of the reference without one fails.


def check_status(rpc: Rpc) -> None:
    user = make_user(rpc)
    client = user.open_imap()
    soon(lambda: rpc.get("/admin/status")["imap"]["connections"] >= 1)
    found = rpc.get("/admin/status")
    client.logout()
    assert set(found) == STATUS_KEYS
    assert found["imap"]["unique_ips"] >= 1
    assert found["users"]["registered"] == rpc.get("/admin/accounts")["total"]
    assert datetime.fromisoformat(found["uptime"]["boot_time"]) < datetime.now(UTC)
    assert re.fullmatch(r"(\d+d )?(\d+h )?(\d+m )?\d+s", found["uptime"]["duration"])
    assert set(found["push"]) == PUSH_KEYS
    assert found["push"]["auto_disable_after"] == 5
    assert set(found["federation_traffic"]["health"]) == {"perfect", "federated", "bad"}


def check_overview(rpc: Rpc) -> None:
    found = rpc.get("/admin/overview")
    assert set(found) == STATUS_KEYS | {"disk", "tokens", "settings"}
    assert found["disk"]["total_bytes"] == found["disk"]["used_bytes"] + found["disk"]["available_bytes"] > 0
    assert found["settings"] == rpc.get("/admin/settings")
    tokens = rpc.get("/admin/registration-token")
    assert found["tokens"]["total"] == tokens["total"]


def check_storage(rpc: Rpc) -> None:
    found = rpc.get("/admin/storage")
    assert found["database"]["size_bytes"] > 0
    assert found["state_dir"]["size_bytes"] > 0
    assert set(found["disk"]) == {"total_bytes", "used_bytes", "available_bytes", "percent_used"}


def check_reload(rpc: Rpc) -> None:
    assert rpc.post("/admin/reload")["status"] == "reloading"
    assert rpc.post("/admin/reload", {"scope": "http", "wait": True})["status"] == "reloaded"
    assert rpc.fleet.is_ready()
    rpc.refuse(400, "POST", "/admin/reload", {"scope": "disk"})
    rpc.refuse(405, "GET", "/admin/reload")


def check_registration(rpc: Rpc) -> None:
    assert rpc.post("/admin/registration", {"action": "close"}) == {"status": "closed"}
    plans = concerned_plans(rpc)
    soon(lambda: not any(stranger(rpc.fleet, plan.mail_domain).may_log_in() for plan in plans))
    assert rpc.get("/admin/registration") == {"status": "closed"}
    assert rpc.post("/admin/registration", {"action": "open"}) == {"status": "open"}
    soon(lambda: stranger(rpc.fleet, rpc.fleet.plan.mail_domain).may_log_in())
    assert (
        rpc.refuse(400, "POST", "/admin/registration", {"action": "enable"}) == "action must be open or close"
    )


def check_jit(rpc: Rpc) -> None:
    assert rpc.post("/admin/registration/jit", {"action": "disable"}) == {"status": "disabled"}
    soon(lambda: not stranger(rpc.fleet, rpc.fleet.plan.mail_domain).may_log_in())
    assert rpc.post("/admin/registration/jit", {"action": "enable"}) == {"status": "enabled"}
    soon(lambda: stranger(rpc.fleet, rpc.fleet.plan.mail_domain).may_log_in())
    assert rpc.get("/admin/registration/jit") == {"status": "enabled"}


def check_turn(rpc: Rpc) -> None:
    user = make_user(Rpc(rpc.fleet, rpc.token, "mail1"))
    assert rpc.get("/admin/services/turn") == {"status": "enabled", "restart_required": False}
    soon(lambda: user.read_turn() is not None)
    assert rpc.post("/admin/services/turn", {"action": "disable"})["status"] == "disabled"
    soon(lambda: user.read_turn() is None)
    assert rpc.post("/admin/services/turn", {"action": "enable"})["status"] == "enabled"
    soon(lambda: user.read_turn() is not None)


def check_push(rpc: Rpc) -> None:
    resource, here, proxy = "/admin/services/push", Rpc(rpc.fleet, rpc.token, "mail1"), rpc.fleet.push_proxy
    sender = make_user(here)

    def is_in_force() -> bool:
        policy = read_policy(rpc.fleet, "/nodes/mail1")
        return policy["applied_revision"] == policy["revision"]

    def send_to_app(token: str) -> None:
        user = make_user(here)
        user.hand_in_device_token(token)
        sender.send(user, f"{secrets.token_hex(8)}@localhost")
        soon(lambda: user.count_messages() == 1)

    def switch(action: str) -> None:
        rpc.post(resource, {"action": action})
        soon(is_in_force)

    before = rpc.get(resource)
    assert set(before) == PUSH_KEYS - {"enabled"} | {"status", "restart_required"}
    for action, mode in (
        ("disable", "off"),
        ("auto", "auto"),
        ("off", "off"),
        ("on", "on"),
        ("enable", "on"),
    ):
        status = "disabled" if mode == "off" else "enabled"
        answer = rpc.post(resource, {"action": action})
        assert answer == {"status": status, "mode": mode, "restart_required": False}
        assert rpc.get("/admin/status")["push"]["enabled"] is (mode != "off")
        settings = rpc.get("/admin/settings")
        assert (settings["push_enabled"], settings["push_mode"]) == (status, mode)
    switch("off")
    send_to_app(asleep := secrets.token_hex(8))
    switch("on")
    send_to_app(woken := secrets.token_hex(8))
    soon(lambda: woken in proxy.tokens)
    assert asleep not in proxy.tokens
    soon(lambda: here.get(resource)["successful_notifications"] > 0)

    proxy.statuses[failing := secrets.token_hex(8)] = [503] * 9
    send_to_app(failing)
    soon(lambda: rpc.get(resource)["consecutive_failures"] >= 1)
    rpc.refuse(400, "POST", resource, {"action": "perhaps"})
    Rpc(rpc.fleet, rpc.token, "turn1").refuse(409, "POST", resource, {"action": "off"})


def check_message_retention_service(rpc: Rpc) -> None:
    resource = "/admin/services/message_retention"
    assert rpc.post("/admin/settings/message_retention", {"action": "set", "value": "7d"})["is_set"]
    assert rpc.get(resource) == {"status": "disabled"}
    assert rpc.post(resource, {"action": "enable"}) == {"status": "enabled"}
    assert rpc.get("/admin/status")["message_retention"] == {"enabled": True, "days": 7, "retention": "7d"}
    assert rpc.post(resource, {"action": "disable"}) == {"status": "disabled"}
    assert rpc.get("/admin/status")["message_retention"] == {"enabled": False, "days": 7, "retention": "7d"}
    rpc.post("/admin/settings/message_retention", {"action": "reset"})


def check_token_required(rpc: Rpc) -> None:
    resource = "/admin/settings/registration_token_required"
    pages = [f"https://{plan.mail_host}:{plan.ports.https}/new" for plan in concerned_plans(rpc)]
    if rpc.node is None:
        pages.append("/new")

    def ask() -> set[int]:
        return {rpc.fleet.send("POST", page)[0] for page in pages}

    assert rpc.post(resource, {"action": "enable"}) == {"status": "enabled"}
    soon(lambda: ask() == {403})
    assert rpc.post(resource, {"action": "set", "value": False}) == {"status": "disabled"}
    soon(lambda: ask() == {200})
    rpc.refuse(400, "POST", resource, {"action": "set", "value": "perhaps"})


def check_settings(rpc: Rpc) -> None:
    found = rpc.get("/admin/settings")
    for name in SETTING_VALUES.split():
        assert set(found[name]) == SETTING_KEYS, name
        assert isinstance(found[name]["value"], str)
    for name in TOGGLES.split():
        assert found[name] in {"enabled", "disabled"}, name
    for name in [*LOCAL_ONLY.split(), "sasl"]:
        assert found[f"{name}_access"] == "public"
    for name in ("smtp_hostname", "https_port", "http_port", "admin_path", "imap_port", "submission_port"):
        assert found[name]["is_set"] is False, name
    for name in ("https_port", "http_port", "admin_path", "imap_port", "submission_port"):
        assert found[name]["value"] == "", name
    assert found["smtp_hostname"]["value"] == ("" if rpc.node is None else rpc.fleet.plan.mail_host)
    assert found["registration"] in {"open", "closed"}
    assert (found["admin_web_path"]["value"], found["language"]["value"]) == ("/admin", "en")
    assert found["federation_enabled"] is True
    scalars = {
        f"{name}_size_effective{unit}" for name in ("message", "federation") for unit in ("", "_bytes")
    }
    assert scalars | {"shadowsocks_url", "push_mode", "federation_policy"} <= set(found)
    rpc.refuse(405, "POST", "/admin/settings")


def check_message_size(rpc: Rpc) -> None:
    user = make_user(Rpc(rpc.fleet, rpc.token, "mail1"))
    found = rpc.expect(200, "PUT", "/admin/message-size", {"size": "64M"})
    assert (found["size"], found["effective_bytes"], found["max_message_size"]) == ("64M", 64 << 20, "64M")
    soon(lambda: user.read_message_bytes() == 64 << 20)
    assert rpc.expect(200, "DELETE", "/admin/message-size")["reset"] is True
    soon(lambda: user.read_message_bytes() == 30 << 20)
    shown = rpc.get("/admin/message-size")
    assert shown == {
        "effective_bytes": 30 << 20,
        "effective": "30M",
        "max_message_size": None,
        "appendlimit": None,
        "config_bytes": 30 << 20,
        "config": "30M",
    }
    for size in ("63K", "1.1G", "x"):
        assert "invalid value" in rpc.refuse(400, "PUT", "/admin/message-size", {"size": size})


def check_size_setting(name: str) -> Callable[[Rpc], None]:
    def check(rpc: Rpc) -> None:
        resource = f"/admin/settings/{name}"
        assert rpc.post(resource, {"action": "set", "value": "40M"})["value"] == "40M"
        assert rpc.get(resource)["value"] == "40M"
        assert rpc.get("/admin/settings")["message_size_effective_bytes"] == 40 << 20
        assert rpc.post(resource, {"action": "reset"})["is_set"] is False
        assert rpc.get(resource)["value"] == ""

    return check


def check_port(name: str) -> Callable[[Rpc], None]:
    def check(rpc: Rpc) -> None:
        resource, is_turn = f"/admin/settings/{name}_port", name == "turn"
        variable = f"{'turn' if is_turn else 'mail'}node_alternate_ports"
        if is_turn and rpc.node is not None:
            rpc.refuse(409, "POST", resource, {"action": "set", "value": "443"})
            rpc = Rpc(rpc.fleet, rpc.token, "turn1")
        concerned = [rpc.node] if rpc.node else ["turn1"] if is_turn else ["mail1", "mail2"]

        def is_at(moved: int | None) -> bool:
            found = [read_policy(rpc.fleet, f"/nodes/{node}/ports")["ports"] for node in concerned]
            ports = [each for ports in found if isinstance(ports, list) for each in ports]
            return all(
                each["effective"] == (moved or each["configured"]) for each in ports if each["name"] == name
            )

        assert rpc.get(resource)["value"] == ""
        assert variable in rpc.refuse(400, "POST", resource, {"action": "set", "value": 2525})
        assert is_at(None)
        port = rpc.fleet.alternate_port
        assert rpc.post(resource, {"action": "set", "value": port})["value"] == str(port)
        assert (rpc.get(resource)["value"], rpc.get(resource)["is_set"]) == (str(port), True)
        soon(lambda: is_at(port))
        if not is_turn:
            socket.create_connection((rpc.fleet.plan.mail_host, port), 5).close()
        assert rpc.post(resource, {"action": "reset"})["is_set"] is False
        assert rpc.get(resource)["value"] == ""
        soon(lambda: is_at(None))
        for value in (0, 65_536, "x"):
            assert "invalid value" in rpc.refuse(400, "POST", resource, {"action": "set", "value": value})

    return check


def check_retention_setting(rpc: Rpc) -> None:
    resource = "/admin/settings/message_retention"
    rpc.post("/admin/services/message_retention", {"action": "enable"})
    for value in ("14d", "336h"):
        rpc.post(resource, {"action": "set", "value": value})
        assert rpc.get(resource)["value"] == "14d"
    path = "/policy" if rpc.node is None else f"/nodes/{rpc.node}/policy"
    policy = read_policy(rpc.fleet, path)
    in_force = policy if rpc.node is None else policy["in_force"]
    assert isinstance(in_force, dict)
    assert in_force["message_retention_days"] == 14
    for value in ("0d", "90s", "3651d", "x"):
        rpc.refuse(400, "POST", resource, {"action": "set", "value": value})
    rpc.post("/admin/services/message_retention", {"action": "disable"})
    rpc.post(resource, {"action": "reset"})
    assert rpc.get("/admin/settings")["message_retention"]["value"] == "30d"


def check_turn_ttl(rpc: Rpc) -> None:
    resource = "/admin/settings/turn_ttl"
    if rpc.node is not None:
        assert "every node" in rpc.refuse(400, "POST", resource, {"action": "set", "value": 86_400})
        return
    rpc.post(resource, {"action": "set", "value": 172_800})
    assert read_policy(rpc.fleet)["turn_lifetime_seconds"] == 172_800
    for value in (86_399, 2_592_001, -1, "x"):
        rpc.refuse(400, "POST", resource, {"action": "set", "value": value})
    rpc.post(resource, {"action": "reset"})
    assert rpc.get(resource)["value"] == ""


def check_turn_secret(rpc: Rpc) -> None:
    resource, secret = "/admin/settings/turn_secret", secrets.token_hex(16)
    if rpc.node is not None:
        assert "every node" in rpc.refuse(400, "POST", resource, {"action": "set", "value": secret})
        assert rpc.get(resource)["value"] == ""
        return
    user = make_user(Rpc(rpc.fleet, rpc.token, "mail1"))
    for value in ("short", "x" * 15, "x" * 254, "white space is none"):
        rpc.refuse(400, "POST", resource, {"action": "set", "value": value})
    rpc.post(resource, {"action": "set", "value": secret})
    assert rpc.get(resource)["value"] == secret
    viewer = Rpc(rpc.fleet, rpc.fleet.make_token(Role.VIEWER))
    assert viewer.get(resource)["value"] == ""
    assert viewer.get("/admin/overview")["settings"]["turn_secret"]["value"] == ""

    def is_in_use() -> bool:
        turn = user.read_turn()
        assert turn is not None
        _, _, name, password = turn.rsplit(":", 3)
        made = hmac.new(secret.encode(), name.encode(), hashlib.sha1).digest()
        return base64.b64encode(made).decode() == password

    wait_until(is_in_use, 30)
    assert "replaced already" in rpc.refuse(409, "POST", resource, {"action": "reset"})


def read_entry(rpc: Rpc, user: User) -> dict[str, Any]:
    accounts: list[dict[str, Any]] = rpc.get("/admin/accounts")["accounts"]
    (entry,) = [each for each in accounts if each["username"] == user.address]
    return entry


def check_accounts(rpc: Rpc) -> None:
    user = make_user(rpc)
    assert read_entry(rpc, user)["first_login_at"] == 1
    assert user.may_log_in()
    found = rpc.get("/admin/accounts")
    assert found["total"] == len(found["accounts"])
    entry = read_entry(rpc, user)
    assert set(entry) == {
        "username",
        "used_bytes",
        "max_bytes",
        "is_default_quota",
        "created_at",
        "first_login_at",
        "last_login_at",
    }
    assert entry["is_default_quota"] is True
    assert entry["first_login_at"] == (entry["created_at"] if entry["last_login_at"] else 1)
    exported = rpc.expect(200, "PATCH", "/admin/accounts", {"action": "export"})
    assert exported["total"] == found["total"]
    (kept,) = [each for each in exported["users"] if each["username"] == user.address]
    domain = user.address.partition("@")[2]
    users = [
        kept,
        {"username": f"new{secrets.token_hex(4)}@{domain}", "hash": kept["hash"]},
        {"username": "x"},
    ]
    imported = rpc.expect(200, "PATCH", "/admin/accounts", {"action": "import", "users": users})
    assert (imported["imported"], imported["skipped"], len(imported["errors"])) == (1, 2, 1)
    assert User(rpc.fleet, users[1]["username"], user.password).may_log_in()
    assert (
        rpc.refuse(400, "PATCH", "/admin/accounts", {"action": "import", "users": []})
        == "users array is empty"
    )
    gone = rpc.expect(200, "DELETE", "/admin/accounts", {"username": user.address})
    assert set(gone) == {"deleted", "blocked", "reason"}
    assert gone["deleted"] == user.address
    assert not user.may_log_in()
    assert user.address not in json.dumps(rpc.get("/admin/accounts"))
    assert user.address in json.dumps(rpc.get("/admin/blocklist"))
    rpc.refuse(404, "DELETE", "/admin/accounts", {"username": user.address})
    rpc.refuse(400, "DELETE", "/admin/accounts", {})
    rpc.refuse(404, "DELETE", "/admin/accounts", {"username": "someone@elsewhere.example"})
    rpc.refuse(400, "PATCH", "/admin/accounts", {"action": "x"})


def check_blocklist(rpc: Rpc) -> None:
    user = make_user(rpc)
    assert rpc.post("/admin/blocklist", {"username": user.address, "reason": "Spam"}) == {
        "blocked": user.address
    }
    assert not user.may_log_in()
    (entry,) = [each for each in rpc.get("/admin/blocklist")["blocked"] if each["username"] == user.address]
    assert entry["reason"] == "Spam"
    assert datetime.fromisoformat(entry["blocked_at"]) <= datetime.now(UTC)
    assert rpc.expect(200, "DELETE", "/admin/blocklist", {"username": user.address}) == {
        "unblocked": user.address
    }
    assert user.may_log_in()
    rpc.post("/admin/blocklist", {"username": user.address})
    assert rpc.expect(200, "PATCH", "/admin/blocklist", {"action": "delete_all"})["unblocked"] >= 1
    assert rpc.get("/admin/blocklist") == {"blocked": [], "total": 0}


def check_quota(rpc: Rpc) -> None:
    user = make_user(rpc)
    rpc.expect(200, "PUT", "/admin/quota", {"username": user.address, "max_bytes": 5 << 20})
    assert user.read_quota_bytes() == 5 << 20
    assert rpc.get("/admin/quota", {"username": user.address}) == {
        "username": user.address,
        "used_bytes": 0,
        "max_bytes": 5 << 20,
        "is_default": False,
    }
    assert rpc.expect(200, "DELETE", "/admin/quota", {"username": user.address}) == {"reset": user.address}
    rpc.expect(200, "PUT", "/admin/quota", {"max_bytes": 2 << 30})
    soon(lambda: user.read_quota_bytes() == 2 << 30)
    found = rpc.get("/admin/quota")
    assert found["default_quota_bytes"] == 2 << 30
    assert found["accounts_count"] == rpc.get("/admin/accounts")["total"]
    rpc.expect(200, "PUT", "/admin/quota", {"max_bytes": 1 << 30})
    for max_bytes in (0, (1 << 20) - 1, (1 << 50) + 1, "5", None):
        rpc.refuse(400, "PUT", "/admin/quota", {"max_bytes": max_bytes})


def redeem(rpc: Rpc, token: str) -> int:
    """Show a token where it is for: at the control plane, or at the page of the first node."""
    plan = rpc.fleet.plan
    origin = rpc.fleet.url if rpc.node is None else f"https://{plan.mail_host}:{plan.ports.https}"
    return rpc.fleet.client.post(f"{origin}/new", params={"token": token}).status_code


def check_registration_token(rpc: Rpc) -> None:
    resource = "/admin/registration-token"
    made = rpc.post(resource, {"max_uses": 0, "comment": None, "expires_in": "72h"}, status=201)
    assert set(made) == {
        "token",
        "max_uses",
        "used_count",
        "pending_reservations",
        "comment",
        "created_at",
        "expires_at",
        "status",
    }
    assert re.fullmatch(r"[a-z0-9]{24}", made["token"])
    assert (made["max_uses"], made["comment"], made["status"]) == (1, "", "active")
    assert redeem(rpc, made["token"]) == 200
    elsewhere = Rpc(rpc.fleet, rpc.fleet.token, "mail1" if rpc.node is None else None)
    assert made["token"] not in [each["token"] for each in elsewhere.get(resource)["tokens"]]
    elsewhere.refuse(404, "DELETE", resource, {"token": made["token"]})
    (entry,) = [each for each in rpc.get(resource)["tokens"] if each["token"] == made["token"]]
    assert (entry["used_count"], entry["pending_reservations"], entry["status"]) == (1, 0, "exhausted")
    changed = rpc.post(resource, {"token": made["token"], "max_uses": 5, "comment": "Choir"})
    assert (changed["status"], changed["comment"], changed["expires_at"]) == (
        "active",
        "Choir",
        made["expires_at"],
    )
    status, _, page = rpc.fleet.send("GET", f"/inv/{made['token']}")  # what the admin web hands out
    assert (status, made["token"].encode() in page) == (200, True)
    assert rpc.expect(200, "DELETE", resource, {"token": made["token"]}) == {"deleted": made["token"]}
    rpc.refuse(404, "DELETE", resource, {"token": made["token"]})
    for body in (
        {"token": "short"},
        {"expires_in": "soon"},
        {"expires_at": "never"},
        {"max_uses": 1_000_001},
    ):
        rpc.refuse(400, "POST", resource, body)


def check_queue(rpc: Rpc) -> None:
    here = Rpc(rpc.fleet, rpc.token, "mail1")
    bob = make_user(here)

    def purge(action: str, **fields: str) -> int:
        purged = rpc.post("/admin/queue", {"action": action, **fields})
        assert set(purged) == {"action", "message", "deleted"}
        assert purged["action"] == action
        deleted: int = purged["deleted"]
        return deleted

    def fill(count: int) -> None:
        alice = make_user(here)  # another one each time: senders are limited
        for _ in range(count):
            alice.send(bob, f"{secrets.token_hex(8)}@localhost")
        soon(lambda: bob.count_messages() == count)

    purge("purge_all")  # so that what is counted below is what this check has sent
    fill(2)
    assert purge("purge_user", username=bob.address) == 2
    assert bob.count_messages() == 0
    for action in ("purge_all", "purge_blobs"):
        fill(2)
        assert purge(action) == 2
        assert bob.count_messages() == 0
    for action in ("purge_read", "purge_read_blobs"):
        fill(2)
        bob.mark("1", r"\Seen")
        assert purge(action) == 1
        assert bob.count_messages() == 1
        assert purge("purge_user", username=bob.address) == 1
    for action in ("purge_older", "purge_blobs_older"):
        fill(1)
        bob.append(datetime.now(UTC) - timedelta(hours=2))
        assert purge(action, retention="6h") == 0
        assert purge(action, retention="1h") == 1
        assert bob.count_messages() == 1
        assert purge("purge_user", username=bob.address) == 1
        rpc.refuse(400, "POST", "/admin/queue", {"action": action})
    check_purged_queue(rpc, make_user(here), purge)
    rpc.refuse(400, "POST", "/admin/queue", {"action": "purge_everything"})
    rpc.refuse(405, "GET", "/admin/queue")


def check_purged_queue(rpc: Rpc, sender: User, purge: Callable[[str], int]) -> None:
    domain = f"{secrets.token_hex(4)}.example"
    endpoint = {"lookup_key": domain, "target_host": "https://127.0.0.1:1/mxdeliv"}
    rpc.post("/admin/dns", endpoint, status=201)

    def count_waiting() -> int:
        servers = rpc.get("/admin/federation/servers")["servers"]
        return sum(each["queued_messages"] for each in servers if each["domain"] == domain)

    sender.send(User(rpc.fleet, f"bob@{domain}", "x" * 12), f"{secrets.token_hex(8)}@localhost")
    soon(lambda: count_waiting() == 1)
    assert purge("purge_queue") == 1
    assert count_waiting() == 0
    rpc.expect(200, "DELETE", "/admin/dns", {"lookup_key": domain})


def read_federation(rpc: Rpc, which: str = "own") -> dict[str, Any]:
    """Read by the Admin API what the fleet, or the node, says."""
    path = "/federation" if rpc.node is None else f"/nodes/{rpc.node}/federation"
    found = read_policy(rpc.fleet, path)[which]
    assert isinstance(found, dict)
    return found


def check_federation(rpc: Rpc) -> None:
    resource = "/admin/settings/federation"
    assert rpc.get(resource) == {
        "enabled": True,
        "policy": "ACCEPT",
        "max_federation_size": None,
        "federation_size_effective": "30M",
        "federation_size_effective_bytes": 30 << 20,
    }
    changed = rpc.post(resource, {"enabled": False, "policy": "reject"})
    assert (changed["enabled"], changed["policy"]) == (False, "REJECT")
    assert (read_federation(rpc)["is_enabled"], read_federation(rpc)["mode"]) == (False, "reject")
    settings = rpc.get("/admin/settings")
    assert (settings["federation_enabled"], settings["federation_policy"]) == (False, "REJECT")
    rpc.post(resource, {"enabled": True})
    assert rpc.get(resource)["policy"] == "REJECT"
    rpc.post(resource, {"policy": "ACCEPT"})
    for body in ({"enabled": "yes"}, {"policy": "PERHAPS"}, {"policy": 1}):
        rpc.refuse(400, "POST", resource, body)


def check_rules(rpc: Rpc) -> None:
    resource, domain = "/admin/federation/rules", f"{secrets.token_hex(4)}.example"
    made = rpc.post(resource, {"domain": domain.upper()})
    assert made == {"domain": domain, "total": rpc.get(resource)["total"]}
    rpc.post(resource, {"domain": domain})
    (entry,) = [each for each in rpc.get(resource)["rules"] if each["domain"] == domain]
    assert 0 < entry["created_at"] <= datetime.now(UTC).timestamp()
    (rule,) = [each for each in read_federation(rpc)["rules"] if each["domain"] == domain]
    assert rule["transport"] is None
    user = make_user(Rpc(rpc.fleet, rpc.token, "mail1"))
    stranger_there = User(rpc.fleet, f"bob@{domain}", "x" * 12)
    soon(lambda: "not allowed by the policy" in user.find_refusal(stranger_there))
    assert rpc.expect(200, "DELETE", resource, {"domain": domain})["remaining"] == made["total"] - 1
    assert domain not in json.dumps(rpc.get(resource))
    soon(lambda: user.find_refusal(stranger_there) == "")
    rpc.refuse(404, "DELETE", resource, {"domain": domain})
    assert rpc.post(resource, {"domain": "192.0.2.9"})["domain"] == "[192.0.2.9]"
    rpc.expect(200, "DELETE", resource, {"domain": "[192.0.2.9]"})
    for body in ({}, {"domain": "no domain"}, {"domain": 5}, {"domain": f"{'a' * 256}.example"}):
        rpc.refuse(400, "POST", resource, body)


def check_dismissed(rpc: Rpc) -> None:
    resource, domain = "/admin/federation/silent-dismiss", f"{secrets.token_hex(4)}.example"
    assert rpc.post(resource, {"domain": domain}) == {"domain": domain, "total": 1}
    assert rpc.get(resource) == {"domains": [{"domain": domain, "created_at": 0}], "total": 1}
    assert read_federation(rpc)["dismissed"] == [domain]
    assert rpc.expect(200, "DELETE", resource, {"domain": domain}) == {"domain": domain, "remaining": 0}
    rpc.refuse(404, "DELETE", resource, {"domain": domain})
    rpc.refuse(400, "POST", resource, {"domain": "no domain"})


def check_dns(rpc: Rpc) -> None:
    resource, domain = "/admin/dns", f"{secrets.token_hex(4)}.example"
    entry = {"lookup_key": domain, "target_host": "https://192.0.2.7:8443/mxdeliv", "comment": "by hand"}
    assert rpc.post(resource, entry, status=201) == entry
    assert rpc.get(resource) == {"overrides": [entry], "total": 1}
    other = {"lookup_key": domain, "target_host": "192.0.2.8:443"}
    assert rpc.post(resource, other, status=201) == {**other, "comment": ""}
    (endpoint,) = read_federation(rpc)["endpoints"]
    assert (endpoint["domain"], endpoint["target"]) == (domain, "192.0.2.8:443")
    for _ in range(2):
        assert rpc.expect(200, "DELETE", resource, {"lookup_key": domain}) == {"deleted": domain}
    assert rpc.get(resource) == {"overrides": [], "total": 0}
    for body in ({"lookup_key": domain}, {**other, "target_host": "ftp://x"}, {**other, "lookup_key": "-"}):
        rpc.refuse(400, "POST", resource, body)


def check_servers(rpc: Rpc) -> None:
    domain = f"{secrets.token_hex(4)}.example"
    user = make_user(Rpc(rpc.fleet, rpc.token, "mail1"))
    endpoint = {"lookup_key": domain, "target_host": "https://127.0.0.1:1/mxdeliv"}
    rpc.post("/admin/dns", endpoint, status=201)

    def find() -> list[dict[str, Any]]:
        found = rpc.get("/admin/federation/servers")
        assert found["total"] == len(found["servers"])
        return [each for each in found["servers"] if each["domain"] == domain]

    soon(lambda: bool(rpc.get("/admin/dns")["total"]))
    user.send(User(rpc.fleet, f"bob@{domain}", "x" * 12), f"{secrets.token_hex(8)}@localhost")
    soon(lambda: bool(find()) and find()[0]["failed_https"] > 0)
    (server,) = find()
    assert set(server) == {
        "domain",
        *(f"{what}_{how}" for what in ("failed", "success") for how in ("http", "https", "smtp")),
        "queued_messages",
        "inbound_deliveries",
        "successful_deliveries",
        "mean_latency_ms",
        "last_active",
    }
    assert (server["queued_messages"], server["successful_deliveries"]) == (1, 0)
    rpc.post("/admin/queue", {"action": "purge_queue"})
    rpc.expect(200, "DELETE", "/admin/dns", {"lookup_key": domain})


def check_exchangers(rpc: Rpc) -> None:
    resource = "/admin/exchangers"
    entry = {"name": "relay", "url": "https://127.0.0.1:1", "poll_interval": 1}
    if rpc.node is not None:
        assert rpc.get(resource) == {"exchangers": [], "total": 0}
        assert "/api/admin" in rpc.refuse(400, "POST", resource, entry)
        return
    assert rpc.post(resource, entry, status=201) == {"name": "relay"}
    assert rpc.get(resource) == {"exchangers": [{**entry, "enabled": True}], "total": 1}
    assert Rpc(rpc.fleet, rpc.token, "mail1").get(resource)["total"] == 1

    def is_told() -> bool:
        report = read_policy(rpc.fleet, "/nodes/mail1")["report"]
        assert isinstance(report, dict)
        return any("Exchanger relay" in problem for problem in report["problems"])

    wait_until(is_told, 30)  # nobody is there, which its nodes tell
    changed = {"name": "relay", "enabled": False, "poll_interval": 7}
    assert rpc.expect(200, "PUT", resource, changed) == {"updated": "relay"}
    (shown,) = rpc.get(resource)["exchangers"]
    assert (shown["enabled"], shown["poll_interval"]) == (False, 7)
    wait_until(lambda: not is_told(), 30)
    rpc.refuse(409, "POST", resource, entry)
    for body in ({}, {"name": "x"}, {**entry, "name": "X Y"}, {**entry, "name": "y", "url": "ftp://a"}):
        rpc.refuse(400, "POST", resource, body)
    rpc.refuse(400, "PUT", resource, {"name": "relay", "enabled": "perhaps"})
    assert rpc.expect(200, "DELETE", resource, {"name": "relay"}) == {"deleted": "relay"}
    rpc.refuse(404, "DELETE", resource, {"name": "relay"})


def test_what_the_fleet_says_of_other_servers_is_not_a_nodes_to_remove(fleet: WholeFleet) -> None:
    everywhere, here = Rpc(fleet, fleet.token), Rpc(fleet, fleet.token, "mail1")
    everywhere.post("/admin/federation/rules", {"domain": "fleet.example"})

    assert "fleet.example" in json.dumps(here.get("/admin/federation/rules"))
    refusal = here.refuse(404, "DELETE", "/admin/federation/rules", {"domain": "fleet.example"})
    assert "/api/admin" in refusal
    everywhere.expect(200, "DELETE", "/admin/federation/rules", {"domain": "fleet.example"})


def test_turn_node_exchanges_no_mail(fleet: WholeFleet) -> None:
    rpc = Rpc(fleet, fleet.token, "turn1")

    assert rpc.get("/admin/federation/servers") == {"servers": [], "total": 0}
    rpc.refuse(409, "POST", "/admin/federation/rules", {"domain": "example.org"})


CHECKS: dict[str, Callable[[Rpc], None]] = {
    "/admin/status": check_status,
    "/admin/overview": check_overview,
    "/admin/storage": check_storage,
    "/admin/reload": check_reload,
    "/admin/registration": check_registration,
    "/admin/registration/jit": check_jit,
    "/admin/services/turn": check_turn,
    "/admin/services/message_retention": check_message_retention_service,
    "/admin/services/push": check_push,
    "/admin/settings/registration_token_required": check_token_required,
    "/admin/settings": check_settings,
    "/admin/message-size": check_message_size,
    "/admin/settings/appendlimit": check_size_setting("appendlimit"),
    "/admin/settings/max_message_size": check_size_setting("max_message_size"),
    "/admin/settings/message_retention": check_retention_setting,
    "/admin/settings/turn_ttl": check_turn_ttl,
    "/admin/settings/turn_secret": check_turn_secret,
    **{
        f"/admin/settings/{name}_port": check_port(name)
        for name in ("submission", "submission_tls", "imap", "imap_tls", "turn")
    },
    "/admin/accounts": check_accounts,
    "/admin/blocklist": check_blocklist,
    "/admin/quota": check_quota,
    "/admin/registration-token": check_registration_token,
    "/admin/queue": check_queue,
    "/admin/settings/federation": check_federation,
    "/admin/federation/rules": check_rules,
    "/admin/federation/silent-dismiss": check_dismissed,
    "/admin/federation/servers": check_servers,
    "/admin/dns": check_dns,
    "/admin/exchangers": check_exchangers,
}


@pytest.mark.parametrize("node", [None, "mail1"])
@pytest.mark.parametrize("row", BY_STATE["live"], ids=lambda row: row.resource)
def test_what_is_live_works(fleet: WholeFleet, row: Row, node: str | None) -> None:
    CHECKS[row.resource](Rpc(fleet, fleet.token, node))


def test_all_accounts_can_be_removed_at_once(fleet: WholeFleet) -> None:
    rpc = Rpc(fleet, fleet.token, "mail2")
    users = [make_user(rpc) for _ in range(3)]
    rpc.post("/admin/registration/jit", {"action": "disable"})
    soon(lambda: not stranger(fleet, fleet.second.mail_domain).may_log_in())
    total = rpc.get("/admin/accounts")["total"]

    assert rpc.expect(200, "PATCH", "/admin/accounts", {"action": "delete_all"}) == {"deleted": total}

    assert rpc.get("/admin/accounts") == {"accounts": [], "total": 0}
    assert not any(user.may_log_in() for user in users)
    rpc.post("/admin/registration/jit", {"action": "enable"})


def test_unknown_login_is_refused_where_jit_is_closed_and_tokens_are_on(fleet: WholeFleet) -> None:
    rpc = Rpc(fleet, fleet.token, "mail1")
    known = make_user(rpc)
    rpc.post("/admin/registration/jit", {"action": "disable"})
    rpc.post("/admin/settings/registration_token_required", {"action": "enable"})
    soon(lambda: not stranger(fleet, fleet.plan.mail_domain).may_log_in())
    soon(lambda: fleet.send("POST", f"https://{fleet.plan.mail_host}:{fleet.plan.ports.https}/new")[0] == 403)

    unknown = stranger(fleet, fleet.plan.mail_domain)
    assert not unknown.may_log_in()
    assert not unknown.may_submit()
    assert unknown.address not in json.dumps(rpc.get("/admin/accounts"))
    assert known.may_log_in()
    assert known.may_submit()
    assert rpc.get("/admin/registration") == {"status": "open"}
