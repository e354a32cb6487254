"""What the page of registration tokens says; policies have their own words."""

from controlplane.registration.token_models import InvitationState
from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "tokens": Phrase("Registration tokens", "توکن‌های ثبت‌نام"),
    "tokens_lead": Phrase(
        "Whoever has one gets an account by its link or QR code, as often as it says.",
        "هر کس یکی داشته باشد با پیوند یا کد QR آن، به دفعاتی که می‌گوید، حساب می‌گیرد.",
    ),
    "join_page": Phrase("Page where people register", "صفحه‌ای که مردم در آن ثبت‌نام می‌کنند"),
    "empty": Phrase("There is no registration token.", "توکن ثبت‌نامی نیست."),
    "empty_remedy": Phrase(
        "Make one to invite people while registration needs a token.",
        "یکی بسازید تا وقتی ثبت‌نام توکن می‌خواهد مردم را دعوت کنید.",
    ),
    "place": Phrase("For", "برای"),
    "fleet": Phrase("the fleet", "ناوگان"),
    "place_hint": Phrase(
        "A node's token is taken at its own page alone, the fleet's at the page above.",
        "توکن یک گره تنها در صفحهٔ خود آن پذیرفته می‌شود و توکن ناوگان در صفحهٔ بالا.",
    ),
    "no_link": Phrase(
        "The link is known once the node has reported.", "پیوند پس از نخستین گزارش گره معلوم می‌شود."
    ),
    "create": Phrase("Make a registration token", "ساختن توکن ثبت‌نام"),
    "uses": Phrase("Uses", "دفعات"),
    "max_uses": Phrase("How many accounts it makes", "چند حساب می‌سازد"),
    "comment": Phrase("Comment", "یادداشت"),
    "comment_hint": Phrase("For operators: whom it is for.", "برای گردانندگان: برای چه کسی است."),
    "own": Phrase("Own text", "متن دلخواه"),
    "own_hint": Phrase(
        "8 to 64 letters, digits, - and _. Empty: one is made up.",
        "۸ تا ۶۴ حرف لاتین، رقم، - و _. خالی: ساخته می‌شود.",
    ),
    "days": Phrase("Valid for days", "اعتبار به روز"),
    "days_hint": Phrase("Empty: for ever.", "خالی: همیشه."),
    "days_keep_hint": Phrase("From today; empty: as it is.", "از امروز؛ خالی: بدون تغییر."),
    "ends": Phrase("Ends", "پایان"),
    "state": Phrase("State", "وضعیت"),
    "link": Phrase("Link", "پیوند"),
    "token": Phrase("Token", "توکن"),
    "show": Phrase("Show and change", "دیدن و تغییر"),
    "one": Phrase("Registration token", "توکن ثبت‌نام"),
    "scan": Phrase(
        "A phone's camera opens the page with this code.", "دوربین گوشی با این کد صفحه را باز می‌کند."
    ),
    "change": Phrase("Change it", "تغییر آن"),
    "remove_warning": Phrase("Accounts made by it stay.", "حساب‌هایی که با آن ساخته شده‌اند می‌مانند."),
}

STATES: Phrases = {
    InvitationState.ACTIVE: Phrase("is taken", "پذیرفته می‌شود"),
    InvitationState.EXHAUSTED: Phrase("used up", "مصرف شده"),
    InvitationState.EXPIRED: Phrase("has ended", "پایان یافته"),
}
