"""Build what the relay says: responses to requests, and Data indications.

For: the shape of the answers, which are as short as they can be: no SOFTWARE, no reason phrases.
Not for: deciding which answer is due (machine.py, requests.py).
"""

import os
from typing import Final

from turnnode.errors import RequestRefusedError
from turnnode.relay.credentials import Credential
from turnnode.relay.network_errors import NetworkError
from turnnode.stun.attributes import (
    Address,
    AttributeType,
    encode_address,
    encode_error_code,
    encode_icmp,
    encode_unknown_attributes,
    encode_xor_address,
)
from turnnode.stun.message import (
    TRANSACTION_ID_BYTES,
    Attributes,
    Message,
    MessageClass,
    Method,
    encode,
    encode_answer,
)

_SUCCESS, _ERROR, _ERROR_CODE = MessageClass.SUCCESS, MessageClass.ERROR, AttributeType.ERROR_CODE
MAX_INDICATED_BYTES: Final = 65_000  # with more data, a Data indication would not fit into a datagram


def success(request: Message, attributes: Attributes, credential: Credential | None = None) -> bytes:
    """Write a success response, signed if the sender is known."""
    return encode_answer(request, _SUCCESS, attributes, None if credential is None else credential.key)


def refusal(
    request: Message,
    error: RequestRefusedError,
    credential: Credential | None = None,
    challenge: Attributes = (),
) -> bytes:
    """Write an error response; `challenge` is what goes with a 401 or 438."""
    attributes: Attributes = ((_ERROR_CODE, encode_error_code(error.status)), *challenge)
    if error.unknown_types:
        unknown = encode_unknown_attributes(error.unknown_types)
        attributes += ((AttributeType.UNKNOWN_ATTRIBUTES, unknown),)
    if error.alternate is not None:
        attributes += ((AttributeType.ALTERNATE_SERVER, encode_address(error.alternate)),)
    return encode_answer(request, _ERROR, attributes, None if credential is None else credential.key)


def binding_success(request: Message, client: Address) -> bytes:
    """Tell a client how we see its address (RFC 8489 section 7.3.1)."""
    mapped = encode_xor_address(client, request.transaction_id)
    return success(request, ((AttributeType.XOR_MAPPED_ADDRESS, mapped),))


def data_indication(data: bytes, peer: Address) -> bytes:
    """Wrap a peer's data for a client without a channel (RFC 8656 section 11.3)."""
    transaction_id = os.urandom(TRANSACTION_ID_BYTES)
    attributes: Attributes = (
        (AttributeType.XOR_PEER_ADDRESS, encode_xor_address(peer, transaction_id)),
        (AttributeType.DATA, data),
    )
    return encode(Message(Method.DATA, MessageClass.INDICATION, transaction_id, attributes))


def error_indication(error: NetworkError) -> bytes:
    """Tell a client what an ICMP error said about its data (RFC 8656 section 11.5)."""
    transaction_id = os.urandom(TRANSACTION_ID_BYTES)
    attributes: Attributes = (
        (AttributeType.XOR_PEER_ADDRESS, encode_xor_address(error.peer, transaction_id)),
        (AttributeType.ICMP, encode_icmp(error.icmp_type, error.code, error.data)),
    )
    return encode(Message(Method.DATA, MessageClass.INDICATION, transaction_id, attributes))
