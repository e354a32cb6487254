"""Mail between the nodes of a fleet, over HTTPS.

    outbound    smtp ──▶ queue in the store ──▶ lane (one per domain) ──▶ POST /mxdeliv of that node
    inbound     POST /mxdeliv ──▶ door: signed by a sibling? ──▶ gate, accounts ──▶ store: durable ──▶ 200

siblings      who the other nodes are          delivery    what is handed over, and what was said to it
retry         when something is tried again    (all three: no I/O)
"""
