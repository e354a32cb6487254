"""All pages together.

Not for: the application around them (application.py).
"""

from fastapi import APIRouter

from controlplane.web import (
    account_changes,
    account_pages,
    admin_token_pages,
    assets,
    audit_pages,
    dns_pages,
    exchanger_pages,
    federation_pages,
    group_pages,
    import_pages,
    node_changes,
    node_pages,
    operation_pages,
    overview,
    policy_pages,
    registration_pages,
    sign_in,
    turn_pages,
)

router = APIRouter(include_in_schema=False)
for each in (
    sign_in,
    assets,
    overview,
    node_pages,
    node_changes,
    policy_pages,
    group_pages,
    registration_pages,
    turn_pages,
    import_pages,  # before account_pages, one of whose paths would take "import" for a node
    account_pages,
    account_changes,
    operation_pages,
    federation_pages,
    exchanger_pages,
    dns_pages,
    admin_token_pages,
    audit_pages,
):
    router.include_router(each.router)
