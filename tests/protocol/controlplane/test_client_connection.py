"""How the command finds the control plane, and what it says when it cannot."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controlplane.cli.host_target import HOST_ADMIN, TOKEN_FILE
from controlplane.client.target import find_login_file
from lab_authority import make_certificates
from nodelink.contract.keys import PrivateKey
from self_signed import make_certificate
from support.client_site import ClientSite, Ended, call, open_client_site
from support.controlplane_process import Installation, install

NOT_THERE = "https://control.example.invalid"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ClientSite]:
    with open_client_site(tmp_path) as site:
        yield site


def refuse(ended: Ended, code: int) -> str:
    """See that a command was refused with one sentence; return it."""
    assert (ended.code, ended.output) == (code, "")
    assert ended.error.count("\n") == 1
    return ended.error


@contextmanager
def answer_always(content: bytes) -> Iterator[str]:
    """Serve one answer over and over, whatever is asked for."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(content)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def write_answer(status: str, body: bytes, media_type: str = "application/json") -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {len(body)}\r\n"
    return f"{head}connection: close\r\n\r\n".encode() + body


def test_login_is_kept_for_later_commands_and_forgotten(site: ClientSite) -> None:
    home = site.bare_environment
    signed_in = call("login", site.url, environment=home, typed=f"{site.token}\n")
    assert signed_in.code == 0, signed_in
    assert "as alice, owner of the fleet" in signed_in.output
    assert site.token not in signed_in.output
    file = site.home / ".config" / "madfleet" / "login.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700

    assert json.loads(call("whoami", "--json", environment=home).output)["name"] == "alice"
    assert json.loads(call("logout", "--json", environment=home).output)["removed"] is True
    assert "Nobody" in call("logout", environment=home).output
    assert "madfleet login URL" in refuse(call("status", environment=home), 2)


def test_login_takes_the_token_of_the_environment_and_the_usual_place(site: ClientSite) -> None:
    environment = site.bare_environment | {
        "MADFLEET_TOKEN": site.token,
        "XDG_CONFIG_HOME": str(site.home / "configuration"),
    }
    signed_in = json.loads(call("login", site.url, "--json", environment=environment).output)
    assert signed_in["file"] == str(site.home / "configuration" / "madfleet" / "login.json")


def test_refused_login_keeps_nothing(site: ClientSite) -> None:
    ended = call("login", site.url, environment=site.bare_environment, typed="wrong\n")

    assert "madfleet admin-token" in refuse(ended, 1)
    assert not (site.home / ".config").exists()


def test_token_of_one_control_plane_is_not_shown_to_another(site: ClientSite) -> None:
    call("login", site.url, environment=site.bare_environment, typed=site.token)

    ended = call("--url", NOT_THERE, "status", environment=site.bare_environment)

    assert "No token is known" in refuse(ended, 2)


@pytest.mark.parametrize(
    ("content", "mode", "remedy"),
    [
        ("{}", 0o600, "login"),
        ("[]", 0o600, "login"),
        ("{", 0o600, "login"),
        ('{"url": "ftp://x", "token": "t", "ca_file": null}', 0o600, "login"),
        ('{"url": "https://x", "token": "t", "ca_file": 5}', 0o600, "login"),
        ('{"url": "https://x", "token": "t", "ca_file": null}', 0o644, "chmod 600"),
    ],
)
def test_bad_login_file_is_refused(tmp_path: Path, content: str, mode: int, remedy: str) -> None:
    file = tmp_path / "madfleet" / "login.json"
    file.parent.mkdir()
    file.write_text(content)
    file.chmod(mode)
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}

    assert remedy in refuse(call("status", environment=environment), 2)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("control.example.org", "https://control.example.org"),
        ("ftp://control.example.org", "https://"),
        ("http://control.example.org", "https://control.example.org"),
        ("https://", "https://"),
        ("https://alice@control.example.org", "no user"),
        ("https://control.example.org/?a=1", "no `?`"),
        ("https://control.example.org:99999", "https://"),
        ("https://[::1", "https://"),
        ("https://a b", "https://"),
    ],
)
def test_bad_address_is_refused(site: ClientSite, url: str, remedy: str) -> None:
    assert remedy in refuse(site.call("--url", url, "status"), 2)


