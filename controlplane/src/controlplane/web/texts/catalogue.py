"""All texts, by page and name, as templates read them: `t.accounts.search`.

Not for: the texts themselves, which stand beside this module.
"""

from collections.abc import Mapping

from controlplane.web.texts import (
    accounts,
    audit,
    dns,
    exchangers,
    federation,
    frame,
    groups,
    join,
    node,
    notices,
    operations,
    overview,
    policy,
    registration,
    tokens,
    turn,
)
from controlplane.web.texts.phrases import Language, Phrases

CATALOGUE: Mapping[str, Phrases] = {
    "accounts": accounts.PHRASES,
    "actions": audit.ACTIONS,
    "audit": audit.PHRASES,
    "charts": overview.CHARTS,
    "dkim_stages": dns.STAGES,
    "dns": dns.PHRASES,
    "exchangers": exchangers.PHRASES,
    "federation": federation.PHRASES,
    "federation_modes": federation.MODES,
    "fields": {**policy.FIELDS, **federation.FIELDS, **exchangers.FIELDS},
    "frame": frame.PHRASES,
    "groups": groups.PHRASES,
    "healths": overview.HEALTHS,
    "hints": policy.HINTS,
    "join": join.PHRASES,
    "kinds": overview.KINDS,
    "node": node.PHRASES,
    "notices": notices.NOTICES,
    "operation_names": operations.NAMES,
    "operation_states": operations.STATES,
    "operations": operations.PHRASES,
    "overview": overview.PHRASES,
    "policy": policy.PHRASES,
    "record_purposes": dns.PURPOSES,
    "refusals": notices.REFUSALS,
    "registration": registration.PHRASES,
    "registration_states": registration.STATES,
    "roles": tokens.ROLES,
    "scopes": tokens.SCOPES,
    "token_states": tokens.STATES,
    "tokens": tokens.PHRASES,
    "turn": turn.PHRASES,
    "turn_absences": turn.ABSENCES,
    "turn_secret_states": turn.SECRET_STATES,
}

Texts = Mapping[str, Mapping[str, str]]

TEXTS: Mapping[Language, Texts] = {
    language: {
        page: {name: phrase.speak(language) for name, phrase in phrases.items()}
        for page, phrases in CATALOGUE.items()
    }
    for language in Language
}
