"""`make up` as a newcomer runs it: no root is needed, and what it prints works."""

import json
import re
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.clocks import wait_until

pytestmark = pytest.mark.lab

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, float, Path]]:
    """What `make up` prints, the seconds that it takes, and where the fleet keeps its data."""
    directory = tmp_path_factory.mktemp("up")
    command = ["make", "--no-print-directory", f"DIRECTORY={directory}"]
    began_at = time.monotonic()
    up = subprocess.run([*command, "up"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=150)
    seconds = time.monotonic() - began_at
    assert up.returncode == 0, up.stdout + up.stderr
    yield up.stdout, seconds, directory
    down = subprocess.run(
        [*command, "down"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert down.returncode == 0, down.stdout + down.stderr
    assert not (directory / "pid").exists()


def ask(url: str, token: str | None = None) -> bytes:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    context = ssl._create_unverified_context()  # noqa: S323, SLF001 - the fleet made its certificate itself
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), context=context) as answer:  # noqa: S310 - its own address
        return bytes(answer.read())


def test_fleet_is_ready_within_a_minute(
    printed: tuple[str, float, Path], show: Callable[[str], None]
) -> None:
    show(f"make up: ready after {printed[1]:.1f} s")

    assert printed[1] <= READY_SECONDS


def test_page_is_served_where_it_says(printed: tuple[str, float, Path]) -> None:
    found = re.search(r"Pages of the mail node: +(\S+)", printed[0])
    assert found is not None

    assert b"<html" in ask(found[1])


def test_admin_token_opens_the_api(printed: tuple[str, float, Path]) -> None:
    url = re.search(r"Control plane: +(\S+)/", printed[0])
    token = re.search(r"Token: +(\S+)", printed[0])
    assert url is not None
    assert token is not None

    nodes = json.loads(ask(f"{url[1]}/api/v1/nodes", token[1]))
    assert "mail1" in json.dumps(nodes)


def test_login_link_names_hosts_and_ports_of_a_fresh_account(printed: tuple[str, float, Path]) -> None:
    link = re.search(r"dclogin:(\S+)", printed[0])
    assert link is not None

    assert "ih=127.0.0.1&ip=8993&is=ssl&sh=127.0.0.1&sp=8465&ss=ssl&ic=3" in link[1]


def test_fleet_that_runs_is_not_started_twice(printed: tuple[str, float, Path]) -> None:
    again = subprocess.run(
        ["make", "--no-print-directory", f"DIRECTORY={printed[2]}", "up"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert again.returncode != 0
    assert "make down" in again.stderr


def test_folder_of_a_fleet_with_another_address_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("192.0.2.7")
    command = ["make", "--no-print-directory", f"DIRECTORY={tmp_path}", "up"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert refused.returncode != 0
    assert "ADDRESS=192.0.2.7" in refused.stderr


@pytest.mark.parametrize("address", ["banana", "192.0.2.300"])
def test_address_that_is_none_is_named_with_an_example(tmp_path: Path, address: str) -> None:
    command = ["make", "--no-print-directory", f"DIRECTORY={tmp_path}", f"ADDRESS={address}", "up"]
    refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert refused.returncode != 0
    assert f"{address} is no IP address" in refused.stderr


def test_programs_run_as_whoever_started_them(printed: tuple[str, float, Path]) -> None:
    log = printed[2] / "log"
    wait_until(lambda: log.read_text().count("daemon ready") >= 2)

    assert "Traceback" not in log.read_text()
