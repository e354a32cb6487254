"""What endpoints are handed: the open plane, the time, and a session that is committed once.

Not for: who may call (admins/callers.py).
"""

from collections.abc import Iterator
from typing import Annotated, cast

from fastapi import Depends, Request
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from controlplane.admins.tokens import TokenBook
from controlplane.errors import DatabaseBusyError
from controlplane.nodes.fleet import IS_CHANGED
from controlplane.nodes.hub import ChannelHub
from controlplane.plane import Plane
from controlplane.rate_limit import RateLimit
from controlplane.rest.refusals import refuses


def lend_plane(request: Request) -> Plane:
    """Hand over what the application was built around."""
    return cast("Plane", request.app.state.plane)


def lend_hub(request: Request) -> ChannelHub:
    """Hand over the channels of this replica."""
    return cast("ChannelHub", request.app.state.hub)


def lend_limit(request: Request) -> RateLimit:
    """Hand over what counts wrong tokens."""
    return cast("RateLimit", request.app.state.wrong_tokens)


def lend_tokens(request: Request) -> TokenBook:
    """Hand over what recognises admin tokens."""
    return cast("TokenBook", request.app.state.tokens)


def read_clock(request: Request) -> int:
    """Read the time of the request, in whole seconds since 1970."""
    return int(request.app.state.clock())


@refuses(DatabaseBusyError)
def lend_session(request: Request) -> Iterator[Session]:
    """Lend one session to a request: committed when the endpoint returns, rolled back when anything raises.

    After a change that nodes must hear of, they are looked after at once.

    Raises:
        DatabaseBusyError: The database did not take the change.
    """
    try:
        with lend_plane(request).sessions.begin() as session:
            yield session
    except OperationalError as error:
        raise DatabaseBusyError(cause=str(error.orig)) from error
    if session.info.get(IS_CHANGED):
        lend_hub(request).wake()


PlaneDep = Annotated[Plane, Depends(lend_plane)]
HubDep = Annotated[ChannelHub, Depends(lend_hub)]
TokensDep = Annotated[TokenBook, Depends(lend_tokens)]
Now = Annotated[int, Depends(read_clock)]

# `scope="function"` commits before the answer is sent. By default FastAPI would do it afterwards, and a
# change that could not be saved would have been answered with 200.
SessionDep = Annotated[Session, Depends(lend_session, scope="function")]
