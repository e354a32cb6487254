"""What the pages say on which people get an account."""

from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "title": Phrase("Get an account", "گرفتن حساب"),
    "lead": Phrase(
        "An account is a random address and a password. We ask for nothing else.",
        "حساب یک نشانی تصادفی و یک گذرواژه است. چیز دیگری نمی‌پرسیم.",
    ),
    "button": Phrase("Create account", "ساخت حساب"),
    "scan": Phrase(
        "Or scan this code with Delta Chat: it makes an account and sets it up.",
        "یا این کد را با دلتا چت اسکن کنید: حساب را می‌سازد و راه می‌اندازد.",
    ),
    "open": Phrase("Open in Delta Chat", "باز کردن در دلتا چت"),
    "made_title": Phrase("Your account is ready", "حساب شما آماده است"),
    "made_lead": Phrase(
        "Scan this code with Delta Chat, or open it on this phone.",
        "این کد را با دلتا چت اسکن کنید، یا روی همین گوشی بازش کنید.",
    ),
    "caution": Phrase(
        "Whoever sees this code can use the account. This page is shown only once.",
        "هر کس این کد را ببیند می‌تواند از حساب استفاده کند. این صفحه فقط یک بار نشان داده می‌شود.",
    ),
    "backup_title": Phrase("A backup address", "یک نشانی پشتیبان"),
    "backup_lead": Phrase(
        "If the place of your account is ever out of reach, messages find you at another one. Your app sees to that.",
        "اگر روزی جای حساب شما از دسترس بیرون باشد، پیام‌ها از جای دیگری به شما می‌رسند. برنامه خودش ترتیب آن را می‌دهد.",
    ),
    "backup_how": Phrase(
        "Set up your account first. Then open Settings → Advanced → Relays in Delta Chat, add a relay and scan this code.",
        "نخست حساب خود را راه بیندازید. سپس در دلتا چت به تنظیمات ← پیشرفته ← رله‌ها بروید، یک رله بیفزایید و این کد را اسکن کنید.",
    ),
    "backup_add": Phrase("Add it in Delta Chat", "افزودن در دلتا چت"),
    "backup_show": Phrase("Show the QR code", "نمایش کد QR"),
    "get_app": Phrase("Get Delta Chat", "گرفتن دلتا چت"),
    "address": Phrase("Address", "نشانی"),
    "password": Phrase("Password", "گذرواژه"),
}
