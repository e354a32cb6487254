"""The node's side of the channel to the control plane.

How the modules build on each other:

    files ──▶ node_files      identity, enrolment, the last signed desired state: crash-safe on disk
    client_tls ──▶ joining    become one of the fleet, once
          └──────▶ agent      follow desired states and report, for ever
"""
