"""What an operator may set, and what is refused with a sentence."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from turnnode.listening import list_relay_addresses
from turnnode.relay.sockets import RelayAddress
from turnnode.settings import TurnNodeSettings


def settings(directory: Path, **changes: object) -> TurnNodeSettings:
    fields: dict[str, object] = {
        "state_directory": directory,
        "listen_addresses": "192.0.2.1",
        "public_name": "turn.example.org",
    }
    return TurnNodeSettings(**(fields | changes))  # type: ignore[arg-type] # as text, like the environment


def test_lists_of_ports_are_read(tmp_path: Path) -> None:
    read = settings(
        tmp_path, other_udp_ports="443, 53", tls_ports="5349,443", tls_certificate="c", tls_key="k"
    )

    assert (read.other_udp_ports, read.tls_ports) == ((443, 53), (5349, 443))


def test_relay_addresses_behind_a_nat_are_published_as_others(tmp_path: Path) -> None:
    read = settings(
        tmp_path,
        relay_addresses="10.0.0.1,fd00::1",
        published_addresses="198.51.100.1,2001:db8::1",
    )

    assert list_relay_addresses(read) == [
        RelayAddress("10.0.0.1", "198.51.100.1"),
        RelayAddress("fd00::1", "2001:db8::1"),
    ]
    assert list_relay_addresses(settings(tmp_path)) == [RelayAddress("192.0.2.1", "192.0.2.1")]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tls_ports": "443"}, "tls_ports needs tls_certificate and tls_key"),
        ({"announced_port": 443}, "announced_port is neither port nor one of other_udp_ports"),
        ({"other_udp_ports": "3478"}, "named twice"),
        ({"tcp_port": 443, "tls_ports": "443", "tls_certificate": "c", "tls_key": "k"}, "named twice"),
        ({"published_addresses": "198.51.100.1,198.51.100.2"}, "one address for each"),
        ({"published_addresses": "2001:db8::1"}, "another family"),
        ({"other_udp_ports": "0"}, "greater than or equal to 1"),
        ({"other_udp_ports": "65536"}, "less than or equal to 65535"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(tmp_path, **changes)


def test_port_beside_the_usual_one_can_be_announced(tmp_path: Path) -> None:
    assert settings(tmp_path, other_udp_ports="443", announced_port=443).announced_port == 443
