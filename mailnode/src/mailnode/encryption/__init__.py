"""The encryption gate: what is not encrypted end to end does not pass, and nothing is ever decrypted.

The modules, each of pure functions on bytes:

    openpgp_packets   the sequence of packets that an encrypted message is made of
    armor             the text form of such a message
    mime_framing      header fields, media types and the parts of a multipart
    from_header       who a message says it is from
    gate              the rules: which messages pass on the way out and on the way in
"""
