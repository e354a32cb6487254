"""What the rules of webhooks refuse."""

from controlplane.errors import ControlPlaneError


class UnknownWebhookError(ControlPlaneError):
    """There is no webhook with that id."""

    status = 404
    code = "unknown_webhook"
    public_text = "There is no webhook with this id. List the webhooks and correct the id."


class BadWebhookUrlError(ControlPlaneError):
    """A webhook is to go to an address that is none, or not by TLS."""

    status = 400
    code = "bad_webhook_url"
    public_text = (
        "Messages go to https://HOST/PATH without a name or password in it; http:// only to a network of "
        "CONTROLPLANE_WEBHOOK_PRIVATE_NETWORKS."
    )


class TooManyWebhooksError(ControlPlaneError):
    """There are as many webhooks as there may be."""

    status = 409
    code = "too_many_webhooks"
    public_text = "There are as many webhooks as there may be. Remove one that nobody needs."
