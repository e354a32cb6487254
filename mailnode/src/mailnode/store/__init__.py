"""Where accounts and mail are kept.

`mail_store` says what a store promises; `sqlite_store` keeps the promise on one host. Behind that one:

    sqlite_writer, sqlite_readers     the thread that commits, and the connections that read
    sqlite_schema, directory_lock     opening the database; one process per directory
    sqlite_accounts, _mailboxes, _mail, _bodies     the statements
    body_keeper, body_cache, body_files, headers    where a body goes and is found again
    contents_cache                    what mailboxes in use hold
    watchers                          who hears of changes
"""
