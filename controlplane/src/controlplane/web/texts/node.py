"""What the page of one node says."""

from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "health": Phrase("Health", "سلامت"),
    "no_problems": Phrase("The node reports no problem.", "گره مشکلی گزارش نمی‌کند."),
    "never_seen": Phrase(
        "This node has never reported. Start its service and look at its log.",
        "این گره هرگز گزارشی نداده است. سرویسش را روشن کنید و گزارش آن را ببینید.",
    ),
    "away": Phrase(
        "This node is not connected: below is its last report. It serves on with what it last knew; "
        "what you change here it follows when it is back. Look at its service and network.",
        "این گره وصل نیست: آنچه پایین می‌بینید آخرین گزارش آن است. با آخرین دانسته‌هایش به کار ادامه می‌دهد و "
        "تغییرهای شما را هنگام بازگشت پی می‌گیرد. سرویس و شبکهٔ آن را ببینید.",
    ),
    "public_name": Phrase("Public name", "نام عمومی"),
    "port": Phrase("Port", "درگاه"),
    "version": Phrase("Version", "نسخه"),
    "revision": Phrase("Applied / wanted revision", "ویرایش اعمال‌شده / خواسته‌شده"),
    "last_report": Phrase("Last report", "آخرین گزارش"),
    "started": Phrase("Started", "آغاز به کار"),
    "enrolled": Phrase("Enrolled", "پیوسته از"),
    "key": Phrase("Key", "کلید"),
    "settings": Phrase("This node", "این گره"),
    "label": Phrase("Label", "برچسب"),
    "label_hint": Phrase("What people call it.", "آنچه مردم صدایش می‌کنند."),
    "weight": Phrase("Weight", "وزن"),
    "weight_hint": Phrase(
        "How many of the new accounts it gets, in relation to others; 0 for none.",
        "سهم آن از حساب‌های تازه نسبت به دیگران؛ ۰ یعنی هیچ.",
    ),
    "drain": Phrase("Drain", "خالی شدن"),
    "drain_hint": Phrase(
        "It gets nothing new; what is there goes on.", "چیز تازه نمی‌گیرد؛ آنچه هست ادامه می‌یابد."
    ),
    "group": Phrase("Group", "گروه"),
    "move": Phrase("Move", "جابه‌جا کردن"),
    "policy": Phrase("Policy on this node", "سیاست روی این گره"),
    "probes": Phrase("Probes to other nodes", "آزمون‌ها به گره‌های دیگر"),
    "no_probes": Phrase(
        "No probe yet. Nodes of the same kind probe one another every five minutes.",
        "هنوز آزمونی نیست. گره‌های هم‌نوع هر پنج دقیقه یکدیگر را می‌آزمایند.",
    ),
    "peer": Phrase("Peer", "گرهٔ دیگر"),
    "took": Phrase("Took", "مدت"),
    "failed": Phrase("failed", "شکست خورد"),
    "seconds": Phrase("%s s", "%s ثانیه"),
    "when": Phrase("When", "زمان"),
    "queue": Phrase("Queue for other nodes", "صف برای گره‌های دیگر"),
    "queue_show": Phrase("Show the queue", "نمایش صف"),
    "queue_empty": Phrase("Nothing waits for other nodes.", "چیزی در صف گره‌های دیگر نیست."),
    "destination": Phrase("Destination", "مقصد"),
    "messages": Phrase("Messages", "پیام‌ها"),
    "size": Phrase("Size", "اندازه"),
    "oldest": Phrase("Oldest", "قدیمی‌ترین"),
    "attempts": Phrase("Attempts", "تلاش‌ها"),
    "queue_purge": Phrase("Empty the queue", "خالی کردن صف"),
    "queue_purge_one": Phrase("Let go", "رها کردن"),
    "queue_purge_warning": Phrase(
        "What waits is let go for good; its senders are not told.",
        "آنچه در صف است برای همیشه رها می‌شود؛ فرستندگان خبردار نمی‌شوند.",
    ),
    "retire": Phrase("Retire this node", "بازنشسته کردن این گره"),
    "retire_warning": Phrase(
        "Its channel is closed and its key no longer accepted; tokens of it are revoked. Accounts on it stay on "
        "its disk. Drain it first if it still serves.",
        "کانالش بسته و کلیدش دیگر پذیرفته نمی‌شود؛ توکن‌هایش لغو می‌شوند. حساب‌ها روی دیسک خودش می‌مانند. "
        "اگر هنوز کار می‌کند نخست خالی‌اش کنید.",
    ),
    "retire_confirm": Phrase("Write the node's name to confirm", "برای تأیید نام گره را بنویسید"),
    "purge": Phrase("Let messages go", "پاک کردن پیام‌ها"),
    "purge_warning": Phrase(
        "Messages of all accounts of this node are removed for good.",
        "پیام‌های همهٔ حساب‌های این گره برای همیشه پاک می‌شوند.",
    ),
    "purge_what": Phrase("Which", "کدام"),
    "purge_all": Phrase("all", "همه"),
    "purge_read": Phrase("those that were read", "خوانده‌شده‌ها"),
    "purge_older": Phrase("older than so many days", "قدیمی‌تر از این تعداد روز"),
    "purge_days": Phrase("Days", "روز"),
    "accounts": Phrase("Accounts of this node", "حساب‌های این گره"),
    "export": Phrase("Export accounts", "برون‌بری حساب‌ها"),
    "export_hint": Phrase(
        "A file with addresses and hashes of passwords. Keep it as safe as passwords.",
        "پرونده‌ای با نشانی‌ها و درهم‌سازی گذرواژه‌ها. به اندازهٔ گذرواژه مراقبش باشید.",
    ),
    "audit": Phrase("What was changed on it", "آنچه روی آن تغییر کرده"),
}
