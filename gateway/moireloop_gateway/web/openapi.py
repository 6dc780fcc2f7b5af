"""The OpenAPI description of the gateway, made from the tables of its addresses and requests (adapter)."""

from __future__ import annotations

import re
from typing import Any, Final

from moireloop_broker.contract.message import Message
from moireloop_gateway.web.addresses import ADDRESSES, Address, thing
from moireloop_gateway.web.patterns import SubmitPattern
from moireloop_gateway.web.steering import STEERING, Steering

ERROR: Final = {"$ref": "#/components/schemas/Error"}

BODIES: Final[dict[str, type[Message]]] = {"submit_pattern": SubmitPattern}
"""Bodies of addresses that are no requests of the table."""

REFUSALS: Final = {
    "401": "no token, or a wrong one",
    "403": "this token may only look, or the CSRF header is missing",
    "404": "not found",
    "409": "the campaign refused the request",
    "422": "a parameter or body is not what is expected",
    "429": "too many requests",
    "503": "the campaign is not running",
}


def openapi(version: str) -> dict[str, Any]:
    """The description in JSON, OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    for address in ADDRESSES:
        if address.handler == "steer":
            for name, steering in STEERING.items():
                paths[f"/api/v1{address.path.replace('{request}', name)}"] = {"post": _steered(name, address, steering)}
        else:
            paths.setdefault(f"/api/v1{address.path}", {})[address.method.lower()] = _operation(address)
    error = thing(error={"type": "string"}, message={"type": "string"})
    return {
        "openapi": "3.1.0",
        "info": {"title": "moireloop gateway", "version": version, "description": "Campaigns over HTTP."},
        "paths": paths,
        "components": {
            "schemas": {"Error": error},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "moireloop_gateway"},
            },
        },
        "security": [{"token": []}, {"cookie": []}],
    }


def _operation(address: Address) -> dict[str, Any]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", address.path)
        if name != "request"
    ]
    in_query = [
        {"name": name, "in": "query", "schema": schema, "description": words}
        for name, (schema, words) in address.query.items()
    ]
    refused = {code: {"description": words, "content": _content(ERROR)} for code, words in REFUSALS.items()}
    body = BODIES.get(address.handler)
    carried = {} if body is None else {"requestBody": _body(body.model_json_schema())}
    return {
        "operationId": address.handler,
        "summary": address.summary,
        "parameters": [*in_path, *in_query],
        **carried,
        "responses": {
            "200": {"description": "as asked", "content": _content(address.returns, address.kind)},
            **refused,
        },
    }


def _steered(name: str, address: Address, steering: Steering) -> dict[str, Any]:
    return {
        **_operation(address),
        "operationId": name,
        "summary": steering.summary,
        "requestBody": _body(steering.schema()),
    }


def _body(schema: Any) -> dict[str, Any]:
    return {"required": True, "content": _content(_inline(schema))}


def _inline(schema: Any) -> Any:
    """A schema without references: definitions stand where they are used."""
    definitions = schema.pop("$defs", {})

    def inlined(node: Any) -> Any:
        if isinstance(node, dict) and "$ref" in node:
            return inlined(definitions[node["$ref"].rpartition("/")[2]])
        if isinstance(node, dict):
            return {name: inlined(value) for name, value in node.items()}
        return [inlined(value) for value in node] if isinstance(node, list) else node

    return inlined(schema)


def _content(schema: Any, kind: str = "application/json") -> dict[str, Any]:
    return {kind: {"schema": schema}}
