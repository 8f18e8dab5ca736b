"""A name out of a spec never leads to another object than the one it names."""

from pathlib import Path

import pytest
from point_operator.kube import connection
from point_operator.kube.cluster import Cluster
from point_operator.model import kinds

WRONG = ["../../other/secrets/x", "..", ".", "a/b", "a/../b", "a%2Fb", "a?b", "a#b", "a b", "x" * 254, "a..b"]


@pytest.mark.parametrize("name", WRONG)
def test_a_name_that_no_object_has_makes_no_path(name: str) -> None:
    with pytest.raises(ValueError, match="is no name"):
        kinds.SECRET.path("points", name)
    with pytest.raises(ValueError, match="is no name"):
        kinds.SECRET.path(name)


def test_a_name_is_quoted() -> None:
    assert kinds.SECRET.path("points", "a.b-c").endswith("/namespaces/points/secrets/a.b-c")
    assert kinds.LEASE.path("points", "system:node").endswith("/leases/system%3Anode")


@pytest.mark.integration
@pytest.mark.parametrize("name", WRONG)
async def test_nor_does_it_find_any(account: Path, kube: object, name: str) -> None:
    assert kube
    async with await connection.connect(str(account)) as client:
        assert await Cluster(client).get(kinds.SECRET, "istio-ingress", name) is None
        there = "points-tls"
        assert await Cluster(client).get(kinds.SECRET, "istio-ingress", there) is not None
        assert (
            await Cluster(client).get(kinds.SECRET, "default", f"../../istio-ingress/secrets/{there}") is None
        )
