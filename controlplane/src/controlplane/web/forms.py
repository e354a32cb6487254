"""Read what a page's form has sent.

For: `application/x-www-form-urlencoded` bodies; http_limits.py bounds their size.
Not for: what a form means.
"""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

from controlplane.admins.web_sessions import COOKIE, is_form_key
from controlplane.dependencies import lend_plane
from controlplane.errors import ForgedFormError

MAX_FIELDS = 20

Form = Mapping[str, str]


async def read_form(request: Request) -> Form:
    """Read a form; a field that comes twice counts once, and what is no form is an empty one."""
    body = await request.body()
    try:
        fields = parse_qs(body.decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def read_own_form(request: Request, form: Annotated[Form, Depends(read_form)]) -> Form:
    """Read a form that one of our pages has shown in this session.

    Raises:
        ForgedFormError: It carries no key, or that of another session.
    """
    if not is_form_key(lend_plane(request).vault, request.cookies.get(COOKIE, ""), form.get("key", "")):
        raise ForgedFormError
    return form


FormDep = Annotated[Form, Depends(read_form)]
OwnFormDep = Annotated[Form, Depends(read_own_form)]
