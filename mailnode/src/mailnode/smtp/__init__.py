"""SMTP submission: mail from this node's accounts to this node's accounts.

The modules:

    replies           what we answer
    limits            how much a client may ask for
    syntax            commands, paths and parameters, as pure functions
    credentials       what AUTH carries, as pure functions
    reader            commands and messages out of a stream of bytes
    chunks            a message that comes by BDAT, in chunks
    message_text      from DATA to a message: dots, line ends, line lengths, header hygiene
    delivery_report   the message that tells who did not get one
    recipients        who a recipient is
    submission        what happens to a message
    connection        one client's connection: TLS, deadlines, the end of it
    session           the commands
    server            what all connections share
"""
