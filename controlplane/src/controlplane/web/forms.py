"""Read what a page's form has sent.

For: `application/x-www-form-urlencoded` bodies; http_limits.py bounds their size.
Not for: what a form means.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeVar
from urllib.parse import parse_qs

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from controlplane.admins.web_sessions import COOKIE, is_form_key
from controlplane.dependencies import lend_plane
from controlplane.errors import ForgedFormError
from controlplane.policy.quantities import parse_size
from controlplane.web.errors import BadFormError
from controlplane.web.formats import read_digits
from controlplane.web.links import read_back

MAX_FIELDS = 500
"""A page of accounts has at most 200 that may be chosen."""
SWITCH = {"yes": True, "no": False, "": None}

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Form:
    """The fields that came, each with all its values."""

    fields: Mapping[str, Sequence[str]]

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def text(self, name: str) -> str:
        """Read a field; the first value counts, and a field that did not come is empty."""
        return next(iter(self.fields.get(name, ())), "")

    def texts(self, name: str) -> Sequence[str]:
        """Read all values of a field."""
        return self.fields.get(name, ())

    def word(self, name: str) -> str | None:
        """Read a field; `None` for an empty one."""
        return self.text(name).strip() or None

    def number(self, name: str) -> int | str | None:
        """Read a whole number; `None` for an empty field, and the text itself where that is no number."""
        text = read_digits(self.text(name))
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text or None

    def size(self, name: str) -> int | str | None:
        """Read an amount of bytes; otherwise as `number`."""
        text = read_digits(self.text(name))
        size_bytes = parse_size(text) if text else None
        return size_bytes if size_bytes is not None else text or None

    def switch(self, name: str) -> bool | str | None:
        """Read yes, no, or neither; the text itself where it is none of them."""
        text = self.text(name)
        return SWITCH.get(text, text)


def read_model(model: type[ModelT], values: Mapping[str, object]) -> ModelT:
    """Build a request from the values of a form. Raises: BadFormError."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        location = error.errors()[0]["loc"]
        raise BadFormError(str(location[0]) if location else "") from error


async def read_form(request: Request) -> Form:
    """Read a form; what is no form is an empty one."""
    body = await request.body()
    try:
        fields = parse_qs(
            body.decode("ascii"), errors="strict", max_num_fields=MAX_FIELDS, keep_blank_values=True
        )
    except ValueError:
        return Form({})
    return Form(fields)


def read_own_form(request: Request, form: Annotated[Form, Depends(read_form)]) -> Form:
    """Read a form that one of our pages has shown in this session; a refusal leads back to that page.

    Raises:
        ForgedFormError: It carries no key, or that of another session.
    """
    if not is_form_key(lend_plane(request).vault, request.cookies.get(COOKIE, ""), form.text("key")):
        raise ForgedFormError
    request.state.back = read_back(form.text("back"))
    return form


FormDep = Annotated[Form, Depends(read_form)]
OwnFormDep = Annotated[Form, Depends(read_own_form)]
