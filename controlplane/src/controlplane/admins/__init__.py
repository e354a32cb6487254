"""Who may steer the fleet, and what they have done.

callers ──▶ access                    who may call what: roles × reach, decided by a pure function
   ├──────▶ tokens ──▶ models         the Admin API: a bearer token with each request
   │           └─────▶ static_token   one that stands in the settings
   └──────▶ web_sessions              the pages: a cookie for a token that was shown once
audit ──▶ audit_models                every change: who, what, before, after
endpoints, audit_endpoints            both over HTTP
"""
