"""Dates as IMAP writes them.

For: INTERNALDATE, APPEND and SEARCH.
Not for: the Date field of a message, which has a format of its own (RFC 5322).

Source: RFC 3501 section 9 (date, date-time).
"""

import re
import time
from datetime import UTC, date, datetime, timedelta, timezone

from mailnode.imap.errors import BadCommandError

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS = {month.lower(): number for number, month in enumerate(_MONTHS, 1)}
_DATE = re.compile(rb"(\d{1,2})-([A-Za-z]{3})-(\d{4})")
_DATE_TIME = re.compile(rb"[ \d](\d)-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")


def parse_date(text: bytes) -> date:
    """Parse a day such as `1-Feb-1994`. Raises: BadCommandError."""
    found = _DATE.fullmatch(text)
    month = _MONTH_NUMBERS.get(found[2].lower()) if found else None
    if found is None or month is None:
        raise BadCommandError("A date is broken")
    try:
        return date(int(found[3]), month, int(found[1]))
    except ValueError as error:
        raise BadCommandError("There is no such day") from error


def parse_date_time(text: bytes) -> int:
    """Parse a moment such as `17-Jul-1996 02:44:25 -0700` to Unix seconds. Raises: BadCommandError."""
    found = _DATE_TIME.fullmatch(text)
    month = _MONTH_NUMBERS.get(found[2].lower()) if found else None
    if found is None or month is None:
        raise BadCommandError("A date with time is broken")
    offset = timedelta(hours=int(found[8]), minutes=int(found[9]))
    try:
        zone = timezone(-offset if found[7] == b"-" else offset)
        clock = (int(found[4]), int(found[5]), int(found[6]))
        moment = datetime(int(found[3]), month, int(text[:2]), *clock, tzinfo=zone)
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError) as error:
        raise BadCommandError("There is no such moment") from error
    if seconds < 0:
        raise BadCommandError("That moment is too long ago")
    return seconds


def format_date_time(seconds: int) -> bytes:
    """Write Unix seconds as a moment in UTC, without quotes."""
    year, month, day, hour, minute, second, *_ = time.gmtime(seconds)
    return b"%2d-%s-%04d %02d:%02d:%02d +0000" % (day, _MONTHS[month - 1], year, hour, minute, second)


def day_of(seconds: int) -> date:
    """Tell the day in UTC."""
    return datetime.fromtimestamp(seconds, UTC).date()
