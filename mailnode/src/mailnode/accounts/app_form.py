"""Tell the logins with which Delta Chat adds a relay to a profile by itself from all others.

For: accounts.py, where policy refuses the accounts that apps add by themselves.
Not for: security. The app marks itself; whoever chooses a login of another form passes. Only JIT switched off
keeps all unknown logins out.

    somebody scans `dcaccount:HOST`                       9 letters and digits, password of 22
    the app adds a relay, or chooses a profile's first    9 letters and digits, password of 23
    `/new`, our pages, the control plane                  no unknown login: the account is there before

Source: Delta Chat core, `src/autorelay.rs` and chatmail/core#8701: the mark is there for operators, and for a
time only. Seen in use with 2.65; older apps add none by themselves.
"""

import re

_NAME = re.compile(r"[a-z0-9]{9}", re.ASCII)
_PASSWORD = re.compile(r"[A-Za-z0-9]{23}", re.ASCII)


def is_added_by_app(address: str, password: str) -> bool:
    """Tell whether an app adds this account by itself; `address` is in its normal form."""
    name = address.rpartition("@")[0]
    return _NAME.fullmatch(name) is not None and _PASSWORD.fullmatch(password) is not None
