"""What the page of the audit log says."""

from controlplane.admins.audit_models import Action
from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "title": Phrase("Audit log", "دفتر رویدادها"),
    "lead": Phrase(
        "What admins have changed, the newest first. After 30 days a keyed hash stands for an account's name.",
        "آنچه مدیران تغییر داده‌اند، تازه‌ترین نخست. پس از ۳۰ روز به جای نام حساب درهم‌سازی کلیددار می‌نشیند.",
    ),
    "when": Phrase("When", "زمان"),
    "who": Phrase("Who", "چه کسی"),
    "action": Phrase("What", "چه"),
    "target": Phrase("On what", "روی چه"),
    "target_hint": Phrase("Node, group or token", "گره، گروه یا توکن"),
    "subject": Phrase("Account", "حساب"),
    "since": Phrase("From", "از"),
    "until": Phrase("Until before", "تا پیش از"),
    "before": Phrase("before", "پیش"),
    "after": Phrase("after", "پس"),
    "change": Phrase("Change", "تغییر"),
    "export_csv": Phrase("Export as CSV", "برون‌بری CSV"),
    "export_jsonl": Phrase("Export as JSON lines", "برون‌بری JSON"),
    "empty": Phrase("Nothing has been changed yet.", "هنوز چیزی تغییر نکرده است."),
    "no_match": Phrase("No entry matches. Ask for less.", "هیچ موردی نخواند. کمتر بخواهید."),
}

ACTIONS: Phrases = {
    Action.ADMIN_TOKEN_CREATE: Phrase("Admin token made", "توکن مدیریت ساخته شد"),
    Action.ADMIN_TOKEN_REVOKE: Phrase("Admin token revoked", "توکن مدیریت لغو شد"),
    Action.JOIN_TOKEN_CREATE: Phrase("Node invited", "گره دعوت شد"),
    Action.NODE_ENROL: Phrase("Node enrolled", "گره پیوست"),
    Action.NODE_KEY_REPLACE: Phrase("Node's key replaced", "کلید گره عوض شد"),
    Action.NODE_CHANGE: Phrase("Node changed", "گره تغییر کرد"),
    Action.NODE_MOVE: Phrase("Node moved to a group", "گره به گروهی رفت"),
    Action.NODE_RETIRE: Phrase("Node retired", "گره بازنشسته شد"),
    Action.GROUP_CREATE: Phrase("Group made", "گروه ساخته شد"),
    Action.GROUP_CHANGE: Phrase("Group changed", "گروه تغییر کرد"),
    Action.GROUP_REMOVE: Phrase("Group removed", "گروه حذف شد"),
    Action.FLEET_POLICY_CHANGE: Phrase("Fleet's policy changed", "سیاست ناوگان تغییر کرد"),
    Action.GROUP_POLICY_CHANGE: Phrase("Group's policy changed", "سیاست گروه تغییر کرد"),
    Action.NODE_POLICY_CHANGE: Phrase("Node's policy changed", "سیاست گره تغییر کرد"),
    Action.REGISTRATION_TOKEN_CREATE: Phrase("Registration token made", "توکن ثبت‌نام ساخته شد"),
    Action.REGISTRATION_TOKEN_CHANGE: Phrase("Registration token changed", "توکن ثبت‌نام تغییر کرد"),
    Action.REGISTRATION_TOKEN_REMOVE: Phrase("Registration token removed", "توکن ثبت‌نام حذف شد"),
    Action.TURN_SECRET_ROTATE: Phrase("TURN secret replaced", "راز TURN عوض شد"),
    Action.ACCOUNT_QUOTA: Phrase("Account's quota changed", "سهمیهٔ حساب تغییر کرد"),
    Action.ACCOUNT_REMOVE: Phrase("Accounts deleted", "حساب حذف شد"),
    Action.ACCOUNT_IMPORT: Phrase("Accounts made", "حساب ساخته شد"),
    Action.ACCOUNT_EXPORT: Phrase("Accounts exported", "حساب‌ها برون‌بری شدند"),
    Action.ACCOUNT_BLOCK: Phrase("Accounts blocked", "حساب مسدود شد"),
    Action.ACCOUNT_UNBLOCK: Phrase("Accounts unblocked", "حساب آزاد شد"),
    Action.MAIL_PURGE: Phrase("Messages let go", "پیام‌ها پاک شدند"),
    Action.QUEUE_PURGE: Phrase("Queue emptied", "صف خالی شد"),
}
