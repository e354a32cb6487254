"""A wrong exchanger in an inventory gets a sentence that says what is wrong and what to write."""

from pathlib import Path
from typing import Any

import pytest

from mailnode.exchange.domains import read_forwarded, read_kept
from mailnode.exchange.settings import MAX_MESSAGE_BYTES, ExchangeSettings
from support.ansible_filters import load_filters

FILTERS = load_filters()
ROLES = str(Path(__file__).parents[2] / "ansible" / "roles")
OPTIONS = FILTERS["read_role_options"](["exchanger", "tls_certificate", "tls_acme"], ROLES)
DIGEST, OTHER = "0" * 64, "1" * 64
GROUPS: dict[str, list[str]] = {
    "databases": [],
    "controlplanes": [],
    "mail_nodes": [],
    "turn_nodes": [],
    "exchangers": ["relay"],
}
GOOD: dict[str, Any] = {
    "exchanger_public_host": "relay.example.org",
    "exchanger_kept": {"chat.example.org": [DIGEST, OTHER], "[IPv6:2001:db8::21]": ["2" * 64]},
    "exchanger_forwarded": {"far.example.net": "", "[192.0.2.21]": "http://127.0.0.1:19080/mxdeliv"},
}


def find(**changes: object) -> list[str]:
    hosts = {"relay": GOOD | changes}
    return [
        *FILTERS["find_exchanger_problems"](hosts, GROUPS),
        *FILTERS["find_inventory_problems"](hosts, GROUPS, OPTIONS),
    ]


def test_inventory_of_an_exchanger_alone_is_good() -> None:
    assert find() == []
    assert find(exchanger_kept={}) == []
    assert find(exchanger_kept={"a.example": [DIGEST], "b.example": [DIGEST]}) == []
    assert find(exchanger_public_host="2001:db8::61") == []
    assert find(exchanger_message_bytes=MAX_MESSAGE_BYTES, exchanger_domain_bytes=MAX_MESSAGE_BYTES) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exchanger_public_host": ""}, "exchanger_public_host is missing. Write the name"),
        ({"exchanger_public_host": "https://relay.example.org"}, "Write the name or address"),
        ({"exchanger_kept": {}, "exchanger_forwarded": {}}, "It is for no domain. Write one"),
        ({"exchanger_kept": ["chat.example.org"]}, "exchanger_kept is no mapping."),
        ({"exchanger_forwarded": "far.example.net"}, "exchanger_forwarded is no mapping."),
        ({"exchanger_kept": {"chat": [DIGEST]}}, "'chat' is no mail domain."),
        ({"exchanger_forwarded": {"a b.example": ""}}, "'a b.example' is no mail domain."),
        ({"exchanger_kept": {"Far.example.net": [DIGEST]}}, "far.example.net is both in"),
        (
            {"exchanger_kept": {"chat.example.org": []}},
            "without a list of digests. Make one: .venv",
        ),
        ({"exchanger_kept": {"chat.example.org": DIGEST}}, "without a list of digests."),
        ({"exchanger_kept": {"chat.example.org": ["mfx_x"]}}, "a token of chat.example.org itself."),
        ({"exchanger_kept": {"chat.example.org": ["x"]}}, "a digest of chat.example.org that is none."),
        ({"exchanger_forwarded": {"a.example": "192.0.2.7"}}, "Write an address such as https://192.0.2.7"),
        ({"exchanger_forwarded": {"a.example": "https://x/a,b"}}, "Write an address such as"),
        ({"exchanger_message_bytes": MAX_MESSAGE_BYTES + 1}, f"Write {MAX_MESSAGE_BYTES} at most"),
        ({"exchanger_domain_bytes": 1 << 20}, "become smaller."),
        ({"exchanger_kpet": {}}, "Did you mean exchanger_kept?"),
        ({"tls_certificate_mode": "file"}, "tls_certificate_chain_file is missing."),
        ({"tls_certificate_mode": "acme", "exchanger_http_port": 0}, "exchanger_http_port is 0"),
        (
            {"tls_certificate_mode": "acme", "exchanger_public_host": "relay.internal"},
            "Let's Encrypt cannot look at relay.internal",
        ),
    ],
)
def test_wrong_exchanger_is_told_what_to_write(changes: dict[str, object], words: str) -> None:
    problems = find(**changes)

    assert problems[0].startswith("relay: ")
    assert words in problems[0]


def test_filters_write_what_the_daemon_reads() -> None:
    kept = ",".join(FILTERS["list_kept_domains"](GOOD["exchanger_kept"]))
    forwarded = ",".join(FILTERS["list_forwarded_domains"](GOOD["exchanger_forwarded"]))

    assert read_kept(kept) == {domain: tuple(digests) for domain, digests in GOOD["exchanger_kept"].items()}
    assert read_forwarded(forwarded) == {
        "far.example.net": "https://far.example.net/mxdeliv",
        "[192.0.2.21]": "http://127.0.0.1:19080/mxdeliv",
    }


def test_defaults_of_the_role_are_those_of_the_daemon() -> None:
    options = OPTIONS["exchanger"]
    for name in (
        "message_bytes",
        "domain_bytes",
        "total_bytes",
        "keep_hours",
        "forward_hours",
        "messages_per_minute",
    ):
        assert options[f"exchanger_{name}"]["default"] == ExchangeSettings.model_fields[name].default