@pytest.mark.parametrize("token", ["", "two words", "ä", "t" * 513])
def test_what_cannot_be_a_token_is_refused(site: ClientSite, token: str) -> None:
    assert "admin-token" in refuse(site.call("--token", token, "status"), 2)


def test_wrong_token_is_refused_with_the_way_to_another(site: ClientSite) -> None:
    wrong = "madfleet-admin-00000000-" + "x" * 43

    assert "madfleet admin-token" in refuse(site.call("--token", wrong, "status"), 1)


def test_address_that_nobody_answers_is_told(site: ClientSite) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    assert "refused" in refuse(site.call("--url", f"http://127.0.0.1:{port}", "status"), 1)
    assert NOT_THERE in refuse(site.call("--url", NOT_THERE, "status"), 1)


@pytest.mark.parametrize(
    "content",
    [
        write_answer("200 OK", b"<html>", "text/html"),
        write_answer("200 OK", b"[" * 100_000),
        write_answer("200 OK", b'{"items": 5}'),
        write_answer("404 Not Found", b"<html>", "text/html"),
        write_answer("404 Not Found", b'{"type": "about:blank", "title": "Not Found", "status": 404}'),
        write_answer("502 Bad Gateway", b"{}"),
        write_answer("301 Moved Permanently", b""),
    ],
)
def test_what_is_no_admin_api_is_told_from_one(site: ClientSite, content: bytes) -> None:
    with answer_always(content) as url:
        assert "address" in refuse(site.call("--url", url, "groups"), 1)


@pytest.mark.parametrize("content", [b"", b"SSH-2.0-x\r\n", write_answer("200 OK", b"{}")[:-1]])
def test_broken_answer_is_told(site: ClientSite, content: bytes) -> None:
    with answer_always(content) as url:
        assert "broke" in refuse(site.call("--url", url, "groups"), 1)


def test_sentence_of_a_server_cannot_steer_the_terminal(site: ClientSite) -> None:
    body = json.dumps({"type": "/problems/x", "title": "\x1b[2J", "errors": [5, {"field": "body.a"}]})
    with answer_always(write_answer("422 Unprocessable Content", body.encode())) as url:
        assert "\x1b" not in refuse(site.call("--url", url, "groups"), 1)


def test_wrong_certificate_is_told_and_the_right_one_trusted(tmp_path: Path) -> None:
    installation = install(tmp_path)
    other, _ = make_certificate(tmp_path, "127.0.0.1", label="other")
    token = json.loads(run_on_host(installation, "admin-token", "--json").output)["token"]
    home = {"HOME": str(tmp_path), "MADFLEET_TOKEN": token}

    with installation.start(tmp_path / "log"):
        untrusted = call("--url", installation.url, "status", environment=home)
        wrong = call("--url", installation.url, "--ca", str(other), "status", environment=home)
        plain = call("--url", installation.url.replace("https", "http"), "status", environment=home)
        right = call(
            "--ca", str(installation.directory / "tls.crt"), "login", installation.url, environment=home
        )
        later = call("whoami", environment={"HOME": str(tmp_path)})

    assert "--ca" in refuse(untrusted, 1)
    assert "--ca" in refuse(wrong, 1)
    assert "broke" in refuse(plain, 1)
    assert right.code == 0, right
    assert later.code == 0, later
    assert "PEM" in refuse(
        call("--url", installation.url, "--ca", str(tmp_path / "log"), "status", environment=home), 2
    )


def run_on_host(installation: Installation, *arguments: str) -> Ended:
    return call("--settings", str(installation.settings), *arguments, environment={"HOME": "/nonexistent"})


