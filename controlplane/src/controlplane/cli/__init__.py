"""The command `madfleet`, and what of it has to touch the database on the control plane's own host.

    main ──▶ client/: all that the Admin API does
        └──▶ host_commands ──▶ admin_commands, enrol_command, key_commands, backup_commands ──▶ opening
                          └──▶ host_target: how commands of the client reach the control plane of this host

Host commands use the same settings, database and services as the daemon, which notices a change within half a
second and tells the nodes. So they work while it does not run, too.
"""
