"""What can go wrong between the commands and the daemon.

LocalAdminError    the text says what is wrong and what to do
"""


class LocalAdminError(Exception):
    """A request that was not carried out."""
