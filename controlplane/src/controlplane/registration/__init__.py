"""New accounts: placed on a mail node, made there, and only then handed out.

endpoints ──▶ service ──▶ placement    which node; a pure function
    │          └──▶ tokens             who may, where not everybody may
    ├───────▶ backups                  on which other nodes there is a second address
    └───────▶ login_url                what the app is told
token_endpoints ──▶ tokens             for operators
"""
