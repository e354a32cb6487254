"""What the overview says, and words for how nodes are."""

from controlplane.nodes.models import Health
from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "title": Phrase("Overview", "نمای کلی"),
    "nodes": Phrase("Nodes", "گره‌ها"),
    "connected": Phrase("Nodes connected", "گره‌های متصل"),
    "of": Phrase("of %s", "از %s"),
    "accounts": Phrase("Accounts", "حساب‌ها"),
    "messages": Phrase("Messages a minute", "پیام در دقیقه"),
    "sessions": Phrase("Open sessions", "نشست‌های باز"),
    "storage": Phrase("Storage", "فضای پیام‌ها"),
    "calls": Phrase("Relayed calls", "تماس‌های بازپخش"),
    "not_known": Phrase("not known yet", "هنوز معلوم نیست"),
    "away_title": Phrase("Not connected", "وصل نیستند"),
    "away_remedy": Phrase(
        "They serve on with what they last knew. Look at their service and network.",
        "با آخرین دانسته‌هایشان به کار ادامه می‌دهند. سرویس و شبکهٔ آن‌ها را ببینید.",
    ),
    "no_nodes": Phrase("No node is in this fleet yet.", "هنوز گره‌ای در این ناوگان نیست."),
    "no_nodes_remedy": Phrase(
        "Ansible enrols nodes by itself; by hand, invite one here and give it the join token.",
        "Ansible خودش گره‌ها را می‌پیوندد؛ دستی، اینجا دعوت کنید و توکن پیوستن را به گره بدهید.",
    ),
    "no_match": Phrase("No node matches this filter.", "هیچ گره‌ای با این پالایش نمی‌خواند."),
    "kind": Phrase("Kind", "نوع"),
    "group": Phrase("Group", "گروه"),
    "no_group": Phrase("no group", "بی‌گروه"),
    "draining": Phrase("drains", "در حال خالی شدن"),
    "behind": Phrase("is catching up", "در حال به‌روز شدن"),
    "last_report": Phrase("Report", "گزارش"),
    "invite": Phrase("Invite a node", "دعوت گره"),
    "invite_hint": Phrase(
        "A join token enrols one node, once. Write it into the node's settings.",
        "توکن پیوستن یک گره را یک بار می‌پیوندد. آن را در تنظیمات گره بنویسید.",
    ),
    "invite_name": Phrase("Name of the node", "نام گره"),
    "invite_name_hint": Phrase("Small letters, digits and dashes.", "حروف کوچک لاتین، رقم و خط تیره."),
    "invite_hours": Phrase("Valid for hours", "اعتبار به ساعت"),
    "invited": Phrase("Join token of the node", "توکن پیوستن گره"),
    "history": Phrase("The last 24 hours", "۲۴ ساعت گذشته"),
    "no_history": Phrase(
        "No figures yet. The first come within two minutes of the first report.",
        "هنوز عددی نیست. نخستین‌ها تا دو دقیقه پس از نخستین گزارش می‌آیند.",
    ),
    "needs_scripts": Phrase("Charts need scripts.", "نمودارها به اسکریپت نیاز دارند."),
}

KINDS: Phrases = {"mail": Phrase("mail", "پیام"), "turn": Phrase("TURN", "TURN")}

HEALTHS: Phrases = {
    Health.OK: Phrase("ok", "سالم"),
    Health.PROBLEM: Phrase("problem", "مشکل"),
    Health.NOT_CONNECTED: Phrase("not connected", "وصل نیست"),
    Health.NEVER_SEEN: Phrase("never seen", "هرگز دیده نشده"),
}

CHARTS: Phrases = {
    "accounts": Phrase("Accounts", "حساب‌ها"),
    "messages": Phrase("Messages a minute", "پیام در دقیقه"),
    "from_users": Phrase("from users", "از کاربران"),
    "from_nodes": Phrase("from other nodes", "از گره‌های دیگر"),
    "sessions": Phrase("Open sessions", "نشست‌های باز"),
    "imap": Phrase("IMAP", "IMAP"),
    "smtp": Phrase("SMTP", "SMTP"),
    "storage": Phrase("Storage", "فضای پیام‌ها"),
    "store": Phrase("mail store", "انبار پیام"),
    "disk_free": Phrase("free on disk", "فضای آزاد دیسک"),
    "queue": Phrase("Waiting for other nodes", "در صف گره‌های دیگر"),
    "queued": Phrase("messages", "پیام‌ها"),
    "relayed": Phrase("Relayed bytes a minute", "بایت بازپخش در دقیقه"),
    "to_peers": Phrase("to peers", "به طرف مقابل"),
    "to_clients": Phrase("to clients", "به کاربران"),
    "allocations": Phrase("Relayed calls (allocations)", "تماس‌های بازپخش (تخصیص)"),
    "live": Phrase("live", "زنده"),
    "load": Phrase("Load: how late the event loop is", "بار: دیرکرد حلقهٔ رویداد"),
    "lag": Phrase("seconds, at worst", "ثانیه، در بدترین حال"),
    "nodes": Phrase("Nodes connected", "گره‌های متصل"),
    "connected": Phrase("connected", "متصل"),
}
