"""Who may use this node: addresses, passwords, policy, and accounts that the first login creates.

The modules:

    address      the normal form of an address, and which addresses may register
    password     hashing; keyed_hash: what programs invented; verified: passwords that need no hash again
    rate_limit   how often one network may fail, or create
    policy       what the control plane has decided; overrides: what the node's own admin has
    sessions     what is to be ended when an account is shut out
    accounts     login, registration and look-up

SMTP, IMAP and HTTP call `accounts` only.
"""
