"""The zone domain: what the DNS must say so that apps, other servers and calls find the fleet.

records      which records there must be: pure       zone_file    them as a zone file, and their values: pure
models       the schemas                             service      what nodes have told
endpoints    HTTP

Not for: asking or changing the DNS: the command line does, where the operator is (client/name_server.py).
"""
