"""Prove which node it is that opens a channel, or hands mail over to another node.

For: a short-lived signed statement in the shape of RFC 7523 section 3, sent as a bearer token.
Not for: keeping the ids that were used; whoever takes assertions remembers what he has seen.
"""

from base64 import urlsafe_b64decode
from dataclasses import dataclass
from json import loads
from secrets import token_urlsafe

from joserfc import jwt
from joserfc.errors import JoseError

from nodelink.contract.errors import MalformedError, MisaddressedError, UnsignedError
from nodelink.contract.keys import ALGORITHM, PrivateKey, PublicKey

VALID_FOR_SECONDS = 60
CLOCK_SKEW_SECONDS = 60
"""How far the clocks of both sides may differ."""
MAX_ASSERTION_CHARACTERS = 2048


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a valid assertion says; `id` may be used once, until `expires_at_seconds`.

    `content_digest` is what it was made for alone; `None` where it is for nothing in particular.
    """

    node: str
    id: str
    expires_at_seconds: int
    content_digest: str | None = None


def make_assertion(
    key: PrivateKey, *, node: str, audience: str, now_seconds: int, content_digest: str | None = None
) -> str:
    """State that `node` speaks to `audience` now, or says this. Source: RFC 7523 section 3."""
    claims: dict[str, object] = {
        "iss": node,
        "sub": node,
        "aud": audience,
        "iat": now_seconds,
        "exp": now_seconds + VALID_FOR_SECONDS,
        "jti": token_urlsafe(16),
    }
    if content_digest is not None:
        claims["content_digest"] = content_digest
    return jwt.encode({"alg": ALGORITHM, "kid": key.public.key_id}, claims, key.jwk, algorithms=[ALGORITHM])


def read_claimed_node(assertion: str) -> str:
    """Read which node an assertion claims to be of, to look its key up. Nothing is proved by this.

    Raises:
        MalformedError: It is no assertion.
    """
    if len(assertion) > MAX_ASSERTION_CHARACTERS or assertion.count(".") != 2:
        raise MalformedError("this is no assertion")
    payload = assertion.split(".")[1]
    try:
        claims = loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError) as error:
        raise MalformedError("this is no assertion") from error
    node = claims.get("iss") if isinstance(claims, dict) else None
    if not isinstance(node, str):
        raise MalformedError("the assertion names no node")
    return node


def check_assertion(assertion: str, key: PublicKey, *, audience: str, now_seconds: int) -> Assertion:
    """Check an assertion against the key of the node that it claims to be of.

    The caller has still to see that the id was not used before.

    Raises:
        UnsignedError: Another key has signed it.
        MisaddressedError: It is for another audience, not yet or no longer valid, or valid for too long.
        MalformedError: A claim is missing or of the wrong kind.
    """
    try:
        claims = jwt.decode(assertion, key.jwk, algorithms=[ALGORITHM]).claims
    except (JoseError, ValueError, TypeError) as error:
        raise UnsignedError("the assertion is not signed by this node's key") from error
    node, subject, jti = claims.get("iss"), claims.get("sub"), claims.get("jti")
    issued, expires, content_digest = claims.get("iat"), claims.get("exp"), claims.get("content_digest")
    if not (isinstance(node, str) and node == subject and isinstance(jti, str) and 16 <= len(jti) <= 64):
        raise MalformedError("the assertion lacks iss, sub or jti")
    if type(issued) is not int or type(expires) is not int:
        raise MalformedError("the assertion lacks iat or exp")
    if content_digest is not None and not isinstance(content_digest, str):
        raise MalformedError("the assertion's content_digest is no text")
    if claims.get("aud") != audience:
        raise MisaddressedError("the assertion is for somebody else")
    if expires - issued > VALID_FOR_SECONDS:
        raise MisaddressedError("the assertion is valid for too long")
    if not issued - CLOCK_SKEW_SECONDS <= now_seconds < expires + CLOCK_SKEW_SECONDS:
        raise MisaddressedError("the assertion is not valid now; compare the clocks of both hosts")
    return Assertion(node, jti, expires + CLOCK_SKEW_SECONDS, content_digest)
