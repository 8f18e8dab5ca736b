"""The rules of `policy.py` as a CrossGuard pack: an executable that calls `main` is what --policy-pack takes."""

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

from point_infra.policy.rules import RULES, Rule


def _policy(rule: Rule) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for text in rule(args.resource_type, args.props):
            report(text, None)

    return ResourceValidationPolicy(
        name=rule.__name__.replace("_", "-"), description=rule.__doc__ or rule.__name__, validate=validate
    )


def main() -> None:
    """Serve the pack to the engine."""
    PolicyPack(
        "point-platform",
        enforcement_level=EnforcementLevel.MANDATORY,
        policies=[_policy(rule) for rule in RULES],
    )
