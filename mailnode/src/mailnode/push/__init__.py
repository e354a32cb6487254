"""Wake apps that sleep: hand their device tokens to the notification proxy when mail has come.

    retry    when a token is tried again, and when it is given up
    proxy    one attempt, over HTTPS
    pusher   works off the queue that deliveries fill (store.notification_queue)

What a token says only the proxy can read; no address and nothing of a message goes there.
"""
