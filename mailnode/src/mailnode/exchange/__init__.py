"""An exchanger: a place between servers that cannot reach one another, where mail waits or passes.

    POST /mxdeliv ─▶ kept      ─▶ waits ─▶ GET /pull, POST /pull/ack by the domain's server, with its token
                  └▶ forwarded ─▶ waits ─▶ POST /mxdeliv of the domain's server, or of another exchanger

For: servers of anybody who names its domains in its settings. It is no node of a fleet and needs no control
plane; it is this package because it takes, keeps and hands on mail as a mail node does.
Not for: fetching from an exchanger (mailnode.peering.exchangers), nor sending through one (an endpoint
override). It has no accounts, reads nobody's mail, and writes no name into its log but those of its settings.
"""
