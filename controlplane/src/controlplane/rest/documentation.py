"""Make the OpenAPI document say all that the application does: every answer, and who may call.

For: the application, which hands the framework's document in.
Not for: what stands in it otherwise; descriptions are docstrings, schemas are models.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final

from fastapi.routing import APIRoute, RouteContext
from pydantic import BaseModel, Field, JsonValue

from controlplane.admins.callers import Gate
from controlplane.errors import ControlPlaneError
from controlplane.http_errors import PROBLEM_TYPE
from controlplane.rest.refusals import list_calls, list_refusals

SECURITY_SCHEME = "admin token"
FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")

TAGGED: Final[dict[int | str, dict[str, Any]]] = {
    200: {"headers": {"ETag": {"description": "For If-Match.", "schema": {"type": "string"}}}}
}
"""`responses` of an endpoint that answers with one resource."""

CREATED: Final[dict[int | str, dict[str, Any]]] = {
    201: {
        "headers": {
            "ETag": {"description": "For If-Match.", "schema": {"type": "string"}},
            "Location": {"description": "Path of what was made.", "schema": {"type": "string"}},
        }
    }
}
"""`responses` of an endpoint that makes a resource."""


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    problem: str


class Problem(BaseModel):
    """Why a request was refused, by RFC 9457. `title` is a sentence that says what to do."""

    type: str = Field(description="Names the reason, such as `/problems/unknown_node`, or `about:blank`.")
    title: str
    status: int
    errors: list[FieldProblem] | None = Field(default=None, description="Only of a malformed request.")


Document = dict[str, Any]


def complete_document(document: Document, routes: Iterable[RouteContext]) -> None:
    """Add refusals and access to every operation of the framework's document."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in FRAMEWORK_SCHEMAS:
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    document["components"]["securitySchemes"] = {SECURITY_SCHEME: {"type": "http", "scheme": "bearer"}}
    for context in routes:
        route = context.original_route
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = document["paths"][context.path][method.lower()]
            _complete(operation, context)


def _complete(operation: Document, context: RouteContext) -> None:
    dependant = context.dependant
    refusals = list_refusals(dependant)
    responses = operation["responses"]
    texts: dict[int, list[str]] = {}
    if "requestBody" in operation:
        texts = {400: ["The body cannot be read."], 413: ["The body is too large."]}
    if responses.pop("422", None) is not None:
        texts[422] = ["`malformed`: The request is malformed."]
    for error in refusals:
        if error.status >= HTTPStatus.BAD_REQUEST:
            texts.setdefault(error.status, []).append(f"`{error.code}`: {error.public_text}")
    for status, sentences in sorted(texts.items()):
        responses[str(status)] = _describe(sentences, [error for error in refusals if error.status == status])
    gates = [call for call in list_calls(dependant) if isinstance(call, Gate)]
    operation["security"] = [{SECURITY_SCHEME: []}] if gates else []
    for gate in gates:
        operation["x-access"] = {"role": gate.role.value, "reach": gate.reach.value}


def _describe(sentences: list[str], errors: list[type[ControlPlaneError]]) -> Document:
    described: Document = {
        "description": "\n\n".join(sentences),
        "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    headers: dict[str, JsonValue] = {
        name.title(): {"schema": {"type": "string"}} for error in errors for name in error.headers
    }
    return described | ({"headers": headers} if headers else {})
