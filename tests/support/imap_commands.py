"""Hypothesis strategies for IMAP: commands beside the bytes that ask for them, in every spelling allowed."""

import string
from collections.abc import Callable, Sequence
from datetime import date

from hypothesis import strategies as st

from mailnode.imap.command_reader import CommandReader, CommandText, LiteralRefused, LiteralWanted, ReadLimits
from mailnode.imap.commands import (
    Append,
    Authenticate,
    Command,
    Copy,
    Create,
    Delete,
    Enable,
    GetMetadata,
    GetQuota,
    GetQuotaRoot,
    Identify,
    List,
    Login,
    MetadataDepth,
    Plain,
    Rename,
    Search,
    Select,
    SetMetadata,
    Status,
    StatusItem,
    Store,
    Subscribe,
    UidExpunge,
    Verb,
)
from mailnode.imap.mailbox_name import encode_name
from mailnode.imap.search_keys import (
    AllOf,
    AnyOf,
    BodyContains,
    DateRelation,
    HasFlag,
    HeaderContains,
    IsRecent,
    LargerThan,
    Not,
    NumberIn,
    ReceivedDate,
    SearchKey,
    SentDate,
    SmallerThan,
    TextContains,
)
from mailnode.imap.sequence_set import SequenceSet
from mailnode.store.mail_store import FlagMode

MESSAGE_BYTES = 2_000
LIMITS = ReadLimits(line_bytes=8_192, literals_bytes=4_096, takes_messages=True)
ATOM_LETTERS = string.ascii_letters + string.digits + "!#$&'+,-./:;<=>?@^_`|~"
SYSTEM_FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"]

Written = tuple[bytes, Command]

numbers = st.integers(1, 0xFFFF_FFFF)
atoms = st.text(ATOM_LETTERS, min_size=1, max_size=12).filter(lambda text: text.upper() != "NIL")
octets = st.binary(max_size=30).map(lambda data: data.replace(b"\0", b"0"))
tags = st.text(ATOM_LETTERS.replace("+", "]"), min_size=1, max_size=10).map(str.encode)


def new_reader() -> CommandReader:
    return CommandReader(LIMITS, lambda: MESSAGE_BYTES)


