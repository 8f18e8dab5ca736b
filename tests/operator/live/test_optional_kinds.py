"""Kinds of other projects come and go."""

from typing import Any

import pytest
from point_operator import kinds

pytestmark = pytest.mark.integration


@pytest.mark.usefixtures("optional_kinds")
def test_uninstalling_prometheus_harms_no_point_service(tenant: Any, server: Any) -> None:
    tenant.ready()
    for kind in kinds.OPTIONAL:
        assert tenant.get(kind) is not None
    names = [f"{kind.plural}.{kind.group}" for kind in kinds.OPTIONAL]
    server.kubectl("delete", "crd", *names)
    tenant.spec(logLevel="DEBUG")
    tenant.kube.wait("the new log level", lambda: "DEBUG" in str(tenant.get(kinds.DEPLOYMENT)))
    tenant.rolled_out()
    tenant.wait_reason("Progressing", "Complete")
    assert tenant.condition("Ready")["reason"] == "Available"
