"""Every signature in dkimpy's own tests and in their data, with the keys of those, is judged by ours alike.

Both are in its source distribution alone, which is fetched here, as it is locked. Nothing of it is kept.
"""

import asyncio
import re
import subprocess
import sys
import tarfile
import unittest
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dkim
import pytest

from mailnode.dkim.errors import DkimError
from mailnode.dkim.public_key import MIN_RSA_BITS
from mailnode.dkim.verification import verify
from support.dkim_mails import now

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

LOCKED = Path(__file__).parents[2] / "requirements/dev.txt"
DOWNLOAD_SECONDS = 90
SUITES = ("test_dkim", "test_dkim_ed25519", "test_dkim_rsavariants", "test_dkim_tlsrpt")
MESSAGES = ("*.msg", "*.message*", "*.mbox")
REFUSALS = (dkim.DKIMException, ValueError, IndexError, KeyError, AssertionError)

AskNames = Callable[..., bytes | str | None]
"""How dkimpy's tests answer for the DNS; some fail on a name that they do not expect."""


@dataclass(frozen=True)
class Vector:
    """A mail with one signature, as dkimpy reads it, how weak a key it was to allow, and whether it holds."""

    mail: bytes
    domain: str
    ask_names: AskNames
    least_bits: int
    holds: bool

    async def look_up(self, name: str) -> list[bytes]:
        try:
            record = self.ask_names(f"{name}.".encode(), timeout=5)
        except AssertionError:
            return []
        return [record.encode() if isinstance(record, str) else record] if record else []

    async def judge(self) -> str:
        """Verify as we do; return why not, or nothing."""
        try:
            await verify(self.mail, self.domain, self.look_up, now())
        except DkimError as error:
            return str(error)
        return ""


STRICTER: Mapping[str, Callable[[Vector], bool]] = {
    "a part of the body is signed only": lambda vector: re.search(rb"[ ;]l=\d", vector.mail) is not None,
    "the key is too weak, too large, or of another kind": lambda vector: vector.least_bits < MIN_RSA_BITS,
}
"""Why we may refuse what dkimpy takes, and what such a vector must have."""


def observe(vectors: list[Vector]) -> Callable[..., bool]:
    """Make dkimpy's verification one that is noted, reports on TLS excepted: these are no mail to us."""
    ask: Callable[..., bool] = dkim.DKIM.verify

    def verify_noted(judge: dkim.DKIM, idx: int = 0, dnsfunc: AskNames = dkim.get_txt) -> bool:
        holds = False
        try:
            holds = ask(judge, idx, dnsfunc)
        finally:
            if not judge.tlsrpt:
                domain = (judge.domain or b"").decode("latin-1").lower()
                vectors.append(Vector(write_mail(judge, idx), domain, dnsfunc, judge.minkey, holds))
        return holds

    return verify_noted


def write_mail(judge: dkim.DKIM, index: int) -> bytes:
    """Write a mail with one of its signatures, if it has any."""
    signatures = [each for each in judge.headers if each[0].lower() == b"dkim-signature"]
    others = signatures[:index] + signatures[index + 1 :]
    fields = [each for each in judge.headers if not any(each is other for other in others)]
    return b"".join(name + b":" + value for name, value in fields) + b"\r\n" + bytes(judge.body)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Fetch the source distribution of dkimpy; return its package."""
    requirement = re.search(r"(?m)^dkimpy==\S+ \\\n(?: +--hash=\S+(?: \\)?\n)+", LOCKED.read_text())
    assert requirement is not None
    (tmp_path / "wanted.txt").write_text(requirement[0])
    options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--require-hashes", "-r", "wanted.txt"]
    download = [sys.executable, "-m", "pip", "download", *options]
    subprocess.run(download, check=True, cwd=tmp_path, timeout=DOWNLOAD_SECONDS)
    (archive,) = tmp_path.glob("dkimpy-*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    (package,) = tmp_path.glob("dkimpy-*/dkim")
    return package


def run_suites(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run dkimpy's tests with the dkimpy that is installed."""
    monkeypatch.setattr(dkim, "__path__", [*dkim.__path__, str(source)])
    suite = unittest.defaultTestLoader.loadTestsFromNames([f"dkim.tests.{name}" for name in SUITES])
    result = unittest.TestResult()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        suite.run(result)
    assert result.testsRun
    assert result.wasSuccessful(), [*result.errors, *result.failures]


def verify_data(source: Path, servers: list[AskNames]) -> None:
    """Have dkimpy verify each signature of its data, with the names of each of its tests."""
    for file in sorted(file for kind in MESSAGES for file in source.glob(f"tests/data/{kind}")):
        judge = dkim.DKIM(file.read_bytes())
        for index in range(sum(name.lower() == b"dkim-signature" for name, _ in judge.headers)):
            for ask_names in servers:
                with suppress(*REFUSALS):
                    judge.verify(index, ask_names)


def test_all_signatures_of_dkimpys_tests_are_judged_as_by_dkimpy(
    source: Path, monkeypatch: pytest.MonkeyPatch, show: Callable[[str], None]
) -> None:
    vectors: list[Vector] = []
    monkeypatch.setattr(dkim.DKIM, "verify", observe(vectors))
    run_suites(source, monkeypatch)
    servers = {(each.ask_names.__module__, each.ask_names.__qualname__): each.ask_names for each in vectors}
    verify_data(source, [*servers.values()])

    verdicts: Counter[str] = Counter()
    for vector in vectors:
        reason = asyncio.run(vector.judge())
        if vector.holds and reason:
            assert reason in STRICTER, (reason, vector)
            assert STRICTER[reason](vector), (reason, vector)
            verdicts["stricter"] += 1
        else:
            assert vector.holds is not bool(reason), (reason, vector)
            verdicts["valid" if vector.holds else "invalid"] += 1
    assert verdicts["valid"]
    assert verdicts["invalid"]
    show(f"{source.parent.name}: {len(vectors)} signatures judged alike, of those {dict(verdicts)}")
