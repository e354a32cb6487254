"""The routes of a mail node's HTTPS port.

For: everybody; all of it is public, and nothing is kept about a visitor (no cookies, no sessions).
Not for: how pages look (pages.py), who may have an account and how often (accounts), or connections
(protocol.py).

The policy is read at each request, so that closing registration is in force with the next one.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException

from mailnode.accounts.errors import LoginUnavailableError, RegistrationClosedError
from mailnode.accounts.policy import PolicyHolder
from mailnode.backup_addresses.place import BackupPlace
from mailnode.http.autoconfig import build_autoconfig
from mailnode.http.language import Language, choose_language
from mailnode.http.login_url import build_account_url, build_login_url
from mailnode.http.origin import is_cross_site
from mailnode.http.pages import PRIVATE_HEADERS, PUBLIC_HEADERS, STATIC_TYPES, Pages
from mailnode.http.refusals import STATUS, Refusal, RefusedError, find_refusal
from mailnode.http.shown_token import find_token
from mailnode.http.site import Site
from mailnode.http.texts import EN
from mailnode.registration_tokens.admission import Redeemer, TokenAdmission
from mailnode.registration_tokens.errors import (
    TokenElsewhereError,
    TokenError,
    TokenNeededError,
    TokenUnjudgedError,
    TooManyTokensError,
)
from nodelink.contract.mta_sts import STS_PATH, choose_exchange, write_sts_policy
from nodelink.contract.registration import MAX_TOKEN_CHARACTERS

MAX_BODY_BYTES: Final = 65_536
RETRY_AFTER: Final = {"retry-after": "60"}
READING: Final = ["GET", "HEAD"]
ACCOUNT_PATH: Final = "/new"
GUIDE_SECTIONS: Final = frozenset(
    {
        "general",
        "introduction",
        "delta-chat",
        "registration",
        "calls",
        "quota",
        "management",
        "security",
        "support",
    }
)


class Registrar(Protocol):
    """Whoever makes accounts; `mailnode.accounts.accounts.Accounts` is one."""

    @property
    def policy(self) -> PolicyHolder:
        """The policy in force."""

    def admit_creation(self, client_address: str) -> None:
        """Count an account that is made otherwise. Raises: as `register`."""

    async def register(self, client_address: str) -> tuple[str, str]:
        """Make an account; returns its address and password when they are durable.

        Raises:
            RegistrationClosedError: Nobody may register now.
            LoginUnavailableError: Overload, too many from this client, or trouble with the store.
        """


FindBackups = Callable[[int], Awaitable[Sequence[BackupPlace]]]


def create_app(
    *,
    accounts: Registrar,
    read_site: Callable[[], Site],
    offers: APIRouter | None = None,
    find_backups: FindBackups | None = None,
    redeemer: Redeemer | None = None,
) -> FastAPI:
    """Build the application around its dependencies; nothing is global, so a test may build many.

    `read_site` is asked for each page, because ports can be moved. `offers` is where other nodes ask what is
    offered here, and `find_backups` finds as many nodes on which there is another address for whoever has
    just registered; `redeemer` has registration tokens judged. `None` for a node that belongs to no fleet.
    """
    app = FastAPI(
        title=read_site().name,
        docs_url=None,  # /docs is the user guide
        redoc_url=None,
        openapi_url=None,
    )
    app.state.accounts = accounts
    app.state.find_backups = find_backups
    app.state.tokens = TokenAdmission(accounts, redeemer)
    app.state.pages = Pages(read_site, accounts.policy)
    app.include_router(router, dependencies=[Depends(refuse_body_over_limit)])
    if offers is not None:
        app.include_router(offers)
    app.add_exception_handler(RefusedError, _answer_refused)
    app.add_exception_handler(RegistrationClosedError, _answer_refused)
    app.add_exception_handler(TokenError, _answer_refused)
    app.add_exception_handler(LoginUnavailableError, _answer_refused)
    app.add_exception_handler(HTTPException, _answer_refused)
    app.add_exception_handler(Exception, _answer_refused)
    return app


async def refuse_body_over_limit(request: Request) -> None:
    """Refuse a request whose body is too large, or does not say how large it is; no page here needs one.

    Raises:
        RefusedError: The body may exceed the limit.
    """
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or int(length) > MAX_BODY_BYTES:  # h11 has checked the digits
        raise RefusedError(Refusal.TOO_LARGE)


async def refuse_cross_site(request: Request) -> None:
    """Refuse what the page of another site made a browser send.

    Raises:
        RefusedError: It came from there.
    """
    if is_cross_site(request.headers, request.scope["scheme"]):
        raise RefusedError(Refusal.CROSS_SITE)


router = APIRouter()


@router.api_route("/", methods=READING)
async def show_landing(request: Request) -> Response:
    """Show the landing page, which passes a token on."""
    return _pages(request).draw_landing(_language(request), _find_shown(request))


@router.post("/register", dependencies=[Depends(refuse_cross_site)])
async def register_by_button(request: Request) -> Response:
    """Make an account and show it; what the button on the landing page does."""
    address, password = await _register(request)
    backups = await _find_backups(request)
    return _pages(request).draw_account(_language(request), address, password, backups)


@router.post(ACCOUNT_PATH, dependencies=[Depends(refuse_cross_site)])
async def register_by_app(request: Request) -> Response:
    """Make an account for an app that scanned a `dcaccount:` link."""
    address, password = await _register(request)
    url = build_login_url(_pages(request).site, address, password)
    account = {"email": address, "password": password, "dclogin_url": url}
    return JSONResponse(account, headers=PRIVATE_HEADERS)


@router.api_route(ACCOUNT_PATH, methods=READING)
async def open_app(request: Request) -> Response:
    """Send a browser on to the app, which then posts here."""
    location = build_account_url(_pages(request).site, _find_shown(request))
    return Response(status_code=302, headers=PRIVATE_HEADERS | {"location": location})


@router.api_route("/.well-known/autoconfig/mail/config-v1.1.xml", methods=READING)
@router.api_route("/mail/config-v1.1.xml", methods=READING)
async def show_autoconfig(request: Request) -> Response:
    """Tell mail clients the settings."""
    document = build_autoconfig(_pages(request).site)
    return Response(document, headers=PRIVATE_HEADERS, media_type="application/xml")


@router.api_route(STS_PATH, methods=READING)
async def show_mail_policy(request: Request) -> Response:
    """Tell other servers by MTA-STS that mail for this domain needs TLS that holds.

    Raises:
        RefusedError: This node's certificate or domain is not such that it could hold.
    """
    site = _pages(request).site
    if site.is_self_signed or site.mail_domain.startswith("["):
        raise RefusedError(Refusal.NOT_FOUND)
    policy = write_sts_policy(choose_exchange(site.mail_domain, site.https_host))
    return PlainTextResponse(policy, headers=PRIVATE_HEADERS)


@router.api_route("/docs", methods=READING)
async def show_guide(request: Request) -> Response:
    """Show the user guide."""
    return _pages(request).draw_guide(_language(request))


@router.api_route("/docs/{section}", methods=READING)
async def show_guide_section(request: Request, section: str) -> Response:
    """Send a reader on to one section of the guide, in the language that was asked for.

    Raises:
        RefusedError: There is no such section.
    """
    if section not in GUIDE_SECTIONS:
        raise RefusedError(Refusal.NOT_FOUND)
    query = f"?lang={_language(request)}" if "lang" in request.query_params else ""
    return RedirectResponse(f"/docs{query}#{section}", 302, PRIVATE_HEADERS)


@router.api_route("/static/{name}", methods=READING)
async def show_static(request: Request, name: str) -> Response:
    """Serve a file that the pages use.

    Raises:
        RefusedError: There is no such file.
    """
    content = _pages(request).static.get(name)
    if content is None:
        raise RefusedError(Refusal.NOT_FOUND)
    return Response(content, headers=PUBLIC_HEADERS, media_type=STATIC_TYPES[name])


@router.api_route("/healthz", methods=READING)
async def show_health() -> Response:
    """Tell a prober that the node answers."""
    return PlainTextResponse("ok", headers=PRIVATE_HEADERS)


async def _register(request: Request) -> tuple[str, str]:
    accounts: Registrar = request.app.state.accounts
    tokens: TokenAdmission = request.app.state.tokens
    client_address = request.client.host if request.client else ""
    content_type = request.headers.get("content-type", "")
    token = find_token(request.query_params, content_type, await request.body())
    if token is not None:
        return await tokens.register(token, client_address)
    policy = accounts.policy.current
    if policy.registration_open and policy.registration_token_required:
        raise TokenNeededError
    return await accounts.register(client_address)


def _find_shown(request: Request) -> str | None:
    """Find a token to pass on; one that is too long is none, and would fit into no QR code."""
    token = find_token(request.query_params, "", b"")
    return None if token is None or len(token) > MAX_TOKEN_CHARACTERS else token


async def _find_backups(request: Request) -> Sequence[BackupPlace]:
    accounts: Registrar = request.app.state.accounts
    find_backups: FindBackups | None = request.app.state.find_backups
    return () if find_backups is None else await find_backups(accounts.policy.current.backup_addresses)


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.pages
    return pages


def _language(request: Request) -> Language:
    accepted = request.headers.get("accept-language", "")
    default = _pages(request).site.default_language
    return choose_language(request.query_params.get("lang"), accepted, default)


async def _answer_refused(request: Request, error: Exception) -> Response:
    """Answer every refusal, with JSON where apps ask and a page elsewhere; never with inner details."""
    refusal, headers = _judge(error)
    origin = error.origin if isinstance(error, TokenElsewhereError) else None
    if request.scope["path"] != ACCOUNT_PATH:
        return _pages(request).draw_refusal(_language(request), refusal, headers, origin)
    passage = EN.refusals[refusal]
    text = f"{passage.title}. {passage.text}" + (f" {origin}" if origin else "")
    # `reason` is what Delta Chat shows; `error` is what Madmail's clients read.
    return JSONResponse({"error": text, "reason": text}, STATUS[refusal], {**PRIVATE_HEADERS, **headers})


def _judge(error: Exception) -> tuple[Refusal, Mapping[str, str]]:
    match error:
        case RefusedError():
            return error.refusal, {}
        case RegistrationClosedError():
            return Refusal.CLOSED, {}
        case LoginUnavailableError():
            return Refusal.UNAVAILABLE, RETRY_AFTER
        case TokenError():
            return _judge_token(error)
        case HTTPException():
            return find_refusal(error.status_code), error.headers or {}
        case _:
            return Refusal.FAILED, {}  # the framework raises it again, and the log gets it there


def _judge_token(error: TokenError) -> tuple[Refusal, Mapping[str, str]]:
    match error:
        case TokenNeededError():
            return Refusal.TOKEN_NEEDED, {}
        case TokenElsewhereError():
            return Refusal.TOKEN_ELSEWHERE, {}
        case TooManyTokensError():
            return Refusal.TOO_MANY_TOKENS, RETRY_AFTER
        case TokenUnjudgedError():
            return Refusal.TOKEN_UNJUDGED, RETRY_AFTER
        case _:
            return Refusal.TOKEN_REFUSED, {}
