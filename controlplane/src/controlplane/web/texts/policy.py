"""What forms of policies say: of the fleet, of a group, of a node.

`FIELDS` and `HINTS` have a word for each field of policy/models.py; a test compares them.
"""

from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "title": Phrase("Registration and quotas", "ثبت‌نام و سهمیه"),
    "fleet": Phrase("On every node that does not differ", "روی هر گره‌ای که تفاوتی ندارد"),
    "lead": Phrase(
        "The nearest word counts: account, then node, then group, then fleet.",
        "نزدیک‌ترین سخن برقرار است: حساب، سپس گره، سپس گروه، سپس ناوگان.",
    ),
    "calls": Phrase("Calls", "تماس‌ها"),
    "follows": Phrase("follows", "پیرو"),
    "from_fleet": Phrase("from the fleet", "از ناوگان"),
    "from_group": Phrase("from the group", "از گروه"),
    "set_here": Phrase("set here", "تنظیم‌شده همین‌جا"),
    "ruled_by_node": Phrase(
        "set on the node itself, which goes before this", "روی خود گره تنظیم شده و بر این مقدم است"
    ),
    "leave_empty": Phrase("Empty: follows.", "خالی: پیروی می‌کند."),
    "never": Phrase("never", "هرگز"),
    "as_nodes_say": Phrase("as TURN nodes say", "به گفتهٔ گره‌های TURN"),
    "days": Phrase("%s days", "%s روز"),
    "nodes_that_differ": Phrase(
        "Nodes and groups may differ; their pages say in what.",
        "گره‌ها و گروه‌ها می‌توانند تفاوت داشته باشند؛ صفحهٔ خودشان می‌گوید در چه.",
    ),
    "follow_later": Phrase(
        "Not connected; they follow when they are back:", "وصل نیستند؛ هنگام بازگشت پیروی می‌کنند:"
    ),
}

FIELDS: Phrases = {
    "registration_open": Phrase("Registration", "ثبت‌نام"),
    "jit_enabled": Phrase("Accounts at first login", "ساختن حساب در نخستین ورود"),
    "registration_token_required": Phrase("Only with a registration token", "تنها با توکن ثبت‌نام"),
    "app_accounts_enabled": Phrase(
        "Accounts that apps add by themselves", "حساب‌هایی که برنامه‌ها خودشان می‌سازند"
    ),
    "backup_addresses": Phrase("Backup addresses offered", "شمار نشانی‌های پشتیبان پیشنهادی"),
    "quota_bytes": Phrase("Quota of an account", "سهمیهٔ هر حساب"),
    "message_bytes": Phrase("Largest message", "بزرگ‌ترین پیام"),
    "message_retention_days": Phrase("Messages go after days", "پیام‌ها پس از چند روز پاک شوند"),
    "unused_account_days": Phrase(
        "Unused accounts go after days", "حساب‌های بی‌استفاده پس از چند روز پاک شوند"
    ),
    "large_message_retention_days": Phrase(
        "Large read messages go after days", "پیام‌های بزرگِ خوانده‌شده پس از چند روز پاک شوند"
    ),
    "auto_trim": Phrase("Make room in full mailboxes", "جا باز کردن در صندوق‌های پر"),
    "turn_enabled": Phrase("Calls by the TURN nodes", "تماس از راه گره‌های TURN"),
    "push_enabled": Phrase("Wake sleeping apps", "بیدار کردن برنامه‌های خفته"),
    "push_pauses": Phrase("Pause that while it fails", "مکث آن هنگام ناکامی"),
    "turn_announced_port": Phrase("UDP port of calls", "درگاه UDP تماس‌ها"),
    "turn_lifetime_seconds": Phrase("TURN credentials are valid for days", "اعتبار اعتبارنامهٔ TURN به روز"),
    "turn_allocations_per_credential": Phrase(
        "Calls of one account at a time, on a TURN node", "تماس هم‌زمان هر حساب روی هر گرهٔ TURN"
    ),
    "turn_allocations": Phrase("Calls of a TURN node at a time", "تماس هم‌زمان هر گرهٔ TURN"),
    "name": Phrase("Name", "نام"),
    "label": Phrase("Label", "برچسب"),
    "weight": Phrase("Weight", "وزن"),
    "is_draining": Phrase("Drain", "خالی شدن"),
    "group": Phrase("Group", "گروه"),
    "role": Phrase("Role", "نقش"),
    "scope_name": Phrase("Group or node", "گروه یا گره"),
    "valid_for_hours": Phrase("Valid for hours", "اعتبار به ساعت"),
    "valid_days": Phrase("Valid for days", "اعتبار به روز"),
    "kind": Phrase("Kind", "نوع"),
    "token": Phrase("Token", "توکن"),
    "max_uses": Phrase("Uses", "دفعات"),
    "comment": Phrase("Comment", "یادداشت"),
    "expires_at_seconds": Phrase("Valid for days", "اعتبار به روز"),
    "address": Phrase("Address", "نشانی"),
    "password": Phrase("Password", "گذرواژه"),
    "accounts": Phrase("Accounts", "حساب‌ها"),
    "reason": Phrase("Reason", "علت"),
    "older_than_days": Phrase("Days", "روز"),
    "what": Phrase("Which", "کدام"),
    "destination": Phrase("Destination", "مقصد"),
    "action": Phrase("Action", "عمل"),
}

