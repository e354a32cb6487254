"""What a page says about what was just tried: done, or refused and why.

`REFUSALS` has every code of errors.py that a page can meet; a test compares them.
"""

from enum import StrEnum

from controlplane.web.texts.phrases import Phrase, Phrases


class Notice(StrEnum):
    """What a page says about what was just tried."""

    WRONG_TOKEN = "wrong-token"  # noqa: S105 - the name of a notice, no secret
    TOO_MANY_ATTEMPTS = "too-many-attempts"
    SESSION_OVER = "session-over"
    SIGNED_OUT = "signed-out"
    TOKEN_NEEDED = "token-needed"  # noqa: S105 - the name of a notice, no secret
    TOKEN_REFUSED = "token-refused"  # noqa: S105 - the name of a notice, no secret
    TOKEN_ELSEWHERE = "token-elsewhere"  # noqa: S105 - the name of a notice, no secret
    CHANGED = "changed"
    REMOVED = "removed"
    ORDERED = "ordered"
    NOTHING_CHOSEN = "nothing-chosen"
    CLOSED = "closed"
    CROSS_SITE = "cross-site"
    TOO_MANY_ACCOUNTS = "too-many-accounts"
    NO_ROOM = "no-room"
    SECRET_ANNOUNCED = "secret-announced"  # noqa: S105 - the name of a notice, no secret


NOTICES: Phrases = {
    Notice.WRONG_TOKEN: Phrase(
        "This token is not known. Copy all of it; if it was revoked or has ended, ask an owner for another.",
        "این توکن شناخته نشد. همهٔ آن را کپی کنید؛ اگر لغو شده یا پایان یافته است، از مالک توکن دیگری بخواهید.",
    ),
    Notice.TOO_MANY_ATTEMPTS: Phrase(
        "Too many wrong tokens came from your address. Wait a minute.",
        "توکن‌های نادرست زیادی از نشانی شما رسید. یک دقیقه صبر کنید.",
    ),
    Notice.SESSION_OVER: Phrase(
        "Your session is over. Sign in again; nothing you saved is lost.",
        "نشست شما به پایان رسیده است. دوباره وارد شوید؛ آنچه ذخیره کرده‌اید از دست نرفته است.",
    ),
    Notice.SIGNED_OUT: Phrase("You are signed out.", "از سامانه خارج شدید."),
    Notice.TOKEN_NEEDED: Phrase(
        "You need an invitation to get an account here. Open the link you were given.",
        "برای گرفتن حساب به دعوت‌نامه نیاز دارید. پیوندی را که به شما داده‌اند باز کنید.",
    ),
    Notice.TOKEN_REFUSED: Phrase(
        "This invitation is used up, has ended or is not complete. Ask for another.",
        "این دعوت‌نامه مصرف شده، پایان یافته یا ناقص است. دعوت‌نامهٔ دیگری بخواهید.",
    ),
    Notice.TOKEN_ELSEWHERE: Phrase(
        "This invitation is for the page of another server. Open the link that came with it.",
        "این دعوت‌نامه برای صفحهٔ سرور دیگری است. پیوندی را که همراه آن بود باز کنید.",
    ),
    Notice.CHANGED: Phrase(
        "Saved. Connected nodes follow within two seconds.",
        "ذخیره شد. گره‌های متصل تا دو ثانیهٔ دیگر از آن پیروی می‌کنند.",
    ),
    Notice.REMOVED: Phrase("Removed.", "حذف شد."),
    Notice.ORDERED: Phrase(
        "Ordered. The node does it now, or as soon as it is connected.",
        "سفارش داده شد. گره همین حالا، یا به محض وصل شدن، آن را انجام می‌دهد.",
    ),
    Notice.NOTHING_CHOSEN: Phrase(
        "No account was chosen. Tick some in the list first.",
        "حسابی انتخاب نشده بود. نخست چند حساب را در فهرست تیک بزنید.",
    ),
    Notice.CLOSED: Phrase(
        "No new accounts are made here at present. Existing accounts work as before.",
        "اکنون اینجا حساب تازه ساخته نمی‌شود. حساب‌های موجود مانند پیش کار می‌کنند.",
    ),
    Notice.CROSS_SITE: Phrase(
        "For your safety, an account can only be created from our own page.",
        "برای امنیت شما، حساب را فقط از صفحهٔ خود ما می‌توان ساخت.",
    ),
    Notice.TOO_MANY_ACCOUNTS: Phrase(
        "Too many accounts were made from your network. Try again in a minute.",
        "از شبکهٔ شما حساب‌های زیادی ساخته شد. یک دقیقهٔ دیگر دوباره بکوشید.",
    ),
    Notice.NO_ROOM: Phrase(
        "No account could be made at this moment. Try again in a minute.",
        "در این لحظه حسابی ساخته نشد. یک دقیقهٔ دیگر دوباره بکوشید.",
    ),
    Notice.SECRET_ANNOUNCED: Phrase(
        "The next secret is on its way. Mail nodes use it once every connected TURN node has it.",
        "راز بعدی در راه است. گره‌های پیام آن را وقتی به کار می‌برند که همهٔ گره‌های TURN وصل آن را داشته باشند.",
    ),
}

