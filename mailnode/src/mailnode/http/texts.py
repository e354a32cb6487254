"""The sentences of the pages, in each language.

For: templates, as `t`. A language that lacks a text is an error of the type checker.
Not for: the user guide, which is a template for each language.

Names, addresses and commands are not part of a sentence here: a template sets them apart, so that they
keep their direction within Persian text.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mailnode.http.language import Language
from mailnode.http.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Passage:
    """A heading and what stands below it."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """All texts of one language. `*_label` names a row of a table."""

    language_name: str
    guide: str
    home: str
    support: str
    tagline: str
    lead: str
    create_account: str
    create_hint: str
    open_invitation: str
    invitation_qr: str
    facts: tuple[Passage, ...]
    quota_fact: Passage
    steps_title: str
    get_app: str
    steps: tuple[str, ...]
    ready_title: str
    ready_lead: str
    qr_title: str
    open_app: str
    keep_secret: Passage
    this_phone: Passage
    other_phone: Passage
    backup: Passage
    backup_how: str
    backup_open: str
    backup_show: str
    backup_qr: str
    address_label: str
    password_label: str
    settings_title: str
    settings_hint: str
    incoming_label: str
    outgoing_label: str
    host_label: str
    port_label: str
    security_label: str
    certificates_label: str
    accept_certificates: str
    refusals: Mapping[Refusal, Passage]


EN = Texts(
    language_name="English",
    guide="User guide",
    home="Home",
    support="Support",
    tagline="Private chat, encrypted end to end",
    lead="An address for Delta Chat in one tap. No phone number, no email address, no name.",
    create_account="Create account",
    create_hint="You get a QR code that holds all settings.",
    open_invitation="Create it in Delta Chat",
    invitation_qr="QR code by which Delta Chat creates the account",
    facts=(
        Passage("Encrypted, always", "Only end-to-end encrypted messages pass. Nobody here can read them."),
        Passage("Nothing asked", "An account is a random address and a password. We ask for nothing else."),
    ),
    quota_fact=Passage("Room to chat", "Storage for each account:"),
    steps_title="How it works",
    get_app="Get Delta Chat",
    steps=(
        "Install Delta Chat on your phone or computer.",
        "Create an account here. It takes a second.",
        "Scan the QR code with the app, and write to your friends.",
    ),
    ready_title="Your account is ready",
    ready_lead="Scan this code with Delta Chat, or open it on this device.",
    qr_title="QR code with the settings of the new account",
    open_app="Open in Delta Chat",
    keep_secret=Passage(
        "Keep it to yourself.",
        "Whoever sees this code can use the account. This page is shown only once.",
    ),
    this_phone=Passage(
        "On this device",
        "Install Delta Chat, come back to this page and press the button. Choose a name, and you are in.",
    ),
    other_phone=Passage(
        "On another phone",
        "Open Delta Chat there, tap the QR code sign and point the camera at the code on this screen.",
    ),
    backup=Passage(
        "A backup address",
        "If this place is ever out of reach, messages find you at another one. Your app sees to that.",
    ),
    backup_how="Set up your account first. Then open Settings → Advanced → Relays in Delta Chat, "
    "add a relay and scan this code.",
    backup_open="Add it in Delta Chat",
    backup_show="Show the QR code",
    backup_qr="QR code of a backup address",
    address_label="Address",
    password_label="Password",  # noqa: S106 - the name of a row, no secret
    settings_title="Manual settings",
    settings_hint="For apps that cannot scan the code.",
    incoming_label="Incoming (IMAP)",
    outgoing_label="Outgoing (SMTP)",
    host_label="Host",
    port_label="Port",
    security_label="Security",
    certificates_label="Certificates",
    accept_certificates="accept invalid ones",
    refusals={
        Refusal.CLOSED: Passage(
            "Registration is closed",
            "No new accounts are made here at present. Existing accounts work as before.",
        ),
        Refusal.TOKEN_NEEDED: Passage(
            "An invitation is needed",
            "Here a registration token is required. Open the link that came with it, or ask for one.",
        ),
        Refusal.TOKEN_REFUSED: Passage(
            "This invitation does not work",
            "Its registration token is unknown, used up or expired. Ask for another one.",
        ),
        Refusal.TOKEN_ELSEWHERE: Passage(
            "This invitation is for another page", "Its registration token makes no account here, but there:"
        ),
        Refusal.TOO_MANY_TOKENS: Passage(
            "Too many wrong tokens", "They came from your address. Try again in a few minutes."
        ),
        Refusal.TOKEN_UNJUDGED: Passage(
            "Please try again soon",
            "Your invitation cannot be checked at this moment. Try again in a minute.",
        ),
        Refusal.CROSS_SITE: Passage(
            "That came from another site",
            "For your safety, an account can only be created from our own page.",
        ),
        Refusal.NOT_FOUND: Passage("Nothing here", "This page does not exist."),
        Refusal.WRONG_METHOD: Passage("That does not work here", "This page cannot be used in this way."),
        Refusal.TOO_LARGE: Passage("Too much data", "The request is larger than what is accepted here."),
        Refusal.UNAVAILABLE: Passage(
            "Please try again soon", "No account could be made at this moment. Try again in a minute."
        ),
        Refusal.MALFORMED: Passage("That was not understood", "The request is malformed."),
        Refusal.FAILED: Passage("Something went wrong", "The fault is ours. Try again in a minute."),
    },
)

FA = Texts(
    language_name="فارسی",
    guide="راهنمای کاربر",
    home="صفحهٔ اصلی",
    support="پشتیبانی",
    tagline="گفت‌وگوی خصوصی با رمزنگاری سرتاسری",
    lead="نشانی شما برای دلتا چت، تنها با یک لمس. بدون شماره تلفن، بدون ایمیل و بدون نام.",
    create_account="ساخت حساب",
    create_hint="یک کد QR می‌گیرید که همهٔ تنظیمات در آن است.",
    open_invitation="ساختن آن در دلتا چت",
    invitation_qr="کد QR که دلتا چت با آن حساب را می‌سازد",
    facts=(
        Passage(
            "همیشه رمزنگاری‌شده",
            "تنها پیام‌های رمزنگاری‌شده پذیرفته می‌شوند. هیچ‌کس در اینجا نمی‌تواند پیامی را بخواند.",
        ),
        Passage(
            "بدون هیچ پرسشی",
            "حساب شما یک نشانی تصادفی و یک گذرواژه است. چیز دیگری از شما نمی‌خواهیم.",
        ),
    ),
    quota_fact=Passage("جا برای پیام‌هایتان", "فضای ذخیره‌سازی هر حساب:"),
    steps_title="چگونه کار می‌کند",
    get_app="دریافت دلتا چت",
    steps=(
        "دلتا چت را روی گوشی یا رایانهٔ خود نصب کنید.",
        "همین‌جا یک حساب بسازید. یک ثانیه بیشتر طول نمی‌کشد.",
        "کد QR را با برنامه اسکن کنید و برای دوستانتان بنویسید.",
    ),
    ready_title="حساب شما آماده است",
    ready_lead="این کد را با دلتا چت اسکن کنید، یا آن را روی همین دستگاه باز کنید.",
    qr_title="کد QR با تنظیمات حساب تازه",
    open_app="باز کردن در دلتا چت",
    keep_secret=Passage(
        "این کد را به کسی نشان ندهید.",
        "هر کس آن را ببیند می‌تواند از حساب استفاده کند. این صفحه تنها یک بار نشان داده می‌شود.",
    ),
    this_phone=Passage(
        "روی همین دستگاه",
        "دلتا چت را نصب کنید، به همین صفحه برگردید و دکمه را بزنید. سپس نامی برای خود برگزینید؛ همین.",
    ),
    other_phone=Passage(
        "روی گوشی دیگر",
        "دلتا چت را در آن گوشی باز کنید، نشان کد QR را لمس کنید و دوربین را رو به کد این صفحه بگیرید.",
    ),
    backup=Passage(
        "یک نشانی پشتیبان",
        "اگر روزی اینجا از دسترس بیرون باشد، پیام‌ها از جای دیگری به شما می‌رسند. "
        "برنامه خودش ترتیب آن را می‌دهد.",
    ),
    backup_how="نخست حساب خود را راه بیندازید. سپس در دلتا چت به تنظیمات ← پیشرفته ← رله‌ها بروید، "
    "یک رله بیفزایید و این کد را اسکن کنید.",
    backup_open="افزودن در دلتا چت",
    backup_show="نمایش کد QR",
    backup_qr="کد QR نشانی پشتیبان",
    address_label="نشانی",
    password_label="گذرواژه",  # noqa: S106 - the name of a row, no secret
    settings_title="تنظیمات دستی",
    settings_hint="برای برنامه‌هایی که نمی‌توانند کد را اسکن کنند.",
    incoming_label="دریافت (IMAP)",
    outgoing_label="ارسال (SMTP)",
    host_label="میزبان",
    port_label="درگاه",
    security_label="امنیت",
    certificates_label="گواهی",
    accept_certificates="پذیرش گواهی نامعتبر",
    refusals={
        Refusal.CLOSED: Passage(
            "ثبت‌نام بسته است",
            "در حال حاضر حساب تازه‌ای ساخته نمی‌شود. حساب‌های موجود مانند گذشته کار می‌کنند.",
        ),
        Refusal.TOKEN_NEEDED: Passage(
            "دعوت‌نامه لازم است",
            "اینجا توکن ثبت‌نام لازم است. پیوندی را که همراه آن بود باز کنید، یا توکنی بخواهید.",
        ),
        Refusal.TOKEN_REFUSED: Passage(
            "این دعوت‌نامه کار نمی‌کند",
            "توکن ثبت‌نام آن ناشناخته، مصرف‌شده یا منقضی است. توکن دیگری بخواهید.",
        ),
        Refusal.TOKEN_ELSEWHERE: Passage(
            "این دعوت‌نامه برای صفحهٔ دیگری است", "توکن ثبت‌نام آن اینجا حسابی نمی‌سازد، بلکه آنجا:"
        ),
        Refusal.TOO_MANY_TOKENS: Passage(
            "توکن‌های نادرست بسیار", "از نشانی شما آمدند. چند دقیقهٔ دیگر دوباره تلاش کنید."
        ),
        Refusal.TOKEN_UNJUDGED: Passage(
            "کمی بعد دوباره تلاش کنید",
            "در این لحظه نمی‌توان دعوت‌نامهٔ شما را بررسی کرد. یک دقیقهٔ دیگر دوباره تلاش کنید.",
        ),
        Refusal.CROSS_SITE: Passage(
            "درخواست از سایت دیگری آمد",
            "برای امنیت شما، حساب تنها از صفحهٔ خود ما ساخته می‌شود.",
        ),
        Refusal.NOT_FOUND: Passage("چیزی اینجا نیست", "این صفحه وجود ندارد."),
        Refusal.WRONG_METHOD: Passage("این‌گونه نمی‌شود", "از این صفحه نمی‌توان این‌گونه استفاده کرد."),
        Refusal.TOO_LARGE: Passage("دادهٔ بیش از اندازه", "درخواست بزرگ‌تر از آن است که پذیرفته شود."),
        Refusal.UNAVAILABLE: Passage(
            "کمی بعد دوباره تلاش کنید",
            "در این لحظه نشد حسابی بسازیم. یک دقیقهٔ دیگر دوباره تلاش کنید.",
        ),
        Refusal.MALFORMED: Passage("درخواست فهمیده نشد", "درخواست شکل درستی ندارد."),
        Refusal.FAILED: Passage("خطایی رخ داد", "ایراد از ماست. یک دقیقهٔ دیگر دوباره تلاش کنید."),
    },
)

TEXTS = {Language.EN: EN, Language.FA: FA}
