"""Kinds of other projects come and go."""

import signal
from typing import Any

import pytest
from point_operator.model import kinds

pytestmark = pytest.mark.integration


@pytest.mark.usefixtures("optional_kinds")
def test_uninstalling_prometheus_harms_no_point_service(tenant: Any, server: Any) -> None:
    tenant.ready()
    for kind in kinds.WATCHING:
        assert tenant.get(kind) is not None
    names = [f"{kind.plural}.{kind.group}" for kind in kinds.WATCHING]
    server.kubectl("delete", "crd", *names)
    tenant.spec(logLevel="DEBUG")
    tenant.kube.wait("the new log level", lambda: "DEBUG" in str(tenant.get(kinds.DEPLOYMENT)))
    tenant.rolled_out()
    tenant.wait_reason("Progressing", "Complete")
    assert tenant.condition("Ready")["reason"] == "Available"


@pytest.mark.usefixtures("optional_kinds")
def test_a_kind_uninstalled_while_the_api_server_was_away_ends_no_watch(
    tenant: Any, server: Any, operator: Any
) -> None:
    tenant.ready()
    operator.process.send_signal(signal.SIGSTOP)
    try:  # when it goes on, its watches find the connection gone and the kind unknown, in this order
        server.kubectl("delete", "crd", *(f"{kind.plural}.{kind.group}" for kind in kinds.WATCHING))
        server.restart()
    finally:
        operator.process.send_signal(signal.SIGCONT)
    tenant.kube.wait("the Service to be there", lambda: tenant.get(kinds.SERVICE), 30)
    tenant.kube.wait("the watches to work again", lambda: tenant.repaired(kinds.SERVICE), 60)
