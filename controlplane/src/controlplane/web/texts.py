"""The sentences of the pages, in each language.

For: templates, as `t`. A language that lacks a text is an error of the type checker.
Not for: names, addresses and commands; a template sets them apart, so that they keep their direction. Where
one stands within a sentence, the text has `%s`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from controlplane.nodes.models import Health


class Language(StrEnum):
    """A language that the pages are written in."""

    EN = "en"
    FA = "fa"

    @property
    def direction(self) -> Literal["ltr", "rtl"]:
        """The direction of the script, as HTML's `dir` says it."""
        return "rtl" if self is Language.FA else "ltr"


class Notice(StrEnum):
    """What a page says about what was just tried."""

    WRONG_TOKEN = "wrong-token"  # noqa: S105 - the name of a notice, no secret
    TOKEN_OF_A_PART = "token-of-a-part"  # noqa: S105 - the name of a notice, no secret
    TOO_MANY_ATTEMPTS = "too-many-attempts"
    TOKEN_NEEDED = "token-needed"  # noqa: S105 - the name of a notice, no secret
    TOKEN_REFUSED = "token-refused"  # noqa: S105 - the name of a notice, no secret
    CHANGED = "changed"
    STALE = "stale"
    BAD_QUOTA = "bad-quota"
    CLOSED = "closed"
    CROSS_SITE = "cross-site"
    TOO_MANY_ACCOUNTS = "too-many-accounts"
    NO_ROOM = "no-room"


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """All texts of one language."""

    language_name: str
    title: str
    about: str
    sign_in: str
    sign_out: str
    token: str
    token_hint: str
    fleet: str
    nodes: str
    no_nodes: str
    node: str
    kind: str
    health: str
    revision: str
    last_report: str
    version: str
    public_name: str
    registration: str
    registration_hint: str
    jit: str
    jit_hint: str
    quota: str
    quota_hint: str
    set: str
    open: str
    closed: str
    on: str
    off: str
    open_it: str
    close_it: str
    turn_on: str
    turn_off: str
    follow_fleet: str
    seconds_ago: str
    ruled_by_node: str
    join_title: str
    join_lead: str
    join_button: str
    join_scan: str
    join_open: str
    joined_title: str
    joined_lead: str
    joined_open: str
    joined_caution: str
    get_app: str
    address: str
    password: str
    kinds: Mapping[str, str]
    healths: Mapping[Health, str]
    notices: Mapping[Notice, str]


ENGLISH = Texts(
    language_name="English",
    title="Control plane",
    about="This is the control plane of the fleet",
    sign_in="Sign in",
    sign_out="Sign out",
    token="Admin token",  # noqa: S106 - a label
    token_hint="The command %s prints one on the control plane's host.",  # noqa: S106 - a hint
    fleet="Fleet",
    nodes="Nodes",
    no_nodes="No node has been enrolled yet. Invite one with %s.",
    node="Node",
    kind="Kind",
    health="Health",
    revision="Applied / wanted",
    last_report="Last report",
    version="Version",
    public_name="Public name",
    registration="Registration",
    registration_hint="Whether new accounts may be made.",
    jit="Accounts at first login",
    jit_hint="Whether an unknown login makes its account, while registration is open.",
    quota="Quota of an account",
    quota_hint="An amount such as 500M or 2G.",
    set="Set",
    open="open",
    closed="closed",
    on="on",
    off="off",
    open_it="Open",
    close_it="Close",
    turn_on="Turn on",
    turn_off="Turn off",
    follow_fleet="As the fleet",
    seconds_ago="s ago",
    ruled_by_node="set on the node itself",
    join_title="Get an account",
    join_lead="An account is a random address and a password. We ask for nothing else.",
    join_button="Create account",
    join_scan="Or scan this code with Delta Chat: it makes an account and sets it up.",
    join_open="Open in Delta Chat",
    joined_title="Your account is ready",
    joined_lead="Scan this code with Delta Chat, or open it on this phone.",
    joined_open="Open in Delta Chat",
    joined_caution="Whoever sees this code can use the account. This page is shown only once.",
    get_app="Get Delta Chat",
    address="Address",
    password="Password",  # noqa: S106 - a label
    kinds={"mail": "mail", "turn": "TURN"},
    healths={
        Health.OK: "ok",
        Health.PROBLEM: "problem",
        Health.NOT_CONNECTED: "not connected",
        Health.NEVER_SEEN: "never seen",
    },
    notices={
        Notice.WRONG_TOKEN: "This token is not known. Copy all of it.",
        Notice.TOKEN_OF_A_PART: "This token is for a part of the fleet. Use it with the Admin API.",
        Notice.TOO_MANY_ATTEMPTS: "Too many wrong tokens came from your address. Wait a minute.",
        Notice.TOKEN_NEEDED: "You need an invitation to get an account here. Open the link you were given.",
        Notice.TOKEN_REFUSED: "This invitation is used up, has ended or is not complete. Ask for another.",
        Notice.CHANGED: "Saved. Connected nodes follow within two seconds.",
        Notice.STALE: "Somebody else has changed this meanwhile. This is how it is now.",
        Notice.BAD_QUOTA: "A quota is an amount such as 500M, from 1M to 1024T.",
        Notice.CLOSED: "No new accounts are made here at present. Existing accounts work as before.",
        Notice.CROSS_SITE: "For your safety, an account can only be created from our own page.",
        Notice.TOO_MANY_ACCOUNTS: "Too many accounts were made from your network. Try again in a minute.",
        Notice.NO_ROOM: "No account could be made at this moment. Try again in a minute.",
    },
)

