"""The command `madfleet`: steer the fleet on the control plane's own host.

It opens the same database with the same settings as the daemon, and uses the same services; the daemon
notices a change within half a second and tells the nodes. So it works while the daemon does not run, too.

    main ──▶ node_commands, policy_commands, admin_commands ──▶ opening, output
        └──▶ key_commands, backup_commands ──────────────────┘
"""
