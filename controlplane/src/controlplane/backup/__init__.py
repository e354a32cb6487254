"""Everything that a control plane needs to come back, in one file.

    taking ──▶ archive ◀── restoring        what is put in; the file; what is judged and put in place

Not for: mail nodes and TURN nodes. Accounts and messages live on their node alone.
"""
