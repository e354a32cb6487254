"""What every test may use."""

import pytest


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run async tests on the loop that the product runs on."""
    return "asyncio", {"use_uvloop": True}
