"""What the control plane has a mail node do, and what it hears of it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from pydantic import JsonValue

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.errors import LoginRefusedError, RegistrationClosedError
from mailnode.accounts.overrides import LocalOverrides
from mailnode.accounts.password import PasswordHasher
from mailnode.accounts.policy import Policy, PolicyHolder
from mailnode.disk_usage import measure_disk
from mailnode.mail_ports import MailListeners
from mailnode.push.proxy import NotificationProxy
from mailnode.push.pusher import Pusher
from mailnode.settings import MailNodeSettings
from mailnode.steering import Steering
from mailnode.store.sqlite_store import SqliteMailStore
from nodelink.channel.connection import RefusedError
from nodelink.contract.figures import MAIL_FIGURES, PUSH_FAILURES
from nodelink.contract.keys import PrivateKey
from nodelink.contract.states import MailNodeState, SiblingNode
from nodelink.daemon.service_manager import Systemd
from nodelink.daemon.tls import read_spki_pin
from self_signed import make_certificate
from support.clocks import until
from support.store_memory import MemoryMailStore

pytestmark = pytest.mark.anyio

NEW = {"address": "abc123def@one.example", "password": "a password of 22 chars"}


@pytest.fixture
async def steering(tmp_path: Path) -> AsyncIterator[Steering]:
    make_certificate(tmp_path, "one.example", label="mail")
    settings = MailNodeSettings.model_validate(
        {
            "state_directory": tmp_path,
            "runtime_directory": tmp_path,
            "mail_domain": "one.example",
            "tls_certificate": tmp_path / "mail.crt",
            "tls_key": tmp_path / "mail.key",
            "certificate_is_self_signed": True,
            "support_contact": "mailto:admin@example.org",
        }
    )
    store = MemoryMailStore()
    policy = PolicyHolder(Policy())
    accounts = Accounts(
        store=store,
        policy=policy,
        domain="one.example",
        hasher=PasswordHasher(memory_kib=8, time_cost=1, threads=1),
    )
    async with AsyncExitStack() as stack:
        await accounts.start(stack)
        overrides = LocalOverrides(state_directory=tmp_path, policy=policy)
        steering = Steering(
            settings=settings,
            accounts=accounts,
            store=store,
            overrides=overrides,
            listeners=MailListeners(settings, Systemd(address="", watchdog_seconds=None, inherited={})),
        )
        await steering.start(stack)
        yield steering


async def test_placed_account_can_log_in(steering: Steering) -> None:
    await steering.create_account(NEW)

    account = await steering.accounts.log_in(NEW["address"], NEW["password"], "192.0.2.1")
    assert account.address == NEW["address"]


async def test_account_that_is_made_twice_is_one(steering: Steering) -> None:
    for _ in range(2):
        await steering.create_account(NEW)

    assert await steering.store.count_accounts() == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"password": "another password!"},
        {"address": "abc123def@two.example"},
        {"address": "admin@one.example"},
        {"password": "short"},
    ],
)
async def test_account_that_cannot_be_is_refused(steering: Steering, changes: dict[str, str]) -> None:
    await steering.create_account(NEW)

    with pytest.raises(RefusedError):
        await steering.create_account({**NEW, **changes})


async def test_closed_node_makes_no_accounts(steering: Steering) -> None:
    steering.accounts.policy.current = Policy(registration_open=False)

    with pytest.raises(RefusedError, match="closed"):
        await steering.create_account(NEW)
    assert steering.read_report(1).figures["registration_open"] == 0


async def test_report_tells_where_the_node_is_and_by_which_key(steering: Steering) -> None:
    places = steering.read_report(1).places

    assert places is not None
    assert (places.host, places.imap_tls_port, places.smtp_tls_port) == ("one.example", 993, 465)
    assert places.tls_pin == read_spki_pin(steering.settings.tls_certificate)


async def test_siblings_are_those_of_the_desired_state(steering: Steering) -> None:
    sibling = SiblingNode(
        name="mail2",
        mail_domain="two.example",
        host="two.example",
        port=443,
        public_key=PrivateKey.generate().public.x,
        tls_pin=None,
    )
    state = MailNodeState(
        registration_open=True,
        jit_enabled=True,
        quota_bytes=1 << 30,
        message_bytes=1 << 24,
        turn=None,
        siblings=(sibling,),
    )

    steering.apply(state)
    assert steering.siblings.find_domain("two.example") is not None
    steering.apply(state.model_copy(update={"siblings": ()}))
    assert steering.siblings.find_domain("two.example") is None


async def test_state_puts_backup_addresses_and_the_accounts_of_apps_in_force(steering: Steering) -> None:
    assert steering.read_offer() is None  # nobody has told it yet what it may do
    state = MailNodeState(
        registration_open=True,
        jit_enabled=True,
        quota_bytes=1 << 30,
        message_bytes=1 << 24,
        turn=None,
        app_accounts_enabled=False,
        backup_addresses=3,
        weight=50,
    )
    steering.apply(state)

    assert steering.accounts.policy.current.backup_addresses == 3
    offer = steering.read_offer()
    assert offer is not None
    assert offer.accounts_per_weight == 1 / 50
    assert (offer.imap_tls_port, offer.smtp_tls_port) == (993, 465)
    with pytest.raises(LoginRefusedError):
        await steering.accounts.log_in("4kpolc2wk@one.example", "c6gver64I7jxCI3MXoKyHGk", "192.0.2.1")
    steering.apply(state.model_copy(update={"weight": 0, "app_accounts_enabled": True}))
    assert steering.read_offer() is None
    await steering.accounts.log_in("4kpolc2wk@one.example", "c6gver64I7jxCI3MXoKyHGk", "192.0.2.1")


async def test_tokens_that_are_needed_close_registration_and_neither_logins_nor_placement(
    steering: Steering,
) -> None:
    state = MailNodeState(
        registration_open=True,
        jit_enabled=True,
        quota_bytes=1 << 30,
        message_bytes=1 << 24,
        turn=None,
        registration_token_required=True,
    )
    steering.apply(state)

    with pytest.raises(RegistrationClosedError):
        await steering.accounts.register("192.0.2.1")
    await steering.create_account(NEW)
    account = await steering.accounts.log_in("unknown1@one.example", "a long password", "192.0.2.1")
    assert account.address == "unknown1@one.example"

    steering.apply(state.model_copy(update={"jit_enabled": False}))
    with pytest.raises(LoginRefusedError):
        await steering.accounts.log_in("unknown2@one.example", "a long password", "192.0.2.1")

    steering.apply(state.model_copy(update={"registration_token_required": False}))
    assert await steering.accounts.register("192.0.2.1")


async def test_account_gets_its_own_quota_and_follows_its_node_again(steering: Steering) -> None:
    await steering.create_account(NEW)

    async def read_quota() -> int:
        return steering.accounts.quota_of(await steering.accounts.find(NEW["address"]))

    await steering.change_quota({"address": NEW["address"], "quota_bytes": 5 << 20})
    assert await read_quota() == 5 << 20
    await steering.change_quota({"address": NEW["address"], "quota_bytes": None})
    assert await read_quota() == steering.accounts.policy.current.quota_bytes


@pytest.mark.parametrize(
    "changes",
    [{"address": "nobody1@one.example"}, {"address": "x"}, {"quota_bytes": "5"}, {"quota_bytes": True}],
)
async def test_quota_that_cannot_be_is_refused(steering: Steering, changes: dict[str, JsonValue]) -> None:
    await steering.create_account(NEW)

    with pytest.raises(RefusedError):
        await steering.change_quota({"address": NEW["address"], "quota_bytes": 5 << 20, **changes})


async def test_every_figure_is_one_of_the_contract(steering: Steering, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(bytes(100_000))
    await until(lambda: "store_bytes" in steering.read_figures())

    assert steering.read_figures().keys() == MAIL_FIGURES.keys() - {PUSH_FAILURES}  # nobody would be woken
    proxy = NotificationProxy("https://192.0.2.1/notify")
    steering.watch_pusher(Pusher(queue=SqliteMailStore(tmp_path), proxy=proxy))
    figures = steering.read_figures()

    assert figures.keys() == MAIL_FIGURES.keys()
    assert figures["disk_bytes"] > figures["disk_free_bytes"] > 0
    assert steering.read_report(1).figures.keys() == figures.keys()


async def test_accounts_made_are_counted(steering: Steering) -> None:
    await steering.create_account(NEW)

    assert steering.read_figures()["accounts_made"] == 1


def test_disk_of_a_store_is_measured_with_all_that_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    before = measure_disk(tmp_path).store_bytes
    (tmp_path / "deep" / "body").write_bytes(b"x" * 1_000_000)

    assert measure_disk(tmp_path).store_bytes - before >= 1_000_000
