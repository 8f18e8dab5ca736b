"""A plan says "replace" where AWS can't change in place."""

from collections.abc import Callable

from infra.models.cloudformation import Declared
from infra.models.create_only import inputs
from point_local.preview.standin.shapes import REPLACES

_RULE = ("cidrIpv4", "fromPort", "ipProtocol", "referencedSecurityGroupId", "toPort")
CHANGED_IN_PLACE: dict[str, dict[str, str]] = {
    "aws:ec2/routeTableAssociation:RouteTableAssociation": {"routeTableId": "ReplaceRouteTableAssociation"},
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": dict.fromkeys(
        _RULE, "ModifySecurityGroupRules"
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": dict.fromkeys(
        _RULE, "ModifySecurityGroupRules"
    ),
}
"""Inputs that CloudFormation makes anew and the provider doesn't -> by which call."""


def test_the_preview_replaces_what_cloudformation_replaces(stacks: dict[str, list[Declared]]) -> None:
    declared = [one for some in stacks.values() for one in some if one.type.startswith("aws:")]
    found = inputs(declared)
    assert sum(map(len, found.values())) > 60
    known = {type_: REPLACES.get(type_, set()) | CHANGED_IN_PLACE.get(type_, {}).keys() for type_ in found}
    assert {t: names - known[t] for t, names in found.items() if names - known[t]} == {}
    # A reason for something that is changed in place everywhere is none.
    assert all(reasons.keys() <= found[type_] for type_, reasons in CHANGED_IN_PLACE.items())


def test_an_input_without_which_a_create_only_property_is_gone_is_found(
    example: Callable[..., Declared],
) -> None:
    assert inputs([example(":HealthCheck", "check")])["aws:route53/healthCheck:HealthCheck"] == {
        "requestInterval",
        "type",
    }
