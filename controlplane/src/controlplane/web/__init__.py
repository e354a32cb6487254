"""The pages of the control plane: signing in, and everything that an operator does by hand.

    routes ──▶ one module per page ──▶ services (policy/, nodes/, accounts/, …), as the Admin API does
                   └──▶ pages, forms, navigation, formats ──▶ texts/, templates/

Pages work without scripts; HTMX and charts make them livelier.
"""
