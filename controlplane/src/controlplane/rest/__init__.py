"""What all of the Admin API has in common, whatever it is about.

paging         lists come in pages, each of which names where the next one begins
tags           who changes something says what he has seen (ETag, If-Match)
idempotency    who sends a POST again, with the same key, is answered the same and does nothing twice
documentation  all of it, and every refusal, stands in the OpenAPI document
upkeep         what is to be forgotten is forgotten
"""
