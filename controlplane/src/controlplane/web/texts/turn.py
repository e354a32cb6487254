"""What the page of the TURN service says."""

from controlplane.nodes.turn_models import TurnSecretState
from controlplane.nodes.turn_zone import Absence
from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "title": Phrase("Calls (TURN)", "تماس‌ها (TURN)"),
    "lead": Phrase(
        "TURN nodes relay calls between apps that do not reach one another directly.",
        "گره‌های TURN تماس برنامه‌هایی را که مستقیم به هم نمی‌رسند می‌رسانند.",
    ),
    "empty": Phrase("The fleet has no TURN service.", "ناوگان سرویس TURN ندارد."),
    "empty_remedy": Phrase(
        "Set up a TURN node; apps hear of it as soon as it is connected.",
        "یک گرهٔ TURN برپا کنید؛ به محض وصل شدن آن، برنامه‌ها خبردار می‌شوند.",
    ),
    "service": Phrase("What apps are told", "آنچه به برنامه‌ها گفته می‌شود"),
    "pools_hint": Phrase(
        "Mail nodes of a group are told the TURN nodes of their group, all others those of the fleet.",
        "به گره‌های پیامِ هر گروه گره‌های TURN همان گروه گفته می‌شود و به بقیه گره‌های ناوگان.",
    ),
    "pool": Phrase("For", "برای"),
    "fleet_pool": Phrase("the fleet", "ناوگان"),
    "pool_nodes": Phrase("TURN nodes", "گره‌های TURN"),
    "fleet_serves": Phrase("its own take no calls", "گره‌های خودش تماس نمی‌پذیرند"),
    "host": Phrase("Host", "میزبان"),
    "udp_ports": Phrase("UDP ports that are open", "درگاه‌های باز UDP"),
    "udp_ports_hint": Phrase(
        "The policy of the fleet, a group or a mail node may name another of these ports to apps.",
        "سیاست ناوگان، گروه یا گرهٔ پیام می‌تواند یکی دیگر از این درگاه‌ها را به برنامه‌ها بگوید.",
    ),
    "secrets": Phrase("Secrets", "رازها"),
    "secrets_hint": Phrase(
        "Mail nodes make credentials with the secret in use; TURN nodes take all that are listed, at most two.",
        "گره‌های پیام با رازِ در حال استفاده اعتبارنامه می‌سازند؛ گره‌های TURN همهٔ رازهای این فهرست را"
        " می‌پذیرند، دست بالا دو تا.",
    ),
    "number": Phrase("Number", "شماره"),
    "state": Phrase("State", "وضعیت"),
    "announced": Phrase("Made", "ساخته شد"),
    "in_force": Phrase("In use since", "در استفاده از"),
    "not_yet": Phrase("not yet", "هنوز نه"),
    "ends": Phrase("Taken until", "پذیرفته تا"),
    "awaited": Phrase("The next secret has not reached:", "راز بعدی هنوز نرسیده است به:"),
    "awaited_remedy": Phrase(
        "Mail nodes use it once these have it, or have been away for five minutes.",
        "گره‌های پیام وقتی آن را به کار می‌برند که این‌ها آن را داشته باشند یا پنج دقیقه دور بوده باشند.",
    ),
    "rotate": Phrase("Replace the secret", "تعویض راز"),
    "rotate_hint": Phrase(
        "A new one is made up. Calls go on, and credentials that were handed out are taken until they end.",
        "راز تازه‌ای ساخته می‌شود. تماس‌ها ادامه می‌یابند و اعتبارنامه‌های داده‌شده تا پایانشان پذیرفته می‌شوند.",
    ),
    "two_live": Phrase(
        "Two secrets are live. The next replacement is possible when the former one has ended.",
        "دو راز زنده است. تعویض بعدی پس از پایان راز پیشین ممکن است.",
    ),
    "addresses": Phrase("Addresses", "نشانی‌ها"),
    "addresses_hint": Phrase(
        "A node that drains or is away is left out, as long as another one is there.",
        "گره‌ای که خالی می‌شود یا دور است کنار می‌ماند، تا وقتی گرهٔ دیگری باشد.",
    ),
    "node": Phrase("Node", "گره"),
    "published": Phrase("Published", "منتشر می‌شود"),
    "records": Phrase("Lines for the DNS zone", "سطرهای ناحیهٔ DNS"),
    "usage": Phrase("Most used credentials", "پرمصرف‌ترین اعتبارنامه‌ها"),
    "usage_hint": Phrase(
        "By pseudonym: nobody can tell whose they are.", "با نام مستعار: کسی نمی‌داند از آنِ کیستند."
    ),
    "pseudonym": Phrase("Pseudonym", "نام مستعار"),
    "allocations": Phrase("Relay addresses now", "نشانی‌های رله اکنون"),
    "relayed": Phrase("Relayed", "رسانده شده"),
    "dropped": Phrase("Packets beyond its limits", "بسته‌های بیش از حد"),
}

SECRET_STATES: Phrases = {
    TurnSecretState.NEXT: Phrase("next", "بعدی"),
    TurnSecretState.PRESENT: Phrase("in use", "در حال استفاده"),
    TurnSecretState.FORMER: Phrase("former", "پیشین"),
}

ABSENCES: Phrases = {
    Absence.DRAINING: Phrase("draining", "خالی می‌شود"),
    Absence.NOT_CONNECTED: Phrase("not connected", "وصل نیست"),
}
