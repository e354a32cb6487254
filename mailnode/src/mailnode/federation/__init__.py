"""Mail between the nodes of a fleet, over HTTPS.

    outbound    smtp ──▶ queue in the store ──▶ lane (one per domain) ──▶ POST /mxdeliv of that node
    inbound     POST /mxdeliv ──▶ door: signed by a sibling? ──▶ gate, accounts ──▶ store: durable ──▶ 200

Several messages at once go to /mxdeliv/batch, each judged by itself.

siblings      who the other nodes are          delivery    what is handed over, and what was said to it
retry         when something is tried again    batch       several of it at once    (all four: no I/O)
"""
