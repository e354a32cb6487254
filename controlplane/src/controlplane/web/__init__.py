"""The pages of the control plane: what it is, signing in, and the fleet at a glance.

endpoints ──▶ pages ──▶ texts, templates/
    └──────▶ forms
"""
