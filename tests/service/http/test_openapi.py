"""The API's description is what the service does, and what docs/ holds."""

from pathlib import Path

import pytest
from litestar import Litestar
from point_service.contract.errors import OwnGrant
from point_service.http import openapi, probes
from point_service.http.examples import EXAMPLES
from point_service.http.handlers import handlers
from point_service.http.routes import ROUTES, SHOP, Write

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


def test_each_call_about_the_caller_has_one_that_names_the_member():
    """For the shop's systems alone, with the same body, answer and reason to refuse."""
    by_path = {route.path: route for route in ROUTES}
    own = [route for route in ROUTES if route.path.startswith("/v1/points")]
    assert len(own) == 8
    for route in own:
        named = by_path[route.path.replace("/v1/points", "/v1/members/{member_id}")]
        assert (type(named), named.answer) == (type(route), route.answer)
        assert (named.roles, named.query) == (SHOP, ("encoding", *route.query))
        assert [one for one in named.problems if one is not OwnGrant] == [*route.problems]
        if isinstance(route, Write):
            assert (named.body, named.operation) == (route.body, route.operation)
            assert named.to_others == (OwnGrant in named.problems) == (route.name == "earn")
    assert len({route.name for route in ROUTES}) == len(by_path) == len(ROUTES)


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
