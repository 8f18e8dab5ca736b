"""What an alert on PointServices that can't be as their spec says is made of."""

from typing import Any

import pytest
from point_operator.model import kinds

pytestmark = pytest.mark.integration


def test_the_metric_follows_the_condition_and_goes_with_the_point_service(
    tenant: Any, operator: Any, kube: Any
) -> None:
    series = f'point_operator_degraded{{point_service="{tenant.namespace}/points"}}'
    tenant.ready()
    assert f"{series} 0.0" in operator.metrics()
    tenant.spec(image="docker.io/library/point-service:2")
    tenant.migration_failed("no such column")
    tenant.wait_reason("Degraded", "MigrationFailed")
    kube.wait("the metric", lambda: f"{series} 1.0" in operator.metrics())
    kube.delete(kinds.POINT_SERVICE, tenant.namespace, "points")
    kube.wait("it to be gone", lambda: series not in operator.metrics(), 20)
