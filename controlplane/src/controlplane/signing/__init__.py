"""The key by which the control plane signs, and how the next one takes its place.

    models ──▶ keyring ──▶ service      the keys; which of them count now; announcing and switching

nodes/desired.py reads the keyring, because every desired state names the keys that its node is to trust.
"""
