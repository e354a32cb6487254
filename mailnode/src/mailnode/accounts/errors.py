"""Why an account cannot be had or used.

Each is for the callers in SMTP, IMAP and HTTP, which give it the reply of their protocol:

    AccountsError
    ├── LoginRefusedError          wrong password, banned, unknown and not to be created: not told apart
    ├── LoginUnavailableError      overload, rate limit, store trouble: try again later
    ├── RegistrationClosedError    nobody may register now
    ├── BadAddressError            no address of this node, or not one that may be used
    └── PepperError                the key of password hashes is missing, damaged or another one
"""


class AccountsError(Exception):
    """Whatever is refused about an account; the text is safe to show."""


class LoginRefusedError(AccountsError):
    """The login is not accepted; why is not told."""


class LoginUnavailableError(AccountsError):
    """The login cannot be judged now; the password may be right."""


class RegistrationClosedError(AccountsError):
    """This node takes no new accounts at present."""


class BadAddressError(AccountsError):
    """The address is none of this node, or none that may be used."""


class PepperError(AccountsError):
    """The key of password hashes is missing, damaged, or another one."""
