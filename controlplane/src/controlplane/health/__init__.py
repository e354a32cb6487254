"""How the fleet is: its last day at one minute, metrics, probes, alarms and webhooks.

Not for: taking reports in (nodes/), nor for pages.
"""
