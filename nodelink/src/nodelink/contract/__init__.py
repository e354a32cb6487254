"""What control plane and nodes say to one another; pure functions and frozen models, no I/O.

How the modules build on each other:

    keys ──▶ assertions    who opens a channel          (node ▶ control plane)
      └────▶ documents     desired states, operations   (control plane ▶ node), signed
    states, siblings, ports, operations, key_changes, reports    what stands in them
    frames                      what travels over the channel
    join_tokens                 what invites a new node
"""
