"""The log tells what happened, and no secret that was at hand when it did."""

import json
import logging
import subprocess
import sys

import pytest

PROGRAM = """
import logging, sys, structlog
from nodelink.daemon.log import set_up_log
from nodelink.daemon.settings import LogLevel

set_up_log(LogLevel.INFO)
log = logging.getLogger("library") if sys.argv[1] == "library" else structlog.get_logger()

def log_in(password):
    raise ValueError("no such account")

try:
    log_in("hunter2")
except ValueError:
    log.exception("login failed")
"""


@pytest.mark.parametrize("source", ["ours", "library"])
def test_traceback_is_one_line_of_json_without_local_variables(source: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, source], capture_output=True, text=True, check=True
    )
    (line,) = ended.stdout.splitlines()
    entry = json.loads(line)

    assert (entry["event"], entry["level"]) == ("login failed", logging.getLevelName(logging.ERROR).lower())
    assert "no such account" in line
    assert "log_in" in line
    assert "hunter2" not in line


REQUEST = """
import httpx
from nodelink.daemon.log import set_up_log
from nodelink.daemon.settings import LogLevel

set_up_log(LogLevel.INFO)
with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))) as client:
    client.post("https://192.0.2.7/mxdeliv")
    client.post("https://hooks.example.org/secret")
"""


def test_requests_of_ours_are_not_in_the_log() -> None:
    ended = subprocess.run([sys.executable, "-c", REQUEST], capture_output=True, text=True, check=True)

    assert ended.stdout == ended.stderr == ""
