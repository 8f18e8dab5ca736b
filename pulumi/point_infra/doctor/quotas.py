"""What the account may have at most, against what runs and what the stack asks for."""

import re
from collections.abc import Callable, Iterable, Sequence

from point_infra.doctor.finding import Finding, failed, ok, unknown, warning
from point_infra.doctor.needs import Nodes

ADDRESSES = ("ec2", "L-0263D0A3")
VPCS = ("vpc", "L-F678F1CE")
STANDARD = {False: ("ec2", "L-1216C47A"), True: ("ec2", "L-34B43A08")}
"""vCPUs of the standard families, on demand and spot."""

_STANDARD_FAMILIES = frozenset(("a", "c", "d", "h", "i", "im", "is", "m", "r", "t", "z"))


def standard(instance_type: str) -> bool:
    """Whether a type counts against the quota of the standard families (A, C, D, H, I, M, R, T, Z)."""
    return (re.match(r"[a-z]*", instance_type) or [""])[0] in _STANDARD_FAMILIES


def vcpus(nodes: Iterable[Nodes], of: Callable[[str], int]) -> tuple[int, int]:
    """At the start and at most; a group may choose, so its largest type counts."""
    sizes = [(g, max(of(t) for t in g.types)) for g in nodes]
    return sum(g.start * v for g, v in sizes), sum(g.most * v for g, v in sizes)


def compute(what: str, quota: tuple[str, str], allowed: float, used: int, wanted: tuple[int, int]) -> Finding:
    """Judge vCPUs: those at the start must fit, those at most should."""
    start, most = wanted
    free = int(allowed) - used
    found = f"{int(allowed)} allowed, {used} used by others, {start} at the start and {most} at most"
    if start > free:
        return failed(what, found, _more(quota, used + most))
    if most > free:
        return warning(what, found, f"{_more(quota, used + most)}, or the autoscaler stops there")
    return ok(what, found)


def count(what: str, quota: tuple[str, str], allowed: float, used: int, wanted: int) -> Finding:
    """Judge what is counted by the piece."""
    found = f"{int(allowed)} allowed, {used} used by others, {wanted} needed"
    return failed(what, found, _more(quota, used + wanted)) if used + wanted > allowed else ok(what, found)


def families(nodes: Sequence[Nodes]) -> list[Finding]:
    """Say of which groups the quota is not known here."""
    foreign = sorted({t for g in nodes for t in g.types if not standard(t)})
    return [
        unknown("vCPUs", f"the quota of {t} is not one of the standard families': see Service Quotas, EC2")
        for t in foreign
    ]


def _more(quota: tuple[str, str], wanted: int) -> str:
    service, code = quota
    return (
        f"aws service-quotas request-service-quota-increase --service-code {service} --quota-code {code}"
        f" --desired-value {wanted}"
    )
