"""The nodes of the fleet: how one becomes a node, what it is told, and what it tells.

enrolment ──▶ models ◀── reports          who they are, and how
desired   ──▶ states, turn_access         what each is to do: gathered, then decided by pure functions
turn_pools                                what each pool of TURN nodes hands out now
hub ──▶ channel ──▶ desk                  the WebSocket of each node, and the database behind it
door                                      who may open one
administration, groups                    what admins say of nodes, and how they put them together
endpoints, group_endpoints                all of it over HTTP
node_endpoints                            what nodes themselves call
"""
