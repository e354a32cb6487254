"""What the pages of groups say."""

from controlplane.web.texts.phrases import Phrase, Phrases

PHRASES: Phrases = {
    "title": Phrase("Groups", "گروه‌ها"),
    "lead": Phrase(
        "Nodes of a group differ from the fleet together. A node is in one group at most.",
        "گره‌های یک گروه با هم از ناوگان متفاوت‌اند. هر گره حداکثر در یک گروه است.",
    ),
    "name": Phrase("Name", "نام"),
    "name_hint": Phrase("Small letters, digits and dashes.", "حروف کوچک لاتین، رقم و خط تیره."),
    "label": Phrase("Label", "برچسب"),
    "nodes": Phrase("Nodes", "گره‌ها"),
    "empty": Phrase("There is no group yet.", "هنوز گروهی نیست."),
    "empty_remedy": Phrase(
        "Make one to give some nodes a policy of their own.",
        "گروهی بسازید تا چند گره سیاست خود را داشته باشند.",
    ),
    "empty_remedy_viewer": Phrase("All nodes follow the fleet.", "همهٔ گره‌ها از ناوگان پیروی می‌کنند."),
    "create": Phrase("Make a group", "ساختن گروه"),
    "members": Phrase("Nodes in it", "گره‌های آن"),
    "no_members": Phrase(
        "No node is in it. Move one in from the node's page.",
        "گره‌ای در آن نیست. از صفحهٔ گره آن را به گروه ببرید.",
    ),
    "policy": Phrase("Policy in this group", "سیاست در این گروه"),
    "remove": Phrase("Remove this group", "حذف این گروه"),
    "remove_warning": Phrase(
        "Its policy goes and its admin tokens are revoked. No node may be in it.",
        "سیاستش از میان می‌رود و توکن‌های مدیریتش لغو می‌شوند. نباید گره‌ای در آن باشد.",
    ),
}
