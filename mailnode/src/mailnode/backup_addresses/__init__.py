"""A second address for whoever has registered, on another mail node of the fleet.

    page of mail1 ── finder ── GET /backup-offer, signed ──▶ endpoint ── offer: does mail2 take new accounts?
          └──▶ link: `dcaccount:https://mail2/new`           the account is made when somebody scans that

So mail2 decides twice, by the policy that is in force on it: when it is asked, and when the account is made.
No control plane is needed for it.
"""
