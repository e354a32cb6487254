"""Carry out what the local admin asks for.

For: server.py.
Not for: the socket, or how results are shown (commands.py).
"""

from collections.abc import Callable, Mapping
from typing import assert_never

import structlog
from pydantic import JsonValue

from mailnode.accounts.accounts import Accounts
from mailnode.accounts.errors import AccountsError
from mailnode.accounts.overrides import LocalOverrides, list_overridden
from mailnode.accounts.password import invent_credentials
from mailnode.local_admin.errors import LocalAdminError
from mailnode.local_admin.requests import (
    ChangeBan,
    ChangePassword,
    ChangeQuota,
    ChangeSettings,
    ClearSettings,
    CreateAccount,
    DeleteAccount,
    ListAccounts,
    Request,
    ShowAccount,
    ShowSettings,
    ShowStatus,
)
from mailnode.store.mail_store import (
    Account,
    AccountExistsError,
    MailStore,
    MailStoreError,
    UnknownAccountError,
)

Result = dict[str, JsonValue]
Status = Callable[[], Mapping[str, JsonValue]]

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Actions:
    """Everything that can be asked; `status` tells what other parts say about themselves."""

    def __init__(
        self, *, accounts: Accounts, store: MailStore, overrides: LocalOverrides, status: Status
    ) -> None:
        self._accounts = accounts
        self._store = store
        self._overrides = overrides
        self._status = status

    async def run(self, request: Request) -> Result:
        """Carry a request out. Raises: LocalAdminError."""
        try:
            result = await self._run(request)
        except UnknownAccountError as error:
            raise LocalAdminError("There is no account of this address.") from error
        except AccountExistsError as error:
            raise LocalAdminError("There is an account of this address already.") from error
        except AccountsError as error:
            raise LocalAdminError(str(error)) from error
        except MailStoreError as error:
            raise LocalAdminError("The mail store cannot do this now; the log says why.") from error
        log.info("local admin request done", command=request.command)
        return result

    async def _run(self, request: Request) -> Result:
        match request:
            case ListAccounts() | ShowAccount() | CreateAccount():
                return await self._run_on_accounts(request)
            case DeleteAccount():
                await self._accounts.remove(request.address)
            case ChangePassword():
                password = request.password or invent_credentials()[1]
                await self._accounts.change_password(request.address, password)
                return {"password": password}
            case ChangeBan():
                await self._accounts.change_ban(request.address, is_banned=request.is_banned)
            case ChangeQuota():
                await self._accounts.change_quota(request.address, request.quota_bytes)
            case ShowSettings() | ChangeSettings() | ClearSettings():
                return await self._run_on_settings(request)
            case ShowStatus():
                sessions = self._accounts.count_sessions()
                accounts = await self._store.count_accounts()
                return {
                    "accounts": accounts,
                    "sessions": sessions,
                    **self._status(),
                    **self._describe_settings(),
                }
            case _:
                assert_never(request)
        return {}

    async def _run_on_accounts(self, request: ListAccounts | ShowAccount | CreateAccount) -> Result:
        match request:
            case ListAccounts():
                accounts = await self._store.list_accounts(request.after, request.limit)
                return {"accounts": [self._describe(account) for account in accounts]}
            case ShowAccount():
                account = await self._accounts.find(request.address)
                usage = await self._store.read_usage(account.id)
                held: Result = {"size_bytes": usage.size_bytes, "message_count": usage.message_count}
                return self._describe(account) | held
            case CreateAccount():
                name, password = invent_credentials()
                password = request.password or password
                created = await self._accounts.create(
                    request.address or f"{name}@{self._accounts.domain}", password
                )
                return {"address": created.address, "password": password}

    async def _run_on_settings(self, request: ShowSettings | ChangeSettings | ClearSettings) -> Result:
        match request:
            case ChangeSettings():
                await self._overrides.change(**request.model_dump(exclude={"command"}, exclude_none=True))
            case ClearSettings():
                await self._overrides.change(**dict.fromkeys(request.settings))
            case ShowSettings():
                pass
        return self._describe_settings()

    def _describe(self, account: Account) -> Result:
        return {
            "address": account.address,
            "quota_bytes": self._accounts.quota_of(account),
            "has_own_quota": account.quota_bytes is not None,
            "is_banned": account.is_banned,
            "created_at_seconds": account.created_at_seconds,
            "last_login_at_seconds": account.last_login_at_seconds,
        }

    def _describe_settings(self) -> Result:
        policy = self._overrides.policy.current
        return {
            "registration_open": policy.registration_open,
            "jit_enabled": policy.jit_enabled,
            "quota_bytes": policy.quota_bytes,
            "message_bytes": policy.message_bytes,
            "overridden": list(list_overridden(self._overrides.current)),
        }
