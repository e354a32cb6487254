"""Two replicas of the control plane on one PostgreSQL database; one is killed in the middle of changes."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from sqlmodel import select

from controlplane.admins.audit_models import Action, AuditEntry
from controlplane.operations.models import NodeOperation
from controlplane.plane import Plane
from controlplane.registration.token_models import RegistrationToken
from support.clocks import until
from support.controlplane_site import add_token
from support.replicas import FIRST, SECOND, Replicas, follow, install_replicas

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

CHANGES = 40
KILLED_AFTER = 12
SOON_SECONDS = 20
NEWS_SECONDS = 3
"""Less than the poll takes: the change was told, not found."""


@pytest.fixture
def replicas(tmp_path: Path) -> Replicas:
    return install_replicas(tmp_path)


async def send(clients: list[httpx2.AsyncClient], number: int) -> None:
    """Make a registration token and give an account a quota; ask the next replica if one does not answer."""
    headers = {"idempotency-key": f"change-{number}"}
    for attempt in range(CHANGES):
        client = clients[(number + attempt) % len(clients)]
        try:
            made = await client.post("/registration-tokens", json={"comment": str(number)}, headers=headers)
            assert made.status_code == 201, made.text
            quota = {"quota_bytes": (1 << 30) + number}
            path = f"/nodes/mail1/accounts/user{number}@mail1.example.org/quota"
            wanted = await client.put(path, json=quota)
        except httpx2.TransportError:
            continue
        assert wanted.status_code == 202, wanted.text
        return
    pytest.fail("no replica answers")


def count_waiting(plane: Plane) -> int:
    with plane.sessions() as session:
        return sum(row.acknowledged_at_seconds is None for row in session.exec(select(NodeOperation)))


async def test_replica_that_is_killed_loses_no_change_and_none_is_made_twice(replicas: Replicas) -> None:
    with replicas.open() as plane:
        token = add_token(plane)
        with replicas.start() as (first, _):
            async with (
                follow(replicas, plane, "mail1") as node,
                replicas.open_client(plane, FIRST, token) as one,
                replicas.open_client(plane, SECOND, token) as other,
            ):
                await until(lambda: node.agent.connected == {FIRST, SECOND}, SOON_SECONDS)
                sending = asyncio.gather(*(send([one, other], number) for number in range(CHANGES)))
                await until(lambda: len(node.done) >= KILLED_AFTER, SOON_SECONDS)
                first.kill()
                await sending
                await until(lambda: len(node.done) == CHANGES and not count_waiting(plane), SOON_SECONDS)
        with plane.sessions() as session:
            made = Counter(row.comment for row in session.exec(select(RegistrationToken)))
            audited = Counter(row.action for row in session.exec(select(AuditEntry)))
            operations = len(session.exec(select(NodeOperation)).all())
    # A PUT whose answer was lost is sent again and makes another operation; each of them is done once.
    assert sum(node.done.values()) == operations >= CHANGES
    assert made == {str(number): 1 for number in range(CHANGES)}
    assert audited[Action.REGISTRATION_TOKEN_CREATE] == CHANGES


async def test_change_at_one_replica_is_told_by_the_other_at_once(replicas: Replicas) -> None:
    with replicas.open() as plane, replicas.start() as (first, _):
        async with (
            follow(replicas, plane, "mail1") as node,
            replicas.open_client(plane, SECOND, add_token(plane)) as other,
        ):
            await until(lambda: node.agent.connected == {FIRST, SECOND} and bool(node.states), SOON_SECONDS)
            for number in range(3):
                wanted = (1 << 25) + number
                shown = await other.get("/policy")
                seen = {"if-match": shown.headers["etag"]}
                changed = await other.patch("/policy", json={"message_bytes": wanted}, headers=seen)
                assert changed.status_code == 200, changed.text
                await until(lambda: node.states[-1].message_bytes == wanted, NEWS_SECONDS)  # noqa: B023 - awaited here
            first.kill()
            await until(lambda: node.agent.connected == {SECOND}, SOON_SECONDS)


def test_replica_with_another_master_key_is_refused(replicas: Replicas) -> None:
    key = replicas.second.directory / "state" / "master-key"
    key.unlink()

    refused = replicas.second.run("signing-key")

    assert refused.returncode == 2
    assert "master" in refused.stderr
