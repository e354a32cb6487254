"""Port 80 of a mail node, which is there only where it is asked for."""

import http.client
import socket
from pathlib import Path

from support.mailnode_process import HOST, running_node


def find_port() -> int:
    with socket.create_server((HOST, 0)) as free:
        port: int = free.getsockname()[1]
        return port


def test_challenges_are_served_and_all_else_leads_to_https(tmp_path: Path) -> None:
    (tmp_path / "a-token").write_text("content")
    port = find_port()
    with running_node(tmp_path, HTTP_PORT=port, ACME_CHALLENGE_DIRECTORY=tmp_path) as node:
        client = http.client.HTTPConnection(HOST, port, timeout=5)
        client.request("GET", "/.well-known/acme-challenge/a-token")
        challenge = client.getresponse().read()
        client.request("POST", "/new?a=b", headers={"Host": "other.example.org"})
        answer = client.getresponse()
        client.close()

    assert challenge == b"content"
    assert (answer.status, answer.headers["Location"]) == (
        301,
        f"https://{HOST}:{node.ports['HTTPS_PORT']}/new?a=b",
    )
