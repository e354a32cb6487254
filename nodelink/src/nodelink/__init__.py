"""What control plane and nodes share, and nothing else.

- `contract`: what they say to one another, and how it is signed; no I/O.
- `channel`: how a node says it: one WebSocket to every address of the control plane, and what it
  keeps on disk.
- `daemon`: the chassis of every daemon: settings, log, service manager, signals, TLS, metrics.
"""
