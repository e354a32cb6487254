"""Tell other programs what has happened to the fleet, by signed requests.

    watch ──▶ alarms (pure) ──▶ raised, resolved ──▶ deliveries ──▶ sender ──▶ HTTPS

service: who is told.    alarms: what is worth telling, and when again.    deliveries: rows that wait.
sender: the requests.    signing: how the receiver knows them.    places: where they may go.
"""
