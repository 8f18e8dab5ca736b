"""The dashboards: Grafana's own schema, a layout without holes, and only metrics that exist."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as schema
from grafana_foundation_sdk.models import units
from point_operator.model import api
from point_operator.resources.watching import dashboard

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["of a PointService", "of the operator"])
def board(request: pytest.FixtureRequest, example: dict[str, Any]) -> dict[str, Any]:
    """Each dashboard as Grafana reads it."""
    if request.param == "of a PointService":
        return json.loads(dashboard.of(_point_service(example, "points")))
    made = yaml.safe_load((ROOT / "operator/deploy/monitoring/dashboard.yaml").read_text())
    return json.loads(made["data"]["point-operator.json"])


def _point_service(example: dict[str, Any], name: str) -> api.PointService:
    metadata = {"name": name, "namespace": "points", "uid": "1", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return api.parse({"metadata": metadata, "spec": example["spec"]})


def test_grafanas_schema_reads_it_whole(board: dict[str, Any]) -> None:
    register_default_plugins()
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    read = schema.Dashboard.from_json(board)
    assert json.loads(json.dumps(read, cls=JSONEncoder)) == board
    assert read.schema_version >= 41


def test_panels_fill_the_grid_without_meeting(board: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells
    bottom = max(y for _, y in taken) + 1
    assert taken == {(x, y) for x in range(24) for y in range(bottom)}


def test_panels_have_an_identity_a_known_unit_and_a_query(board: dict[str, Any]) -> None:
    known = {value for _, value in inspect.getmembers(units) if isinstance(value, str)}
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in panels:
        assert panel["fieldConfig"]["defaults"]["unit"] in known, panel["title"]
        assert panel["targets"], panel["title"]
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_every_word_is_filled_in(board: dict[str, Any]) -> None:
    words = set(re.findall(r"\$\{?(\w+)", json.dumps(board)))
    assert words == {"datasource", "__rate_interval", "__range"} - ({"__range"} - words)


def test_two_services_have_dashboards_of_their_own(example: dict[str, Any]) -> None:
    one, other = (json.loads(dashboard.of(_point_service(example, name))) for name in ("points", "bonus"))
    assert one["uid"] != other["uid"]
    assert one["title"] != other["title"]
    assert "points-" not in json.dumps(other).replace("point_requests", "")