PERSIAN = Texts(
    language_name="فارسی",
    title="پنل کنترل",
    about="این پنل کنترل این ناوگان است:",
    sign_in="ورود",
    sign_out="خروج",
    token="توکن مدیر",  # noqa: S106 - a label
    token_hint="فرمان %s روی میزبان پنل کنترل یک توکن چاپ می‌کند.",  # noqa: S106 - a hint
    fleet="ناوگان",
    nodes="گره‌ها",  # noqa: RUF001 - Persian
    no_nodes="هنوز گره‌ای ثبت نشده است. با %s یکی را دعوت کنید.",
    node="گره",
    kind="نوع",
    health="وضعیت",
    revision="اعمال‌شده / خواسته‌شده",
    last_report="آخرین گزارش",
    version="نسخه",
    public_name="نام عمومی",
    registration="ثبت‌نام",
    registration_hint="آیا ساختن حساب تازه ممکن باشد.",
    jit="ساختن حساب در اولین ورود",
    jit_hint="آیا ورود ناشناس، تا وقتی ثبت‌نام باز است، حساب خود را بسازد.",
    quota="سهمیهٔ هر حساب",
    quota_hint="مقداری مانند 500M یا 2G.",
    set="ثبت",
    open="باز",
    closed="بسته",
    on="روشن",
    off="خاموش",
    open_it="باز کردن",
    close_it="بستن",
    turn_on="روشن کردن",
    turn_off="خاموش کردن",
    follow_fleet="مانند ناوگان",
    seconds_ago="ثانیه پیش",
    ruled_by_node="روی خود گره تنظیم شده",
    join_title="گرفتن حساب",
    join_lead="حساب یک نشانی تصادفی و یک گذرواژه است. چیز دیگری نمی‌پرسیم.",
    join_button="ساخت حساب",
    join_scan="یا این کد را با دلتاچت اسکن کنید: حساب را می‌سازد و راه می‌اندازد.",
    join_open="باز کردن در دلتاچت",
    joined_title="حساب شما آماده است",
    joined_lead="این کد را با دلتاچت اسکن کنید، یا روی همین گوشی بازش کنید.",
    joined_open="باز کردن در دلتاچت",
    joined_caution="هر کس این کد را ببیند می‌تواند از حساب استفاده کند. این صفحه فقط یک بار نشان داده می‌شود.",
    get_app="گرفتن دلتاچت",
    address="نشانی",
    password="گذرواژه",  # noqa: S106 - a label
    kinds={"mail": "ایمیل", "turn": "TURN"},
    healths={
        Health.OK: "سالم",
        Health.PROBLEM: "مشکل",
        Health.NOT_CONNECTED: "وصل نیست",
        Health.NEVER_SEEN: "هرگز دیده نشده",
    },
    notices={
        Notice.WRONG_TOKEN: "این توکن شناخته نشد. همهٔ آن را کپی کنید.",
        Notice.TOKEN_OF_A_PART: "این توکن برای بخشی از ناوگان است. آن را با API مدیریت به کار ببرید.",
        Notice.TOO_MANY_ATTEMPTS: "توکن‌های نادرست زیادی از نشانی شما رسید. یک دقیقه صبر کنید.",
        Notice.TOKEN_NEEDED: "برای گرفتن حساب به دعوت‌نامه نیاز دارید. پیوندی را که به شما داده‌اند باز کنید.",
        Notice.TOKEN_REFUSED: "این دعوت‌نامه مصرف شده، پایان یافته یا ناقص است. دعوت‌نامهٔ دیگری بخواهید.",
        Notice.CHANGED: "ذخیره شد. گره‌های متصل تا دو ثانیهٔ دیگر از آن پیروی می‌کنند.",
        Notice.STALE: "در این میان کس دیگری این را تغییر داده است. وضعیت کنونی این است.",
        Notice.BAD_QUOTA: "سهمیه مقداری مانند 500M است، از 1M تا 1024T.",
        Notice.CLOSED: "اکنون اینجا حساب تازه ساخته نمی‌شود. حساب‌های موجود مانند پیش کار می‌کنند.",
        Notice.CROSS_SITE: "برای امنیت شما، حساب را فقط از صفحهٔ خود ما می‌توان ساخت.",
        Notice.TOO_MANY_ACCOUNTS: "از شبکهٔ شما حساب‌های زیادی ساخته شد. یک دقیقهٔ دیگر دوباره بکوشید.",
        Notice.NO_ROOM: "در این لحظه حسابی ساخته نشد. یک دقیقهٔ دیگر دوباره بکوشید.",
    },
)

TEXTS: Mapping[Language, Texts] = {Language.EN: ENGLISH, Language.FA: PERSIAN}


def choose_language(asked: str | None, remembered: str | None, accept_language: str) -> Language:
    """Choose by what was asked for, then what was asked for before, then what the browser wants first."""
    for choice in (asked, remembered):
        if choice in set(Language):
            return Language(choice)
    tags = (entry.partition(";")[0].strip()[:2].lower() for entry in accept_language.split(","))
    return next((Language(tag) for tag in tags if tag in set(Language)), Language.EN)
