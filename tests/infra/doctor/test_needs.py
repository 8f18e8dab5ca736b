"""What a stack asks of its account is read off what it declares."""

import pytest
from point_infra import offline
from point_infra.cost.inventory import Declared
from point_infra.doctor import access
from point_infra.doctor.needs import Needs, needs


def _needs(stack: str) -> tuple[Needs, list[Declared]]:
    declared = offline.declared(stack)
    return needs(offline.settings(stack), declared), declared


@pytest.mark.parametrize("stack", offline.stacks())
def test_nothing_that_is_declared_is_left_unasked(stack: str) -> None:
    found, declared = _needs(stack)
    count = {t: sum(d.type == t for d in declared) for t in found.types}
    assert len(found.nodes) == count["aws:eks/nodeGroup:NodeGroup"] == 3
    assert len(found.addons) == count["aws:eks/addon:Addon"]
    assert len(found.images) == count["aws:ecr/repository:Repository"] == 2
    assert len(found.log_groups) == count["aws:cloudwatch/logGroup:LogGroup"]
    assert (found.addresses, found.vpcs) == (count["aws:ec2/natGateway:NatGateway"], 1)
    assert found.database
    assert len(found.database.instances) == count["aws:rds/clusterInstance:ClusterInstance"]
    assert all(class_ and zone for class_, zone in found.database.instances)
    assert found.cache
    assert all((found.cache.engine, found.cache.version, found.cache.node_type))
    assert all(g.types and g.release and g.ami_type and 0 < g.start <= g.most for g in found.nodes)
    assert all(p.startswith("arn:aws:iam::aws:policy/") for p in found.policies)
    assert {n.spot for n in found.nodes} == {stack == "trial"}
    assert set(access.RIGHTS) - found.types <= {
        "aws:wafv2/webAcl:WebAcl",
        "aws:cloudfront/distribution:Distribution",
        "aws:codebuild/project:Project",
    }
