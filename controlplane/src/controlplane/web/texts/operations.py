"""What the pages of operations say."""

from controlplane.operations.models import OperationName, OperationState
from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "title": Phrase("Operations", "عملیات"),
    "lead": Phrase(
        "What was to be done once on a node. It is handed over until the node acknowledges it.",
        "آنچه باید یک بار روی گره انجام شود. تا گره تأیید نکند دوباره فرستاده می‌شود.",
    ),
    "one": Phrase("Operation", "عملیات"),
    "what": Phrase("What", "چه"),
    "node": Phrase("Node", "گره"),
    "state": Phrase("State", "وضعیت"),
    "accounts": Phrase("Accounts", "حساب‌ها"),
    "created": Phrase("Ordered", "سفارش"),
    "ended": Phrase("Ended", "پایان"),
    "problem": Phrase("Why it failed", "علت شکست"),
    "part_of": Phrase("Part of", "بخشی از"),
    "bulk": Phrase("Change of many accounts", "تغییر حساب‌های بسیار"),
    "parts": Phrase("%s parts", "%s بخش"),
    "progress": Phrase("Progress", "پیشرفت"),
    "waiting_nodes": Phrase("Still waits for", "هنوز در انتظار"),
    "waiting_hint": Phrase(
        "A node that is not connected does it when it is back.",
        "گره‌ای که وصل نیست هنگام بازگشت آن را انجام می‌دهد.",
    ),
    "failed_remedy": Phrase(
        "Mend what the sentence names, then order it again.",
        "آنچه جمله می‌گوید درست کنید و دوباره سفارش دهید.",
    ),
    "empty": Phrase("There is no operation.", "عملیاتی نیست."),
    "empty_remedy": Phrase(
        "What you order for accounts and queues appears here, until a week after it is done.",
        "آنچه برای حساب‌ها و صف‌ها سفارش می‌دهید تا یک هفته پس از انجام اینجا دیده می‌شود.",
    ),
    "no_match": Phrase("No operation matches this filter.", "هیچ عملیاتی با این پالایش نمی‌خواند."),
    "reload": Phrase("Look again", "دوباره ببین"),
}

NAMES: Phrases = {
    OperationName.BLOCK_ADDRESSES: Phrase("Block addresses", "مسدود کردن نشانی"),
    OperationName.CHANGE_QUOTA: Phrase("Change a quota", "تغییر سهمیه"),
    OperationName.CREATE_ACCOUNT: Phrase("Register an account", "ثبت‌نام حساب"),
    OperationName.IMPORT_ACCOUNTS: Phrase("Make accounts", "ساختن حساب"),
    OperationName.PURGE_MAIL: Phrase("Let messages go", "پاک کردن پیام‌ها"),
    OperationName.PURGE_QUEUE: Phrase("Empty a queue", "خالی کردن صف"),
    OperationName.REMOVE_ACCOUNT: Phrase("Delete an account", "حذف حساب"),
    OperationName.REMOVE_ACCOUNTS: Phrase("Delete accounts", "حذف حساب‌ها"),
    OperationName.ROTATE_DKIM_KEYS: Phrase("Replace the DKIM keys", "تعویض کلیدهای DKIM"),
    OperationName.UNBLOCK_ADDRESSES: Phrase("Unblock addresses", "آزاد کردن نشانی"),
}

STATES: Phrases = {
    OperationState.WAITING: Phrase("waiting", "در انتظار"),
    OperationState.DONE: Phrase("done", "انجام شد"),
    OperationState.FAILED: Phrase("failed", "شکست خورد"),
}
