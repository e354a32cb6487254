"""The errors of the control plane, and what they tell a client.

For: rules that say no. http_errors.py answers with them, the command line prints them.
Not for: malformed bodies, which never reach a rule (422), nor for faults of ours (500). The frame of the
Admin API has refusals of its own (rest/errors.py), and so have ports (nodes/port_errors.py).

    ControlPlaneError
    ├── BadAddressError         400
    ├── NoticeHiddenError       400
    ├── NotSignedInError        401
    │   └── SessionOverError    303
    ├── NotPermittedError       403
    │   ├── OutOfScopeError     403
    │   ├── ForgedFormError     403
    │   └── JoinRefusedError    403
    ├── RegistrationClosedError 403
    │   ├── TokenNeededError    403
    │   ├── TokenRefusedError   403
    │   └── TokenElsewhereError 403
    ├── CrossSiteError          403
    ├── UnknownNodeError        404
    ├── UnknownAccountError     404
    ├── UnknownGroupError       404
    ├── UnknownTokenError       404
    ├── UnknownInvitationError  404
    ├── UnknownOperationError   404
    ├── NodeExistsError         409
    ├── KeyInUseError           409
    ├── WrongKindError          409
    ├── FleetFullError          409
    ├── GroupExistsError        409
    ├── GroupInUseError         409
    ├── InvitationExistsError   409
    ├── TurnSecretsInUseError   409
    ├── TokenInSettingsError    409
    ├── TooManyAttemptsError    429
    ├── TooManyAccountsError    429
    ├── NodeRefusedError        502
    ├── DatabaseBusyError       503
    ├── NodeNotConnectedError   503
    ├── NoRoomError             503
    └── NodeSilentError         504

    BadInstallationError        ends the process: a file of the control plane is damaged or not private
    └── AbsentDatabaseError     ends the process, which is started again: PostgreSQL does not answer
    BackupError                 ends the command: a backup cannot be written, or not be used
"""

from collections.abc import Mapping
from typing import ClassVar


class BadInstallationError(Exception):
    """The host is not as the control plane needs it; the text names the file and the remedy."""


class AbsentDatabaseError(BadInstallationError):
    """PostgreSQL does not answer now; it may later, so it is worth a try to start again."""


class BackupError(Exception):
    """A backup cannot be written or used; the text says what is wrong and what to do, in one sentence."""


class MigrationRefusedError(Exception):
    """A database is not moved; the text says why and what to do, in one sentence or two."""


class ControlPlaneError(Exception):
    """A refusal: what the client is told stands on the class, what the log needs comes with the occasion.

    `event` is what the log calls it; `is_warning` says that an operator may have to act.
    """

    status: ClassVar[int]
    code: ClassVar[str]
    public_text: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}
    event: ClassVar[str] = "request refused"
    is_warning: ClassVar[bool] = False

    def __init__(self, **private: object) -> None:
        super().__init__(self.public_text)
        self.private = private

    @property
    def text(self) -> str:
        """What the client is told on this occasion; a class whose text depends on it says so here."""
        return self.public_text


class BadAddressError(ControlPlaneError):
    """What should be an account's address is none."""

    status = 400
    code = "bad_address"
    public_text = "This is no address of an account. Write it as user@domain."


class NoticeHiddenError(ControlPlaneError):
    """A notice would not be seen by anybody."""

    status = 400
    code = "notice_hidden"
    public_text = (
        "Delta Chat shows encrypted messages only, and a server cannot write one: nobody would see this "
        "notice. Write from an account of your own to those whom it concerns."
    )


class NotSignedInError(ControlPlaneError):
    """Nobody is known by the given token, or none was given; which of them is not told."""

    status = 401
    code = "not_signed_in"
    public_text = "Sign in with a valid token."
    headers: ClassVar[Mapping[str, str]] = {"www-authenticate": "Bearer"}  # RFC 9110 section 15.5.2


class SessionOverError(NotSignedInError):
    """A page was asked for by somebody who is not signed in; he is led to where he can."""

    status = 303
    code = "session_over"
    headers: ClassVar[Mapping[str, str]] = {"location": "/"}


class NotPermittedError(ControlPlaneError):
    """The caller is known and has no role for this."""

    status = 403
    code = "not_permitted"
    public_text = "Your role does not permit this."


class OutOfScopeError(NotPermittedError):
    """The caller's role would be enough, but what he asks for lies outside of what his token is for."""

    code = "out_of_scope"
    public_text = "Your token is for another part of the fleet."


class ForgedFormError(NotPermittedError):
    """A form was sent that none of our pages has shown to this visitor."""

    code = "forged_form"
    public_text = "This form is too old. Open the page again, then send it."


class JoinRefusedError(NotPermittedError):
    """A join token is unknown, used, expired, or for another kind of node; only the log tells which."""

    code = "join_refused"
    event = "join refused"
    is_warning = True
    public_text = "The join token does not hold: it is unknown, used, expired or for another kind of node."


class UnknownNodeError(ControlPlaneError):
    """No node of that name is enrolled."""

    status = 404
    code = "unknown_node"
    public_text = "There is no node of this name. List the nodes and correct the name."


class UnknownGroupError(ControlPlaneError):
    """There is no group of that name."""

    status = 404
    code = "unknown_group"
    public_text = "There is no group of this name. List the groups and correct the name."


class UnknownTokenError(ControlPlaneError):
    """There is no token with that public part."""

    status = 404
    code = "unknown_token"
    public_text = "There is no token with this id. List the tokens and correct the id."


