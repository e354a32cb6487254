"""A chat mail server for Delta Chat: SMTP submission, IMAP and registration pages in one process.

Who calls whom; nothing points back:

    smtp ──▶ encryption           what may be sent at all
      │  └─▶ accounts ◀── imap    who somebody is; created by the first login
      ▼         ▼           │
      store (mail_store.MailStore) ◀──┘

`http` has the pages, registration and autoconfig; `local_admin` the command on the node itself.
"""
