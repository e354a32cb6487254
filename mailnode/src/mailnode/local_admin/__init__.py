"""The node's own admin: a root-only socket and the commands that speak over it.

For: showing and changing accounts, quotas and registration while the control plane is away.
Not for: anything remote; the control plane has its channel.
"""
