"""A running server for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.imap_server import ImapSite, running_site, write_certificate


@pytest.fixture(scope="session")
def imap_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_certificate(tmp_path_factory.mktemp("imap") / "loopback.pem")


@pytest.fixture
async def site(imap_certificate: Path, anyio_backend: object) -> AsyncIterator[ImapSite]:  # noqa: ARG001 - chooses the loop
    async with running_site(imap_certificate) as site:
        yield site