def read_all(
    reader: CommandReader, pieces: Sequence[bytes]
) -> list[CommandText | LiteralWanted | LiteralRefused]:
    """Feed pieces and take every event there is after each."""
    events = []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.read_command()) is not None:
            events.append(event)
    return events


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Cut bytes anywhere."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@st.composite
def strings(draw: st.DrawFn, text: bytes) -> bytes:
    """Write a string as an atom, quoted, or as a literal."""
    forms = [b"{%d+}\r\n%s" % (len(text), text)]
    if not any(octet in text for octet in b"\r\n"):
        forms.append(b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"')
    if text and all(octet in ATOM_LETTERS.encode() for octet in text) and text.upper() != b"NIL":
        forms.append(text)
    return draw(st.sampled_from(forms))


@st.composite
def any_case(draw: st.DrawFn, word: str) -> bytes:
    return "".join(draw(st.sampled_from([letter.upper(), letter.lower()])) for letter in word).encode()


@st.composite
def mailboxes(draw: st.DrawFn) -> tuple[bytes, str]:
    name = draw(
        st.one_of(
            st.just("INBOX"),
            st.text(
                st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12
            ).filter(lambda name: name.upper() != "INBOX" and not name.endswith("/")),
        )
    )
    wire = draw(any_case("INBOX")) if name == "INBOX" else encode_name(name)
    return draw(strings(wire)), name


@st.composite
def sets(draw: st.DrawFn) -> tuple[bytes, SequenceSet]:
    ends = st.one_of(numbers, st.just(0))
    ranges = draw(st.lists(st.tuples(ends, ends), min_size=1, max_size=4))
    words = []
    for first, last in ranges:
        start, end = (b"%d" % number if number else b"*" for number in (first, last))
        words.append(start if first == last and draw(st.booleans()) else start + b":" + end)
    return b",".join(words), tuple(ranges)


@st.composite
def flag_lists(draw: st.DrawFn) -> tuple[bytes, frozenset[str]]:
    flags = draw(st.lists(st.one_of(st.sampled_from(SYSTEM_FLAGS), atoms), min_size=1, max_size=4))
    words = [draw(any_case(flag)) if flag.startswith("\\") else flag.encode() for flag in flags]
    return b" ".join(words), frozenset(flags)


days = st.dates(date(1970, 1, 1), date(2099, 12, 31))


def write_day(day: date) -> bytes:
    return b"%d-%s-%04d" % (day.day, day.strftime("%b").encode(), day.year)


def _in_text(field: str) -> Callable[[str], SearchKey]:
    return lambda text: HeaderContains(field, text)


@st.composite
def leaf_keys(draw: st.DrawFn) -> tuple[bytes, SearchKey]:
    day = draw(days)
    text = draw(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8))
    string_ = draw(strings(text.encode()))
    wire_set, chosen = draw(sets())
    word = draw(atoms)
    number = draw(numbers)
    date_keys: list[tuple[bytes, SearchKey]] = [
        (b"%s%s %s" % (prefix, relation.value.upper().encode(), write_day(day)), key(relation, day))
        for prefix, key in ((b"", ReceivedDate), (b"SENT", SentDate))
        for relation in DateRelation
    ]
    with_text: dict[bytes, Callable[[str], SearchKey]] = {
        b"BODY": BodyContains,
        b"TEXT": TextContains,
        **{field.encode(): _in_text(field) for field in ("bcc", "cc", "from", "subject", "to")},
    }
    text_keys = [(name + b" " + string_, key(text.casefold())) for name, key in with_text.items()]
    choices: list[tuple[bytes, SearchKey]] = [
        (b"ALL", AllOf(())),
        (b"UNSEEN", Not(HasFlag("\\seen"))),
        (b"deleted", HasFlag("\\deleted")),
        (b"OLD", Not(IsRecent())),
        (b"KEYWORD " + word.encode(), HasFlag(word.lower())),
        (b"UNKEYWORD " + word.encode(), Not(HasFlag(word.lower()))),
        (b"LARGER %d" % number, LargerThan(number)),
        (b"SMALLER %d" % number, SmallerThan(number)),
        (wire_set, NumberIn(chosen, is_uid=False)),
        (b"UID " + wire_set, NumberIn(chosen, is_uid=True)),
        (b"HEADER %s %s" % (word.encode(), string_), HeaderContains(word.lower(), text.casefold())),
        *date_keys,
        *text_keys,
    ]
    return draw(st.sampled_from(choices))


def _extended(
    inner: st.SearchStrategy[tuple[bytes, SearchKey]],
) -> st.SearchStrategy[tuple[bytes, SearchKey]]:
    return st.one_of(
        inner.map(lambda key: (b"NOT " + key[0], Not(key[1]))),
        st.tuples(inner, inner).map(
            lambda pair: (b"OR %s %s" % (pair[0][0], pair[1][0]), AnyOf((pair[0][1], pair[1][1])))
        ),
        st.lists(inner, min_size=2, max_size=3).map(
            lambda keys: (
                b"(" + b" ".join(key[0] for key in keys) + b")",
                AllOf(tuple(key[1] for key in keys)),
            )
        ),
    )


search_keys = st.recursive(leaf_keys(), _extended, max_leaves=5)


@st.composite
def entries(draw: st.DrawFn) -> str:
    levels = draw(
        st.lists(st.text(string.ascii_lowercase + " .-", min_size=1, max_size=5), min_size=1, max_size=3)
    )
    return "/".join(["", draw(st.sampled_from(["private", "shared"])), *levels])


