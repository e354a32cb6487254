"""IMAP4rev1 (RFC 3501) for Delta Chat and every other client: reading mail, and what belongs to it.

    bytes ─▶ command_reader ─▶ lexer, parser ─▶ commands ─▶ session ─▶ commands_* ─▶ MailStore
            (sans-I/O: framing)  (sans-I/O: words, syntax)              │
    bytes ◀────────── connection (transport, deadlines) ◀───────────────┘ view (what the client knows)

Public face: `mailnode.imap.server.ImapServer`.
"""
