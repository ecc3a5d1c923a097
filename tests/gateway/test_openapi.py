"""The document of all addresses, held against the addresses there are."""

from __future__ import annotations

from typing import Any

from starlette.routing import Route

from emafusion import gateway
from emafusion.gateway.openapi import document
from emafusion.types import Knobs

from .parts import Script, Served, client_of


def test_every_address_is_documented_and_nothing_else() -> None:
    app = gateway.app(client_of({"small": Script()}))
    told = {
        (path, method.upper())
        for path, operations in document()["paths"].items()  # type: ignore[attr-defined]
        for method in operations
        if method != "parameters"
    }
    there = {
        (route.path.replace(":path", ""), method)
        for route in app.routes
        if isinstance(route, Route)
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert told == there


def test_every_knob_is_documented(house: Served) -> None:
    told: Any = house.get("/openapi.json").json
    knobs = told["components"]["schemas"]["Knobs"]
    assert set(knobs["properties"]) == set(Knobs.__struct_fields__)
    assert knobs["additionalProperties"] is False


def test_every_reference_leads_somewhere() -> None:
    told: Any = document()
    names = set(told["components"]["schemas"])
    assert set(_references(told)) <= {f"#/components/schemas/{name}" for name in names}


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [name for each in value.values() for name in _references(each)]
    if isinstance(value, list):
        return [name for each in value for name in _references(each)]
    return []
