"""New accounts: placed on a mail node, made there, and only then handed out.

endpoints ──▶ service ──▶ placement    which node; a pure function
    │          └──▶ tokens             who may, where not everybody may
    ├───────▶ backups                  on which other nodes there is a second address
    └───────▶ login_url                what the app is told
node_endpoints ──▶ service     for nodes, at whose own page a token was shown
token_endpoints ──▶ tokens             for operators
"""
