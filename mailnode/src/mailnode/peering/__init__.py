"""Mail to and from servers that are not of this fleet: chatmail relays, Madmail, Postfix, and whoever else.

    out   queue ─▶ policy ─▶ endpoint override, or MX ─▶ DKIM ─▶ POST /mxdeliv, else SMTP with verified TLS
    in    port 25, or POST /mxdeliv ─▶ limits ─▶ encryption gate ─▶ policy ─▶ DKIM ─▶ store ─▶ 250, 200

policy        who may exchange mail with us, and by what    routes       where mail for a domain goes
resolver      the DNS                                       mta_sts      which hosts a domain vouches for
upload        hands over by HTTPS                           smtp_pool    hands over by SMTP
courier       all of that, once for each attempt            traffic      what went to and came from whom
reception     what may come in                              replays      one signature, one way in
sts_memory    what domains vouch for, across restarts
assembly      all of it put together                        smtp_session, smtp_server, http_entry: the doors

A *peer* is a mail domain of others. Nodes of the fleet have a way of their own (mailnode.federation).
"""