@st.composite
def mailbox_commands(draw: st.DrawFn) -> Written:
    wire, name = draw(mailboxes())
    other_wire, other = draw(mailboxes())
    items = draw(st.lists(st.sampled_from(StatusItem), min_size=1, max_size=4))
    item_words = b" ".join([draw(any_case(item.value)) for item in items])
    pattern = draw(st.text(ATOM_LETTERS + "*%]", min_size=1, max_size=8)).encode()
    choices: list[Written] = [
        (b"select " + wire, Select(name, is_read_only=False)),
        (b"EXAMINE %s (condstore)" % wire, Select(name, True, (b"CONDSTORE",))),  # noqa: FBT003 - all fields in order
        (b"Create " + wire, Create(name)),
        (b"DELETE " + wire, Delete(name)),
        (b"RENAME %s %s" % (wire, other_wire), Rename(name, other)),
        (b"SUBSCRIBE " + wire, Subscribe(name, is_subscribed=True)),
        (b"UNSUBSCRIBE " + wire, Subscribe(name, is_subscribed=False)),
        (b"STATUS %s (%s)" % (wire, item_words), Status(name, tuple(items))),
        (b'LIST "" ' + pattern, List(pattern, only_subscribed=False)),
        (b"LSUB x/ " + pattern, List(b"x/" + pattern, only_subscribed=True)),
        (b"GETQUOTAROOT " + wire, GetQuotaRoot(name)),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def message_commands(draw: st.DrawFn) -> Written:
    wire_set, chosen = draw(sets())
    wire, name = draw(mailboxes())
    flag_words, flags = draw(flag_lists())
    sign, mode = draw(
        st.sampled_from([(b"", FlagMode.REPLACE), (b"+", FlagMode.ADD), (b"-", FlagMode.REMOVE)])
    )
    silent = draw(st.booleans())
    is_uid = draw(st.booleans())
    prefix = b"uid " if is_uid else b""
    criteria, key = draw(search_keys)
    message = draw(octets)
    what = sign + b"FLAGS" + (b".silent" if silent else b"")
    form = draw(st.sampled_from([b"%s", b"(%s)"]))
    append_flags, append_words = draw(
        st.sampled_from([(frozenset[str](), b""), (flags, b"(%s) " % flag_words)])
    )
    choices: list[Written] = [
        (
            prefix + b"STORE %s %s %s" % (wire_set, what, form % flag_words),
            Store(chosen, mode, flags, silent, is_uid),
        ),
        (prefix + b"COPY %s %s" % (wire_set, wire), Copy(chosen, name, is_move=False, is_uid=is_uid)),
        (prefix + b"move %s %s" % (wire_set, wire), Copy(chosen, name, is_move=True, is_uid=is_uid)),
        (prefix + b"SEARCH charset utf-8 " + criteria, Search(key, is_uid)),
        (b"UID EXPUNGE " + wire_set, UidExpunge(chosen)),
        (
            b"APPEND %s %s{%d+}\r\n%s" % (wire, append_words, len(message), message),
            Append(name, append_flags, None, message),
        ),
    ]
    return draw(st.sampled_from(choices))


@st.composite
def other_commands(draw: st.DrawFn) -> Written:
    user, password = draw(octets), draw(octets)
    verb = draw(st.sampled_from(Verb))
    word = draw(atoms)
    wire, name = draw(mailboxes())
    entry = draw(entries())
    value = draw(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10))
    depth = draw(st.sampled_from(MetadataDepth))
    entry_wire = draw(strings(entry.encode()))
    choices: list[Written] = [
        (draw(any_case(verb.value)), Plain(verb)),
        (b"LOGIN %s %s" % (draw(strings(user)), draw(strings(password))), Login(user, password)),
        (b"authenticate plain", Authenticate(b"PLAIN", None)),
        (b"AUTHENTICATE PLAIN =", Authenticate(b"PLAIN", b"")),
        (b"AUTHENTICATE PLAIN YWJj", Authenticate(b"PLAIN", b"YWJj")),
        (b"ID (%s NIL)" % draw(strings(b"a name with space")), Identify()),
        (b"ENABLE " + word.encode(), Enable((word.upper().encode(),))),
        (b"GETQUOTA " + draw(strings(user)), GetQuota(user)),
        (
            b"GETMETADATA (MAXSIZE 7 DEPTH %s) %s (%s)" % (depth.value.encode(), wire, entry_wire),
            GetMetadata(name, (entry,), depth, 7),
        ),
        (
            b"SETMETADATA %s (%s {%d+}\r\n%s)" % (wire, entry_wire, len(value.encode()), value.encode()),
            SetMetadata(name, {entry: value}),
        ),
    ]
    return draw(st.sampled_from(choices))


commands = st.one_of(mailbox_commands(), message_commands(), other_commands())
