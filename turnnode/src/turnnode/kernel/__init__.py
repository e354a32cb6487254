"""Relay in the kernel: a BPF program moves the data of bound channels, and the agent decides which.

    ChannelBind ─▶ path.py ─▶ flows.py ─▶ layout.py ─▶ maps.py ┐
                      │                                        ├─ loader.py ◀─ object_file.py ◀─ relay_*.o
                      ├─▶ hops.py ◀─ route_messages.py         │
                      └─▶ ladder.py ─▶ proof.py, attachment.py ┘       all of them ─▶ system_call.py ─▶ kernel

For: ChannelData of both versions of IP, between a client and a peer or between two clients of this node.
Not for: decisions about who may talk with whom (relay/), and all that is not ChannelData: userspace has it.
"""
