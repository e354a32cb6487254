"""The program that obtains certificates: what it asks for, how it explains, and what it puts in place."""

import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

PROGRAM = Path(__file__).parents[2] / "ansible/roles/tls_acme/files/madfleet_certificate.py"
REFUSAL = """Some challenges have failed.
Certbot failed to authenticate some domains. The Certificate Authority reported these problems:
  Identifier: chat.example.org
  Type:   {kind}
  Detail: {detail}

Hint: The Certificate Authority failed to download the temporary challenge files created by Certbot.
"""
UNEXPECTED = (
    "Saving debug log\nAn unexpected error occurred:\n{line}\nAsk for help or search for solutions.\n"
)
# Stands in for certbot: it keeps a chain and a key as certbot does, or fails as a file beside it says.
CERTBOT = """#!/bin/sh
cd "$(dirname "$0")"
echo "$@" >arguments
echo "$REQUESTS_CA_BUNDLE" >bundle
[ ! -e failure ] || { cat failure; exit 1; }
mkdir -p state/live/fleet
echo "${1}chain$(cat generation)" >state/live/fleet/fullchain.pem
echo "${1}key$(cat generation)" >state/live/fleet/privkey.pem
"""


def load_program() -> ModuleType:
    spec = spec_from_file_location("madfleet_certificate", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


program = load_program()
SETTINGS = program.Settings(
    names=["chat.example.org"],
    directory_url="https://acme.example.org/dir",
    authorities_file="/etc/ssl/certs/ca-certificates.crt",
    email="",
    profile="",
    is_profile_required=False,
    certbot="certbot",
    account_directory="/state",
    webroot="/webroot",
    target_directory="/target",
    problem_file="/problem",
)


class Host:
    """A directory with everything that the program uses."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.target = directory / "target"
        self.target.mkdir()
        self.problem = directory / "problem"
        self.settings = directory / "acme.json"
        certbot = directory / "certbot"
        certbot.write_text(CERTBOT)
        certbot.chmod(0o755)
        self.write("generation", "1")
        settings = {
            "names": ["chat.example.org", "192.0.2.21"],
            "directory_url": "https://acme.example.org/dir",
            "authorities_file": "/ca.pem",
            "email": "",
            "profile": "",
            "is_profile_required": False,
            "certbot": str(certbot),
            "account_directory": str(directory / "state"),
            "webroot": str(directory / "webroot"),
            "target_directory": str(self.target),
            "problem_file": str(self.problem),
        }
        self.settings.write_text(json.dumps(settings))

    def write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)

    def read(self, name: str) -> str:
        return (self.directory / name).read_text().strip()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(PROGRAM), "--settings", str(self.settings), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_names_and_addresses_are_asked_for_each_in_its_way() -> None:
    names = ["chat.example.org", "192.0.2.21", "2001:DB8::21"]

    command = program.build_command(replace(SETTINGS, names=names), is_forced=False)

    assert command[-6:] == ["--domain", names[0], "--ip-address", names[1], "--ip-address", "2001:db8::21"]
    assert "--keep-until-expiring" in command
    assert "--register-unsafely-without-email" in command
    assert not [word for word in command if "profile" in word or word == "--force-renewal"]


@pytest.mark.parametrize(
    ("is_required", "word"), [(False, "--preferred-profile"), (True, "--required-profile")]
)
def test_profile_is_asked_for_or_insisted_on(is_required: bool, word: str) -> None:
    settings = replace(SETTINGS, profile="shortlived", is_profile_required=is_required)

    command = program.build_command(settings, is_forced=False)

    assert command[command.index(word) + 1] == "shortlived"


def test_email_and_a_renewal_by_force_are_passed_on() -> None:
    command = program.build_command(replace(SETTINGS, email="admin@example.org"), is_forced=True)

    assert command[command.index("--email") + 1] == "admin@example.org"
    assert "--force-renewal" in command
    assert "--keep-until-expiring" not in command


@pytest.mark.parametrize(
    ("kind", "detail", "sentence"),
    [
        ("connection", "192.0.2.21: Timeout during connect", "could not reach port 80 of chat.example.org"),
        ("dns", "NXDOMAIN looking up A for chat.example.org", "finds no address of chat.example.org"),
        ("dns", "SERVFAIL looking up A for chat.example.org", "finds no address of chat.example.org"),
        ("connection", 'Get "http://…": could not resolve URL', "finds no address of chat.example.org"),
        ("unauthorized", "192.0.2.99: Invalid response: 404", "Another host answers at port 80"),
        ("caa", "CAA record for chat.example.org prevents issuance", "A CAA record forbids"),
        ("rejectedIdentifier", "forbidden by policy.", "refuses chat.example.org: forbidden by policy."),
    ],
)
def test_refusal_of_the_authority_is_told_with_its_likely_cause(
    kind: str, detail: str, sentence: str
) -> None:
    told = program.explain(REFUSAL.format(kind=kind, detail=detail), SETTINGS)

    assert sentence in told
    assert told.endswith(".")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='acme.example.org')",
            "cannot be reached",
        ),
        (
            "requests.exceptions.ReadTimeout: HTTPSConnectionPool(host='acme.example.org')",
            "cannot be reached",
        ),
        (
            "requests.exceptions.SSLError: SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] …')",
            "Name its CA in tls_acme_ca_file",
        ),
        ("too many failed authorizations (5) for chat.example.org.", "too many failed authorizations (5)"),
    ],
)
def test_what_certbot_did_not_expect_is_told_in_a_sentence(line: str, sentence: str) -> None:
    told = program.explain(UNEXPECTED.format(line=line), SETTINGS)

    assert sentence in told
    assert told.endswith(".")
    assert not told.endswith("..")


@given(kind=st.text(max_size=40), detail=st.text(max_size=2000))
def test_whatever_the_authority_says_is_told_in_one_line(kind: str, detail: str) -> None:
    told = program.explain(REFUSAL.format(kind=kind, detail=detail), SETTINGS)

    assert told.endswith(".")
    assert len(told.splitlines()) == 1
    assert len(told) < 500


@given(st.text(max_size=2000))
def test_whatever_certbot_says_is_told_in_one_line(output: str) -> None:
    told = program.explain(output, SETTINGS)

    assert told.endswith(".")
    assert len(told.splitlines()) == 1
    assert len(told) < 500


def test_certificate_is_put_in_place_and_its_key_is_for_the_group_only(host: Host) -> None:
    ended = host.run()

    assert (ended.returncode, ended.stderr) == (0, "")
    assert host.read("target/certificate.pem").endswith("chain1")
    assert host.read("target/key.pem").endswith("key1")
    assert (host.target / "key.pem").stat().st_mode & 0o777 == 0o640
    assert (host.target / "certificate.pem").stat().st_mode & 0o777 == 0o644
    assert host.read("bundle") == "/ca.pem"
    assert sorted(file.name for file in host.target.iterdir()) == ["certificate.pem", "key.pem"]


def test_same_certificate_is_not_written_again(host: Host) -> None:
    host.run()
    before = (host.target / "certificate.pem").stat()

    ended = host.run()

    after = (host.target / "certificate.pem").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert "Another certificate" not in ended.stdout


def test_renewed_certificate_takes_the_place_of_the_old_one_as_a_new_file(host: Host) -> None:
    host.run()
    with (host.target / "key.pem").open() as opened:
        host.write("generation", "2")
        ended = host.run("--force-renewal")

        assert opened.read().endswith("key1\n")  # who reads the old file goes on reading a whole one
    assert host.read("target/key.pem").endswith("key2")
    assert "Another certificate for chat.example.org, 192.0.2.21 is in place." in ended.stdout
    assert "--force-renewal" in host.read("arguments")


def test_failure_leaves_what_is_there_and_is_told_until_it_is_over(host: Host) -> None:
    host.run()
    host.write("failure", REFUSAL.format(kind="connection", detail="refused"))
    host.write("generation", "2")

    ended = host.run()

    assert ended.returncode == 1
    assert ended.stderr.startswith("The authority could not reach port 80 of chat.example.org.")
    assert ended.stderr.count("\n") == 1
    assert host.problem.read_text() == ended.stderr
    assert host.read("target/key.pem").endswith("key1")

    (host.directory / "failure").unlink()
    assert host.run().returncode == 0
    assert not host.problem.exists()
    assert host.read("target/key.pem").endswith("key2")
