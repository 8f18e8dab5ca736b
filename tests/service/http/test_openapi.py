"""The API's description is what the service does, and what docs/ holds."""

from pathlib import Path

import pytest
from litestar import Litestar
from point_service.http import openapi, probes
from point_service.http.examples import EXAMPLES
from point_service.http.handlers import handlers
from point_service.http.routes import ROUTES, Write

KEPT = Path(__file__).parents[3] / "docs" / "openapi.yaml"


def test_the_kept_description_is_the_current_one():
    assert KEPT.read_text() == openapi.text(), "run: point-service openapi > docs/openapi.yaml"


def test_every_route_is_described_and_nothing_else():
    app = Litestar(handlers(), openapi_config=None)
    served = {
        (method.lower(), route.path_format)
        for route in app.routes
        for method in route.methods
        if method != "OPTIONS"
    }
    described = {
        (method, path) for path, methods in openapi.document()["paths"].items() for method in methods
    }
    assert served == described
    assert probes.HANDLERS


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_example_is_of_what_its_route_takes_and_gives(route):
    example = EXAMPLES[route.name]
    assert type(example.answer) is route.answer
    assert type(example.body) is (route.body if isinstance(route, Write) else type(None))


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_every_route_names_its_problems_and_references_what_is_there(route):
    document = openapi.document()
    described = document["paths"][route.path]["post" if isinstance(route, Write) else "get"]
    assert {"401", "503"} <= described["responses"].keys()

    def references(node):
        if isinstance(node, dict):
            yield from ([node["$ref"]] if "$ref" in node else [])
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    for reference in references(document):
        target = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]
