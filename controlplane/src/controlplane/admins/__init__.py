"""Who may steer the fleet.

callers ──▶ tokens ──▶ models        the Admin API: a bearer token with each request
   └──────▶ web_sessions             the pages: a cookie for a token that was shown once
"""
