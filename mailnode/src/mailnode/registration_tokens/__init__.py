"""Registration tokens that are shown at this node's own page; the control plane knows and counts them.

http ──▶ admission ──▶ redeemer ──▶ control plane
   shown    who may ask     one signed request
"""