REFUSALS: Phrases = {
    "bad_address": Phrase(
        "This is no address of an account. Write it as user@domain.",
        "این نشانی حساب نیست. آن را به شکل کاربر@دامنه بنویسید.",
    ),
    "bad_cursor": Phrase(
        "This page of the list is no more. Begin with the first page.",
        "این صفحه از فهرست دیگر نیست. از صفحهٔ نخست آغاز کنید.",
    ),
    "bad_file": Phrase(
        "This is no list of accounts. Each line is an object with an address, and a password or password_hash.",
        "این فهرست حساب‌ها نیست. هر سطر یک شیء JSON با نشانی و گذرواژه یا درهم‌سازی آن است.",
    ),
    "bad_form": Phrase(
        "A field holds what cannot be taken. Correct it, then save again:",
        "یکی از فیلدها پذیرفتنی نیست. آن را درست و دوباره ذخیره کنید:",
    ),
    "bad_tag": Phrase(
        "This form is not whole. Open the page again, then send it.",
        "این فرم کامل نیست. صفحه را دوباره باز کنید و سپس بفرستید.",
    ),
    "changed_meanwhile": Phrase(
        "Somebody else has changed this meanwhile. This is how it is now.",
        "در این میان کس دیگری این را تغییر داده است. وضعیت کنونی این است.",
    ),
    "database_busy": Phrase("The change could not be saved. Try again.", "تغییر ذخیره نشد. دوباره بکوشید."),
    "fault": Phrase(
        "The control plane has a fault; its log says more.",
        "سامانهٔ کنترل دچار خطا شد؛ گزارش آن بیشتر می‌گوید.",
    ),
    "forged_form": Phrase(
        "This form is too old. Open the page again, then send it.",
        "این فرم خیلی قدیمی است. صفحه را دوباره باز کنید و سپس بفرستید.",
    ),
    "exchanger_exists": Phrase(
        "There is an exchanger of this name already. Change that one, or choose another name.",
        "مبادله‌گری با این نام هست. همان را تغییر دهید یا نام دیگری برگزینید.",
    ),
    "exchanger_token_in_clear": Phrase(
        "A token must not travel in clear. Give the exchanger an https address, or no token.",
        "توکن نباید بی‌رمز فرستاده شود. به مبادله‌گر نشانی https بدهید، یا توکن ندهید.",
    ),
    "group_exists": Phrase(
        "There is a group of this name already. Choose another name.",
        "گروهی با این نام هست. نام دیگری برگزینید.",
    ),
    "group_in_use": Phrase(
        "Nodes are in this group. Move them out of it first.",
        "در این گروه گره هست. نخست آن‌ها را از گروه بیرون ببرید.",
    ),
    "malformed": Phrase(
        "The request is malformed. Use the forms and links of the page.",
        "درخواست درست نیست. از فرم‌ها و پیوندهای همین صفحه استفاده کنید.",
    ),
    "node_exists": Phrase(
        "A node of this name is enrolled already. Choose another name, or retire it first.",
        "گره‌ای با این نام پیش‌تر پیوسته است. نام دیگری برگزینید یا نخست آن را بازنشسته کنید.",
    ),
    "node_not_connected": Phrase(
        "The node is not connected. Look at its service and its network.",
        "گره وصل نیست. سرویس و شبکهٔ آن را ببینید.",
    ),
    "node_refused": Phrase(
        "The node cannot answer this. Its log says why.", "گره نمی‌تواند پاسخ دهد. گزارش آن علت را می‌گوید."
    ),
    "node_silent": Phrase(
        "The node did not answer in time. Try again.", "گره به‌موقع پاسخ نداد. دوباره بکوشید."
    ),
    "not_found": Phrase(
        "There is no such page. Begin at the overview.", "چنین صفحه‌ای نیست. از نمای کلی آغاز کنید."
    ),
    "not_permitted": Phrase(
        "Your role does not permit this. Ask an owner.", "نقش شما این را اجازه نمی‌دهد. از مالک بخواهید."
    ),
    "notice_hidden": Phrase(
        "Nobody would see this notice: Delta Chat shows encrypted messages only.",
        "کسی این پیام را نمی‌بیند: دلتا چت فقط پیام‌های رمزنگاری‌شده را نشان می‌دهد.",
    ),
    "out_of_scope": Phrase(
        "Your token is for another part of the fleet. Ask an owner.",
        "توکن شما برای بخش دیگری از ناوگان است. از مالک بخواهید.",
    ),
    "port_closed": Phrase(
        "This port is not open on the node. Add it to the alternate ports of its role, then run the playbook.",
        "این درگاه روی گره باز نیست. آن را به درگاه‌های جایگزین نقش آن بیفزایید و سپس پلی‌بوک را اجرا کنید.",
    ),
    "port_taken": Phrase(
        "Another service of the node has this port. Move that one first, or choose another port.",
        "سرویس دیگری از همین گره این درگاه را دارد. نخست آن را جابه‌جا کنید یا درگاه دیگری برگزینید.",
    ),
    "turn_port_silent": Phrase(
        "No TURN node takes clients at this UDP port. The TURN page lists those that are open; 0 is the one that"
        " TURN nodes name.",
        "هیچ گرهٔ TURN روی این درگاه UDP کسی را نمی‌پذیرد. صفحهٔ TURN درگاه‌های باز را فهرست می‌کند؛ ۰ همان است که"
        " گره‌های TURN می‌گویند.",
    ),
    "ports_unknown": Phrase(
        "The node has not said which ports are open. Wait until it is connected, or upgrade an older one.",
        "گره نگفته است کدام درگاه‌ها بازند. تا وصل شدن آن صبر کنید یا اگر قدیمی است آن را ارتقا دهید.",
    ),
    "registration_token_exists": Phrase(
        "There is such a registration token already. Choose another one, or let one be made up.",
        "چنین توکن ثبت‌نامی هست. دیگری برگزینید یا بگذارید ساخته شود.",
    ),
    "token_in_settings": Phrase(
        "This token stands in the settings. Remove CONTROLPLANE_ADMIN_TOKEN there, then restart.",
        "این توکن در تنظیمات است. CONTROLPLANE_ADMIN_TOKEN را آنجا بردارید و بازراه‌اندازی کنید.",
    ),
    "too_large": Phrase(
        "That is too much at once. Send it in several parts.",
        "این برای یک بار زیاد است. آن را در چند بخش بفرستید.",
    ),
    "too_many_exchangers": Phrase(
        "There are as many exchangers as there may be. Remove one that nobody needs.",
        "شمار مبادله‌گرها به حد مجاز رسیده است. یکی را که لازم نیست حذف کنید.",
    ),
    "turn_secrets_in_use": Phrase(
        "The secret is being replaced already. This page says when the former one ends.",
        "راز همین حالا در حال تعویض است. این صفحه می‌گوید راز پیشین کی پایان می‌یابد.",
    ),
    "unknown_account": Phrase(
        "There is no account of this address on this node. It may have been removed.",
        "روی این گره حسابی با این نشانی نیست. شاید حذف شده باشد.",
    ),
    "unknown_exchanger": Phrase(
        "There is no exchanger of this name. It may have been removed.",
        "مبادله‌گری با این نام نیست. شاید حذف شده باشد.",
    ),
    "unknown_group": Phrase(
        "There is no group of this name. It may have been removed.",
        "گروهی با این نام نیست. شاید حذف شده باشد.",
    ),
    "unknown_node": Phrase(
        "There is no node of this name. It may have been retired.",
        "گره‌ای با این نام نیست. شاید بازنشسته شده باشد.",
    ),
    "unknown_operation": Phrase(
        "There is no such operation. Those that are done are forgotten after a week.",
        "چنین عملیاتی نیست. آنچه انجام شده پس از یک هفته فراموش می‌شود.",
    ),
    "unknown_registration_token": Phrase(
        "There is no such registration token. It may have been removed.",
        "چنین توکن ثبت‌نامی نیست. شاید حذف شده باشد.",
    ),
    "unknown_token": Phrase("There is no such admin token.", "چنین توکن مدیریتی نیست."),
    "wrong_port": Phrase(
        "Nodes of this kind have no such port. Choose one of theirs.",
        "گره‌های این نوع چنین درگاهی ندارند. یکی از درگاه‌های خودشان را برگزینید.",
    ),
    "wrong_kind": Phrase(
        "Only mail nodes have this. Choose a mail node.", "فقط گره‌های پیام این را دارند. گرهٔ پیامی برگزینید."
    ),
}
