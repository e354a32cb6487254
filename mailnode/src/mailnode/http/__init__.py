"""Everything a mail node serves over HTTPS, and the 443 listener that shares its port with mail.

multiplexer ──▶ imap, smtp (handed in)      by ALPN, after the TLS handshake
     │
     └────────▶ protocol ──▶ app            HTTP within bounds, then routes
                              │
          pages ◀─────────────┤             templates, texts, language
          login_url, autoconfig, origin     pure: what the routes decide with
"""