HINTS: Phrases = {
    "registration_open": Phrase("Whether new accounts may be made.", "آیا ساختن حساب تازه ممکن باشد."),
    "jit_enabled": Phrase(
        "Whether an unknown login makes its account, while registration is open.",
        "آیا ورود ناشناس، تا وقتی ثبت‌نام باز است، حساب خود را بسازد.",
    ),
    "registration_token_required": Phrase(
        "Whether whoever registers needs one. Logins are ruled by the line above.",
        "آیا برای ثبت‌نام توکن لازم باشد. ورود از سطر بالا پیروی می‌کند.",
    ),
    "app_accounts_enabled": Phrase(
        "Whether Delta Chat may add an account here to a profile without being asked. Codes that people scan work either way.",
        "آیا دلتا چت بتواند بی‌آنکه کسی بخواهد، حسابی در اینجا به یک نمایه بیفزاید. کدهایی که افراد اسکن می‌کنند در هر دو حال کار می‌کنند.",
    ),
    "backup_addresses": Phrase(
        "How many addresses on other nodes whoever has just registered is offered, from 0 to 4.",
        "به کسی که تازه ثبت‌نام کرده چند نشانی روی گره‌های دیگر پیشنهاد شود، از ۰ تا ۴.",
    ),
    "quota_bytes": Phrase(
        "An amount such as 500M or 2G, from 1M to 1024T.", "مقداری مانند 500M یا 2G، از 1M تا 1024T."
    ),
    "message_bytes": Phrase("An amount such as 30M, from 64K to 1G.", "مقداری مانند 30M، از 64K تا 1G."),
    "message_retention_days": Phrase("0 for never.", "۰ یعنی هرگز."),
    "unused_account_days": Phrase(
        "Counted from the last login; 0 for never.", "از آخرین ورود شمرده می‌شود؛ ۰ یعنی هرگز."
    ),
    "large_message_retention_days": Phrase(
        "Those over 200 kB; 0 for never.", "بیش از ۲۰۰ کیلوبایت؛ ۰ یعنی هرگز."
    ),
    "auto_trim": Phrase(
        "Whether read messages older than a day go, the oldest and largest first, rather than that new ones are refused.",
        "آیا به جای رد شدن پیام تازه، پیام‌های خوانده‌شدهٔ کهنه‌تر از یک روز پاک شوند؛ نخست کهنه‌ترین‌ها و بزرگ‌ترین‌ها.",
    ),
    "turn_enabled": Phrase(
        "Whether apps are told of the TURN nodes when they call.",
        "آیا برنامه‌ها هنگام تماس از گره‌های TURN باخبر شوند.",
    ),
    "push_enabled": Phrase(
        "By Delta Chat's notification proxy, which hears a device token and nothing of the message.",
        "از راه میانجی اعلان دلتا چت، که تنها توکن دستگاه را می‌شنود و هیچ‌چیز از پیام را نه.",
    ),
    "push_pauses": Phrase(
        "For an hour after five failures in a row.", "پس از پنج ناکامی پیاپی به مدت یک ساعت."
    ),
    "turn_announced_port": Phrase(
        "The port at which apps are told to find TURN; a TURN node must listen there. 0 for the one that TURN nodes name.",
        "درگاهی که به برنامه‌ها برای یافتن TURN گفته می‌شود؛ باید گره‌ای TURN آنجا گوش دهد. ۰ یعنی همان که گره‌های TURN می‌گویند.",
    ),
    "turn_lifetime_seconds": Phrase("From 1 to 30 days.", "از ۱ تا ۳۰ روز."),
    "turn_allocations_per_credential": Phrase("From 1 to 10,000.", "از ۱ تا ۱۰٬۰۰۰."),
    "turn_allocations": Phrase("From 1 to 1,000,000.", "از ۱ تا ۱٬۰۰۰٬۰۰۰."),
}
