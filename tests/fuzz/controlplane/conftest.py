"""What tests with garbage share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane.plane import Plane
from support.controlplane_site import open_test_plane


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with open_test_plane(tmp_path) as plane:
        yield plane
