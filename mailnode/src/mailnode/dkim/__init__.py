"""DKIM: sign mail that leaves the node, and check what comes from elsewhere.

    sign      message ─▶ canonical form ─▶ hash ─▶ a field for each live key, RSA and Ed25519
    verify    message ─▶ fields whose d= is the domain of From ─▶ public key by DNS ─▶ one that holds

errors            why a message is not believed
fields            a header taken apart, byte for byte
canonical_form    what is hashed
signature         the tags of a DKIM-Signature field
public_key        the record that holds a key
signing, verification
key_files         the node's own keys on disk, and their rotation

Source: RFC 6376, RFC 8301 (no SHA-1, 1,024 bits at least), RFC 8463 (Ed25519).
"""
