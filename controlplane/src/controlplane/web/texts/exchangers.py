"""What the pages of exchangers say."""

from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "title": Phrase("Exchangers", "مبادله‌گرها"),
    "lead": Phrase(
        "Relays where mail for the fleet may wait, for networks where nodes are not reached. All mail nodes ask"
        " them for it.",
        "رله‌هایی که پیام ناوگان در آن‌ها می‌ماند، برای شبکه‌هایی که کسی به گره‌ها نمی‌رسد. همهٔ گره‌های پیام آن را از"
        " رله‌ها می‌خواهند.",
    ),
    "sending_hint": Phrase(
        "Mail goes out through one by an endpoint of its domain.",
        "پیام‌های بیرون‌رو با تعیین مقصد برای دامنه‌شان از راه مبادله‌گر می‌روند.",
    ),
    "empty": Phrase("No exchanger is asked.", "از مبادله‌گری پرسیده نمی‌شود."),
    "empty_remedy": Phrase(
        "Add one if other servers cannot reach your nodes.",
        "اگر سرورهای دیگر به گره‌های شما نمی‌رسند یکی بیفزایید.",
    ),
    "one": Phrase("Exchanger", "مبادله‌گر"),
    "name": Phrase("Name", "نام"),
    "name_hint": Phrase("Small letters, digits and dashes.", "حرف کوچک لاتین، رقم و خط تیره."),
    "url": Phrase("Address", "نشانی"),
    "url_hint": Phrase("For example %s.", "برای نمونه %s."),
    "interval": Phrase("Asked every (seconds)", "پرسش هر چند ثانیه"),
    "interval_shown": Phrase("Asked every", "هر چند وقت"),
    "seconds": Phrase("%s s", "%s ثانیه"),
    "is_enabled": Phrase("It is asked", "پرسیده می‌شود"),
    "token": Phrase("Token", "توکن"),
    "token_hint": Phrase(
        "Only if it wants one; then its address begins with https. It is not shown again.",
        "فقط اگر توکن بخواهد؛ آن‌گاه نشانی‌اش باید با https آغاز شود. دوباره نشان داده نمی‌شود.",
    ),
    "keeps_token": Phrase("It has a token, which stays", "توکن دارد و همان می‌ماند"),
    "new_token": Phrase("New token", "توکن تازه"),
    "new_token_hint": Phrase("Empty: as it is.", "خالی: بدون تغییر."),
    "added": Phrase("Added", "زمان افزودن"),
    "add": Phrase("Add an exchanger", "افزودن مبادله‌گر"),
    "change": Phrase("Change it", "تغییر آن"),
    "remove_warning": Phrase(
        "What waits there stays there, until somebody asks for it.",
        "آنچه آنجا مانده همان‌جا می‌ماند تا کسی آن را بخواهد.",
    ),
}

FIELDS: Phrases = {
    "name": PHRASES["name"],
    "url": PHRASES["url"],
    "poll_interval_seconds": PHRASES["interval"],
    "token": PHRASES["token"],
}
"""What a refused field is called: those of exchangers.models.ExchangerRequest."""
