"""What needs doing once on a node: kept, handed over until it is acknowledged, then emptied of its content.

endpoints ──▶ service ──▶ models
"""