class UnknownInvitationError(ControlPlaneError):
    """There is no registration token with that id."""

    status = 404
    code = "unknown_registration_token"
    public_text = "There is no registration token with this id. List the tokens and correct the id."


class UnknownAccountError(ControlPlaneError):
    """The node has no such account."""

    status = 404
    code = "unknown_account"
    public_text = "There is no account of this address on this node."


class UnknownOperationError(ControlPlaneError):
    """No operation has that id."""

    status = 404
    code = "unknown_operation"
    public_text = "There is no operation with this id."


class NodeExistsError(ControlPlaneError):
    """A node of that name is enrolled already, with another key or as another kind."""

    status = 409
    code = "node_exists"
    public_text = (
        "A node of this name is enrolled already. Ask for its key to be replaced, or retire it first."
    )


class KeyInUseError(ControlPlaneError):
    """Another node is enrolled with that key."""

    status = 409
    code = "key_in_use"
    public_text = "Another node is enrolled with this key. Make a key of its own on each node."


class WrongKindError(ControlPlaneError):
    """What was asked for does not exist on nodes of that kind."""

    status = 409
    code = "wrong_kind"
    public_text = "Only mail nodes have this. Name a mail node."


class FleetFullError(ControlPlaneError):
    """There are no more residues for TURN credentials."""

    status = 409
    code = "fleet_full"
    public_text = "This fleet has had as many mail nodes as it can tell apart. Start another fleet."


class GroupExistsError(ControlPlaneError):
    """There is a group of that name already."""

    status = 409
    code = "group_exists"
    public_text = "There is a group of this name already. Choose another name."


class GroupInUseError(ControlPlaneError):
    """Nodes are in the group that is to be removed."""

    status = 409
    code = "group_in_use"
    public_text = "Nodes are in this group. Move them out of it first."


class TurnSecretsInUseError(ControlPlaneError):
    """Two TURN secrets are live already."""

    status = 409
    code = "turn_secrets_in_use"
    public_text = "The TURN secret is being replaced already. GET /turn says when the former one ends."


class InvitationExistsError(ControlPlaneError):
    """There is such a registration token already."""

    status = 409
    code = "registration_token_exists"
    public_text = "There is such a registration token already. Choose another one, or let one be made up."


class TokenInSettingsError(ControlPlaneError):
    """The token that is to be revoked stands in the settings."""

    status = 409
    code = "token_in_settings"
    public_text = "This token stands in the settings. Remove CONTROLPLANE_ADMIN_TOKEN there, then restart."


class TooManyAttemptsError(ControlPlaneError):
    """Too many wrong tokens came from one address; a right one is still taken."""

    status = 429
    code = "too_many_attempts"
    public_text = "Too many wrong tokens came from this address. Wait a minute."
    headers: ClassVar[Mapping[str, str]] = {"retry-after": "60"}


class NodeRefusedError(ControlPlaneError):
    """The node was asked and could not answer."""

    status = 502
    code = "node_refused"
    public_text = "The node cannot answer this. Its log says why."


class DatabaseBusyError(ControlPlaneError):
    """The database did not take the change in time; nothing was changed."""

    status = 503
    code = "database_busy"
    public_text = "The change could not be saved. Try again."


class NodeNotConnectedError(ControlPlaneError):
    """The node has no channel to this replica."""

    status = 503
    code = "node_not_connected"
    public_text = "The node is not connected. Look at its service and its network."


class NodeSilentError(ControlPlaneError):
    """The node is connected and did not answer in time."""

    status = 504
    code = "node_silent"
    public_text = "The node did not answer in time. Try again."


class RegistrationClosedError(ControlPlaneError):
    """No mail node of the fleet takes new accounts."""

    status = 403
    code = "registration_closed"
    public_text = "No new accounts are made here at present. Existing accounts work as before."


class TokenNeededError(RegistrationClosedError):
    """Only who has a registration token gets an account, and none was given."""

    code = "token_needed"
    public_text = "Registration token is required. Ask whoever runs this fleet for one."


class TokenRefusedError(RegistrationClosedError):
    """A registration token is unknown, used up or expired; which of them is not told."""

    code = "token_refused"
    public_text = "Invalid registration token: it is unknown, used up or expired. Ask for another one."


class TokenElsewhereError(RegistrationClosedError):
    """A registration token is good, but at another page; `origin` is where, if that is known."""

    code = "token_elsewhere"
    public_text = "This registration token is for another page. Open the link that came with it."

    def __init__(self, origin: str | None) -> None:
        super().__init__(origin=origin)
        self.origin = origin

    @property
    def text(self) -> str:
        """Name the page, if that is known."""
        return self.public_text if self.origin is None else f"This registration token is for {self.origin}."


class CrossSiteError(ControlPlaneError):
    """The page of another site made the browser send a request."""

    status = 403
    code = "cross_site"
    public_text = "For your safety, an account can only be created from our own page."


class TooManyAccountsError(ControlPlaneError):
    """One client asks for more accounts than anybody needs."""

    status = 429
    code = "too_many_accounts"
    public_text = "Too many accounts were made from your network. Try again in a minute."
    headers: ClassVar[Mapping[str, str]] = {"retry-after": "60"}


class NoRoomError(ControlPlaneError):
    """No node could make the account at this moment."""

    status = 503
    code = "no_room"
    public_text = "No account could be made at this moment. Try again in a minute."
    headers: ClassVar[Mapping[str, str]] = {"retry-after": "60"}
