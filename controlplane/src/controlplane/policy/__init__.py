"""What holds for the users of the fleet: registration, quota, sizes, calls.

endpoints ──▶ service ──▶ models
                 └──▶ inheritance       what a node has of its own goes before what the fleet says
"""
