"""What the page of the DNS says, and the part of a node's page about its signing keys."""

from controlplane.web.texts.phrases import Phrase, Phrases
from controlplane.zone.models import Purpose
from nodelink.contract.federation import DkimStage

PHRASES: Phrases = {
    "title": Phrase("DNS records", "رکوردهای DNS"),
    "lead": Phrase(
        "What the DNS must say of this fleet, by what its nodes report.",
        "آنچه DNS باید دربارهٔ این ناوگان بگوید، بر پایهٔ گزارش گره‌ها.",
    ),
    "compare": Phrase(
        "On the control plane's host, %s compares it with what is published.",
        "روی میزبان سامانهٔ کنترل، %s آن را با آنچه منتشر شده می‌سنجد.",
    ),
    "empty": Phrase("This fleet needs no DNS.", "این ناوگان به DNS نیاز ندارد."),
    "empty_remedy": Phrase(
        "Its mail domains are addresses, or no node has reported yet.",
        "دامنه‌های آن نشانی‌اند، یا هنوز هیچ گره‌ای گزارش نداده است.",
    ),
    "notes": Phrase("What is missing, or needs no record", "آنچه کم است یا رکورد نمی‌خواهد"),
    "name": Phrase("Name", "نام"),
    "type": Phrase("Type", "نوع"),
    "value": Phrase("Value", "مقدار"),
    "purpose": Phrase("What for", "برای چه"),
    "zone_file": Phrase("All as a zone file", "همه به شکل پروندهٔ ناحیه"),
    "retired": Phrase("Take these names out", "این نام‌ها را بردارید"),
    "retired_hint": Phrase(
        "Nodes have forgotten these signing keys.", "گره‌ها این کلیدهای امضا را فراموش کرده‌اند."
    ),
    "signing_keys": Phrase("Signing keys (DKIM)", "کلیدهای امضا (DKIM)"),
    "no_keys": Phrase("The node has told of no key.", "گره از کلیدی خبر نداده است."),
    "selector": Phrase("Selector", "گزینشگر"),
    "stage": Phrase("State", "وضعیت"),
    "rotate": Phrase("Replace the keys", "تعویض کلیدها"),
    "rotate_hint": Phrase(
        "The node makes the next keys. Publish them beside the present ones; an hour after it has found them in "
        "the DNS, it signs with them.",
        "گره کلیدهای بعدی را می‌سازد. آن‌ها را کنار کلیدهای کنونی منتشر کنید؛ یک ساعت پس از آنکه گره آن‌ها را در "
        "DNS یافت، با آن‌ها امضا می‌کند.",
    ),
    "two_live": Phrase(
        "The next keys wait for the DNS: publish their records.",
        "کلیدهای بعدی در انتظار DNS هستند: رکوردهایشان را منتشر کنید.",
    ),
}

PURPOSES: Phrases = {
    Purpose.NODE: Phrase("the node", "خود گره"),
    Purpose.EXCHANGE: Phrase("where others hand mail over", "جایی که دیگران پیام را تحویل می‌دهند"),
    Purpose.SPF: Phrase("who sends for the domain (SPF)", "چه کسی برای دامنه می‌فرستد (SPF)"),
    Purpose.NEXT_KEY: Phrase("signing key, next", "کلید امضای بعدی"),
    Purpose.CURRENT_KEY: Phrase("signing key", "کلید امضا"),
    Purpose.FORMER_KEY: Phrase("signing key, former", "کلید امضای پیشین"),
    Purpose.DMARC: Phrase("what to do with forged mail (DMARC)", "با پیام جعلی چه کنند (DMARC)"),
    Purpose.IMAP_TLS: Phrase("IMAP by TLS", "IMAP با TLS"),
    Purpose.IMAP: Phrase("IMAP by STARTTLS", "IMAP با STARTTLS"),
    Purpose.SUBMISSION_TLS: Phrase("SMTP by TLS", "SMTP با TLS"),
    Purpose.SUBMISSION: Phrase("SMTP by STARTTLS", "SMTP با STARTTLS"),
    Purpose.STS: Phrase("only by TLS (MTA-STS)", "تنها با TLS (MTA-STS)"),
    Purpose.STS_POLICY: Phrase("the policy of MTA-STS", "سیاست MTA-STS"),
    Purpose.AUTOCONFIG: Phrase("settings for mail apps", "تنظیم برنامه‌های پیام"),
    Purpose.AUTHORITY: Phrase("who may certify", "چه کسی گواهی می‌دهد"),
    Purpose.TURN: Phrase("calls (TURN)", "تماس‌ها (TURN)"),
}

STAGES: Phrases = {
    DkimStage.NEXT: Phrase("next", "بعدی"),
    DkimStage.CURRENT: Phrase("signs", "امضا می‌کند"),
    DkimStage.FORMER: Phrase("former", "پیشین"),
}
