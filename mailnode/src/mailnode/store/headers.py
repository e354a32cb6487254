"""Where the header of a message ends.

For: stores, which keep header and text apart so that reading a header never touches a large text.
Not for: parsing headers.
"""


def measure_header(body: bytes) -> int:
    """Measure a message's header in bytes, the empty line after it included.

    A message without an empty line is header as a whole.

    Source: RFC 5322 section 2.1, RFC 3501 section 6.4.5.
    """
    if body.startswith(b"\r\n"):
        return 2
    end = body.find(b"\r\n\r\n")
    return len(body) if end < 0 else end + 4
