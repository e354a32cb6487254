"""What the pages about servers of others say."""

from controlplane.web.texts.phrases import Phrase, Phrases
from nodelink.contract.federation import FederationMode

PHRASES: Phrases = {
    "title": Phrase("Other servers", "سرورهای دیگر"),
    "lead": Phrase(
        "With whom mail is exchanged. The nearest word counts: node, then group, then fleet; lists add up.",
        "با چه کسی پیام رد و بدل می‌شود. نزدیک‌ترین سخن برقرار است: گره، سپس گروه، سپس ناوگان؛ فهرست‌ها جمع می‌شوند.",
    ),
    "show_servers": Phrase("See what passes", "دیدن رفت‌وآمد پیام"),
    "policy": Phrase("Policy", "سیاست"),
    "is_enabled": Phrase("Mail is exchanged with other servers", "با سرورهای دیگر پیام رد و بدل می‌شود"),
    "mode": Phrase("A domain without a rule", "دامنهٔ بدون قاعده"),
    "transports": Phrase("Mail goes and comes by", "پیام با این‌ها می‌رود و می‌آید"),
    "drops": Phrase(
        "Mail for nobody is taken and dropped", "پیام به گیرندهٔ ناموجود گرفته و دور انداخته می‌شود"
    ),
    "drops_hint": Phrase(
        "Then nobody can try out which accounts there are.",
        "آن‌گاه کسی نمی‌تواند با آزمودن بفهمد چه حساب‌هایی هست.",
    ),
    "rules": Phrase("Rules", "قاعده‌ها"),
    "rules_accept": Phrase("These domains are blocked.", "این دامنه‌ها مسدودند."),
    "rules_reject": Phrase("Only these domains are allowed.", "تنها این دامنه‌ها مجازند."),
    "domain": Phrase("Domain", "دامنه"),
    "transport": Phrase("About", "دربارهٔ"),
    "every_transport": Phrase("all transports", "همهٔ راه‌ها"),
    "made": Phrase("Made", "زمان افزودن"),
    "no_rules": Phrase("There is no rule.", "قاعده‌ای نیست."),
    "add_rule": Phrase("Add a rule", "افزودن قاعده"),
    "endpoints": Phrase("Endpoints", "مقصدها"),
    "endpoints_lead": Phrase(
        "Where mail for a domain goes, whatever the DNS says.",
        "پیام یک دامنه به کجا می‌رود، هرچه سامانهٔ نام بگوید.",
    ),
    "no_endpoints": Phrase("There is no endpoint.", "مقصدی نیست."),
    "target": Phrase("Where to", "به کجا"),
    "target_hint": Phrase(
        "A host, host and port, or an address such as %s.", "میزبان، میزبان و درگاه، یا نشانی مانند %s."
    ),
    "comment": Phrase("Comment", "یادداشت"),
    "set_endpoint": Phrase("Set an endpoint", "تعیین مقصد"),
    "dismissed": Phrase("Dropped without a word", "بی‌صدا دور انداخته"),
    "dismissed_lead": Phrase(
        "Mail of users for these domains is taken, and goes nowhere.",
        "پیام کاربران برای این دامنه‌ها گرفته می‌شود و به جایی نمی‌رود.",
    ),
    "no_dismissed": Phrase("There is no such domain.", "چنین دامنه‌ای نیست."),
    "add_dismissed": Phrase("Drop mail for a domain", "دور انداختن پیام یک دامنه"),
    "from_wider": Phrase("said further up", "از سطح بالاتر"),
    "servers": Phrase("What passes", "رفت‌وآمد پیام"),
    "servers_lead": Phrase(
        "By each node, as it says at this moment, since it has started.",
        "به گفتهٔ هر گره در همین لحظه، از زمان آغاز به کارش.",
    ),
    "node": Phrase("Node", "گره"),
    "queued": Phrase("Waiting", "در انتظار"),
    "delivered": Phrase("Delivered", "تحویل‌شده"),
    "failed": Phrase("Failed attempts", "تلاش‌های ناموفق"),
    "refused": Phrase("Refused", "ردشده"),
    "received": Phrase("Taken", "گرفته‌شده"),
    "latency": Phrase("Takes", "مدت"),
    "seconds": Phrase("%s s", "%s ثانیه"),
    "last_seen": Phrase("Last", "آخرین بار"),
    "last_problem": Phrase("Last problem", "آخرین مشکل"),
    "empty": Phrase("No mail has passed yet.", "هنوز پیامی رد و بدل نشده است."),
    "empty_remedy": Phrase(
        "A server appears here with the first message to it, or from it.",
        "هر سرور با نخستین پیام به آن یا از آن اینجا دیده می‌شود.",
    ),
}

MODES: Phrases = {
    FederationMode.ACCEPT: Phrase("allowed", "مجاز"),
    FederationMode.REJECT: Phrase("blocked", "مسدود"),
}

FIELDS: Phrases = {
    "is_enabled": PHRASES["is_enabled"],
    "mode": PHRASES["mode"],
    "transports": PHRASES["transports"],
    "drops_unknown_recipients": PHRASES["drops"],
    "rules": PHRASES["domain"],
    "dismissed": PHRASES["domain"],
    "endpoints": PHRASES["target"],
}
"""What a refused field is called: those of federation.models.FederationChange."""
