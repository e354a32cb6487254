"""The exchangers domain: relays where mail for the fleet's nodes may wait.

models       the table, and the schemas            errors       what the rules refuse
service      the rules                             access       what nodes are told
endpoints    HTTP

Not for: polling, which mail nodes do; nor for sending through one: an endpoint of the federation domain does.
"""
