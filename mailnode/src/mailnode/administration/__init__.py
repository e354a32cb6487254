"""What the control plane asks and has done about this node's accounts and mail.

queries.py ──▶ answers live, only reads          operations.py ──▶ signed, once each
retention.py ──▶ lets go what the policy says is too old
"""
