"""Accounts, which live on their nodes: asked live, changed by operations. Nothing of them is kept here.

endpoints ──▶ live ──▶ merging          order_endpoints ──▶ orders ──▶ operations/
"""
