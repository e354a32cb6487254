"""The admin RPC of Madmail, so that its admin web steers a fleet, or one node of it, unchanged.

endpoints ──▶ envelope                 one POST, always answered with HTTP 200
    └───────▶ dispatch ──▶ resources of accounts, settings, mail, tokens and the dashboard
                               └──▶ call ──▶ the services that REST calls, too

It has no rules of its own. docs/reference/rpc.md says what each resource is: live, Ansible or absent.
"""
