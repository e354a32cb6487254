"""New accounts: placed on a mail node, made there, and only then handed out.

endpoints ──▶ service ──▶ placement    which node; a pure function
    └───────▶ login_url                what the app is told
"""
