"""The store that the contract is tested on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mailnode.store.mail_store import MailStore
from support.store_backends import BACKENDS


@pytest.fixture(params=sorted(BACKENDS))
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MailStore]:
    async with BACKENDS[request.param](tmp_path) as opened:
        yield opened
