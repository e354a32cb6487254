"""Redeem the tokens that people have shown at a node's own page.

For: nodes, which show who they are by an assertion that is for this request alone.
Not for: rules (service.py), nor for people, who redeem the fleet's tokens here (endpoints.py).
"""

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import OperationalError

from controlplane.errors import (
    ControlPlaneError,
    DatabaseBusyError,
    NoRoomError,
    NotSignedInError,
    RegistrationClosedError,
    TokenElsewhereError,
    TokenRefusedError,
)
from controlplane.nodes.door import Door
from controlplane.nodes.hub import ChannelHub
from controlplane.registration.service import Registration
from nodelink.contract.errors import ContractError
from nodelink.contract.registration import (
    REDEMPTION_PATH,
    MadeAccount,
    RedemptionAnswer,
    RefusalReason,
    RefusedRedemption,
    digest_redemption,
    read_redemption,
)

router = APIRouter(include_in_schema=False)


@router.post(REDEMPTION_PATH)
async def redeem_token(request: Request) -> Response:
    """Make an account on the node that asks, if the token is one of its own."""
    body = await request.body()
    node = await _admit(request, body)
    registration: Registration = request.app.state.registration
    try:
        made = await registration.redeem(read_redemption(body).token, node)
        answer = RedemptionAnswer(account=MadeAccount(address=made.address, password=made.password))
    except ContractError:
        answer = _refuse(TokenRefusedError())
    except (RegistrationClosedError, NoRoomError) as refusal:
        answer = _refuse(refusal)
    except OperationalError as error:
        raise DatabaseBusyError(cause=str(error.orig)) from error
    return Response(answer.model_dump_json(), media_type="application/json")


async def _admit(request: Request, body: bytes) -> str:
    """Find out which node asks. Raises: NotSignedInError."""
    door: Door = request.app.state.redemption_door
    hub: ChannelHub = request.app.state.hub
    assertion, node = door.read_claim(request.headers.get("authorization", ""))
    public_key = await hub.work.keys.join(node)
    if public_key is None:
        raise NotSignedInError(problem="no node of this name is enrolled; it never was, or it is retired")
    door.admit(assertion, public_key, digest_redemption(body))
    return node


def _refuse(refusal: ControlPlaneError) -> RedemptionAnswer:
    match refusal:
        case TokenElsewhereError():
            refused = RefusedRedemption(reason=RefusalReason.TOKEN_ELSEWHERE, origin=refusal.origin)
        case TokenRefusedError():
            refused = RefusedRedemption(reason=RefusalReason.TOKEN_REFUSED)
        case NoRoomError():
            refused = RefusedRedemption(reason=RefusalReason.NO_ROOM)
        case _:
            refused = RefusedRedemption(reason=RefusalReason.CLOSED)
    return RedemptionAnswer(refused=refused)
