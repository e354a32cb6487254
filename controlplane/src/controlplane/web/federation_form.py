"""What the forms about servers of others mean: each as the change of what one scope says.

For: federation_pages.py.
Not for: rules (federation/service.py), nor for pages.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from controlplane.federation.layers import USUAL_TRANSPORTS
from controlplane.federation.models import FederationChange, FederationWords
from controlplane.web.forms import Form, read_model
from nodelink.contract.federation import PeerTransport

ALL_TRANSPORTS: Final = "any"
TRANSPORT_CHOICES: Final = (
    tuple(USUAL_TRANSPORTS),
    (PeerTransport.HTTPS,),
    (PeerTransport.SMTP,),
    (PeerTransport.HTTPS, PeerTransport.HTTP, PeerTransport.SMTP),
)


class FederationForm(StrEnum):
    """The forms, as their addresses name them."""

    POLICY = "policy"
    ADD_RULE = "add-rule"
    REMOVE_RULE = "remove-rule"
    ADD_DISMISSED = "add-dismissed"
    REMOVE_DISMISSED = "remove-dismissed"
    SET_ENDPOINT = "set-endpoint"
    REMOVE_ENDPOINT = "remove-endpoint"


def read_change(kind: FederationForm, form: Form, own: FederationWords) -> FederationChange:
    """Read what a form wants to have changed. Raises: BadFormError."""
    return read_model(FederationChange, _read_values(kind, form, own))


def list_transport_choices(*shown: list[PeerTransport]) -> list[list[PeerTransport]]:
    """List what may be chosen, with what is chosen already by other means."""
    choices = [list(choice) for choice in TRANSPORT_CHOICES]
    return choices + [each for each in shown if each not in choices]


def _read_values(kind: FederationForm, form: Form, own: FederationWords) -> Mapping[str, object]:
    domain = form.text("domain").strip().lower()
    match kind:
        case FederationForm.POLICY:
            return {
                "is_enabled": form.switch("is_enabled"),
                "mode": form.word("mode"),
                "transports": form.text("transports").split() or None,
                "drops_unknown_recipients": form.switch("drops_unknown_recipients"),
            }
        case FederationForm.ADD_RULE | FederationForm.REMOVE_RULE:
            transport = None if form.text("transport") == ALL_TRANSPORTS else form.text("transport")
            kept = [rule for rule in own.rules if (rule.domain, rule.transport) != (domain, transport)]
            rules: list[object] = [rule.model_dump() for rule in kept]
            added = [{"domain": domain, "transport": transport}] if kind is FederationForm.ADD_RULE else []
            return {"rules": rules + added}
        case FederationForm.ADD_DISMISSED | FederationForm.REMOVE_DISMISSED:
            dismissed = [each for each in own.dismissed if each != domain]
            return {"dismissed": [*dismissed, domain] if kind is FederationForm.ADD_DISMISSED else dismissed}
        case FederationForm.SET_ENDPOINT | FederationForm.REMOVE_ENDPOINT:
            endpoints: list[object] = [each.model_dump() for each in own.endpoints if each.domain != domain]
            if kind is FederationForm.SET_ENDPOINT:
                target, comment = form.text("target").strip(), form.text("comment").strip()
                endpoints.append({"domain": domain, "target": target, "comment": comment})
            return {"endpoints": endpoints}
