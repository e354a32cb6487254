"""Take over the accounts and mail of another kind of server.

    relay.py (chatmail: Maildir), madmail.py (Madmail 1: SQLite) ──▶ sources.py ──▶ adopting.py ──▶ the store

Passwords stay what they are, messages keep their UIDs and mailboxes their UIDVALIDITY: apps notice nothing.
"""
