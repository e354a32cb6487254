"""The chassis of every daemon, so that each is started, watched, reloaded and stopped alike.

What a daemon takes from here, in the order in which it needs it:

    settings          environment and file, judged before anything else happens
    log               JSON lines on stdout
    complaints        as few of them as a journal bears
    chassis           loop, signals, READY, watchdog, orderly end
    tasks             background work that ends with its owner
    listeners         sockets that outlive a restart
    tls               certificates that are replaced without a restart
    plain_http        port 80: challenges of certificate authorities, and a redirect to HTTPS
    metrics           Prometheus
"""
