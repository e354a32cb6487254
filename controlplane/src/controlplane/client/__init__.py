"""The command `madfleet` as a client of the Admin API, from any machine.

It needs typer and httpx, and nothing of the server: no database, no framework. What has to touch the
database, on the control plane's own host, is in cli/.

    commands (…_commands) ──▶ connection ──▶ target ──▶ address, token, trusted certificate
                         └──▶ api ──▶ errors          one call: pages, tags, events, refusals
                         └──▶ output, quantities      what people read
"""
