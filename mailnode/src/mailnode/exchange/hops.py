"""How many exchangers a message has passed: it must not go round in a circle.

For: intake.py and forwarding.py, which write the number into the id that the store keeps. Pure functions.
Not for: mail servers, which read nothing of it.
"""

from dataclasses import dataclass
from secrets import token_urlsafe

from mailnode.federation.delivery import MAIL_FROM_HEADER, MAIL_TO_HEADER, Delivery
from mailnode.federation.errors import MalformedDeliveryError

HOPS_HEADER = "x-madfleet-exchangers"
MAX_HOPS = 3
"""So many exchangers may be between two servers."""

BAD_HOPS = f"{HOPS_HEADER} needs a number of one digit"


@dataclass(frozen=True, slots=True)
class Passage(Delivery):
    """A message that an exchanger hands on.

    It shows no delivery id: the next server then tells the author itself who did not get the message
    (peering.reception), which nobody could tell him from here.
    """

    hops: int

    def write_headers(self) -> list[tuple[str, str]]:
        """Write the headers of the request."""
        return [
            (HOPS_HEADER, str(self.hops)),
            (MAIL_FROM_HEADER, self.mail_from),
            *((MAIL_TO_HEADER, recipient) for recipient in self.recipients),
        ]


def read_hops(value: str | None) -> int:
    """Read how many exchangers a message has passed before this one. Raises: MalformedDeliveryError."""
    if value is None:
        return 0
    if len(value) != 1 or not value.isascii() or not value.isdecimal():
        raise MalformedDeliveryError(BAD_HOPS, BAD_HOPS)
    return int(value)


def make_id(hops: int) -> str:
    """Make the id of a message that has passed so many, this one included."""
    return f"{token_urlsafe(18)}.{hops}"


def find_hops(id_: str) -> int:
    """Find what `make_id` has put into an id."""
    return int(id_.rpartition(".")[2])
