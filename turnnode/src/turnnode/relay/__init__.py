"""The relay: a TURN server over UDP that decides without I/O, and the edge that moves its datagrams.

server.py ── datagram ──▶ machine.py ── requests.py ── authentication.py ── credentials.py, nonce.py
   ▲                          │              └──────── peer_policy.py, table.py
   └──────── Send ────────────┘
"""
