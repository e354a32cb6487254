"""A whole fleet for all tests of the RPC, and what calls it."""

import json
from collections.abc import Iterator

import pytest

from controlplane.policy.models import PolicyValues
from support.rpc_reference import Rpc
from support.whole_fleet import WholeFleet, bearer, running_fleet


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeFleet]:
    with running_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def nodes_follow_again(fleet: WholeFleet) -> Iterator[None]:
    """Let both mail nodes follow the fleet again after a test that made them differ."""
    yield
    fields = dict.fromkeys(PolicyValues.model_fields)
    for node in ("mail1", "mail2"):
        headers = {**bearer(fleet.token), "if-match": "*", "content-type": "application/json"}
        path, content = f"/api/v1/nodes/{node}/policy", json.dumps(fields).encode()
        assert fleet.send("PATCH", path, content, headers)[0] == 200


@pytest.fixture
def rpc(fleet: WholeFleet) -> Rpc:
    return Rpc(fleet, fleet.token)
