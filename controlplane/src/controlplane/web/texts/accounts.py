"""What the pages of accounts say."""

from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "title": Phrase("Accounts", "حساب‌ها"),
    "lead": Phrase(
        "Asked of the nodes at this moment; the control plane keeps no list.",
        "همین لحظه از گره‌ها پرسیده شد؛ سامانهٔ کنترل فهرستی نگه نمی‌دارد.",
    ),
    "search": Phrase("Search addresses", "جست‌وجوی نشانی"),
    "sort": Phrase("Sort by", "ترتیب"),
    "by_address": Phrase("address", "نشانی"),
    "by_size": Phrase("size, largest first", "اندازه، بزرگ‌ترین نخست"),
    "by_last_login": Phrase("last login, newest first", "آخرین ورود، تازه‌ترین نخست"),
    "by_unused": Phrase("last login, oldest first", "آخرین ورود، قدیمی‌ترین نخست"),
    "node": Phrase("Node", "گره"),
    "all_nodes": Phrase("All nodes", "همهٔ گره‌ها"),
    "find": Phrase("Show", "نمایش"),
    "address": Phrase("Address", "نشانی"),
    "size": Phrase("Size", "اندازه"),
    "quota": Phrase("Quota", "سهمیه"),
    "own_quota": Phrase("its own", "سهمیهٔ خودش"),
    "messages": Phrase("Messages", "پیام‌ها"),
    "last_login": Phrase("Last login", "آخرین ورود"),
    "created": Phrase("Made", "ساخته‌شده"),
    "blocked": Phrase("blocked", "مسدود"),
    "usable": Phrase("may be used", "قابل استفاده"),
    "choose": Phrase("Choose", "انتخاب"),
    "choose_all": Phrase("Choose all on this page", "انتخاب همهٔ این صفحه"),
    "empty": Phrase("No account.", "حسابی نیست."),
    "empty_remedy": Phrase(
        "Accounts appear here when people register, or when you make one.",
        "با ثبت‌نام مردم، یا ساختن حساب به دست شما، حساب‌ها اینجا پیدا می‌شوند.",
    ),
    "no_match": Phrase(
        "No account matches. Search for less of the address.",
        "حسابی نخواند. بخش کوتاه‌تری از نشانی را بجویید.",
    ),
    "with_chosen": Phrase("With those chosen", "با انتخاب‌شده‌ها"),
    "block": Phrase("Block", "مسدود کردن"),
    "unblock": Phrase("Unblock", "آزاد کردن"),
    "delete": Phrase("Delete", "حذف"),
    "go_on": Phrase("Go on", "ادامه"),
    "confirm_remove": Phrase("Delete these accounts?", "این حساب‌ها حذف شوند؟"),
    "confirm_block": Phrase("Block these accounts?", "این حساب‌ها مسدود شوند؟"),
    "confirm_unblock": Phrase("Unblock these accounts?", "این حساب‌ها آزاد شوند؟"),
    "delete_warning": Phrase(
        "The account and all its messages go for good. Whoever has its address can register it again.",
        "حساب و همهٔ پیام‌هایش برای همیشه می‌رود. نشانی آن را می‌توان دوباره ثبت کرد.",
    ),
    "block_hint": Phrase(
        "Sessions end at once; nobody logs in, gets mail, or registers the address again.",
        "نشست‌ها بی‌درنگ بسته می‌شوند؛ کسی وارد نمی‌شود، پیام نمی‌گیرد و نشانی را دوباره ثبت نمی‌کند.",
    ),
    "unblock_hint": Phrase(
        "The account, if it is still there, works as before.", "حساب، اگر هنوز باشد، مانند پیش کار می‌کند."
    ),
    "reason": Phrase("Reason, for admins", "علت، برای مدیران"),
    "create": Phrase("Make an account", "ساختن حساب"),
    "create_lead": Phrase(
        "It is made whether or not registration is open.", "چه ثبت‌نام باز باشد چه نباشد ساخته می‌شود."
    ),
    "create_address": Phrase("Address, or only what stands before the @", "نشانی، یا فقط بخش پیش از @"),
    "create_address_hint": Phrase("Empty: one is made up.", "خالی: ساخته می‌شود."),
    "create_password_hint": Phrase(
        "Empty: one is made up, and shown once.", "خالی: ساخته می‌شود و یک بار نشان داده می‌شود."
    ),
    "created_title": Phrase("The account is being made", "حساب در حال ساخته شدن است"),
    "created_lead": Phrase(
        "It can be used when the operation below is done. Give this code only to its owner.",
        "با پایان عملیات زیر می‌توان از آن استفاده کرد. این کد را تنها به صاحب آن بدهید.",
    ),
    "no_mail_node": Phrase(
        "There is no mail node that could have accounts.", "گرهٔ پیامی نیست که حساب داشته باشد."
    ),
    "import": Phrase("Import", "درون‌بری"),
    "import_title": Phrase("Import accounts", "درون‌بری حساب‌ها"),
    "import_lead": Phrase(
        "What an export wrote, or Madmail's: a line each, up to 2,000. Accounts that are there stay as they are.",
        "آنچه برون‌بری نوشته، یا از Madmail: هر سطر یکی، تا ۲٬۰۰۰. حساب‌هایی که هستند همان‌طور می‌مانند.",
    ),
    "import_file": Phrase("Take from a file", "برداشتن از پرونده"),
    "blocklist": Phrase("Blocked addresses", "نشانی‌های مسدود"),
    "blocklist_empty": Phrase("No address is blocked.", "هیچ نشانی‌ای مسدود نیست."),
    "blocked_at": Phrase("Since", "از"),
    "block_address": Phrase("Block an address", "مسدود کردن نشانی"),
    "quota_title": Phrase("Quota of this account", "سهمیهٔ این حساب"),
    "quota_hint": Phrase(
        "An amount such as 5G; empty: as its node. It goes before node, group and fleet.",
        "مقداری مانند 5G؛ خالی: مانند گره‌اش. بر گره، گروه و ناوگان مقدم است.",
    ),
    "purge_warning": Phrase(
        "Messages of this account are removed for good.", "پیام‌های این حساب برای همیشه پاک می‌شوند."
    ),
}
