"""The OpenAPI description says what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from moireloop_gateway.web.addresses import ADDRESSES
from moireloop_gateway.web.endpoints.table import ENDPOINTS
from moireloop_gateway.web.openapi import openapi
from moireloop_gateway.web.steering import STEERING

PAGE = openapi("1")


def test_every_address_has_a_function_and_a_place_on_the_page() -> None:
    """Operations are named after the functions behind them; each request of the table is one."""
    operations = {operation["operationId"] for path in PAGE["paths"].values() for operation in path.values()}
    assert operations == {address.handler for address in ADDRESSES} - {"steer"} | set(STEERING)
    assert set(ENDPOINTS) == {address.handler for address in ADDRESSES}
    assert json.loads(json.dumps(PAGE)) == PAGE


@pytest.mark.parametrize("name", STEERING)
def test_each_request_has_its_schema(name: str) -> None:
    """A body without unknown fields, and words for those who read them."""
    operation = PAGE["paths"][f"/api/v1/campaigns/{{campaign}}/requests/{name}"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["additionalProperties"] is False
    assert operation["summary"].endswith(".")


def references(node: Any) -> Iterator[str]:
    """All references of a JSON document."""
    if isinstance(node, dict):
        yield from ([node["$ref"]] if "$ref" in node else [])
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_references_and_parameters_lead_somewhere() -> None:
    """Each reference names a schema that is there, each {name} of a path is a parameter."""
    for reference in set(references(PAGE)):
        node: Any = PAGE
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    for path, operations in PAGE["paths"].items():
        for operation in operations.values():
            named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert all(f"{{{name}}}" in path for name in named)
            assert path.count("{") == len(named)
