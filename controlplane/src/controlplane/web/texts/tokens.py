"""What the page of admin tokens says."""

from controlplane.admins.access import Role, ScopeKind
from controlplane.admins.models import TokenState
from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "title": Phrase("Admin tokens", "توکن‌های مدیریت"),
    "lead": Phrase(
        "Whoever has one steers what its scope reaches, as far as its role goes.",
        "هر کس یکی داشته باشد، در گسترهٔ آن و به اندازهٔ نقش آن، می‌گرداند.",
    ),
    "name": Phrase("Name", "نام"),
    "name_hint": Phrase(
        "Who will use it; the audit log names him.", "چه کسی به کار می‌برد؛ دفتر رویدادها نامش را می‌آورد."
    ),
    "role": Phrase("Role", "نقش"),
    "scope": Phrase("Scope", "گستره"),
    "scope_hint": Phrase("An owner's is always the whole fleet.", "گسترهٔ مالک همیشه همهٔ ناوگان است."),
    "state": Phrase("State", "وضعیت"),
    "last_used": Phrase("Last used", "آخرین استفاده"),
    "ends": Phrase("Ends", "پایان"),
    "hours": Phrase("Valid for hours", "اعتبار به ساعت"),
    "hours_hint": Phrase("Empty: until it is revoked.", "خالی: تا وقتی لغو شود."),
    "create": Phrase("Make a token", "ساختن توکن"),
    "revoke": Phrase("Revoke", "لغو"),
    "revoke_warning": Phrase(
        "It ends at once, with the sessions signed in by it.", "بی‌درنگ با همهٔ نشست‌هایش پایان می‌یابد."
    ),
    "own": Phrase("yours", "از آنِ شما"),
    "in_settings": Phrase("in the settings", "در تنظیمات"),
    "made": Phrase("The new token", "توکن تازه"),
    "link": Phrase("Link that signs in", "پیوند ورود"),
    "scan": Phrase("Scanned with a phone, it signs in there.", "با اسکن آن در گوشی، همان‌جا وارد می‌شوید."),
}

ROLES: Phrases = {
    Role.VIEWER: Phrase("viewer", "بیننده"),
    Role.OPERATOR: Phrase("operator", "گرداننده"),
    Role.OWNER: Phrase("owner", "مالک"),
}

SCOPES: Phrases = {
    ScopeKind.FLEET: Phrase("whole fleet", "همهٔ ناوگان"),
    ScopeKind.GROUP: Phrase("group", "گروه"),
    ScopeKind.NODE: Phrase("node", "گره"),
}

STATES: Phrases = {
    TokenState.ACTIVE: Phrase("is taken", "پذیرفته می‌شود"),
    TokenState.EXPIRED: Phrase("has ended", "پایان یافته"),
    TokenState.REVOKED: Phrase("revoked", "لغو شده"),
    TokenState.SHADOWED: Phrase("hidden by the settings", "پوشیده با تنظیمات"),
}
