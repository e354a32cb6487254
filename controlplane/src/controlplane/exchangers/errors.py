"""What the rules of exchangers refuse."""

from controlplane.errors import ControlPlaneError


class UnknownExchangerError(ControlPlaneError):
    """There is no exchanger of that name."""

    status = 404
    code = "unknown_exchanger"
    public_text = "There is no exchanger of this name. List the exchangers and correct the name."


class ExchangerExistsError(ControlPlaneError):
    """There is an exchanger of that name already."""

    status = 409
    code = "exchanger_exists"
    public_text = "There is an exchanger of this name already. Change that one, or choose another name."


class TooManyExchangersError(ControlPlaneError):
    """There are as many exchangers as there may be."""

    status = 409
    code = "too_many_exchangers"
    public_text = "There are as many exchangers as there may be. Remove one that nobody needs."


class TokenInClearError(ControlPlaneError):
    """A token would travel without TLS."""

    status = 400
    code = "exchanger_token_in_clear"
    public_text = "A token must not travel in clear. Give the exchanger an https address, or no token."