def test_host_of_the_control_plane_needs_no_login(tmp_path: Path) -> None:
    installation = install(tmp_path)
    key = PrivateKey.generate().public.x
    run_on_host(installation, "enrol", "mail1", "--kind", "mail", "--public-key", key)

    with installation.start(tmp_path / "log"):
        first = json.loads(run_on_host(installation, "nodes", "--json").output)
        file = tmp_path / "state" / TOKEN_FILE
        kept = file.read_text()
        run_on_host(installation, "retire", "mail1")
        tokens = json.loads(run_on_host(installation, "admin-tokens", "--json").output)
        run_on_host(installation, "admin-tokens", "revoke", tokens[0]["id"])
        after = run_on_host(installation, "nodes", "--json")

    assert [node["name"] for node in first] == ["mail1"]
    assert [(token["name"], token["role"]) for token in tokens] == [(HOST_ADMIN, "owner")]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(after.output) == []
    assert file.read_text() != kept


def test_host_knows_its_certificate_whoever_has_signed_it(tmp_path: Path) -> None:
    installation = install(tmp_path, tls_pinned="false")
    make_certificates(tmp_path / "authority", ["control.example.org", "other.example.org"])
    for ending, target in (("chain", "tls.crt"), ("key", "tls.key")):
        shutil.copy(tmp_path / "authority" / f"control.example.org.{ending}.pem", tmp_path / target)

    with installation.start(tmp_path / "log"):
        right = run_on_host(installation, "groups", "--json")
        shutil.copy(tmp_path / "authority" / "other.example.org.chain.pem", tmp_path / "tls.crt")
        wrong = run_on_host(installation, "groups", "--json")

    assert (right.code, right.output) == (0, "[]\n")
    assert "not trusted" in refuse(wrong, 1)


def test_token_of_the_settings_is_used_where_it_has_the_name_of_the_host(tmp_path: Path) -> None:
    installation = install(tmp_path, admin_token="x" * 32, admin_token_name=HOST_ADMIN)

    with installation.start(tmp_path / "log"):
        shown = json.loads(run_on_host(installation, "whoami", "--json").output)

    assert (shown["name"], shown["role"]) == (HOST_ADMIN, "owner")
    assert not (tmp_path / "state" / TOKEN_FILE).exists()


def test_command_waits_for_a_control_plane_that_is_just_starting(tmp_path: Path) -> None:
    installation = install(tmp_path)
    command = [sys.executable, "-m", "controlplane.cli.main", "--settings", str(installation.settings)]

    with (
        subprocess.Popen([*command, "nodes", "--json"], stdout=subprocess.PIPE, text=True) as early,
        installation.start(tmp_path / "log"),
    ):
        output, _ = early.communicate(timeout=30)

    assert json.loads(output) == []


def test_client_needs_nothing_of_the_server(site: ClientSite) -> None:
    """Whatever comes with the server only cannot be imported here, as if it were not installed."""
    program = """
import sys
from importlib.machinery import PathFinder
ABSENT = {"sqlmodel", "sqlalchemy", "alembic", "fastapi", "starlette", "uvicorn", "pydantic_settings",
          "cryptography", "structlog", "websockets", "jinja2", "nodelink", "prometheus_client", "psycopg"}
ours = [finder for finder in sys.meta_path if finder is not PathFinder and "ditable" not in repr(finder)]
class Absent(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in ABSENT else PathFinder.find_spec(name, path, target)
sys.meta_path = [*ours, Absent]
from controlplane.cli.main import main
main()
"""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    environment = site.environment | {"PYTHONPATH": path}
    command = [sys.executable, "-c", program]

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, timeout=15, check=False
        )

    status, host = run("status", "--json"), run("backup", "x")
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["fleet"] == "madfleet"
    assert (host.returncode, "backup" in host.stderr) == (2, True)


def test_login_file_is_in_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))

    assert find_login_file() == tmp_path / ".config" / "madfleet" / "login.json"
